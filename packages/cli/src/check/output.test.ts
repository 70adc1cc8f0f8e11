import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { NAMESPACES } from "@heddle/kube/types/core";
import { ApiStore } from "@heddle/testkit/api-store";
import { TestCa } from "@heddle/testkit/ca";
import { MeshWorld, VERSION } from "./testing/mesh-world.ts";

const TESTDATA = join(import.meta.dirname, "..", "testdata");

/** HEDDLE_UPDATE_GOLDEN=1 writes what is printed now. */
function assertGolden(name: string, printed: string): void {
  const path = join(TESTDATA, name);
  if (process.env["HEDDLE_UPDATE_GOLDEN"] === "1") writeFileSync(path, `${printed}\n`);
  assert.equal(`${printed}\n`, readFileSync(path, "utf8"));
}

/** A mesh in which a warning and an error can be told from what is well. */
async function startWorld(): Promise<MeshWorld> {
  const world = await MeshWorld.start(await ApiStore.start(), await TestCa.root());
  await world.client.create(NAMESPACES, { metadata: { name: "shop" } });
  await world.putPod("shop", "web-1");
  return world;
}

const OLD = ["--expected-version", "edge-26.8.3"];

test("[HC03] a healthy mesh passes every check, in every mode", async () => {
  await using world = await startWorld();
  for (const mode of [[], ["--proxy"], ["--proxy", "-n", "shop"], ["--crds"]]) {
    const { code, problems, err } = await world.check(...mode, "--expected-version", VERSION);
    assert.deepEqual(problems, [], mode.join(" "));
    assert.equal(code, 0, err);
  }
});

test("[HC20] check prints a table, or in short what is not well", async () => {
  await using world = await startWorld();
  const healthy = await world.run("--expected-version", VERSION);
  assertGolden("check-table.golden", healthy.out);
  assertGolden("check-proxy.golden", (await world.run("--proxy", ...OLD)).out);
  const short = await world.run("-o", "short");
  assert.equal(short.out, "Status check results are √");
  const warned = await world.run("-o", "short", ...OLD);
  assert.equal(warned.code, 0);
  assertGolden("check-short.golden", warned.out);
});

test("[HC21] check prints JSON", async () => {
  await using world = await startWorld();
  const { out, code } = await world.run("-o", "json", ...OLD);
  assert.equal(code, 0);
  assertGolden("check-json.golden", out);
  assert.equal(JSON.parse(out).success, true);
});
