import assert from "node:assert/strict";
import { test } from "node:test";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { type FailureAccrualSchema, OutboundPolicySchema } from "@heddle/api/gen/outbound_pb";
import type { AccrualConfig } from "../balance/breaker.ts";
import { balanced, detect } from "../testing/messages.ts";
import { parseOutboundPolicy } from "./wire-outbound.ts";

type AccrualInit = MessageInitShape<typeof FailureAccrualSchema>;
type Kind = NonNullable<Exclude<AccrualInit, { readonly $typeName: string }>["kind"]>;
type Unified = Extract<Kind, { readonly case: "unified" }>["value"];

const BACKOFF = { minBackoff: { seconds: 1n }, maxBackoff: { seconds: 60n }, jitterRatio: 0.5 };
const PARSED_BACKOFF = { minMs: 1_000, maxMs: 60_000, jitter: 0.5 };

/** The breaker of a policy that was sent this one. */
function accrualOf(kind: Kind, more: object = {}): AccrualConfig | undefined {
  const accrual = { kind, ...more };
  const init = detect(balanced("web.default.svc.cluster.local:80"), { accrual });
  const message = create(
    OutboundPolicySchema,
    init as MessageInitShape<typeof OutboundPolicySchema>,
  );
  const { protocol } = parseOutboundPolicy(message);
  assert.ok(protocol.kind === "detect");
  assert.deepEqual(protocol.http1.accrual, protocol.http2.accrual);
  return protocol.http2.accrual;
}

function unified(value: object): AccrualConfig | undefined {
  return accrualOf({ case: "unified", value: { backoff: BACKOFF, ...value } as Unified });
}

test("[U10] consecutive failures need a backoff, and a breaker a kind", () => {
  const value = { maxFailures: 7, backoff: BACKOFF };
  assert.deepEqual(accrualOf({ case: "consecutiveFailures", value }), {
    kind: "consecutive",
    maxFailures: 7,
    backoff: PARSED_BACKOFF,
  });
  assert.throws(
    () => accrualOf({ case: "consecutiveFailures", value: { maxFailures: 7 } }),
    /missing backoff/,
  );
  assert.throws(() => accrualOf({ case: undefined }), /missing failure accrual kind/);
});

test("[U10] a rate of success is a ratio, kept in steps of a ten-thousandth", () => {
  const rate = (successRateThreshold: number): number | undefined => {
    const accrual = unified({ successRateThreshold });
    return accrual?.kind === "unified" ? accrual.successRateThreshold : undefined;
  };
  assert.deepEqual([rate(0), rate(1), rate(0.5), rate(0.123_46)], [0, 1, 0.5, 0.1235]);
  for (const bad of [Number.NaN, -0.1, 1.1, Number.POSITIVE_INFINITY]) {
    assert.throws(() => rate(bad), /success rate threshold/, String(bad));
  }
});

test("[U10] a rate's window is 10 s unless told otherwise, and no shorter than it can be measured", () => {
  const whole = unified({ successRateThreshold: 0.8, maxConsecutiveFailures: 5, minRequests: 0 });
  assert.deepEqual(whole, {
    kind: "unified",
    maxConsecutiveFailures: 5,
    successRateThreshold: 0.8,
    windowMs: 10_000,
    minRequests: 0,
    backoff: PARSED_BACKOFF,
  });
  const short = { decay: { nanos: 1_000_000 } };
  assert.throws(() => unified({ successRateThreshold: 0.8, ...short }), /window is too short/);
  // Where no rate is looked at, its window does not matter.
  assert.ok(unified({ successRateThreshold: 0, ...short }));
  assert.ok(unified({ minRequests: 1_000_000 }));
  assert.throws(() => unified({ minRequests: 1_000_001 }), /min_requests/);
  assert.throws(() => unified({ backoff: undefined }), /missing backoff/);
});

test("[U10] what says how many endpoints stay ready is let be", () => {
  const kind: Kind = { case: "consecutiveFailures", value: { maxFailures: 1, backoff: BACKOFF } };
  assert.deepEqual(accrualOf(kind, { ejection: { minReadyEndpoints: 3 } }), accrualOf(kind));
});
