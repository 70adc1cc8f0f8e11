import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { SERVICES } from "@heddle/kube/types/core";
import { ApiStore } from "@heddle/testkit/api-store";
import { GrpcHost } from "@heddle/testkit/grpc-host";
import { grpcMetadata } from "@heddle/testkit/grpc-metadata";
import { PolicyMesh } from "../test-mesh.ts";
import {
  backendOf,
  makeParent,
  type ParentKind,
  type Plain,
  PORT,
  plain,
  routesIn,
  ruleOf,
  watchParent,
} from "./test-parents.ts";

let mesh: PolicyMesh;
before(async () => {
  mesh = await PolicyMesh.start({ ApiStore, GrpcHost, grpcMetadata });
});
after(() => mesh?.[Symbol.asyncDispose]());

const BOTH: readonly ParentKind[] = ["S", "E"];
type Annotations = Record<string, string>;

async function policyOf(kind: ParentKind, annotations: Annotations): Promise<Plain> {
  const parent = await makeParent(mesh, kind, await mesh.namespace(), annotations);
  const { watch, first } = await watchParent(mesh, parent);
  await watch[Symbol.asyncDispose]();
  return first;
}

/** The breaker, which must be the same for HTTP/1 and HTTP/2. */
function accrualOf(policy: Plain): Plain {
  const { http1, http2 } = policy.protocol.kind.detect;
  assert.deepEqual(http1.failureAccrual, http2.failureAccrual);
  return http1.failureAccrual?.kind;
}

function mode(name: string, more: Annotations = {}): Annotations {
  return { "balancer.linkerd.io/failure-accrual": name, ...more };
}

const parameter = (name: string, value: string): Annotations => ({
  [`balancer.linkerd.io/failure-accrual-consecutive-${name}`]: value,
});
const alpha = (name: string, value: string): Annotations => ({
  [`balancer.alpha.linkerd.io/${name}`]: value,
});
const seconds = (value: number): object => ({ seconds: value, nanos: 0 });
const backoff = (
  minBackoff = 1,
  maxBackoff = 60,
  jitterRatio = 0.5,
  respectRetryAfterHint = false,
): object => ({
  minBackoff: seconds(minBackoff),
  maxBackoff: seconds(maxBackoff),
  jitterRatio,
  respectRetryAfterHint,
});
const consecutive = (maxFailures: number, made: object): object => ({
  consecutiveFailures: { maxFailures, backoff: made },
});

test("[W04] [OF01] the consecutive breaker takes all four parameters", async () => {
  for (const kind of BOTH) {
    const policy = await policyOf(
      kind,
      mode("consecutive", {
        ...parameter("max-failures", "8"),
        ...parameter("min-penalty", "10s"),
        ...parameter("max-penalty", "10m"),
        ...parameter("jitter-ratio", "1.0"),
      }),
    );
    assert.deepEqual(accrualOf(policy), consecutive(8, backoff(10, 600, 1)));
  }
});

test("[W04] [OF02] [OF03] [OF04] what is left out of the consecutive breaker has defaults", async () => {
  for (const kind of BOTH) {
    const none = await policyOf(kind, mode("consecutive"));
    assert.deepEqual(accrualOf(none), consecutive(7, backoff()));
    const max = await policyOf(kind, mode("consecutive", parameter("max-failures", "8")));
    assert.deepEqual(accrualOf(max), consecutive(8, backoff()));
    const jitter = await policyOf(kind, mode("consecutive", parameter("jitter-ratio", "1.0")));
    assert.deepEqual(accrualOf(jitter), consecutive(7, backoff(1, 60, 1)));
  }
});

test("[W04] [OF05] parameters without a mode make no breaker", async () => {
  for (const kind of BOTH) {
    assert.equal(accrualOf(await policyOf(kind, parameter("max-failures", "8"))), undefined);
  }
});

const unified = (more: object = {}, made: object = backoff()): object => ({
  unified: {
    successRateThreshold: 0.8,
    decay: seconds(10),
    minRequests: 5,
    maxConsecutiveFailures: 7,
    backoff: made,
    ...more,
  },
});

test("[W04] [OF06] [OF07] the unified breaker takes its parameters, and has defaults", async () => {
  for (const kind of BOTH) {
    assert.deepEqual(accrualOf(await policyOf(kind, mode("unified"))), unified());
    const policy = await policyOf(
      kind,
      mode("unified", {
        ...alpha("failure-accrual-success-rate-threshold", "0.5"),
        ...alpha("failure-accrual-success-rate-window", "30s"),
        ...alpha("failure-accrual-success-rate-min-requests", "20"),
        ...parameter("max-failures", "4"),
        ...parameter("min-penalty", "2s"),
        ...parameter("max-penalty", "20s"),
      }),
    );
    const expected = {
      successRateThreshold: 0.5,
      decay: seconds(30),
      minRequests: 20,
      maxConsecutiveFailures: 4,
    };
    assert.deepEqual(accrualOf(policy), unified(expected, backoff(2, 20)));
  }
});

const HONOR = alpha("failure-accrual-honor-retry-after", "true");

test("[W04] [OF08] the unified breaker may honor Retry-After", async () => {
  for (const kind of BOTH) {
    const policy = await policyOf(kind, mode("unified", HONOR));
    assert.deepEqual(accrualOf(policy), unified({}, backoff(1, 60, 0.5, true)));
  }
});

test("[W04] [OF09] the consecutive breaker knows no success rates", async () => {
  for (const kind of BOTH) {
    const rates = alpha("failure-accrual-success-rate-threshold", "0.5");
    const policy = await policyOf(kind, mode("consecutive", rates));
    assert.deepEqual(accrualOf(policy), consecutive(7, backoff()));
  }
});

const PENALIZE = alpha("penalize-failures", "true");
const PLAIN_LOAD = {
  peakEwma: { defaultRtt: { seconds: 0, nanos: 30_000_000 }, decay: seconds(10) },
};
const PENALTY_LOAD = {
  penaltyPeakEwma: {
    ...PLAIN_LOAD.peakEwma,
    penalty: seconds(5),
    maxRetryAfter: seconds(300),
    penaltyDecay: seconds(10),
  },
};

function loadOf(policy: Plain): Plain {
  return backendOf(ruleOf(policy)).backend.kind.balancer.load;
}

test("[W04] [OF10] [OF16] failures are penalized with a Service; an EgressNetwork has nothing to balance", async () => {
  assert.deepEqual(loadOf(await policyOf("S", PENALIZE)), PENALTY_LOAD);
  const plainly = await policyOf("E", {});
  const toggled = await policyOf("E", { ...PENALIZE, ...HONOR });
  const kind = backendOf(ruleOf(toggled)).backend.kind;
  assert.deepEqual(Object.keys(kind), ["forward"]);
  assert.deepEqual(kind, backendOf(ruleOf(plainly)).backend.kind);
  assert.equal(accrualOf(toggled), undefined);
});

test("[W04] [OF11] bytes are balanced without penalties", async () => {
  const opaque = { "config.linkerd.io/opaque-ports": String(PORT) };
  const policy = await policyOf("S", { ...PENALIZE, ...opaque });
  assert.deepEqual(Object.keys(policy.protocol.kind), ["opaque"]);
  assert.deepEqual(loadOf(policy), PLAIN_LOAD);
});

test("[W04] [OF12] honoring Retry-After changes no estimator, and nothing of the consecutive breaker", async () => {
  assert.deepEqual(loadOf(await policyOf("S", mode("unified", HONOR))), PLAIN_LOAD);
  const policy = await policyOf("S", mode("consecutive", HONOR));
  assert.deepEqual(accrualOf(policy), consecutive(7, backoff()));
});

test("[W04] [OF13] penalties and Retry-After go together", async () => {
  const policy = await policyOf("S", mode("unified", { ...PENALIZE, ...HONOR }));
  assert.deepEqual(loadOf(policy), PENALTY_LOAD);
  assert.deepEqual(accrualOf(policy), unified({}, backoff(1, 60, 0.5, true)));
});

test("[W04] [OF14] [OF15] without penalties, or with a value that is none, the estimator is plain", async () => {
  const invalid = await policyOf("S", alpha("penalize-failures", "bogus"));
  assert.deepEqual(loadOf(invalid), PLAIN_LOAD);
  const unannotated = await policyOf("S", {});
  assert.deepEqual(loadOf(unannotated), PLAIN_LOAD);
  assert.equal(accrualOf(unannotated), undefined);
});

test("[W04] [OF17] with the consecutive breaker alone the message is what it always was", async () => {
  const ns = await mesh.namespace();
  const parent = await makeParent(mesh, "S", ns, mode("consecutive"));
  const { watch, first } = await watchParent(mesh, parent);
  await using _ = watch;
  const meta = {
    kind: {
      resource: {
        group: "core",
        kind: "Service",
        name: "my-svc",
        namespace: ns,
        section: "",
        port: PORT,
      },
    },
  };
  const backend = {
    backend: {
      metadata: meta,
      queue: { capacity: 100, failfastTimeout: seconds(3) },
      kind: {
        balancer: {
          discovery: {
            kind: { dst: { path: `my-svc.${ns}.svc.cluster.local:${PORT}` } },
          },
          load: PLAIN_LOAD,
        },
      },
    },
    filters: [],
  };
  const distribution = { kind: { firstAvailable: { backends: [backend] } } };
  const http = {
    failureAccrual: { kind: consecutive(7, backoff()) },
    routes: [
      {
        metadata: { kind: { default: "http" } },
        hosts: [],
        rules: [
          {
            matches: [{ path: { kind: { prefix: "/" } }, headers: [], queryParams: [] }],
            filters: [],
            backends: distribution,
            allowL5dRequestHeaders: false,
          },
        ],
      },
    ],
  };
  const opaque = {
    routes: [
      {
        metadata: { kind: { default: "opaq" } },
        rules: [{ filters: [], backends: distribution }],
      },
    ],
  };
  assert.deepEqual(first, {
    metadata: meta,
    protocol: { kind: { detect: { timeout: seconds(10), opaque, http1: http, http2: http } } },
  });
});

test("[W04] [OF18] a Service that starts to penalize failures is told at once", async () => {
  const ns = await mesh.namespace();
  const parent = await makeParent(mesh, "S", ns);
  const { watch, first } = await watchParent(mesh, parent);
  await using _ = watch;
  assert.deepEqual(loadOf(first), PLAIN_LOAD);
  await mesh.patch(SERVICES, ns, "my-svc", { metadata: { annotations: PENALIZE } });
  const second = plain(await watch.next());
  assert.deepEqual(loadOf(second), PENALTY_LOAD);
  assert.equal(routesIn(second).length, 1);
  await mesh.fence();
  assert.equal(watch.waiting, 0);
});
