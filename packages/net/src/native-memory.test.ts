import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";

/** In a process of its own, since the setting is the whole process's. */
function run(...flags: string[]): string {
  const url = join(import.meta.dirname, "native-memory.ts");
  const script = `import { mapLargeBlocks } from ${JSON.stringify(url)}; console.log(mapLargeBlocks());`;
  const args = [...flags, "--input-type=module-typescript", "-e", script];
  return spawnSync(process.execPath, args, { encoding: "utf8" }).stdout.trim();
}

test("mapLargeBlocks() is done where the C library is glibc, and says so", () => {
  const header = (process.report.getReport() as { header: object }).header;
  assert.equal(run(), String("glibcVersionRuntime" in header));
});

test("mapLargeBlocks() does without native calls", () => {
  assert.equal(run("--no-experimental-ffi"), "false");
});
