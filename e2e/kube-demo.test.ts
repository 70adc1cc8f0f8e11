import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";
import { noHelm } from "./helm/helm.ts";
import { nodeProblem } from "./kube/node.ts";
import { STORY } from "./kube-demo/story.ts";

test("[NI03] [NI04] [NI06] [NI12] [NI13] [NI21] [NX07] npm run demo:kube -- --once proves every line of its story and cleans up", {
  skip: nodeProblem() || noHelm,
}, () => {
  const script = join(import.meta.dirname, "..", "scripts", "start.mjs");
  const { status, stdout, stderr } = spawnSync(process.execPath, [script, "demo:kube", "--once"], {
    encoding: "utf8",
    timeout: 540_000,
    env: { ...process.env, NO_COLOR: "1" },
  });
  assert.equal(status, 0, `${stdout}\n${stderr}`);
  for (const index of STORY.keys()) {
    assert.match(stdout, new RegExp(`^✔ ${index + 1}\\. `, "m"));
  }
});
