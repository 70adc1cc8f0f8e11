import assert from "node:assert/strict";
import { test } from "node:test";
import { Backoff } from "./backoff.ts";

test("[P55] Backoff.next() doubles from the least to the most, and reset() starts again", () => {
  const backoff = new Backoff(100, 1_000);
  assert.deepEqual(
    [1, 2, 3, 4, 5].map(() => backoff.next()),
    [100, 200, 400, 800, 1_000],
  );
  backoff.reset();
  assert.equal(backoff.next(), 100);
});

test("[P55] Backoff.next() adds jitter, never beyond the most", () => {
  const backoff = new Backoff(100, 150, 1, () => 0.25);
  assert.equal(backoff.next(), 125);
  assert.equal(backoff.next(), 150);
});

test("Backoff.next() stays finite for ever", () => {
  const backoff = new Backoff(100, 60_000);
  for (let i = 0; i < 5_000; i++) backoff.next();
  assert.equal(backoff.next(), 60_000);
});
