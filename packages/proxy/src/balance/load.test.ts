import assert from "node:assert/strict";
import { test } from "node:test";
import { HeaderMap } from "@heddle/wire/http/headers";
import { Ewma } from "./ewma.ts";
import { type LoadConfig, PeakEwma, PenaltyPeakEwma } from "./load.ts";
import { penaltyOf, retryAfterMs } from "./retry-after.ts";

function close(actual: number, expected: number): void {
  assert.ok(Math.abs(actual - expected) < 1e-9, `${actual} is not ${expected}`);
}

test("[P01] Ewma is infinite until the first sample, which addPeak takes even at once", () => {
  const cell = new Ewma(100, 0);
  assert.equal(cell.get(0), Number.POSITIVE_INFINITY);
  cell.addPeak(7, 0);
  assert.equal(cell.get(0), 7);
  const other = new Ewma(100, 0);
  other.add(7, 0);
  assert.equal(other.get(0), Number.POSITIVE_INFINITY);
  other.add(7, 1);
  assert.equal(other.get(1), 7);
});

test("[P02] Ewma.add() ignores samples that are not newer than the last", () => {
  const cell = new Ewma(100, 0);
  cell.add(10, 5);
  cell.add(1000, 5);
  cell.add(1000, 4);
  assert.equal(cell.get(5), 10);
});

test("[P03] Ewma.addPeak() jumps up at once and decays down", () => {
  const cell = new Ewma(100, 0);
  cell.addPeak(10, 1);
  cell.addPeak(50, 2);
  assert.equal(cell.get(2), 50);
  cell.addPeak(10, 3);
  close(cell.get(3), 50 * Math.exp(-0.01) + 10 * (1 - Math.exp(-0.01)));
  cell.addPeak(10, 1003); // what was left by then is below 10
  assert.equal(cell.get(1003), 10);
});

test("[P04] [P06] [P07] Ewma decays by 1/e per period, read-only, and resets", () => {
  const cell = new Ewma(100, 0);
  cell.reset(80, 10);
  close(cell.get(110), 80 * Math.exp(-1));
  assert.equal(cell.get(10), 80);
  assert.equal(cell.get(3), 80);
  assert.ok(cell.get(1e9) < 1e-9);
  cell.reset(5, 20);
  assert.equal(cell.get(20), 5);
});

test("[P05] Ewma with a decay of zero stays finite", () => {
  const cell = new Ewma(0, 0);
  cell.add(10, 1);
  cell.add(20, 2);
  assert.ok(Number.isFinite(cell.get(3)));
  close(cell.get(3), (10 * Math.exp(-1) + 20 * (1 - Math.exp(-1))) * Math.exp(-1));
});

test("PeakEwma starts at the default, floors it, and counts what is under way", () => {
  assert.equal(new PeakEwma(30, 10_000, 0).load(0), 30);
  assert.equal(new PeakEwma(0, 10_000, 0).load(0), 1);
  const load = new PeakEwma(30, 10_000, 0);
  load.started();
  load.started();
  assert.equal(load.load(0), 90);
  load.finished(100, 0);
  assert.equal(load.load(0), 200);
});

test("PeakEwma takes a slow answer at once and forgets it when read", () => {
  const load = new PeakEwma(30, 10_000, 0);
  load.started();
  load.finished(400, 0);
  assert.equal(load.load(0), 400);
  close(load.load(10_000), 400 * Math.exp(-1));
  load.load(15_000);
  close(load.load(20_000), 400 * Math.exp(-2));
});

const PENALTY: LoadConfig & { kind: "penalty_peak_ewma" } = {
  kind: "penalty_peak_ewma",
  defaultRttMs: 30,
  decayMs: 10_000,
  penaltyMs: 5_000,
  maxRetryAfterMs: 300_000,
};

test("[P10] PenaltyPeakEwma is rtt times pending plus one", () => {
  const load = new PenaltyPeakEwma(PENALTY, 0);
  assert.equal(load.load(0), 30);
  load.started();
  assert.equal(load.load(0), 60);
  load.started();
  assert.equal(load.load(0), 90);
  load.finished(30, 0);
  assert.equal(load.load(0), 60);
});

test("[P12] [P13] a fast failure costs the penalty, which decays", () => {
  const load = new PenaltyPeakEwma(PENALTY, 0);
  load.started();
  load.penalized(undefined, 1);
  assert.equal(load.load(1), 5_000);
  close(load.load(10_001), 5_000 * Math.exp(-1));
  const healthy = new PenaltyPeakEwma(PENALTY, 0);
  healthy.started();
  healthy.finished(31, 1);
  assert.equal(healthy.load(1), 31);
});

test("[P14] a hint raises the penalty, at least the base, at most the cap", () => {
  const at = (hintMs: number): number => {
    const load = new PenaltyPeakEwma(PENALTY, 0);
    load.started();
    load.penalized(hintMs, 1);
    return load.load(1);
  };
  assert.equal(at(60_000), 60_000);
  assert.equal(at(10), 5_000);
  assert.equal(at(1e9), 300_000);
});

test("[P15] a measured rtt above the penalty is kept", () => {
  const load = new PenaltyPeakEwma(PENALTY, 0);
  load.started();
  load.finished(9_000, 1);
  load.started();
  load.penalized(undefined, 1);
  assert.equal(load.load(1), 9_000);
});

test("[P16] which answers are penalised", () => {
  const grpc = (status: string): HeaderMap =>
    HeaderMap.of({ "content-type": "application/grpc+proto", "grpc-status": status });
  assert.equal(penaltyOf(429, new HeaderMap()), "rate_limited");
  assert.equal(penaltyOf(503, new HeaderMap()), "unavailable");
  assert.equal(penaltyOf(500, new HeaderMap()), "internal");
  assert.equal(penaltyOf(599, new HeaderMap()), "internal");
  assert.equal(penaltyOf(404, new HeaderMap()), undefined);
  for (const status of ["8", "14", "13", "2", "4", "15"]) {
    assert.notEqual(penaltyOf(200, grpc(status)), undefined, status);
  }
  for (const status of ["0", "1", "3", "5", "6", "7", "9", "10", "11", "12", "16"]) {
    assert.equal(penaltyOf(200, grpc(status)), undefined, status);
  }
  assert.equal(penaltyOf(200, HeaderMap.of({ "grpc-status": "14" })), undefined);
});

test("[P18] Retry-After and grpc-retry-pushback-ms", () => {
  const wall = Date.parse("2026-01-01T00:00:00Z");
  const after = (status: number, value: string): number | undefined =>
    retryAfterMs(status, HeaderMap.of({ "retry-after": value }), wall);
  assert.equal(after(429, "120"), 120_000);
  assert.equal(after(503, "0"), 0);
  assert.equal(after(503, "  7 "), 7_000);
  assert.equal(after(500, "120"), undefined);
  assert.equal(after(503, "Thu, 01 Jan 2026 00:00:30 GMT"), 30_000);
  assert.equal(after(503, "Wed, 31 Dec 2025 00:00:30 GMT"), 0);
  assert.equal(after(503, "soon"), undefined);
  assert.equal(after(503, "-1"), undefined);
  assert.equal(after(503, "1.5"), undefined);
  const pushback = (value: string): number | undefined =>
    retryAfterMs(200, HeaderMap.of({ "grpc-retry-pushback-ms": value }), wall);
  assert.equal(pushback("250"), 250);
  assert.equal(pushback("0"), 0);
  assert.equal(pushback("-5"), undefined);
  assert.equal(pushback("x"), undefined);
  assert.equal(retryAfterMs(200, new HeaderMap(), wall), undefined);
});
