import assert from "node:assert/strict";
import { test } from "node:test";
import { Log } from "@heddle/base/log";
import { newProfileValidator } from "./profile-validator.ts";
import { newPolicyValidator } from "./validator.ts";

const validateProfile = newProfileValidator();
const GATEWAY = "gateway.networking.k8s.io";
const POLICY = "policy.linkerd.io";
const KINDS: readonly (readonly [string, string])[] = [
  [POLICY, "Server"],
  [POLICY, "ServerAuthorization"],
  [POLICY, "AuthorizationPolicy"],
  [POLICY, "MeshTLSAuthentication"],
  [POLICY, "NetworkAuthentication"],
  [POLICY, "EgressNetwork"],
  [POLICY, "HTTPLocalRateLimitPolicy"],
  [POLICY, "HTTPRoute"],
  [GATEWAY, "HTTPRoute"],
  [GATEWAY, "GRPCRoute"],
  [GATEWAY, "TLSRoute"],
  [GATEWAY, "TCPRoute"],
];

/** Why it is denied; undefined if it is allowed. */
async function judged(
  group: string,
  kind: string,
  object: unknown,
  lines: string[] = [],
): Promise<string | undefined> {
  const log = Log.root({ filter: "info", uptimeMs: () => 0, write: (line) => lines.push(line) });
  const request = { uid: "1", kind: { group, version: "v1", kind }, namespace: "ns", object };
  const answer = await newPolicyValidator(log)({ request });
  assert.equal(answer.uid, "1");
  assert.equal(answer.allowed, answer.status === undefined);
  return answer.status?.message;
}

test("a kind that is nobody's is denied, with its name", async () => {
  for (const [group, kind] of [
    ["", "Pod"],
    [POLICY, "TCPRoute"],
    [POLICY, "constructor"],
    ["apps", "Server"],
  ] as const) {
    assert.ok((await judged(group, kind, {}))?.startsWith(`${group}/v1 ${kind} is no kind`));
  }
});

test("group and kind are compared without case, and the version does not count", async () => {
  const spec = { networks: [] };
  assert.match((await judged("Policy.Linkerd.IO", "networkauthentication", { spec }))!, /empty/);
});

test("a spec that cannot be read is denied, one of the Gateway API's is admitted with a log", async () => {
  const spec = { parentRefs: "x", rules: 5, networks: {}, identities: 1, port: [], targetRef: "" };
  for (const [group, kind] of KINDS) {
    const lines: string[] = [];
    const problem = await judged(group, kind, { spec }, lines);
    if (group === POLICY) assert.match(problem!, /^spec\.\w+: is /, kind);
    else {
      assert.equal(problem, undefined, kind);
      assert.match(lines.join(), /cannot be read is admitted/);
    }
  }
});

test("whatever a review holds, it is answered", async () => {
  const odd = [undefined, null, 1, "x", [], {}, { a: [null] }, JSON.parse('{"__proto__": []}')];
  const keys = ["targetRef", "networks", "client", "rules", "parentRefs", "identities", "routes"];
  for (const [group, kind] of KINDS) {
    for (const value of odd) {
      for (const key of keys)
        await judged(group, kind, { metadata: value, spec: { [key]: value } });
      await judged(group, kind, { metadata: { annotations: value }, spec: value });
      await judged(group, kind, value);
    }
  }
  for (const object of odd) {
    for (const one of [
      object,
      { metadata: object },
      { spec: object },
      { metadata: { name: object } },
    ]) {
      const answer = await validateProfile({
        request: { uid: "1", kind: { kind: "x" }, object: one },
      });
      assert.equal(answer.status?.code, answer.allowed ? undefined : 400);
    }
  }
});

test("a selector is what a selector is, whatever the schema lets through", async () => {
  const server = (podSelector: object) =>
    judged(POLICY, "Server", { spec: { port: 80, podSelector } });
  const expression = (more: object) => ({
    matchExpressions: [{ key: "k", operator: "In", ...more }],
  });
  assert.equal(await server({}), undefined);
  assert.equal(
    await server({ matchLabels: { a: "b" }, ...expression({ values: ["c"] }) }),
    undefined,
  );
  assert.match(
    (await server({ matchLabels: { app: 1 } }))!,
    /^spec\.podSelector\.matchLabels\[app\]: /,
  );
  const path =
    /^spec\.podSelector\.matchExpressions\[0\]\.operator: "Is" is unknown: use one of In, /;
  assert.match((await server(expression({ operator: "Is" })))!, path);
  assert.match((await server(expression({ values: "c" })))!, /values: is no list/);
});

test("a header's name and value are such as a request may have", async () => {
  const spec = (header: object) => ({ rules: [{ matches: [{ headers: [header] }] }] });
  for (const group of [POLICY, GATEWAY]) {
    const about = (header: object) => judged(group, "HTTPRoute", { spec: spec(header) });
    assert.equal(await about({ name: "X-a", value: "b c" }), undefined);
    for (const header of [
      { name: "a b", value: "x" },
      { name: "", value: "x" },
      { name: "x", value: "\u00fc" },
      { name: "x", value: "a\nb" },
    ]) {
      assert.match((await about(header))!, /^spec\.rules\[0\]\.matches\[0\]: /);
    }
  }
});

test("patterns are held to what they cost altogether, and soon", async () => {
  const header = (at: number) => ({
    type: "RegularExpression",
    name: `x${at}`,
    value: "(\\pL|\\pN){1000}",
  });
  const headers = Array.from({ length: 16 }, (_, at) => header(at));
  const rules = (count: number, of: object[]) =>
    Array.from({ length: count }, () => ({
      matches: Array.from({ length: 8 }, () => ({ headers: of })),
    }));
  const startMs = performance.now();
  for (const group of [POLICY, GATEWAY]) {
    const problem = await judged(group, "HTTPRoute", { spec: { rules: rules(16, headers) } });
    assert.match(
      problem!,
      /^spec\.rules\[0\]\.matches\[0\]: the regular expressions are too large/,
    );
    const some = rules(16, [{ type: "RegularExpression", name: "x", value: "/users/[0-9]+/.*" }]);
    assert.equal(await judged(group, "HTTPRoute", { spec: { rules: some } }), undefined);
  }
  // Without a budget it takes half a minute.
  assert.ok(performance.now() - startMs < 5_000);
});

test("a filter that does not say what it does is denied", async () => {
  const spec = { rules: [{ filters: [{ type: "RequestRedirect" }] }] };
  const problem = await judged(POLICY, "HTTPRoute", { spec });
  assert.match(problem!, /^spec\.rules\[0\]\.filters\[0\]\.requestRedirect: is missing/);
});

test("what is deleted is not judged", async () => {
  const request = { uid: "1", operation: "DELETE", object: null };
  const kind = { group: POLICY, version: "v1", kind: "Server" };
  const server = await newPolicyValidator(Log.silent())({ request: { ...request, kind } });
  assert.ok(server.allowed);
  const profile = { group: "linkerd.io", version: "v1alpha2", kind: "ServiceProfile" };
  assert.ok((await validateProfile({ request: { ...request, kind: profile } })).allowed);
});

test("a gRPC route's retries and methods are its own, and a pattern must compile", async () => {
  const parentRefs = [{ kind: "Service", name: "s", port: 80 }];
  const about = (rule: object, annotations = {}) =>
    judged(GATEWAY, "GRPCRoute", {
      metadata: { annotations },
      spec: { parentRefs, rules: [rule] },
    });
  assert.equal(await about({}, { "retry.linkerd.io/grpc": "unavailable" }), undefined);
  assert.match((await about({}, { "retry.linkerd.io/grpc": "5xx" }))!, /retry\.linkerd\.io/);
  assert.match((await about({}, { "timeout.linkerd.io/request": "1m30s" }))!, /timeout\.linkerd/);
  const method = { type: "RegularExpression", service: ".*" };
  assert.match((await about({ matches: [{ method }] }))!, /^spec\.rules\[0\]\.matches\[0\]: /);
  const headers = [{ type: "RegularExpression", name: "x", value: "(" }];
  assert.match((await about({ matches: [{ headers }] }))!, /^spec\.rules\[0\]\.matches\[0\]: /);
});

test("a denial is short, however long what it is about", async () => {
  const long = "x".repeat(1_000_000);
  const parentRefs = [{ kind: "Service", name: "s" }];
  const annotations = { "retry.linkerd.io/http": long };
  const object = { metadata: { annotations }, spec: { parentRefs } };
  const problem = await judged(POLICY, "HTTPRoute", object);
  assert.match(problem!, /retry\.linkerd\.io/);
  assert.ok(problem!.length < 2_000);
  const profile = { metadata: { name: "a.b" }, spec: { [long]: 1 } };
  const answer = await validateProfile({
    request: { uid: "1", kind: { kind: "x" }, object: profile },
  });
  assert.ok(answer.status!.message.length < 2_000);
});
