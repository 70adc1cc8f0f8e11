import assert from "node:assert/strict";
import { test } from "node:test";
import { MeshError } from "@heddle/base/errors";
import {
  type Category,
  type Check,
  type CheckResult,
  failed,
  failedFor,
  PASSED,
  SKIPPED,
} from "./check.ts";
import { CheckedMesh, type CheckOptions } from "./checked-mesh.ts";
import { hintFor } from "./hint.ts";
import { type RunOptions, runChecks } from "./runner.ts";

const OPTIONS: CheckOptions = {
  controlNamespace: "linkerd",
  cniNamespace: "linkerd-cni",
  dataNamespace: undefined,
  cliVersion: "edge-26.6.3",
  expectedVersion: undefined,
  versionUrl: undefined,
  isCniExpected: false,
  isPreInstall: false,
  manifests: async () => [],
};

interface Run {
  readonly isSuccess: boolean;
  readonly results: readonly CheckResult[];
  readonly waited: readonly (string | undefined)[];
}

/** Checks need no mesh here, and time is what the test says. */
async function run(
  categories: readonly Category[],
  over: Partial<RunOptions> & { readonly cliVersion?: string } = {},
): Promise<Run> {
  const clock = { nowMs: () => 0, wallMs: () => 0 };
  const { cliVersion = OPTIONS.cliVersion, ...rest } = over;
  const results: CheckResult[] = [];
  const waited: (string | undefined)[] = [];
  const isSuccess = await runChecks(categories, {
    mesh: new CheckedMesh({ ...OPTIONS, cliVersion }, clock, () => assert.fail("no client")),
    waitMs: 0,
    clock,
    onResult: (result) => results.push(result),
    onWaiting: (text) => waited.push(text),
    stop: new AbortController().signal,
    retryMs: 0,
    ...rest,
  });
  return { isSuccess, results, waited };
}

function check(description: string, over: Partial<Check> = {}): Check {
  return { description, anchor: `a-${description}`, run: async () => PASSED, ...over };
}

const FAILING = { run: async () => failed("broken") };

function told({ results }: Run): readonly string[] {
  return results.map(({ category, description, result }) => `${category}/${description} ${result}`);
}

test("[HC02] every result is told, in the order of categories and checks", async () => {
  const ran = await run([
    { name: "one", checks: [check("a"), check("b", FAILING)] },
    { name: "two", checks: [check("c", { ...FAILING, isWarning: true }), check("d")] },
  ]);
  assert.deepEqual(told(ran), ["one/a success", "one/b error", "two/c warning", "two/d success"]);
});

test("[HC03] a run succeeds when all pass, or only warn", async () => {
  assert.equal((await run([{ name: "one", checks: [check("a")] }])).isSuccess, true);
  const warned = check("a", { ...FAILING, isWarning: true });
  assert.equal((await run([{ name: "one", checks: [warned] }])).isSuccess, true);
});

test("[HC04] a run fails when one check fails, by its verdict or by an error of the mesh", async () => {
  const ran = await run([{ name: "one", checks: [check("a", FAILING), check("b")] }]);
  assert.equal(ran.isSuccess, false);
  const thrown = new MeshError("x", "control", "Cannot ask", { cause: new Error("gone") });
  const throws = check("a", { run: () => Promise.reject(thrown) });
  const { isSuccess, results } = await run([{ name: "one", checks: [throws] }]);
  assert.equal(isSuccess, false);
  assert.equal(results[0]?.error, "Cannot ask: gone");
});

test("a bug within a check is no result, but ends the run as one", async () => {
  const buggy = check("a", { run: () => Promise.reject(new TypeError("bug")) });
  await assert.rejects(run([{ name: "one", checks: [buggy] }]), TypeError);
});

test("[HC05] a failed check names its page: of the version, if that is stable", async () => {
  const categories = [{ name: "one", checks: [check("a", FAILING), check("b")] }];
  const { results } = await run(categories);
  assert.equal(results[0]?.hint, "https://linkerd.io/2/checks/#a-a");
  assert.equal(results[1]?.hint, undefined);
  const stable = await run(categories, { cliVersion: "stable-2.14.10" });
  assert.equal(stable.results[0]?.hint, "https://linkerd.io/2.14/checks/#a-a");
  assert.equal(hintFor("heddle-x", "edge-26.6.3"), "docs/checks.md#heddle-x");
});

test("[HC06] a fatal check that fails ends the run, later categories included", async () => {
  const fatal = check("b", { ...FAILING, isFatal: true });
  const ran = await run([
    { name: "one", checks: [check("a", { isFatal: true }), fatal, check("c")] },
    { name: "two", checks: [check("d")] },
  ]);
  assert.deepEqual(told(ran), ["one/a success", "one/b error"]);
  assert.equal(ran.isSuccess, false);
});

/** Fails so often, then passes. */
function lateCheck(failures: number, over: Partial<Check> = {}): Check {
  let left = failures;
  const attempt = async () => (left-- > 0 ? failed(`${left + 1} to go`) : PASSED);
  return check("late", { isRetried: true, run: attempt, ...over });
}

test("[HC07] a check that may come right is tried again until the deadline", async () => {
  const passing = await run([{ name: "one", checks: [lateCheck(2)] }], { waitMs: 1 });
  assert.deepEqual(told(passing), ["one/late success"]);
  const waiting = "waiting for check to complete";
  assert.deepEqual(passing.waited, [waiting, waiting, undefined]);
  const shown = await run([{ name: "one", checks: [lateCheck(1, { showsWhy: true })] }], {
    waitMs: 1,
  });
  assert.deepEqual(shown.waited, ["1 to go", undefined]);

  let nowMs = 0;
  const clock = { nowMs: () => nowMs++, wallMs: () => 0 };
  const late = await run([{ name: "one", checks: [lateCheck(1000)] }], { waitMs: 3, clock });
  assert.equal(late.results[0]?.error, "998 to go");
});

test("[HC07] no check waits without a deadline, and others are tried once", async () => {
  const once = await run([{ name: "one", checks: [lateCheck(1)] }]);
  assert.equal(once.results[0]?.error, "1 to go");
  const never = await run([{ name: "one", checks: [lateCheck(1, { isRetried: false })] }], {
    waitMs: 1,
  });
  assert.equal(never.results[0]?.error, "1 to go");
});

test("an attempt that takes too long has failed, and a stop ends the run instead", async () => {
  const hanging = check("a", {
    run: (_, signal) =>
      new Promise((_resolve, reject) =>
        signal.addEventListener("abort", () => reject(signal.reason), { once: true }),
      ),
  });
  const { results } = await run([{ name: "one", checks: [hanging] }], { attemptMs: 10 });
  assert.equal(results[0]?.error, "no answer within 0.01 s");
  const stop = new AbortController();
  const running = run([{ name: "one", checks: [hanging] }], { stop: stop.signal });
  stop.abort(new Error("enough"));
  await assert.rejects(running, /enough/);
});

test("[HC08] a check that is skipped is not told, and fails nothing", async () => {
  const skipped = check("b", { run: async () => SKIPPED, isFatal: true });
  const ran = await run([
    { name: "one", checks: [skipped] },
    { name: "two", checks: [check("c")] },
  ]);
  assert.deepEqual(told(ran), ["two/c success"]);
  assert.equal(ran.isSuccess, true);
});

test("what the mesh says cannot steer a terminal, forge a line, nor fill the screen", async () => {
  const list = ["z\x07\n\u221a all is well", ...Array(30).fill("pod")];
  const hostile = check("a", { run: async () => failedFor("x\x1b[2J\u202ey\nz", list) });
  const { results } = await run([{ name: "one", checks: [hostile] }]);
  const lines = results[0]!.error!.split("\n");
  assert.deepEqual(lines.slice(0, 3), ["x[2Jy z:", "\t* z \u221a all is well", "\t* pod"]);
  assert.equal(lines.at(-1), "\t* and 11 more");
  assert.equal(lines.length, 22);
  const endless = check("a", { run: async () => failed("x".repeat(100_000)) });
  const long = await run([{ name: "one", checks: [endless] }]);
  assert.ok(long.results[0]!.error!.length < 5_000);
});

test("a success may say more than its description", async () => {
  const verbose = check("a", { run: async () => ({ kind: "passed", detail: "\t* east" }) });
  const { results } = await run([{ name: "one", checks: [verbose] }]);
  assert.equal(results[0]?.description, "a\n\t* east");
});
