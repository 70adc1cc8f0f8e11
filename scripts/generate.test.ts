import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { API, generate, generatedFiles } from "./generate.ts";

test("generate() writes what is committed", (t) => {
  const folder = mkdtempSync(join(tmpdir(), "heddle-generate-"));
  t.after(() => rmSync(folder, { recursive: true }));
  generate(folder);
  const expected = generatedFiles(folder);
  const found = generatedFiles(API);
  assert.deepEqual([...found.keys()], [...expected.keys()]);
  for (const [path, text] of expected) {
    assert.ok(found.get(path) === text, `${path} differs: run npm run generate`);
  }
});
