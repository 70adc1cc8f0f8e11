import assert from "node:assert/strict";
import { test } from "node:test";
import { formatGoDuration, parseGoDuration } from "./go-duration.ts";

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

for (const [ms, text] of [
  [0, "0s"],
  [1_000, "1s"],
  [90_000, "1m30s"],
  [60_000, "1m0s"],
  [3_600_000, "1h0m0s"],
  [5_430_500, "1h30m30.5s"],
  [1_500, "1.5s"],
  [100, "100ms"],
  [0.0015, "1.5\u00b5s"],
  [0.000001, "1ns"],
  [-2_000, "-2s"],
] as const) {
  test(`formatGoDuration(${ms}) is ${text}, which parses back`, () => {
    assert.equal(formatGoDuration(ms), text);
    assert.equal(parseGoDuration(text), ms);
  });
}
