import assert from "node:assert/strict";
import { test } from "node:test";
import { applyPatch } from "./json-patch.ts";
import { patchPod } from "./pod-patch.ts";
import { uninject } from "./uninject.ts";
import { readValues } from "./values.ts";
import { templatePath } from "./workload.ts";

const TEMPLATE = {
  metadata: { labels: { app: "web" } },
  spec: { containers: [{ name: "web", image: "web:1" }] },
};

/** A workload of the kind around the template. */
function workload(kind: string): unknown {
  let document: unknown = TEMPLATE;
  for (const key of [...templatePath(kind)!].reverse()) document = { [key]: document };
  return { kind, ...(document as object) };
}

const KINDS = ["Pod", "Deployment", "ReplicationController", "ReplicaSet", "Job"];

for (const kind of [...KINDS, "DaemonSet", "StatefulSet", "CronJob"]) {
  for (const native of [true, false]) {
    test(`uninject inverts injection: ${kind}, native sidecar ${native}`, () => {
      const values = `identityTrustAnchorsPEM: ANCHORS\nproxy: {nativeSidecar: ${native}}`;
      const { patch } = patchPod({
        pod: TEMPLATE,
        prefix: templatePath(kind)!
          .map((key) => `/${key}`)
          .join(""),
        namespace: "shop",
        namespaceAnnotations: {},
        owner: { kind: kind.toLowerCase(), name: "web" },
        values: readValues(values, "test"),
        controlNamespace: "linkerd",
        createdBy: "linkerd/cli test",
      });
      const before = workload(kind);
      const injected = applyPatch(before, patch);
      assert.notDeepEqual(injected, before);
      assert.deepEqual(uninject(injected), { document: before, isChanged: true });
    });
  }
}

test("uninject keeps a refusal, settings, the control plane's metadata, and other kinds", () => {
  const kept = (document: unknown) =>
    assert.deepEqual(uninject(document), { document, isChanged: false });
  const annotations = { "linkerd.io/inject": "disabled", "config.linkerd.io/proxy-uid": "1" };
  kept({ kind: "Namespace", metadata: { annotations } });
  const labels = { "linkerd.io/control-plane-component": "identity" };
  kept({ kind: "Service", metadata: { labels } });
  kept({ kind: "ConfigMap", metadata: { labels: { "linkerd.io/x": "y" } } });
  kept({ kind: "Deployment", spec: { template: null } });
  kept(null);
});
