import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { offences } from "./layers.ts";
import { ROOT } from "./test-suites.ts";

/** A repository of one package with one file; gone when the test is over. */
function repository(name: string, manifest: object, source: string): string & Disposable {
  const root = mkdtempSync(join(tmpdir(), "heddle-layers-"));
  mkdirSync(join(root, "packages", name, "src"), { recursive: true });
  writeFileSync(join(root, "packages", name, "package.json"), JSON.stringify(manifest));
  writeFileSync(join(root, "packages", name, "src", "a.ts"), source);
  return Object.assign(root, {
    [Symbol.dispose]: () => rmSync(root, { recursive: true, force: true }),
  });
}

test("offences() finds none in this repository", () => {
  assert.deepEqual(offences(ROOT), []);
});

test("offences() names an import of a higher layer", () => {
  using root = repository("wire", {}, 'import { runProxy } from "@heddle/proxy/main";\n');
  assert.deepEqual(offences(`${root}`), [
    "packages/wire/src/a.ts imports @heddle/proxy, which wire may not",
  ]);
});

test("offences() lets a launcher load an app dynamically, and refuses it statically", () => {
  const source = 'const a = await import("@heddle/proxy/main");\nimport "@heddle/proxy/main";\n';
  using root = repository("cli", { dependencies: { "@heddle/proxy": "0.1.0" } }, source);
  assert.deepEqual(offences(`${root}`), [
    "packages/cli/src/a.ts imports @heddle/proxy, which cli may not",
  ]);
});

test("offences() names a library that another package owns", () => {
  using root = repository("proxy", { dependencies: { yaml: "1" } }, "export {};\n");
  assert.deepEqual(offences(`${root}`), [
    "packages/proxy/package.json declares yaml, which proxy may not use",
  ]);
});
