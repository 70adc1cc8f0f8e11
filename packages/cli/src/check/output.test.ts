import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { systemClock } from "@heddle/base/clock";
import { ApiStore } from "@heddle/testkit/api-store";
import { TestCa } from "@heddle/testkit/ca";
import { runCli } from "../main.ts";
import { CHECKED_PODS } from "./resources.ts";
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
  await world.namespace("shop");
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

test("a run against an API that does not answer ends with a cross and says what was not asked", async () => {
  await using store = await ApiStore.start();
  await using world = MeshWorld.empty(store, await TestCa.root());
  await store.stop();
  const { code, out, err } = await world.run();
  await store.restart();
  assert.equal(code, 1);
  assert.match(out, /\u00d7 can query the Kubernetes API\n {4}Cannot GET \/version: .*unreachable/);
  assert.match(out, /\n\nStatus check results are \u00d7$/);
  assert.match(err, /Cannot find the extensions to check/);
});

test("a run that is stopped ends, and says no more", async () => {
  await using world = await startWorld();
  await world.client.delete(CHECKED_PODS, {
    name: "linkerd-destination-6d5f8b7c9-abcde",
    namespace: "linkerd",
  });
  const stop = new AbortController();
  const lines: string[] = [];
  const code = await runCli(["check", "--kubeconfig", world.kubeconfig], {
    out: (line) => lines.push(line),
    err: (line) => lines.push(line),
    env: () => undefined,
    stop: stop.signal,
    hasColor: false,
    clock: systemClock,
    // The first thing that is waited for is the pod that will not come.
    progress: (text) => {
      if (text !== undefined) stop.abort("SIGINT");
    },
  });
  assert.equal(code, 1);
  assert.equal(lines.at(-1), "\u221a no unschedulable pods");
});
