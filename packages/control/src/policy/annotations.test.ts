import assert from "node:assert/strict";
import { test } from "node:test";
import { parseGoDuration } from "@heddle/model/go-duration";
import {
  type Annotations,
  boolean,
  parseFailureAccrual,
  parseGrpcRetry,
  parseHttpRetry,
  parseLoadBias,
  parseTimeouts,
  parseTrafficSettings,
} from "./annotations.ts";
import { parseDuration } from "./duration.ts";
import { parsePortSet } from "./port-set.ts";
import { parseWorkloadToken } from "./workload-token.ts";

test("[UD01] [UD02] [UD03] [UD04] [UD05] durations are whole numbers of ms, s, m, h or d", () => {
  const cases = { "10s": 10_000, "500ms": 500, "5m": 300_000, "2h": 7_200_000, "1d": 86_400_000 };
  for (const [text, ms] of Object.entries(cases)) assert.equal(parseDuration(text), ms, text);
});

test("[UD06] [UD07] [UD08] zero is a duration, with or without unit", () => {
  for (const text of ["0", "0s", "0ms"]) assert.equal(parseDuration(text), 0, text);
});

test("[UD09] [UD10] [UD11] [UD12] [UD14] [UD15] [UD16] [UD17] [UD18] other durations are refused", () => {
  const bad = [
    "5constructor",
    "5__proto__",
    "0.5s",
    "0.0s",
    "0.5m",
    "5",
    "999999999999999999d",
    "10x",
    "",
    "-5s",
    "-0.5s",
  ];
  for (const text of [...bad, "1m30s", "s", "5 s"]) {
    assert.throws(() => parseDuration(text), SyntaxError, text);
  }
});

test("[UD13] a bare number is refused with what was perhaps meant", () => {
  assert.throws(() => parseDuration("100"), /"100s" or "100ms"/);
});

test("[UM06] Go's durations are read as Go does", () => {
  const cases: [text: string, ms: number][] = [
    ["0", 0],
    ["5s", 5_000],
    ["1478s", 1_478_000],
    ["-5s", -5_000],
    ["+5s", 5_000],
    ["-0", 0],
    ["5.0s", 5_000],
    ["5.6s", 5_600],
    [".5s", 500],
    ["5.s", 5_000],
    ["1.004s", 1_004],
    ["10ns", 0.00001],
    ["11us", 0.011],
    ["12\u00b5s", 0.012],
    ["12\u03bcs", 0.012],
    ["13ms", 13],
    ["15m", 900_000],
    ["16h", 57_600_000],
    ["3h30m", 12_600_000],
    ["10.5s4m", 250_500],
    ["-2m3.4s", -123_400],
    ["1h2m3s4ms5us6ns", 3_723_004.005006],
  ];
  for (const [text, ms] of cases) assert.ok(Math.abs(parseGoDuration(text) - ms) < 1e-6, text);
  for (const text of ["", "3", "-", "s", ".", "-.", ".s", "+.s", "1d", "5 s", "99999999999999h"]) {
    assert.throws(() => parseGoDuration(text), SyntaxError, text);
  }
});

test("[UO19] port sets are numbers and ranges; one bad item spoils the set", () => {
  assert.deepEqual(parsePortSet("").ranges, []);
  assert.deepEqual(parsePortSet("1-3").ranges, [{ from: 1, to: 3 }]);
  const mixed = parsePortSet(" 4, 1-2 ,");
  assert.deepEqual(
    [1, 2, 3, 4, 5].map((port) => mixed.has(port)),
    [true, true, false, true, false],
  );
  for (const bad of ["0", "2-1", "2-", "65537", "1,x", "-1", "1-65536"]) {
    assert.throws(() => parsePortSet(bad), SyntaxError, bad);
  }
});

test("[UM02] [UM03] [UM04] workloads are named by ns:pod, or by JSON", () => {
  assert.deepEqual(parseWorkloadToken("ns:pod"), { kind: "pod", namespace: "ns", name: "pod" });
  assert.deepEqual(parseWorkloadToken('{"ns":"a","pod":"b"}'), {
    kind: "pod",
    namespace: "a",
    name: "b",
  });
  assert.deepEqual(parseWorkloadToken('{"ns":"a","external_workload":"b"}'), {
    kind: "external-workload",
    namespace: "a",
    name: "b",
  });
});

test("[UM05] what names no workload, or two, is refused", () => {
  const bad = ["", "a", ":a", "a:", "{", "{}", '{"ns":"a"}', '{"pod":"a"}', '{"ns":1,"pod":"a"}'];
  bad.push('{"ns":"a","pod":""}', '{"ns":"a","pod":"b","external_workload":"c"}', '{"ns":null}');
  for (const text of bad) assert.throws(() => parseWorkloadToken(text), /Invalid workload/, text);
});

const BIAS = "balancer.alpha.linkerd.io/";
const penalize = (value: string, more: Annotations = {}): Annotations => ({
  [`${BIAS}penalize-failures`]: value,
  ...more,
});

test("[UB01] [UB06] [UB08] penalize-failures turns the load bias on, with its defaults", () => {
  for (const text of ["true", " true ", "True", "TRUE", "1", "t", "T"]) {
    assert.deepEqual(parseLoadBias(penalize(text)), { penaltyMs: 5_000, maxRetryAfterMs: 300_000 });
  }
});

test("[UB02] [UB03] [UB07] [UB09] [UB21] without it there is no load bias, whatever else is said", () => {
  for (const text of ["false", " false ", "False", "FALSE", "0", "f", "F"]) {
    assert.equal(
      parseLoadBias(penalize(text, { [`${BIAS}load-biaser-penalty`]: "2s" })),
      undefined,
    );
  }
  assert.equal(parseLoadBias({ [`${BIAS}load-biaser-penalty`]: "1.5s" }), undefined);
});

test("[UB04] [UB05] [UB10] what is no boolean is refused, and quoted", () => {
  assert.throws(() => parseLoadBias(penalize("bogus")), /"bogus"/);
  assert.throws(() => parseLoadBias(penalize("")), /""/);
  assert.throws(() => boolean("yes"), SyntaxError);
});

test("[UB16] [UB17] [UB18] the load bias takes its durations", () => {
  const explicit = penalize("true", {
    [`${BIAS}load-biaser-penalty`]: " 2s ",
    [`${BIAS}load-biaser-max-retry-after`]: "60s",
  });
  assert.deepEqual(parseLoadBias(explicit), { penaltyMs: 2_000, maxRetryAfterMs: 60_000 });
});

test("[UB19] [UB20] a penalty that is no duration, or too long, is refused", () => {
  for (const text of ["1.5s", "50d"]) {
    const annotations = penalize("true", { [`${BIAS}load-biaser-penalty`]: text });
    assert.throws(() => parseLoadBias(annotations), SyntaxError, text);
  }
});

const unified = (more: Annotations = {}): Annotations => ({
  "balancer.linkerd.io/failure-accrual": "unified",
  ...more,
});
const rate = (name: string, value: string): Annotations => ({
  [`balancer.alpha.linkerd.io/failure-accrual-${name}`]: value,
});

test("[UB11] [UB12] [UB13] [UB14] [UB15] honor-retry-after is a boolean of the unified mode", () => {
  const hint = (annotations: Annotations): unknown => {
    const accrual = parseFailureAccrual(unified(annotations));
    return accrual?.kind === "unified" && accrual.honorRetryAfter;
  };
  assert.equal(hint(rate("honor-retry-after", "true")), true);
  assert.equal(hint(rate("honor-retry-after", "false")), false);
  assert.equal(hint({}), false);
  assert.equal(hint(rate("honor-retry-after", " true ")), true);
  assert.throws(() => hint(rate("honor-retry-after", "yes")), SyntaxError);
});

test("[UF01] [UF02] [UF03] [UF04] the unified mode has defaults, and takes explicit values", () => {
  assert.deepEqual(parseFailureAccrual(unified()), {
    kind: "unified",
    maxFailures: 7,
    backoff: { minMs: 1_000, maxMs: 60_000, jitter: 0.5 },
    successRateThreshold: 0.8,
    windowMs: 10_000,
    minRequests: 5,
    honorRetryAfter: false,
  });
  const explicit = parseFailureAccrual(
    unified({
      "balancer.linkerd.io/failure-accrual-consecutive-max-failures": "3",
      ...rate("success-rate-threshold", " 0.5 "),
      ...rate("success-rate-window", "30s"),
      ...rate("success-rate-min-requests", " 20 "),
    }),
  );
  assert.ok(explicit?.kind === "unified");
  const { maxFailures, successRateThreshold, windowMs, minRequests } = explicit;
  assert.deepEqual(
    [maxFailures, successRateThreshold, windowMs, minRequests],
    [3, 0.5, 30_000, 20],
  );
});

test("[UF05] [UF14] [UF15] the consecutive mode knows nothing of success rates", () => {
  const consecutive = { "balancer.linkerd.io/failure-accrual": "consecutive" };
  const expected = {
    kind: "consecutive",
    maxFailures: 7,
    backoff: { minMs: 1_000, maxMs: 60_000, jitter: 0.5 },
  };
  assert.deepEqual(parseFailureAccrual(consecutive), expected);
  const more = { ...consecutive, ...rate("success-rate-threshold", "bogus") };
  assert.deepEqual(parseFailureAccrual(more), expected);
});

test("[UF06] [UF07] [UF08] [UF09] [UF16] what a proxy would refuse is refused", () => {
  for (const bad of [
    rate("success-rate-threshold", "-0.1"),
    rate("success-rate-threshold", "1.5"),
    rate("success-rate-window", "0s"),
    rate("success-rate-window", "9ms"),
    rate("success-rate-min-requests", "1000001"),
    { "balancer.linkerd.io/failure-accrual-consecutive-min-penalty": "61s" },
    { "balancer.linkerd.io/failure-accrual-consecutive-jitter-ratio": "101" },
  ]) {
    assert.throws(() => parseFailureAccrual(unified(bad)), SyntaxError, JSON.stringify(bad));
  }
  for (const mode of ["true", "false", ""]) {
    const annotations = { "balancer.linkerd.io/failure-accrual": mode };
    assert.throws(() => parseFailureAccrual(annotations), SyntaxError, mode);
  }
});

test("[UF10] [UF11] [UF12] [UF13] [UF17] [UF18] [UF19] [UF22] the bounds themselves are taken", () => {
  const zero = rate("success-rate-threshold", "0");
  for (const good of [
    rate("success-rate-window", "10ms"),
    rate("success-rate-window", "500ms"),
    rate("success-rate-min-requests", "0"),
    rate("success-rate-min-requests", "1000000"),
    zero,
    { ...zero, ...rate("success-rate-window", "9ms") },
    { ...zero, ...rate("success-rate-min-requests", "1000001") },
    { ...zero, "balancer.linkerd.io/failure-accrual-consecutive-max-failures": "0" },
  ]) {
    assert.equal(parseFailureAccrual(unified(good))?.kind, "unified", JSON.stringify(good));
  }
});

test("[UF20] [UF21] success rates without a mode, and misspelt ones, do nothing", () => {
  assert.equal(parseFailureAccrual(rate("success-rate-threshold", "0.5")), undefined);
  const accrual = parseFailureAccrual(unified(rate("success-rate-treshold", "0.5")));
  assert.ok(accrual?.kind === "unified" && accrual.successRateThreshold === 0.8);
});

test("retries take statuses, ranges and names; any bad one spoils them", () => {
  const http = (text: string) => parseHttpRetry({ "retry.linkerd.io/http": text })?.conditions;
  assert.deepEqual(http("5xx"), [{ start: 500, end: 599 }]);
  assert.deepEqual(http("gateway-error,429,400-404"), [
    { start: 502, end: 504 },
    { start: 429, end: 429 },
    { start: 400, end: 404 },
  ]);
  for (const bad of ["", "4xx", "99", "600", "500-499", "5xx,", "5xx, 429"]) {
    assert.throws(() => http(bad), SyntaxError, bad);
  }
  const grpc = parseGrpcRetry({ "retry.linkerd.io/grpc": "Unavailable,deadline-exceeded" });
  assert.deepEqual(grpc?.conditions, ["unavailable", "deadline-exceeded"]);
  assert.throws(() => parseGrpcRetry({ "retry.linkerd.io/grpc": "unknown" }), SyntaxError);
});

test("a bare limit or timeout retries both HTTP and gRPC, on no condition", () => {
  const bare = { "retry.linkerd.io/limit": "3", "retry.linkerd.io/timeout": "0s" };
  const expected = { limit: 3, timeoutMs: undefined, conditions: [] };
  assert.deepEqual(parseHttpRetry(bare), expected);
  assert.deepEqual(parseGrpcRetry(bare), expected);
  assert.equal(parseHttpRetry({ "retry.linkerd.io/limit": "0" }), undefined);
  assert.equal(parseHttpRetry({ "retry.linkerd.io/grpc": "unavailable" }), undefined);
  assert.equal(parseHttpRetry({ "retry.linkerd.io/http": "5xx" })?.limit, 1);
});

test("one setting that does not parse leaves the others as they are", () => {
  const problems: string[] = [];
  const settings = parseTrafficSettings(
    {
      ...unified(rate("success-rate-threshold", "2")),
      "timeout.linkerd.io/request": "5s",
      "config.linkerd.io/opaque-ports": "80,x",
    },
    (key) => problems.push(key),
  );
  assert.equal(settings.accrual, undefined);
  assert.equal(settings.timeouts?.requestMs, 5_000);
  // Present but wrong is no port at all, not the default ports.
  assert.deepEqual(settings.opaquePorts?.ranges, []);
  assert.deepEqual(problems, [
    "balancer.linkerd.io/failure-accrual",
    "config.linkerd.io/opaque-ports",
  ]);
  assert.equal(parseTimeouts({}), undefined);
});
