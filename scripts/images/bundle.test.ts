import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { clientVersion } from "@heddle/cli/commands/version";
import { bundle } from "./bundle.ts";
import type { TarEntry } from "./tar.ts";

let folder: string;
let entries: readonly TarEntry[];

before(async () => {
  folder = mkdtempSync(join(tmpdir(), "heddle-bundle-"));
  entries = await bundle(["proxy", "version"]);
  for (const entry of entries) {
    assert.equal(entry.type, "file");
    if (entry.type !== "file") continue;
    mkdirSync(dirname(join(folder, entry.path)), { recursive: true });
    writeFileSync(join(folder, entry.path), entry.data);
  }
});

after(() => rmSync(folder, { recursive: true, force: true }));

function run(...args: readonly string[]): { status: number | null; out: string; err: string } {
  const script = join(folder, "usr/lib/heddle/heddle.mjs");
  const flags = ["--disable-warning=ExperimentalWarning", script, ...args];
  const { status, stdout, stderr } = spawnSync(process.execPath, flags, {
    cwd: folder,
    encoding: "utf8",
    env: {},
  });
  return { status, out: stdout.trim(), err: stderr.trim() };
}

test("bundle() runs without our sources and without node_modules", () => {
  assert.deepEqual(run("version", "--short"), { status: 0, out: clientVersion(), err: "" });
  const { status, err } = run("proxy");
  assert.equal(status, 64);
  assert.match(err, /LINKERD2_PROXY_IDENTITY_DIR is not set/);
});

test("bundle() leaves out what its commands do not need, and says so when asked", () => {
  const code = entries.map((entry) => (entry.type === "file" ? String(entry.data) : "")).join("");
  assert.doesNotMatch(code, /class OwnCertificates|node:sqlite/);
  assert.deepEqual(run("control"), {
    status: 1,
    out: "",
    err: "heddle control: Cannot run heddle control: this image only has proxy, version",
  });
});

test("bundle() gives the same files again", async () => {
  assert.deepEqual(await bundle(["proxy", "version"]), entries);
});
