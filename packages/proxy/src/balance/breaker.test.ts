import assert from "node:assert/strict";
import { test } from "node:test";
import { FakeTime } from "../testing/fake-time.ts";
import { type AccrualConfig, type Breaker, newBreaker } from "./breaker.ts";
import { Gate } from "./gate.ts";
import { SlidingWindow } from "./sliding-window.ts";

const BACKOFF = { minMs: 1_000, maxMs: 100_000, jitter: 0 };

class World {
  readonly time = new FakeTime();
  readonly gate = new Gate(() => {});
  readonly breaker: Breaker;

  constructor(config: AccrualConfig) {
    this.breaker = newBreaker(config, {
      gate: this.gate,
      timers: this.time.timers,
      nowMs: () => this.time.nowMs(),
      random: () => 0,
    });
  }

  good(count = 1): void {
    for (let i = 0; i < count; i++) this.breaker.observe(true, false);
  }

  bad(count = 1): void {
    for (let i = 0; i < count; i++) this.breaker.observe(false, false);
  }

  limited(count = 1): void {
    for (let i = 0; i < count; i++) this.breaker.observe(true, true);
  }
}

const consecutive = (maxFailures: number): World =>
  new World({ kind: "consecutive", maxFailures, backoff: BACKOFF });

const unified = (options: Partial<AccrualConfig & { kind: "unified" }>): World =>
  new World({
    kind: "unified",
    maxConsecutiveFailures: 0,
    successRateThreshold: 0,
    windowMs: 10_000,
    minRequests: 0,
    backoff: BACKOFF,
    ...options,
  });

test("[M47] [P52] shut at the nth failure, one probe per backoff, which doubles", () => {
  const { time, gate, breaker } = consecutive(3);
  breaker.observe(false, false);
  breaker.observe(false, false);
  breaker.observe(true, false); // the run starts again
  for (let i = 0; i < 2; i++) breaker.observe(false, false);
  assert.equal(gate.isOpen, true);
  breaker.observe(false, false);
  assert.equal(gate.isOpen, false);
  breaker.observe(true, false); // a straggler
  time.pass(999);
  assert.equal(gate.isOpen, false);
  time.pass(2);
  assert.equal(gate.isOpen, true);
  gate.take();
  assert.equal(gate.isOpen, false); // one permit
  breaker.observe(false, false);
  time.pass(1_999);
  assert.equal(gate.isOpen, false);
  time.pass(2);
  assert.equal(gate.isOpen, true);
  breaker.observe(true, false);
  gate.take();
  assert.equal(gate.isOpen, true);
});

test("[M48] a breaker that is closed while shut turns its gate no more", () => {
  const world = consecutive(1);
  world.bad();
  world.breaker.close();
  world.time.pass(5_000);
  assert.equal(world.gate.isOpen, false);
});

test("[M51] a 429 in probation counts as a success of the consecutive policy", () => {
  const world = consecutive(1);
  world.bad();
  world.time.pass(1_001);
  world.limited();
  world.gate.take();
  assert.equal(world.gate.isOpen, true);
});

test("a limit of zero never trips", () => {
  const world = consecutive(0);
  world.bad(1000);
  assert.equal(world.gate.isOpen, true);
});

test("[M55] [M56] unified trips on a run of failures, which a success ends", () => {
  const world = unified({ maxConsecutiveFailures: 3 });
  assert.equal(world.gate.isOpen, true);
  world.bad(2);
  world.good();
  world.bad(2);
  world.limited(); // counts as a success of the run
  world.bad(2);
  assert.equal(world.gate.isOpen, true);
  world.bad();
  assert.equal(world.gate.isOpen, false);
});

test("[M57] unified trips when the success rate is low, 429 counted as failure", () => {
  const world = unified({ successRateThreshold: 0.5, minRequests: 4 });
  world.good(2);
  world.limited(2);
  assert.equal(world.gate.isOpen, true);
  world.limited();
  assert.equal(world.gate.isOpen, false);
});

test("[M58] min_requests guards a cold start, and zero trips at the first failure", () => {
  const guarded = unified({ successRateThreshold: 0.9, minRequests: 5 });
  guarded.bad(4);
  assert.equal(guarded.gate.isOpen, true);
  guarded.bad();
  assert.equal(guarded.gate.isOpen, false);
  const bold = unified({ successRateThreshold: 0.9 });
  bold.bad();
  assert.equal(bold.gate.isOpen, false);
});

test("[M59] both halves disabled: never", () => {
  const world = unified({});
  world.bad(1000);
  assert.equal(world.gate.isOpen, true);
});

test("[M60] [M61] a probe that is rate limited fails, and the backoff grows from the base", () => {
  const world = unified({ maxConsecutiveFailures: 1 });
  world.bad();
  world.time.pass(1_001);
  world.limited();
  assert.equal(world.gate.isOpen, false);
  world.time.pass(1_999);
  assert.equal(world.gate.isOpen, false);
  world.time.pass(2);
  world.good();
  assert.equal(world.gate.isOpen, true);
  world.bad(); // trips anew: the base again
  world.time.pass(1_001);
  assert.equal(world.gate.isOpen, true);
});

test("[M62] after reopening the window is empty, and an idle gap empties it", () => {
  const world = unified({ successRateThreshold: 0.9, minRequests: 3 });
  world.bad(3);
  world.time.pass(1_001);
  world.good();
  world.bad(2);
  assert.equal(world.gate.isOpen, true);
  world.time.jump(200_000);
  world.bad(2);
  assert.equal(world.gate.isOpen, true);
  world.bad();
  assert.equal(world.gate.isOpen, false);
});

test("[M64] the window forgets bucket by bucket, and all after a long gap", () => {
  const window = new SlidingWindow(100, 0);
  for (let ms = 0; ms < 100; ms += 10) window.add(ms >= 50, ms);
  assert.deepEqual([window.successes, window.total], [5, 10]);
  window.advance(100);
  assert.deepEqual([window.successes, window.total], [5, 9]);
  window.advance(149);
  assert.deepEqual([window.successes, window.total], [5, 5]);
  window.advance(1e15);
  assert.deepEqual([window.successes, window.total], [0, 0]);
});
