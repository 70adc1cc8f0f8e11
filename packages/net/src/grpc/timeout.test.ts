import assert from "node:assert/strict";
import { test } from "node:test";
import { formatGrpcTimeout, parseGrpcTimeout } from "./timeout.ts";

test("parseGrpcTimeout() reads every unit", () => {
  const cases = { "1H": 3_600_000, "2M": 120_000, "3S": 3_000, "4m": 4, "5000u": 5, "6000000n": 6 };
  for (const [text, ms] of Object.entries(cases)) assert.equal(parseGrpcTimeout(text), ms);
  assert.equal(parseGrpcTimeout("00000000m"), 0);
});

test("parseGrpcTimeout() refuses everything else", () => {
  for (const text of ["", "1", "S", "-1S", "+1S", "1.5S", "1s", "123456789m", "1 S", "1Sx", "١S"]) {
    assert.throws(() => parseGrpcTimeout(text), SyntaxError, text);
  }
});

test("formatGrpcTimeout() takes the finest unit that fits, and never less than asked", () => {
  assert.equal(formatGrpcTimeout(0), "0n");
  assert.equal(formatGrpcTimeout(-5), "0n");
  assert.equal(formatGrpcTimeout(0.5), "500000n");
  assert.equal(formatGrpcTimeout(100), "100000u");
  assert.equal(formatGrpcTimeout(100_000.2), "100001m");
  assert.equal(formatGrpcTimeout(1e15), "99999999H");
  for (const ms of [1, 99.999, 12_345, 1e8, 1e9, 1e11]) {
    assert.ok(parseGrpcTimeout(formatGrpcTimeout(ms)) >= ms, String(ms));
  }
});
