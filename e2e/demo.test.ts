import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";

test("npm start -- --once proves every line of its story and cleans up", () => {
  const script = join(import.meta.dirname, "..", "scripts", "start.mjs");
  const { status, stdout, stderr } = spawnSync(process.execPath, [script, "start", "--once"], {
    encoding: "utf8",
    timeout: 240_000,
    env: { ...process.env, NO_COLOR: "1" },
  });
  assert.equal(status, 0, `${stdout}\n${stderr}`);
  for (let line = 1; line <= 6; line++) assert.match(stdout, new RegExp(`^✔ ${line}\\. `, "m"));
});
