import assert from "node:assert/strict";
import { test } from "node:test";
import { parseGoDuration, parseMilliQuantity } from "./go-values.ts";

for (const [text, ms] of [
  ["0", 0],
  ["1s", 1_000],
  ["1m30s", 90_000],
  ["1.5h", 5_400_000],
  [".5s", 500],
  ["100ms", 100],
  ["1us", 0.001],
  ["-2s", -2_000],
  ["+2s", 2_000],
] as const) {
  test(`parseGoDuration("${text}") is ${ms} ms`, () => assert.equal(parseGoDuration(text), ms));
}

for (const text of [
  "",
  "1",
  "s",
  "1 s",
  "1d",
  "1s2",
  "--1s",
  "1e3s",
  "9".repeat(70),
  "99999999h",
]) {
  test(`parseGoDuration() refuses "${text.slice(0, 20)}"`, () => {
    assert.throws(() => parseGoDuration(text), SyntaxError);
  });
}

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
