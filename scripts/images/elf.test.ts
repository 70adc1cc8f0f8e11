import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { neededBy } from "./elf.ts";

test("neededBy() knows what our own Node is linked with, as the loader does", () => {
  const { libraries, loader } = neededBy(readFileSync(process.execPath));
  const loaded = readFileSync("/proc/self/maps", "utf8");
  assert.ok(libraries.includes("libc.so.6"));
  for (const library of libraries) assert.ok(loaded.includes(`/${library}`), library);
  assert.match(loader ?? "", /^\/lib.*\/ld-linux-.*\.so\.\d$/);
});

test("neededBy() finds nothing in what is no ELF file, and refuses what it cannot read", () => {
  const nothing = { libraries: [], loader: undefined };
  assert.deepEqual(neededBy(Buffer.from("#!/bin/sh\n")), nothing);
  assert.deepEqual(neededBy(Buffer.alloc(0)), nothing);
  const file = Buffer.alloc(64);
  file.writeUInt32BE(0x7f454c46);
  file[4] = 1;
  assert.throws(() => neededBy(file), /not one of 64 bits/);
});
