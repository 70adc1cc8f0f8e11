import assert from "node:assert/strict";
import { test } from "node:test";
import type { MeshNode } from "../mesh-node.ts";
import { BUSYBOX_IMAGE } from "../test-images.ts";
import { meshed, namespace } from "./objects.ts";
import { type InjectedContainer, SETTINGS, type Setting } from "./settings-table.ts";

const PREFIX = "config.linkerd.io/";

/** What can be said on the command line, and all that can be said in annotations. */
export function settingTests(mesh: () => MeshNode, skip: string | false): void {
  for (const isNative of [true, false]) {
    const kind = isNative ? "native sidecar" : "container among others";

    test(`[NI14] what flags of inject say is in the pod: ${kind}`, { skip }, async () => {
      const said = Object.entries(SETTINGS).filter(([, { flag }]) => flag !== undefined);
      const flags = said.map(([, { flag, value }]) => `${flag}=${value}`);
      const at = "flags";
      await mesh().apply(namespace(at));
      const manual = ["inject", "--manual", `--native-sidecar=${isNative}`, ...flags, "-"];
      const injected = await mesh().heddleWith(JSON.stringify(pod(at, {})), ...manual);
      // As the API server takes it, without anybody's webhook.
      checkSettings(await admitted(mesh(), injected), isNative, Object.fromEntries(said));
    });

    test(`[NI15] what annotations say is in the pod: ${kind}`, { skip }, async () => {
      const at = "annotations";
      await mesh().apply(meshed(at));
      const annotations = Object.entries(SETTINGS).map(([key, { value }]) => [PREFIX + key, value]);
      const told = pod(at, {
        ...Object.fromEntries(annotations),
        [`${PREFIX}proxy-enable-native-sidecar`]: String(isNative),
      });
      checkSettings(await admitted(mesh(), JSON.stringify(told)), isNative, SETTINGS);
    });
  }
}

function checkSettings(
  pod: AdmittedPod,
  isNative: boolean,
  settings: Readonly<Record<string, Setting>>,
): void {
  const { initContainers = [], containers } = pod.spec;
  const proxy = (isNative ? initContainers : containers).find(
    ({ name }) => name === "linkerd-proxy",
  );
  const debug = containers.find(({ name }) => name === "linkerd-debug");
  const init = initContainers.find(({ name }) => name === "linkerd-init");
  assert.ok(proxy !== undefined && init !== undefined, JSON.stringify(pod.spec));
  assert.equal(proxy.restartPolicy, isNative ? "Always" : undefined);
  const found = Object.entries(settings).map(([key, { shows }]) => [
    key,
    shows({ proxy, init, debug }),
  ]);
  const wanted = Object.entries(settings).map(([key, { as, value }]) => [key, as ?? value]);
  assert.deepEqual(Object.fromEntries(found), Object.fromEntries(wanted));
}

function pod(at: string, annotations: Readonly<Record<string, string>>): object {
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { namespace: at, name: "app", annotations },
    spec: { containers: [{ name: "app", image: BUSYBOX_IMAGE, ports: [{ containerPort: 7000 }] }] },
  };
}

/** The pod that the API server would make of this, its webhooks asked. */
async function admitted(mesh: MeshNode, manifest: string): Promise<AdmittedPod> {
  const flags = ["--dry-run=server", "-o", "json", "-f", "-"];
  return JSON.parse(await mesh.kubectl(["create", ...flags], manifest));
}

interface AdmittedPod {
  readonly spec: {
    readonly initContainers?: readonly InjectedContainer[];
    readonly containers: readonly InjectedContainer[];
  };
}
