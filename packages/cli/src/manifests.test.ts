import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { type CliRun, runInProcess } from "./testing/run.ts";

function cli(...args: readonly string[]): Promise<CliRun> {
  return runInProcess(args);
}

const INJECTED = `kind: List
items:
  - kind: Namespace
    metadata: { name: shop, annotations: { linkerd.io/inject: enabled } }
  - kind: ConfigMap
    metadata: { name: plain }
---
kind: Deployment
metadata: { name: web }
spec:
  template:
    spec:
      initContainers: [{ name: linkerd-init }, { name: linkerd-proxy }]
      containers: [{ name: web }]
---
name: nothing
`;

test("uninject reads a folder to its depth, lists and documents, and reports each object", async () => {
  const folder = await mkdtemp(join(tmpdir(), "heddle-manifests-"));
  try {
    await mkdir(join(folder, "deep"));
    await writeFile(join(folder, "deep", "all.yaml"), INJECTED);
    const { code, out, err } = await cli("uninject", folder);
    assert.equal(code, 0);
    assert.doesNotMatch(out, /linkerd/);
    assert.equal(out.match(/^---$/gm)?.length, 3);
    assert.equal(
      err,
      '\nnamespace "shop" uninjected\nconfigmap "plain" skipped\n' +
        'deployment "web" uninjected\ndocument missing "kind" field, skipped\n',
    );
    const json = await cli("uninject", "-o", "json", folder);
    assert.match(json.out, /"kind": "Deployment"/);
  } finally {
    await rm(folder, { recursive: true });
  }
});

test("a document that is no YAML keeps its whole input back; plain http is refused", async () => {
  const folder = await mkdtemp(join(tmpdir(), "heddle-manifests-"));
  try {
    const path = join(folder, "bad.yaml");
    await writeFile(path, "kind: Pod\n---\nkind: [\n");
    const bad = await cli("uninject", path);
    assert.deepEqual([bad.code, bad.out], [1, ""]);
    assert.match(bad.err, /^Error transforming resources:\n/);
  } finally {
    await rm(folder, { recursive: true });
  }
  const http = await cli("uninject", "http://127.0.0.1:1/x.yaml");
  assert.equal(http.code, 1);
  assert.match(http.err, /https:\/\/ only/);
  assert.equal((await cli("uninject")).code, 2);
});

/** Runs `heddle inject` over one manifest. */
async function injectText(manifest: string, ...flags: readonly string[]): ReturnType<typeof cli> {
  const folder = await mkdtemp(join(tmpdir(), "heddle-manifests-"));
  try {
    await writeFile(join(folder, "in.yaml"), manifest);
    return await cli("inject", "--ignore-cluster", "-o", "json", ...flags, join(folder, "in.yaml"));
  } finally {
    await rm(folder, { recursive: true });
  }
}

const JOB = "{ template: { spec: { containers: [{ name: job }] } } }";

test("inject annotates the pod template, with flags that differ from the defaults", async () => {
  const manifest = `kind: CronJob\nmetadata: { name: nightly }\nspec: { jobTemplate: { spec: ${JOB} } }`;
  const flags = ["--proxy-uid", "2102", "--skip-inbound-ports", "25", "--enable-debug-sidecar"];
  const { code, out, err } = await injectText(manifest, ...flags);
  assert.equal(code, 0, err);
  assert.equal(err, '\ncronjob "nightly" injected\n');
  assert.deepEqual(JSON.parse(out).spec.jobTemplate.spec.template.metadata.annotations, {
    "linkerd.io/inject": "enabled",
    "config.linkerd.io/skip-inbound-ports": "25",
    "config.linkerd.io/enable-debug-sidecar": "true",
  });
});

test("inject gives a Service nothing but opaque ports, and a Namespace everything", async () => {
  const manifest = "kind: Service\nmetadata: { name: db }";
  assert.deepEqual(JSON.parse((await injectText(manifest)).out), {
    kind: "Service",
    metadata: { name: "db" },
  });
  const { out, err } = await injectText(manifest, "--opaque-ports", "3306");
  assert.equal(err, '\nservice "db" annotated\n');
  const opaque = { "config.linkerd.io/opaque-ports": "3306" };
  assert.deepEqual(JSON.parse(out).metadata.annotations, opaque);
  const namespace = await injectText("kind: Namespace\nmetadata: { name: shop }", "--ingress");
  assert.equal(namespace.err, '\nnamespace "shop" injected\n');
  assert.deepEqual(JSON.parse(namespace.out).metadata.annotations, {
    "linkerd.io/inject": "ingress",
  });
});

test("inject lets a refusal pass, and fails on a host network and on bad flags", async () => {
  const spec = "spec: { containers: [{ name: web }]";
  const refused = `kind: Pod\nmetadata: { name: web, annotations: { linkerd.io/inject: disabled } }\n${spec} }`;
  const passed = await injectText(refused);
  const remarks =
    '\u203c "linkerd.io/inject: disabled" annotation set on pod/web\n\u203c no supported objects found\n';
  assert.equal(passed.err, `\n${remarks}\npod "web" skipped\n`);
  assert.equal(JSON.parse(passed.out).metadata.annotations["linkerd.io/inject"], "disabled");
  const host = `kind: Pod\nmetadata: { name: web }\n${spec}, hostNetwork: true }`;
  const failed = await injectText(host);
  assert.deepEqual([failed.code, failed.out], [1, ""]);
  assert.match(failed.err, /failed to inject pod\/web: hostNetwork is enabled/);
  const flag = await injectText(refused, "--proxy-uid", "root");
  assert.equal(flag.code, 2);
  assert.match(flag.err, /config\.linkerd\.io\/proxy-uid/);
});
