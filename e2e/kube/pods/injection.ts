import assert from "node:assert/strict";
import { test } from "node:test";
import { PODS, type Pod, SERVICES } from "@heddle/kube/types/core";
import type { MeshNode } from "../mesh-node.ts";
import { BUSYBOX_IMAGE } from "../test-images.ts";
import { client, meshed, PLAIN, service } from "./objects.ts";

const LEVEL = "config.linkerd.io/proxy-log-level";

/** What the webhook makes of pods and Services, called by a real API server through its Service. */
export function injectionTests(mesh: () => MeshNode, skip: string | false): void {
  const logOf = (pod: Pod): string | undefined => {
    const proxy = pod.spec?.initContainers?.find(({ name }) => name === "linkerd-proxy");
    return proxy?.env?.find(({ name }) => name === "LINKERD2_PROXY_LOG")?.value;
  };

  test("[NI16] a pod's annotations go before its namespace's", { skip }, async () => {
    const at = "injected";
    await mesh().apply(
      meshed(at, { [LEVEL]: "warn,heddle=debug" }),
      ...client(at, "inherits"),
      ...client(at, "overrides", { annotations: { [LEVEL]: "warn,heddle=error" } }),
    );
    await mesh().ready(at, "inherits", "overrides");
    assert.match(logOf(await mesh().pod(at, "inherits")) ?? "", /^warn,heddle=debug/);
    assert.match(logOf(await mesh().pod(at, "overrides")) ?? "", /^warn,heddle=error/);
  });

  test("[NI17] a bare pod is meshed", { skip }, async () => {
    const at = "bare";
    await mesh().apply(meshed(at), {
      apiVersion: "v1",
      kind: "Pod",
      metadata: { namespace: at, name: "bare" },
      spec: {
        terminationGracePeriodSeconds: 1,
        containers: [{ name: "app", image: BUSYBOX_IMAGE, command: ["sleep", "1000"] }],
      },
    });
    await mesh().kubectl(["-n", at, "wait", "--for=condition=Ready", "pod/bare", "--timeout=60s"]);
    const pod = await mesh().client.get(PODS, { namespace: at, name: "bare" });
    assert.deepEqual(
      pod.spec?.initContainers?.map(({ name }) => name),
      ["linkerd-init", "linkerd-proxy"],
    );
    assert.equal(pod.metadata.labels?.["linkerd.io/control-plane-ns"], "linkerd");
    assert.equal(pod.metadata.annotations?.["linkerd.io/inject"], "enabled");
  });

  test("where the proxy is no native sidecar, the application waits for it in a hook", {
    skip,
  }, async () => {
    const at = "classic";
    const classic = { "config.linkerd.io/proxy-enable-native-sidecar": "false" };
    await mesh().apply(meshed(at), ...client(at, "curl", { annotations: classic }));
    await mesh().ready(at, "curl");
    const pod = await mesh().pod(at, "curl");
    assert.deepEqual(
      pod.spec?.containers?.map(({ name }) => name),
      ["linkerd-proxy", "curl"],
    );
  });

  test("[NI18] a pod that says no stays plain", { skip }, async () => {
    const at = "refusing";
    await mesh().apply(meshed(at), ...client(at, "plain", { annotations: PLAIN }));
    await mesh().ready(at, "plain");
    const pod = await mesh().pod(at, "plain");
    assert.equal(pod.spec?.initContainers, undefined);
    assert.equal(pod.metadata.labels?.["linkerd.io/control-plane-ns"], undefined);
  });

  test("[NI19] a Service takes its namespace's opaque ports", { skip }, async () => {
    const at = "opaque-services";
    await mesh().apply(meshed(at, { "config.linkerd.io/opaque-ports": "9998" }));
    await mesh().apply(service(at, "web"));
    const { metadata } = await mesh().client.get(SERVICES, { namespace: at, name: "web" });
    assert.equal(metadata.annotations?.["config.linkerd.io/opaque-ports"], "9998");
  });
}
