import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { lstatSync, mkdtempSync, readFileSync, readlinkSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { encodeTar, type TarEntry } from "./tar.ts";

const LONG = `${"folder/".repeat(20)}${"name".repeat(30)}`;
const ENTRIES: readonly TarEntry[] = [
  { type: "file", path: "a/program", mode: 0o755, data: Buffer.alloc(1_000, 7) },
  { type: "folder", path: "a", mode: 0o755 },
  { type: "link", path: "a/link", mode: 0o777, target: "program" },
  { type: "link", path: "a/far", mode: 0o777, target: LONG },
  { type: "file", path: LONG, mode: 0o600, data: Buffer.from("ü") },
  { type: "file", path: "a/empty", mode: 0o644, data: Buffer.alloc(0) },
];

test("encodeTar() is read by tar, with modes, links and long names", () => {
  const folder = mkdtempSync(join(tmpdir(), "heddle-tar-"));
  try {
    const { status, stderr } = spawnSync("tar", ["-xpf", "-", "-C", folder], {
      input: encodeTar(ENTRIES),
      encoding: "utf8",
    });
    assert.deepEqual([status, stderr], [0, ""]);
    for (const entry of ENTRIES) {
      const path = join(folder, entry.path);
      if (entry.type === "link") assert.equal(readlinkSync(path), entry.target);
      else assert.equal(lstatSync(path).mode & 0o7777, entry.mode, entry.path);
      if (entry.type === "file") assert.deepEqual(readFileSync(path), Buffer.from(entry.data));
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("encodeTar() gives the same bytes for the same entries in any order", () => {
  assert.deepEqual(encodeTar(ENTRIES), encodeTar(ENTRIES.toReversed()));
});

test("encodeTar() refuses a path that is there twice", () => {
  const folder: TarEntry = { type: "folder", path: "a", mode: 0o755 };
  assert.throws(() => encodeTar([folder, folder]), /Cannot archive a: it is there twice/);
});

test("encodeTar() carries a program's capabilities as the attribute that the kernel reads", () => {
  const capabilities = Buffer.from([1, 0, 10, 255]);
  const tar = encodeTar([
    { type: "file", path: "p", mode: 0o755, data: Buffer.alloc(0), capabilities },
  ]);
  const rest = [" SCHILY.xattr.security.capability=", capabilities, "\n"] as const;
  const line = Buffer.concat(rest.map((part) => Buffer.from(part)));
  // The number counts the whole line, itself too.
  const counted = Buffer.concat([Buffer.from(String(line.length + 2)), line]);
  assert.notEqual(tar.indexOf(counted), -1);
});
