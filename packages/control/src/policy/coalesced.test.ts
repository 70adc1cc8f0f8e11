import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import { Coalesced } from "./coalesced.ts";

test("any number of requests in one turn make one run, later ones another", async () => {
  let runs = 0;
  const coalesced = new Coalesced(() => runs++);
  for (let request = 0; request < 5; request++) coalesced.schedule();
  assert.equal(runs, 0);
  await nextTurn();
  assert.equal(runs, 1);
  coalesced.schedule();
  await nextTurn();
  assert.equal(runs, 2);
  coalesced.schedule();
  coalesced.cancel();
  coalesced.schedule();
  await nextTurn();
  assert.equal(runs, 2);
});

test("after a long run others have the loop for as long", async () => {
  const longMs = 40;
  const second = Promise.withResolvers<void>();
  let [runs, firstEndMs] = [0, 0];
  const coalesced = new Coalesced(() => {
    runs++;
    if (runs > 1) {
      second.resolve();
      return;
    }
    const untilMs = performance.now() + longMs;
    while (performance.now() < untilMs);
    // Somebody wants more of it at once, as in a storm of changes.
    coalesced.schedule();
    firstEndMs = performance.now();
  });
  coalesced.schedule();
  await nextTurn();
  coalesced.schedule();
  assert.equal(runs, 1);
  await second.promise;
  assert.ok(performance.now() - firstEndMs >= longMs / 2);
});
