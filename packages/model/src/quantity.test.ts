import assert from "node:assert/strict";
import { test } from "node:test";
import { parseMilliQuantity, parseQuantity } from "./quantity.ts";

for (const [quantity, milli] of [
  [1, 1_000],
  ["500m", 500],
  ["0.1", 100],
  ["1k", 1_000_000],
  ["1Ki", 1_024_000],
  ["1e3", 1_000_000],
  ["1u", 1],
  ["-1", -1_000],
] as const) {
  test(`parseMilliQuantity(${quantity}) is ${milli}`, () => {
    assert.equal(parseMilliQuantity(quantity), milli);
  });
}

for (const text of ["", "one", "1mm", "1 k", "1e999"]) {
  test(`parseMilliQuantity() refuses "${text}"`, () => {
    assert.throws(() => parseMilliQuantity(text), SyntaxError);
  });
}

test("parseQuantity() reads every suffix, and refuses what is long", () => {
  assert.equal(parseQuantity("1.5Gi"), 1.5 * 2 ** 30);
  assert.equal(parseQuantity("-2E3"), -2_000);
  assert.equal(parseQuantity("3E"), 3e18);
  assert.equal(parseQuantity("250n"), 250 * 1e-9);
  assert.throws(() => parseQuantity("9".repeat(65)), /no longer than 64/);
});
