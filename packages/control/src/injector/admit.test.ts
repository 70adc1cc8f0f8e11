import assert from "node:assert/strict";
import { test } from "node:test";
import { Log } from "@heddle/base/log";
import { Registry } from "@heddle/base/metrics";
import type { PatchOperation } from "@heddle/inject/json-patch";
import { EventRecorder } from "@heddle/kube/events";
import {
  CONFIG_MAPS,
  DEPLOYMENTS,
  EVENTS,
  NAMESPACES,
  REPLICA_SETS,
} from "@heddle/kube/types/core";
import { ApiStore } from "@heddle/testkit/api-store";
import type { AdmissionResponse } from "../webhook/review.ts";
import { newInjector } from "./admit.ts";

const UID = "9a1c";
const TEMPLATED = {
  selector: { matchLabels: { app: "web" } },
  template: {
    metadata: { labels: { app: "web" } },
    spec: { containers: [{ name: "web", image: "web:1" }] },
  },
};

function patchOf(response: AdmissionResponse): readonly PatchOperation[] {
  assert.equal(response.allowed, true, response.status?.message ?? "denied");
  return JSON.parse(Buffer.from(response.patch ?? "W10=", "base64").toString()) as PatchOperation[];
}

test("[IJ01] [IJ03] [IJ14] the webhook reads its values anew, finds owners, patches, tells and counts", async () => {
  await using store = await ApiStore.start();
  const { client } = store;
  const annotations = { "linkerd.io/inject": "enabled" };
  await client.create(NAMESPACES, { metadata: { name: "shop", annotations } });
  await client.create(NAMESPACES, { metadata: { name: "linkerd" } });
  const deployment = await client.create(DEPLOYMENTS, {
    metadata: { namespace: "shop", name: "web" },
    spec: TEMPLATED,
  });
  const uid = deployment.metadata.uid!;
  const parent = { apiVersion: "apps/v1", kind: "Deployment", name: "web", uid };
  const set = await client.create(REPLICA_SETS, {
    metadata: { namespace: "shop", name: "web-1", ownerReferences: [parent] },
    spec: TEMPLATED,
  });
  await using events = new EventRecorder(
    client,
    "linkerd-proxy-injector",
    Log.root({ write() {}, uptimeMs: () => 0 }),
  );
  const registry = new Registry();
  const handle = newInjector({
    client,
    controlNamespace: "linkerd",
    version: "test",
    events,
    registry,
  });
  const ask = (kind: string, object: unknown, namespace = "shop") =>
    handle({ request: { uid: UID, kind: { kind }, namespace, object } });
  const owner = {
    apiVersion: "apps/v1",
    kind: "ReplicaSet",
    name: "web-1",
    uid: set.metadata.uid!,
  };
  const podOf = (own: Readonly<Record<string, string>>) => ({
    metadata: { generateName: "web-1-", annotations: own, ownerReferences: [owner] },
    spec: { containers: [{ name: "web", image: "web:1" }] },
  });

  const early = await ask("Pod", podOf({}));
  assert.equal(early.uid, UID);
  assert.equal(early.allowed, false);
  assert.match(early.status!.message, /linkerd-config holds no values/);

  await client.create(CONFIG_MAPS, {
    metadata: { namespace: "linkerd", name: "linkerd-config" },
    data: { values: "identityTrustAnchorsPEM: ANCHORS\n" },
  });
  const patch = patchOf(await ask("Pod", podOf({})));
  const labels = patch.filter(({ path }) => path.includes("proxy-deployment"));
  assert.deepEqual(
    labels.map(({ value }) => value),
    ["web"],
  );
  assert.ok(patch.some(({ path }) => path === "/spec/initContainers/1"));

  assert.deepEqual(patchOf(await ask("Pod", podOf({ "linkerd.io/inject": "disabled" }))), []);
  const service = { metadata: { name: "db" }, spec: { ports: [{ port: 3306 }] } };
  assert.equal(patchOf(await ask("Service", service)).at(-1)?.value, "3306");
  assert.match((await ask("Pod", podOf({}), "nowhere")).status!.message, /no namespace "nowhere"/);
  assert.match((await ask("Pod", { spec: { containers: 1 } })).status!.message, /not a list/);

  await events.drained();
  const told = (await client.list(EVENTS, { namespace: "shop" })).items;
  assert.deepEqual(told.map(({ reason }) => reason).sort(), ["Injected", "InjectionSkipped"]);
  const counted = [...registry.expose().matchAll(/responses_total\{[^}]*skip_reason="([^"]*)"/g)];
  assert.deepEqual(counted.map(([, reason]) => reason).sort(), [
    "",
    "injection_disable_annotation_present",
  ]);
});
