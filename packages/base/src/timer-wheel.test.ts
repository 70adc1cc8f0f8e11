import assert from "node:assert/strict";
import { test } from "node:test";
import { TimerWheel } from "./timer-wheel.ts";

/** A wheel on a clock that only the test moves. */
function wheelAt(startMs: number): { wheel: TimerWheel; goTo: (ms: number) => void } {
  let now = startMs;
  const wheel = new TimerWheel(() => now, 10);
  const goTo = (ms: number): void => {
    now = ms;
    wheel.advance();
  };
  return { wheel, goTo };
}

test("Timer fires once, not before its time and at most two ticks after it", () => {
  const { wheel, goTo } = wheelAt(1_003);
  let fired = 0;
  wheel.timer(() => fired++).arm(100);
  goTo(1_102);
  assert.equal(fired, 0);
  goTo(1_123);
  assert.equal(fired, 1);
  goTo(99_000);
  assert.equal(fired, 1);
  wheel.stop();
});

test("Timer.arm() on an armed timer moves it, disarm() stops it", () => {
  const { wheel, goTo } = wheelAt(0);
  let fired = 0;
  const timer = wheel.timer(() => fired++);
  timer.arm(50);
  timer.arm(500);
  goTo(100);
  assert.equal(fired, 0);
  timer.disarm();
  assert.equal(timer.isArmed, false);
  goTo(1_000);
  assert.equal(fired, 0);
  wheel.stop();
});

test("TimerWheel keeps timers apart that share a slot but not a round", () => {
  const { wheel, goTo } = wheelAt(0);
  const order: string[] = [];
  wheel.timer(() => order.push("near")).arm(100);
  wheel.timer(() => order.push("far")).arm(100 + 512 * 10);
  goTo(200);
  assert.deepEqual(order, ["near"]);
  goTo(6_000);
  assert.deepEqual(order, ["near", "far"]);
  wheel.stop();
});

test("TimerWheel fires everything that is due after a long stall", () => {
  const { wheel, goTo } = wheelAt(0);
  let fired = 0;
  for (let ms = 0; ms < 20_000; ms += 7) wheel.timer(() => fired++).arm(ms);
  goTo(60_000);
  assert.equal(fired, Math.ceil(20_000 / 7));
  wheel.stop();
});

test("a timer that fires may disarm another that is due in the same tick", () => {
  const { wheel, goTo } = wheelAt(0);
  const fired: string[] = [];
  const first = wheel.timer(() => {
    fired.push("first");
    second.disarm();
  });
  const second = wheel.timer(() => {
    fired.push("second");
    first.disarm();
  });
  first.arm(20);
  second.arm(20);
  goTo(100);
  assert.equal(fired.length, 1);
  wheel.stop();
});
