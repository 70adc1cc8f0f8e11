import assert from "node:assert/strict";
import { test } from "node:test";
import { ChangeQueue, runController } from "./controller.ts";

/** Lets everything that is ready to run do so. */
async function settle(): Promise<void> {
  for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve));
}

test("runController() never runs two at a time for a key, and runs again for changes meanwhile", async () => {
  const stop = new AbortController();
  const changes = new ChangeQueue<string>(stop.signal);
  const gates: (() => void)[] = [];
  const runs: string[] = [];
  const running = runController({
    changes,
    reconcile: async (key) => {
      runs.push(key);
      await new Promise<void>((resolve) => gates.push(resolve));
    },
    onError: () => assert.fail("no error"),
    signal: stop.signal,
  });
  changes.add("a");
  changes.add("b");
  await settle();
  assert.deepEqual(runs, ["a", "b"]);
  for (let i = 0; i < 10; i++) changes.add("a");
  await settle();
  assert.deepEqual(runs, ["a", "b"]);
  gates[0]!();
  await settle();
  assert.deepEqual(runs, ["a", "b", "a"]);
  for (const open of gates) open();
  await settle();
  assert.deepEqual(runs, ["a", "b", "a"]);
  stop.abort();
  await running;
});

test("a change in the very moment at which a run ends is not lost", async () => {
  for (let microtasks = 0; microtasks < 12; microtasks++) {
    const stop = new AbortController();
    const changes = new ChangeQueue<string>(stop.signal);
    let runs = 0;
    const gate = Promise.withResolvers<void>();
    const running = runController({
      changes,
      reconcile: async () => {
        runs++;
        if (runs === 1) await gate.promise;
      },
      onError: () => assert.fail("no error"),
      signal: stop.signal,
    });
    changes.add("a");
    await settle();
    gate.resolve();
    for (let i = 0; i < microtasks; i++) await Promise.resolve();
    changes.add("a");
    await settle();
    assert.equal(runs, 2, `after ${microtasks} microtasks`);
    stop.abort();
    await running;
  }
});

test("a key that fails is tried again, and dropped after too many failures until it changes", async () => {
  const stop = new AbortController();
  const changes = new ChangeQueue<string>(stop.signal);
  const failures: string[] = [];
  let tries = 0;
  const tried = Promise.withResolvers<void>();
  const again = Promise.withResolvers<void>();
  const running = runController({
    changes,
    reconcile: async () => {
      tries++;
      if (tries === 4) tried.resolve();
      if (tries === 5) again.resolve();
      if (tries < 5) throw new Error(`failure ${tries}`);
    },
    onError: (key, error) => failures.push(`${key}: ${(error as Error).message}`),
    signal: stop.signal,
    retryMinMs: 1,
    retryMaxMs: 1,
    maxRetries: 3,
  });
  changes.add("a");
  await tried.promise;
  changes.add("a");
  await again.promise;
  assert.deepEqual(failures, ["a: failure 1", "a: failure 2", "a: failure 3", "a: failure 4"]);
  stop.abort();
  await running;
});

test("ChangeQueue holds each key once, and ends with its signal", async () => {
  const stop = new AbortController();
  const queue = new ChangeQueue<number>(stop.signal);
  for (const key of [1, 2, 1, 3, 2]) queue.add(key);
  assert.equal(queue.size, 3);
  const taken: number[] = [];
  const reading = (async () => {
    for await (const key of queue) taken.push(key);
  })();
  await settle();
  stop.abort();
  await reading;
  queue.add(4);
  assert.deepEqual(taken, [1, 2, 3]);
});
