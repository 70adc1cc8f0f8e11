import assert from "node:assert/strict";
import { test } from "node:test";
import { Backoff } from "@heddle/base/backoff";
import { systemClock } from "@heddle/base/clock";
import { Log } from "@heddle/base/log";
import { GrpcStatus } from "@heddle/net/grpc/status";
import { Script } from "../testing/script.ts";
import type { StreamLimits } from "./config.ts";
import { isRefusal, StreamWatch } from "./stream-watch.ts";

const NO_LIMITS: StreamLimits = { initialMs: undefined, idleMs: undefined, lifetimeMs: undefined };

/** A watch of a script, and what it was told. */
class Watched implements Disposable {
  readonly told: string[] = [];
  readonly firsts: boolean[] = [];
  readonly delays: number[] = [];
  readonly script = new Script<string>();
  refusals = 0;
  readonly watch: StreamWatch<string>;

  constructor(options: { mode?: "watch" | "resolve"; limits?: StreamLimits } = {}) {
    const backoff = new Backoff(1, 4);
    const next = backoff.next.bind(backoff);
    backoff.next = () => {
      const ms = next();
      this.delays.push(ms);
      return ms;
    };
    this.watch = new StreamWatch<string>({
      name: "Watch",
      subject: "test",
      open: (signal) => this.script.stream(signal),
      told: (message, isFirst) => {
        this.told.push(message);
        this.firsts.push(isFirst);
      },
      refused: () => this.refusals++,
      isTerminal: isRefusal,
      backoff,
      mode: options.mode ?? "watch",
      limits: options.limits ?? NO_LIMITS,
      clock: systemClock,
      log: Log.silent(),
    });
  }

  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise((resolve) => setImmediate(resolve));
  }

  [Symbol.dispose](): void {
    this.watch.close();
  }
}

test("[U01] a stream that fails is opened again; what was told is stale until then", async () => {
  using watched = new Watched();
  watched.script.send("one");
  await watched.until(() => watched.told.length === 1);
  assert.equal(watched.watch.isStale, false);
  watched.script.fail(GrpcStatus.unavailable);
  await watched.until(() => watched.watch.isStale);
  watched.script.restart("two");
  await watched.until(() => watched.told.at(-1) === "two");
  assert.equal(watched.firsts.at(-1), true);
  assert.equal(watched.watch.isStale, false);
});

test("[U02] failures before the first message are tried again, waiting longer each time", async () => {
  using watched = new Watched();
  watched.script.fail(GrpcStatus.internal);
  await watched.until(() => watched.delays.length >= 4);
  assert.deepEqual(watched.delays.slice(0, 4), [1, 2, 4, 4]);
  watched.script.restart("there");
  await watched.until(() => watched.told.length > 0);
});

test("a refusal is told once and ends the watch", async () => {
  for (const status of [GrpcStatus.invalidArgument, GrpcStatus.failedPrecondition]) {
    using watched = new Watched();
    watched.script.fail(status);
    await watched.until(() => watched.refusals === 1);
    await new Promise((resolve) => setTimeout(resolve, 10));
    assert.equal(watched.script.opened, 1);
  }
});

test("a resolution waits before each stream, and no longer after a clean end", async () => {
  using watched = new Watched({ mode: "resolve" });
  watched.script.send("one");
  await watched.until(() => watched.told.length === 1);
  for (let round = 2; round < 6; round++) {
    watched.script.restart("again");
    await watched.until(() => watched.script.opened === round && watched.script.open === 1);
  }
  assert.deepEqual(new Set(watched.delays), new Set([1]));
});

test("[U03] a stream that says nothing in its initial time counts as failed", async () => {
  using watched = new Watched({ limits: { ...NO_LIMITS, initialMs: 5 } });
  await watched.until(() => watched.delays.length >= 3);
  assert.deepEqual(watched.delays.slice(0, 3), [1, 2, 4]);
});

test("[U04] [U05] idle and old streams are ended in good order and opened again", async () => {
  for (const limits of [
    { ...NO_LIMITS, idleMs: 10 },
    { ...NO_LIMITS, lifetimeMs: 10 },
  ]) {
    using watched = new Watched({ limits });
    watched.script.send("state");
    await watched.until(() => watched.told.length >= 3);
    assert.deepEqual(new Set(watched.delays), new Set([1]));
  }
});

test("a watch that is closed tells nothing more and ends its stream", async () => {
  const watched = new Watched();
  watched.script.send("one");
  await watched.until(() => watched.told.length === 1);
  watched.watch.close();
  watched.script.send("two");
  await watched.until(() => watched.script.open === 0);
  assert.deepEqual(watched.told, ["one"]);
});
