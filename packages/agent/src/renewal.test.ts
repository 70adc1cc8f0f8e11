import assert from "node:assert/strict";
import { test } from "node:test";
import { Log } from "@heddle/base/log";
import { TestCa } from "@heddle/testkit/ca";
import { keepRenewed } from "./renewal.ts";
import { type HeldSvid, SvidHolder } from "./svid.ts";
import { newSvid } from "./testing/svids.ts";

const HOUR_MS = 3_600_000;
const START_MS = 1_700_000_000_000;

/** A day's SVID from `START_MS` on, and a clock that only pauses move. */
async function world(renew: (attempt: number, nowMs: number) => boolean): Promise<{
  readonly svids: SvidHolder;
  readonly attemptsMs: readonly number[];
  readonly kept: readonly HeldSvid[];
  readonly problems: readonly (string | undefined)[];
}> {
  const ca = await TestCa.root();
  const fresh = (fromMs: number): Promise<HeldSvid> =>
    newSvid(ca, { notBefore: new Date(fromMs), notAfter: new Date(fromMs + 24 * HOUR_MS) });
  const svids = new SvidHolder(await fresh(START_MS));
  const stop = new AbortController();
  const attemptsMs: number[] = [];
  const kept: HeldSvid[] = [];
  const problems: (string | undefined)[] = [];
  let nowMs = START_MS;
  await keepRenewed({
    svids,
    renew: async () => {
      attemptsMs.push(nowMs - START_MS);
      if (!renew(attemptsMs.length, nowMs)) throw new Error("the control plane is away");
      return (await fresh(nowMs)).chain;
    },
    keep: (svid) => kept.push(svid),
    onProblem: (problem) => {
      problems.push(problem);
      if (problem === undefined) stop.abort();
    },
    clock: { nowMs: () => nowMs, wallMs: () => nowMs },
    pause: async (ms) => {
      nowMs += ms;
    },
    log: Log.silent(),
    signal: stop.signal,
  });
  return { svids, attemptsMs, kept, problems };
}

test("keepRenewed() renews at two thirds of the life, and writes down what it hands out", async () => {
  const { svids, attemptsMs, kept, problems } = await world(() => true);
  assert.deepEqual(attemptsMs, [16 * HOUR_MS]);
  assert.deepEqual(kept, [svids.current]);
  assert.equal(svids.current.notAfterMs, START_MS + 40 * HOUR_MS);
  assert.deepEqual(problems, [undefined]);
});

test("keepRenewed() keeps the old identity and asks on, ever less often, while nobody answers", async () => {
  const { attemptsMs, kept, problems } = await world((_, nowMs) => nowMs > START_MS + 20 * HOUR_MS);
  const gaps = attemptsMs.slice(1).map((at, i) => at - attemptsMs[i]!);
  assert.equal(attemptsMs[0], 16 * HOUR_MS);
  assert.ok(gaps[0]! <= 1_200, `first retry after ${gaps[0]} ms`);
  assert.ok(Math.max(...gaps) <= 72_000 && Math.max(...gaps) >= 48_000, String(Math.max(...gaps)));
  assert.equal(kept.length, 1);
  assert.deepEqual([...new Set(problems)], ["the control plane is away", undefined]);
});
