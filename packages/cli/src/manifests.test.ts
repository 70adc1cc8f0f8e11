import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { systemClock } from "@heddle/base/clock";
import { runCli } from "./main.ts";

async function cli(
  ...args: readonly string[]
): Promise<{ readonly code: number; readonly out: string; readonly err: string }> {
  const out: string[] = [];
  const err: string[] = [];
  const code = await runCli(args, {
    out: (line) => out.push(line),
    err: (line) => err.push(line),
    env: () => undefined,
    stop: new AbortController().signal,
    hasColor: false,
    clock: systemClock,
  });
  return { code, out: out.join("\n"), err: err.join("\n") };
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
