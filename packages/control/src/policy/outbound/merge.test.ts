import assert from "node:assert/strict";
import { test } from "node:test";
import { type HttpMatch, HttpRoutes } from "@heddle/model/route/http-routes";
import { parseProfileRules } from "../../destination/profile-rules.ts";
import type { Retry, StatusRange, Timeouts } from "../annotations.ts";
import { mergeRoutes } from "./merge.ts";
import type { OutboundHttpRoute } from "./policy.ts";

interface RuleFields {
  readonly timeouts?: Timeouts;
  readonly retry?: Retry<StatusRange>;
}

function route(name: string, matches: readonly HttpMatch[], fields: RuleFields = {}) {
  const rule = {
    matches,
    filters: [],
    forbidden: false,
    distribution: { kind: "empty" },
    timeouts: undefined,
    retry: undefined,
    allowL5dRequestHeaders: false,
    ...fields,
  } as const;
  const meta = { kind: "default", name } as const;
  return { meta, hosts: [], rules: [rule] } satisfies OutboundHttpRoute;
}

const ALL: HttpMatch = { path: { kind: "prefix", prefix: "/" } };
const under = (prefix: string): HttpMatch => ({ path: { kind: "prefix", prefix } });

function merge(routes: readonly OutboundHttpRoute[], profile: readonly object[]) {
  const told: string[] = [];
  const rules = parseProfileRules({ routes: profile as never });
  const onVoid = (name: string, problem: string) => told.push(`${name}: ${problem}`);
  return { merged: mergeRoutes(routes, rules.routes, { namespace: "ns", onVoid }), told };
}

/** Name of the route that a proxy takes, and its first rule. */
function taken(routes: readonly OutboundHttpRoute[], method: string, path: string) {
  const asked = new HttpRoutes(
    routes.map((one) => ({
      hosts: one.hosts,
      rules: one.rules.map((rule) => ({ matches: rule.matches, value: { one, rule } })),
    })),
  );
  const none = () => undefined;
  const headers = { size: 0, nameAt: String, valueAt: String, get: none };
  const found = asked.find({ method, path, authority: "web", headers })?.value;
  const { meta } = found?.one ?? {};
  return { name: meta?.name, rule: found?.rule };
}

test("a profile's route has its timeout and its retries for the requests that it means", () => {
  const profile = [
    {
      name: "book",
      condition: { method: "GET", pathRegex: "/books/[0-9]+" },
      timeout: "300ms",
      isRetryable: true,
      responseClasses: [{ condition: { status: { min: 503, max: 504 } }, isFailure: true }],
    },
  ];
  const { merged, told } = merge([route("http", [ALL])], profile);
  assert.deepEqual(told, []);
  const { name, rule } = taken(merged, "GET", "/books/1");
  assert.equal(name, "book");
  assert.equal(rule?.timeouts?.requestMs, 300);
  assert.deepEqual(rule?.retry, {
    limit: 3,
    timeoutMs: undefined,
    conditions: [{ start: 503, end: 504 }],
  });
  assert.equal(taken(merged, "PUT", "/books/1").name, "http");
  assert.equal(taken(merged, "GET", "/authors/1").name, "http");
});

test("what the profile leaves out is the route's, field by field", () => {
  const timeouts = { requestMs: 1_000, responseMs: 500, idleMs: undefined };
  const retry = { limit: 7, timeoutMs: 50, conditions: [{ start: 500, end: 500 }] };
  const routes = [route("http", [ALL], { timeouts, retry })];
  const profile = [
    { name: "a", condition: { pathRegex: "/a" }, timeout: "2s" },
    { name: "b", condition: { pathRegex: "/b" }, isRetryable: true },
  ];
  const { merged } = merge(routes, profile);
  assert.deepEqual(taken(merged, "GET", "/a").rule?.timeouts, { ...timeouts, requestMs: 2_000 });
  assert.deepEqual(taken(merged, "GET", "/a").rule?.retry, retry);
  assert.deepEqual(taken(merged, "GET", "/b").rule?.timeouts, timeouts);
  assert.deepEqual(taken(merged, "GET", "/b").rule?.retry, retry);
});

test("routes decide where requests go, whatever the profile says of them", () => {
  const routes = [route("all", [ALL]), route("books", [under("/books")])];
  const backends = { kind: "first", backends: [] } as const;
  const chosen = { ...routes[1]!, rules: [{ ...routes[1]!.rules[0]!, distribution: backends }] };
  const profile = [
    { name: "any", condition: { method: "GET" }, timeout: "1s" },
    { name: "book", condition: { pathRegex: "/books/[0-9]+" }, timeout: "2s" },
  ];
  const { merged, told } = merge([routes[0]!, chosen], profile);
  assert.deepEqual(told, []);
  for (const path of ["/books/1", "/books/x", "/books"]) {
    assert.equal(taken(merged, "GET", path).rule?.distribution, backends, path);
  }
  assert.notEqual(taken(merged, "GET", "/authors").rule?.distribution, backends);
  assert.equal(taken(merged, "GET", "/books/1").rule?.timeouts?.requestMs, 2_000);
  assert.equal(taken(merged, "GET", "/books/x").rule?.timeouts?.requestMs, 1_000);
});

test("a profile's route that would send requests elsewhere is void, and told", () => {
  const headers = [{ name: "x", exact: "1" }];
  for (const [routes, condition, problem] of [
    [[route("books", [under("/books")])], { pathRegex: "/b.*" }, /may mean paths within \/books/],
    [
      [route("x", [{ ...ALL, headers }]), route("books", [under("/books")])],
      { pathRegex: "/books/[0-9]+" },
      /longer paths and rules with more headers/,
    ],
    [[route("all", [ALL])], { not: { method: "GET" } }, /cannot say `not`/],
  ] as const) {
    const { merged, told } = merge(routes, [{ name: "r", condition }]);
    assert.deepEqual(merged, routes);
    assert.match(told.join(), problem);
  }
});

test("a profile makes no route for requests that no route means", () => {
  const { merged, told } = merge(
    [route("books", [under("/books")])],
    [{ name: "author", condition: { pathRegex: "/authors/[0-9]+" } }],
  );
  assert.deepEqual([merged.length, told], [1, []]);
});

test("ten thousand routes times large patterns are refused rather than worked out", () => {
  const routes = Array.from({ length: 10_000 }, (_, at) =>
    route(`r${at}`, [{ path: { kind: "exact", path: `/${at}` } }]),
  );
  const condition = { pathRegex: "/[0-9]{1,200}" };
  const { merged, told } = merge(routes, [{ name: "r", condition }]);
  assert.equal(merged.length, 10_000);
  assert.match(told.join(), /too many matches for it: 10000/);
});
