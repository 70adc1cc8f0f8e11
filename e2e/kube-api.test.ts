import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { toolPath } from "../scripts/tools.ts";
import { KUBE_API_TOOLS } from "./kube/api-server.ts";

const absent = KUBE_API_TOOLS.filter((name) => !existsSync(toolPath(name)));
const skip = absent.length > 0 && `not built: ${absent.join(", ")}`;

test("the control plane's suites pass on a real Kubernetes API", { skip }, () => {
  const script = join(import.meta.dirname, "..", "scripts", "kube-api.ts");
  // Its own runner's report, and not a part of ours.
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ["--disable-warning=ExperimentalWarning", script],
    { encoding: "utf8", timeout: 540_000, env: { ...env, NO_COLOR: "1" } },
  );
  assert.equal(status, 0, `${stdout}\n${stderr}`);
  assert.match(stdout, /^ℹ pass [1-9]\d\d/m);
});
