import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { parseAllDocuments } from "yaml";
import { type CliRun, runInProcess } from "./testing/run.ts";

async function onText(text: string, ...words: readonly string[]): Promise<CliRun> {
  const folder = await mkdtemp(join(tmpdir(), "heddle-uninject-"));
  try {
    const path = join(folder, "in.yaml");
    await writeFile(path, text);
    return await runInProcess([...words, path]);
  } finally {
    await rm(folder, { recursive: true });
  }
}

function documents(text: string): readonly unknown[] {
  return parseAllDocuments(text)
    .map((document) => document.toJS() as unknown)
    .filter((document) => document !== null);
}

/** As Linkerd would have written it, by hand: nothing of ours has been over it. */
const BY_LINKERD = `apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  annotations: { linkerd.io/inject: enabled, own: kept }
  labels: { linkerd.io/anything: x, app: web }
spec:
  template:
    metadata:
      annotations:
        config.linkerd.io/proxy-cpu-request: 100m
        linkerd.io/created-by: linkerd/cli edge-26.8.3
        linkerd.io/proxy-version: edge-26.8.3
        linkerd.io/trust-root-sha256: "00"
      labels:
        app: web
        linkerd.io/control-plane-ns: linkerd
        linkerd.io/proxy-deployment: web
        linkerd.io/workload-ns: shop
    spec:
      containers:
      - { name: web, image: "web:1" }
      - { name: linkerd-debug, image: "debug:1" }
      initContainers:
      - { name: linkerd-network-validator, image: "proxy:1" }
      - { name: linkerd-init, image: "proxy:1" }
      - { name: linkerd-proxy, image: "proxy:1", restartPolicy: Always }
      volumes:
      - { name: data, emptyDir: {} }
      - { name: linkerd-podinfo, emptyDir: {} }
      - { name: linkerd-identity-end-entity, emptyDir: { medium: Memory } }
      - { name: linkerd-proxy-init-xtables-lock, emptyDir: {} }
      - { name: linkerd-identity-token, projected: {} }
---
apiVersion: v1
kind: Namespace
metadata: { name: shop, annotations: { linkerd.io/inject: disabled, config.linkerd.io/x: "1" } }
---
apiVersion: v1
kind: Service
metadata: { name: own, labels: { linkerd.io/control-plane-component: identity, linkerd.io/x: "1" } }
`;

test("[HC26] uninject takes out of Linkerd's own output what the reference says, and no more", async () => {
  const { code, out, err } = await onText(BY_LINKERD, "uninject");
  assert.equal(code, 0);
  assert.equal(
    err,
    '\ndeployment "web" uninjected\nnamespace "shop" skipped\nservice "own" skipped\n',
  );
  const [deployment, ...others] = documents(out);
  assert.deepEqual(deployment, {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name: "web", annotations: { own: "kept" }, labels: { app: "web" } },
    spec: {
      template: {
        metadata: {
          annotations: { "config.linkerd.io/proxy-cpu-request": "100m" },
          labels: { app: "web" },
        },
        spec: {
          containers: [
            { name: "web", image: "web:1" },
            { name: "linkerd-debug", image: "debug:1" },
          ],
          initContainers: [{ name: "linkerd-network-validator", image: "proxy:1" }],
          volumes: [
            { name: "data", emptyDir: {} },
            { name: "linkerd-podinfo", emptyDir: {} },
          ],
        },
      },
    },
  });
  assert.deepEqual(others, documents(BY_LINKERD).slice(1));
});

const POD = "{ spec: { containers: [{ name: app, image: app }] } }";
const EVERYTHING = `kind: Namespace
metadata: { name: shop }
---
kind: Service
metadata: { name: web }
---
kind: List
items:
- { kind: Deployment, metadata: { name: a }, spec: { template: ${POD} } }
- { kind: CronJob, metadata: { name: b }, spec: { jobTemplate: { spec: { template: ${POD} } } } }
- { kind: ConfigMap, metadata: { name: c } }
---
kind: Pod
metadata: { name: d, annotations: { linkerd.io/inject: disabled } }
spec: { containers: [{ name: app, image: app }] }
`;

test("[HC26] inject annotates each object of an input as its kind wants it", async () => {
  const flags = ["--ignore-cluster", "--opaque-ports", "3306", "--proxy-cpu-limit", "1"];
  const { code, out, err } = await onText(EVERYTHING, "inject", ...flags);
  assert.equal(code, 0);
  assert.deepEqual(err.split("\n"), [
    "",
    '\u203c "linkerd.io/inject: disabled" annotation set on pod/d',
    "",
    'namespace "shop" injected',
    'service "web" annotated',
    'deployment "a" injected',
    'cronjob "b" injected',
    'configmap "c" skipped',
    'pod "d" skipped',
    "",
  ]);
  const settings = {
    "config.linkerd.io/opaque-ports": "3306",
    "config.linkerd.io/proxy-cpu-limit": "1",
  };
  const annotations = { "linkerd.io/inject": "enabled", ...settings };
  const pod = { spec: { containers: [{ name: "app", image: "app" }] }, metadata: { annotations } };
  const [namespace, service, list, refused] = documents(out);
  assert.deepEqual(namespace, { kind: "Namespace", metadata: { name: "shop", annotations } });
  assert.deepEqual(service, {
    kind: "Service",
    metadata: { name: "web", annotations: { "config.linkerd.io/opaque-ports": "3306" } },
  });
  assert.deepEqual(list, {
    kind: "List",
    items: [
      { kind: "Deployment", metadata: { name: "a" }, spec: { template: pod } },
      {
        kind: "CronJob",
        metadata: { name: "b" },
        spec: { jobTemplate: { spec: { template: pod } } },
      },
      { kind: "ConfigMap", metadata: { name: "c" } },
    ],
  });
  assert.deepEqual(refused, {
    kind: "Pod",
    metadata: { name: "d", annotations: { "linkerd.io/inject": "disabled", ...settings } },
    spec: { containers: [{ name: "app", image: "app" }] },
  });
});
