import assert from "node:assert/strict";
import { test } from "node:test";
import { Log } from "@heddle/base/log";
import { WorkQueue } from "./work-queue.ts";

test("WorkQueue works on a key once at a time and collapses what comes meanwhile", async () => {
  const gate = Promise.withResolvers<void>();
  const done = Promise.withResolvers<void>();
  let runs = 0;
  let active = 0;
  const queue = new WorkQueue({
    name: "test",
    log: Log.silent(),
    reconcile: async () => {
      assert.equal(++active, 1);
      runs++;
      if (runs === 1) {
        for (let at = 0; at < 5; at++) queue.add("a");
        await gate.promise;
      } else done.resolve();
      active--;
    },
  });
  queue.add("a");
  queue.add("a");
  setImmediate(() => setImmediate(gate.resolve));
  await done.promise;
  await queue.stop();
  assert.equal(runs, 2);
});

test("WorkQueue tries again after a failure, while other keys go on", async () => {
  const done = Promise.withResolvers<void>();
  const seen: string[] = [];
  const queue = new WorkQueue({
    name: "test",
    log: Log.silent(),
    reconcile: async (key) => {
      seen.push(key);
      if (key === "bad" && seen.filter((one) => one === "bad").length < 3)
        throw new Error("not yet");
      if (key === "bad") done.resolve();
    },
  });
  queue.add("bad");
  queue.add("good");
  await done.promise;
  await queue.stop();
  assert.deepEqual(seen, ["bad", "good", "bad", "bad"]);
});

test("WorkQueue.stop() waits for work under way and begins nothing more", async () => {
  const gate = Promise.withResolvers<void>();
  const begun = Promise.withResolvers<void>();
  let runs = 0;
  const queue = new WorkQueue({
    name: "test",
    log: Log.silent(),
    reconcile: async () => {
      runs++;
      begun.resolve();
      await gate.promise;
    },
  });
  queue.add("a");
  await begun.promise;
  queue.add("b");
  const stopped = queue.stop();
  queue.add("c");
  gate.resolve();
  await stopped;
  assert.equal(runs, 1);
});
