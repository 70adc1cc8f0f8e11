import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { type Membership, StateFolder } from "./state.ts";

function temporary(): Disposable & { readonly path: string } {
  const path = mkdtempSync(join(tmpdir(), "heddle-state-"));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true }) };
}

function modeOf(path: string): string {
  return (statSync(path).mode & 0o777).toString(8);
}

test("StateFolder keeps everything from other users, also what a careless folder and a crash left", () => {
  using folder = temporary();
  const state = new StateFolder(join(folder.path, "a", "heddle"));
  mkdirSync(state.path, { recursive: true, mode: 0o755 });
  writeFileSync(`${state.key}.new`, "half a key", { mode: 0o644 });
  state.prepare();
  state.writeKey("key");
  state.writeSvid("svid");
  state.write({ name: "vm" } as Membership);
  assert.equal(modeOf(state.path), "700");
  for (const name of ["key.pem", "svid.pem", "membership.json"]) {
    assert.equal(modeOf(join(state.path, name)), "600", name);
  }
});

test("StateFolder.prepare() refuses a folder that holds what leave must not remove", () => {
  using folder = temporary();
  writeFileSync(join(folder.path, "thesis.tex"), "");
  const state = new StateFolder(folder.path);
  assert.throws(() => state.prepare(), { code: "state_dir_taken", message: /thesis\.tex/ });
  assert.equal(modeOf(folder.path), "700", "mkdtemp's own");
});
