import assert from "node:assert/strict";
import { test } from "node:test";
import type { Clock } from "@heddle/base/clock";
import { Log } from "@heddle/base/log";
import { type LeaseOptions, microTime, runWithLease } from "./lease.ts";
import { LeaseApi } from "./testing/lease-api.ts";
import type { Lease } from "./types/core.ts";

class TestClock implements Clock {
  ms = 1_000_000;
  nowMs(): number {
    return this.ms;
  }
  wallMs(): number {
    return this.ms;
  }
}

interface Candidate {
  readonly events: string[];
  readonly done: Promise<void>;
  readonly stop: () => Promise<void>;
}

function run(api: LeaseApi, holder: string, more: Partial<LeaseOptions> = {}): Candidate {
  const stop = new AbortController();
  const events: string[] = [];
  const done = runWithLease({
    client: api.newClient(),
    lease: { name: "l", namespace: "ns" },
    holder,
    lead: async (signal) => {
      events.push("leads");
      await new Promise<void>((resolve) => {
        signal.addEventListener("abort", () => resolve(), { once: true });
      });
      events.push("stops");
    },
    signal: stop.signal,
    log: Log.silent(),
    retryMs: 2,
    ...more,
  });
  return {
    events,
    done,
    stop: async () => {
      stop.abort();
      await done;
    },
  };
}

const heldBy =
  (holder: string) =>
  (lease: Lease | undefined): boolean =>
    lease?.spec?.holderIdentity === holder;

test("runWithLease() takes a free lease, renews it, and hands it over at the end", async () => {
  await using api = await LeaseApi.start();
  const first = run(api, "first");
  await api.until(heldBy("first"));
  const version = Number(api.lease?.metadata.resourceVersion);
  await api.until((lease) => Number(lease?.metadata.resourceVersion) > version + 1);
  assert.equal(api.lease?.spec?.leaseDurationSeconds, 30);
  const second = run(api, "second");
  await first.stop();
  await api.until(heldBy("second"));
  assert.equal(api.lease?.spec?.leaseTransitions, 1);
  assert.deepEqual(first.events, ["leads", "stops"]);
  // Perhaps before it knows that the lease is its own: it is freed all the same.
  await second.stop();
  assert.ok(heldBy("")(api.lease));
});

test("a lease that somebody renews is not taken, however old its times look", async () => {
  await using api = await LeaseApi.start();
  const clock = new TestClock();
  const first = run(api, "first", { clock: { nowMs: () => clock.ms, wallMs: () => 0 } });
  await api.until(heldBy("first"));
  // For the second one 20 s pass between looks, and every time the lease has been renewed.
  let looks = 0;
  const second = run(api, "second", {
    clock: {
      nowMs: () => {
        looks++;
        return looks * 20_000;
      },
      wallMs: () => Number.MAX_SAFE_INTEGER / 2,
    },
    retryMs: 20,
  });
  const version = Number(api.lease?.metadata.resourceVersion);
  await api.until((lease) => Number(lease?.metadata.resourceVersion) > version + 20);
  assert.deepEqual(second.events, []);
  await second.stop();
  await first.stop();
});

test("an abandoned lease is taken when it was seen unchanged for its whole duration", async () => {
  await using api = await LeaseApi.start();
  const clock = new TestClock();
  api.lease = {
    metadata: { name: "l", namespace: "ns", resourceVersion: "old" },
    spec: { holderIdentity: "dead", leaseDurationSeconds: 15, leaseTransitions: 4 },
  };
  let looks = 0;
  const observed: Clock = {
    nowMs: () => {
      looks++;
      return clock.ms;
    },
    wallMs: () => clock.ms,
  };
  const candidate = run(api, "me", { clock: observed });
  while (looks < 5) await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(candidate.events, []);
  clock.ms += 15_000;
  await api.until(heldBy("me"));
  assert.equal(api.lease?.spec?.leaseTransitions, 5);
  await candidate.stop();
});

test("a leader that cannot renew in time stops leading, and tries again", async () => {
  await using api = await LeaseApi.start();
  const clock = new TestClock();
  const changes: boolean[] = [];
  const lost = Promise.withResolvers<void>();
  const again = Promise.withResolvers<void>();
  const candidate = run(api, "me", {
    clock,
    onChange: (isLeader) => {
      changes.push(isLeader);
      if (!isLeader) lost.resolve();
      else if (changes.length === 3) again.resolve();
    },
  });
  await api.until(heldBy("me"));
  api.isDown = true;
  clock.ms += 11_000;
  await lost.promise;
  assert.deepEqual(candidate.events, ["leads", "stops"]);
  api.isDown = false;
  await again.promise;
  await candidate.stop();
  assert.deepEqual(changes, [true, false, true, false]);
});

test("a lease taken by somebody else under our hands ends the term", async () => {
  await using api = await LeaseApi.start();
  const candidate = run(api, "me");
  await api.until(heldBy("me"));
  api.lease = {
    metadata: { name: "l", namespace: "ns", resourceVersion: "theirs" },
    spec: { holderIdentity: "other", leaseDurationSeconds: 30 },
  };
  while (candidate.events.length < 2) await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(candidate.events, ["leads", "stops"]);
  assert.ok(heldBy("other")(api.lease));
  await candidate.stop();
  assert.ok(heldBy("other")(api.lease));
});

test("a bug in the work ends the run with it, and frees the lease", async () => {
  await using api = await LeaseApi.start();
  const bug = new TypeError("bug");
  const candidate = run(api, "me", {
    lead: async () => {
      throw bug;
    },
  });
  await assert.rejects(candidate.done, (error) => error === bug);
  assert.ok(heldBy("")(api.lease));
});

test("microTime() has six digits", () => {
  assert.equal(microTime(0), "1970-01-01T00:00:00.000000Z");
});
