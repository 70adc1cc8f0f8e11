import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { SERVICES } from "@heddle/kube/types/core";
import { ApiStore } from "@heddle/testkit/api-store";
import { GrpcHost } from "@heddle/testkit/grpc-host";
import { grpcMetadata } from "@heddle/testkit/grpc-metadata";
import { PolicyMesh } from "../test-mesh.ts";
import {
  BACKEND_PORT,
  backendOf,
  makeParent,
  makeRoute,
  type ParentKind,
  type ParentRefs,
  type Plain,
  plain,
  type RouteKind,
  type RouteOptions,
  ruleOf,
  watchParent,
} from "./test-parents.ts";

let mesh: PolicyMesh;
before(async () => {
  mesh = await PolicyMesh.start({ ApiStore, GrpcHost, grpcMetadata });
});
after(() => mesh?.[Symbol.asyncDispose]());

const BOTH: readonly ParentKind[] = ["S", "E"];

/** The first rule of a route on a parent, as a client hears of it. */
async function rule(
  kind: ParentKind,
  route: RouteKind,
  options: (parent: ParentRefs) => RouteOptions,
  annotations: Record<string, string> = {},
): Promise<Plain> {
  const parent = await makeParent(mesh, kind, await mesh.namespace(), annotations);
  const { watch } = await watchParent(mesh, parent);
  await using _ = watch;
  await makeRoute(mesh, route, parent, options(parent));
  const found = ruleOf(plain(await watch.next()));
  await mesh.fence();
  assert.equal(watch.waiting, 0);
  return found;
}

const HEADERS = {
  set: [{ name: "set", value: "set-value" }],
  add: [{ name: "add", value: "add-value" }],
  remove: ["remove"],
};
const MODIFIER = { type: "RequestHeaderModifier", requestHeaderModifier: HEADERS };
const REDIRECT = {
  type: "RequestRedirect",
  requestRedirect: {
    scheme: "http",
    hostname: "host",
    path: { type: "ReplacePrefixMatch", replacePrefixMatch: "/path" },
    port: 5555,
    statusCode: 302,
  },
};
const MODIFIER_SENT = {
  kind: {
    requestHeaderModifier: {
      add: { headers: [{ name: "add", value: "add-value" }] },
      set: { headers: [{ name: "set", value: "set-value" }] },
      remove: ["remove"],
    },
  },
};
const REDIRECT_SENT = {
  kind: {
    redirect: {
      scheme: { type: { registered: 0 } },
      host: "host",
      path: { replace: { prefix: "/path" } },
      port: 5555,
      status: 302,
    },
  },
};
const FOO = [{ path: { type: "PathPrefix", value: "/foo" } }];

for (const [id, route] of [
  ["OH01", "H"],
  ["OH02", "L"],
] as const) {
  test(`[W05] [${id}] an HTTPRoute's filters are sent in their order (${route})`, async () => {
    for (const kind of BOTH) {
      const found = await rule(kind, route, () => ({
        rules: [{ matches: FOO, filters: [MODIFIER, REDIRECT] }],
      }));
      assert.deepEqual(found.filters, [MODIFIER_SENT, REDIRECT_SENT]);
      assert.deepEqual(found.matches, [
        { path: { kind: { prefix: "/foo" } }, headers: [], queryParams: [] },
      ]);
    }
  });
}

for (const [id, route] of [
  ["OH03", "H"],
  ["OH04", "L"],
] as const) {
  test(`[W05] [${id}] a backend's filters are sent with the backend (${route})`, async () => {
    for (const kind of BOTH) {
      const found = await rule(kind, route, ({ backend }) => ({
        rules: [
          {
            matches: FOO,
            backendRefs: [{ ...backend, port: BACKEND_PORT, filters: [MODIFIER, REDIRECT] }],
          },
        ],
      }));
      assert.deepEqual(found.filters, []);
      assert.deepEqual(backendOf(found).filters, [MODIFIER_SENT, REDIRECT_SENT]);
    }
  });
}

test("[W05] [OG01] a GRPCRoute's request headers are sent as changed", async () => {
  for (const kind of BOTH) {
    const found = await rule(kind, "G", () => ({
      rules: [
        {
          matches: [
            { method: { service: "s", method: "m" }, headers: [{ name: "a", value: "b" }] },
          ],
          filters: [MODIFIER],
        },
      ],
    }));
    assert.deepEqual(found.filters, [MODIFIER_SENT]);
    assert.deepEqual(found.matches, [
      { rpc: { service: "s", method: "m" }, headers: [{ name: "a", value: { exact: "b" } }] },
    ]);
  }
});

test("[W05] [OG02] a GRPCRoute's backend has filters of its own", async () => {
  for (const kind of BOTH) {
    const found = await rule(kind, "G", ({ backend }) => ({
      rules: [{ backendRefs: [{ ...backend, port: BACKEND_PORT, filters: [MODIFIER] }] }],
    }));
    assert.deepEqual(backendOf(found).filters, [MODIFIER_SENT]);
  }
});

const seconds = (value: number): object => ({ seconds: value, nanos: 0 });
const BACKOFF = {
  minBackoff: { seconds: 0, nanos: 25_000_000 },
  maxBackoff: { seconds: 0, nanos: 250_000_000 },
  jitterRatio: 1,
  respectRetryAfterHint: false,
};
const GRPC_NEVER = {
  cancelled: false,
  deadineExceeded: false,
  internal: false,
  resourceExhausted: false,
  unavailable: false,
};

/** Per protocol: the annotation's key, a value, and the conditions that it makes. */
const RETRIES = {
  H: ["http", "5xx", { statusRanges: [{ start: 500, end: 599 }] }],
  L: ["http", "5xx", { statusRanges: [{ start: 500, end: 599 }] }],
  G: ["grpc", "internal", { ...GRPC_NEVER, internal: true }],
} as const;

for (const [id, routes] of [
  ["OH05", ["H", "L"]],
  ["OG03", ["G"]],
] as const) {
  test(`[W05] [${id}] a route's annotations set its retries and timeouts (${routes})`, async () => {
    for (const kind of BOTH) {
      for (const route of routes) {
        const [key, value, conditions] = RETRIES[route];
        const annotations = {
          [`retry.linkerd.io/${key}`]: value,
          "retry.linkerd.io/timeout": "5s",
          "timeout.linkerd.io/response": "10s",
        };
        const found = await rule(kind, route, () => ({ annotations }));
        assert.deepEqual(found.retry, {
          maxRetries: 1,
          maxRequestBytes: 65_536,
          conditions,
          timeout: seconds(5),
          backoff: BACKOFF,
        });
        assert.deepEqual(found.timeouts, { response: seconds(10) });
      }
    }
  });
}

for (const [id, routes] of [
  ["OH11", ["H", "L"]],
  ["OG04", ["G"]],
] as const) {
  test(`[W05] [${id}] a parent's retries are inherited, its timeouts replaced as a whole (${routes})`, async () => {
    for (const kind of BOTH) {
      for (const route of routes) {
        const [key, value, conditions] = RETRIES[route];
        const onParent = {
          [`retry.linkerd.io/${key}`]: value,
          "timeout.linkerd.io/response": "10s",
        };
        const annotations = { "timeout.linkerd.io/request": "5s" };
        const found = await rule(kind, route, () => ({ annotations }), onParent);
        assert.deepEqual(found.retry.conditions, conditions);
        assert.deepEqual(found.timeouts, { request: seconds(5) });
        assert.deepEqual(found.requestTimeout, seconds(5));
      }
    }
  });
}

for (const [id, route] of [
  ["OH09", "L"],
  ["OH10", "H"],
] as const) {
  test(`[W05] [${id}] a rule's own request timeout holds (${route})`, async () => {
    for (const kind of BOTH) {
      const rules = [{ matches: FOO, timeouts: { request: "5s" } }];
      const found = await rule(kind, route, () => ({ rules }));
      assert.deepEqual(found.timeouts, { request: seconds(5) });
    }
  });
}

const PENALIZE = { "balancer.alpha.linkerd.io/penalize-failures": "true" };
const PENALTY = {
  penaltyPeakEwma: {
    defaultRtt: { seconds: 0, nanos: 30_000_000 },
    decay: seconds(10),
    penalty: seconds(5),
    maxRetryAfter: seconds(300),
    penaltyDecay: seconds(10),
  },
};

function loadOf(found: Plain): Plain {
  return backendOf(found).backend.kind.balancer.load;
}

for (const [ids, route] of [
  ["[OH06] [OH07]", "H"],
  ["[OG05] [OG06]", "G"],
] as const) {
  test(`[W05] ${ids} a parent that penalizes failures does so with all its route's backends`, async () => {
    const own = await rule("S", route, () => ({}), PENALIZE);
    assert.deepEqual(loadOf(own), PENALTY);
    const backendRefs = [{ group: "core", kind: "Service", name: "backend", port: BACKEND_PORT }];
    const other = await rule("S", route, () => ({ rules: [{ backendRefs }] }), PENALIZE);
    assert.deepEqual(loadOf(other), PENALTY);
  });
}

for (const [id, route] of [
  ["OH08", "H"],
  ["OG07", "G"],
] as const) {
  test(`[W05] [${id}] a backend that penalizes failures does so only as a parent (${route})`, async () => {
    const ns = await mesh.namespace();
    const parent = await makeParent(mesh, "S", ns);
    const spec = { ports: [{ port: BACKEND_PORT }] };
    await mesh.create(SERVICES, ns, "biased", { spec }, { annotations: PENALIZE });
    const { watch } = await watchParent(mesh, parent);
    await using _ = watch;
    const backendRefs = [{ group: "core", kind: "Service", name: "biased", port: BACKEND_PORT }];
    await makeRoute(mesh, route, parent, { rules: [{ backendRefs }] });
    const found = ruleOf(plain(await watch.next()));
    assert.deepEqual(Object.keys(loadOf(found)), ["peakEwma"]);
  });
}
