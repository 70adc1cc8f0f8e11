import assert from "node:assert/strict";
import { test } from "node:test";
import { type HostMatch, parseHostMatch } from "@heddle/model/route/host";
import { type HttpMatch, HttpRoutes } from "@heddle/model/route/http-routes";
import type { RouteRequest } from "@heddle/model/route/request";
import { TestFields } from "@heddle/model/route/test-fields";

function request(path: string, options: Partial<RouteRequest> = {}): RouteRequest {
  return { method: "GET", authority: "example.com", path, headers: new TestFields(), ...options };
}

function withHeaders(...fields: (readonly [string, string])[]): RouteRequest {
  const headers = new TestFields();
  for (const [name, value] of fields) headers.append(name, value);
  return request("/", { headers });
}

function matches(match: HttpMatch, asked: RouteRequest): boolean {
  const rules = [{ matches: [match], value: true }];
  return new HttpRoutes([{ hosts: [], rules }]).find(asked) !== undefined;
}

/** One route of one rule per match; which of them is found? */
function winner(asked: RouteRequest, ...candidates: (HttpMatch & { host?: string })[]): number {
  const routes = candidates.map(({ host, ...match }, value) => {
    const hosts: HostMatch[] = host === undefined ? [] : [parseHostMatch(host)];
    return { hosts, rules: [{ matches: [match], value }] };
  });
  return new HttpRoutes(routes).find(asked)?.value ?? -1;
}

test("[Q10] an empty match takes any request", () => {
  assert.ok(matches({}, request("/")));
  assert.ok(matches({}, request("/foo?bar", { method: "DELETE" })));
});

test("[Q11] [Q12] a match by method, and by exact path", () => {
  assert.ok(matches({ method: "POST" }, request("/", { method: "POST" })));
  assert.ok(!matches({ method: "POST" }, request("/")));
  const exact: HttpMatch = { path: { kind: "exact", path: "/foo/bar" } };
  assert.ok(matches(exact, request("/foo/bar")));
  assert.ok(matches(exact, request("/foo/bar?q=1")));
  assert.ok(!matches(exact, request("/foo")));
  assert.ok(!matches(exact, request("/foo/bar/")));
  assert.ok(!matches(exact, request("/foo/baR")));
});

test("[Q13] a prefix matches at segment boundaries, its trailing slash does not count", () => {
  for (const prefix of ["/foo", "/foo/"]) {
    const match: HttpMatch = { path: { kind: "prefix", prefix } };
    for (const path of ["/foo", "/foo/", "/foo/bar", "/foo?x=/foobar"]) {
      assert.ok(matches(match, request(path)), `${prefix} ${path}`);
    }
    for (const path of ["/foobar", "/fo", "/bar/foo", "/"]) {
      assert.ok(!matches(match, request(path)), `${prefix} ${path}`);
    }
    // Its length is 4: the equally long exact match that comes first wins, an earlier "/" does not.
    const root: HttpMatch = { path: { kind: "prefix", prefix: "/" } };
    assert.equal(winner(request("/foo"), root, match), 1);
    assert.equal(winner(request("/foo"), { path: { kind: "exact", path: "/foo" } }, match), 0);
    assert.equal(winner(request("/foo"), match, { path: { kind: "exact", path: "/foo" } }), 0);
  }
  assert.ok(matches({ path: { kind: "prefix", prefix: "/" } }, request("/anything/at/all")));
  assert.equal(winner(request("/x"), { path: { kind: "prefix", prefix: "/" } }, {}), 0);
});

test("[Q14] a path's pattern must cover the whole path, and counts as long as the path", () => {
  const match: HttpMatch = { path: { kind: "regex", pattern: "/foo/\\d+" } };
  assert.ok(matches(match, request("/foo/4")));
  assert.ok(matches(match, request("/foo/4?bar")));
  assert.ok(!matches(match, request("/foo/4/bar")));
  assert.ok(!matches(match, request("/bar/foo/4")));
  const prefix: HttpMatch = { path: { kind: "prefix", prefix: "/foo" } };
  assert.equal(winner(request("/foo/4"), prefix, match), 1);
  assert.equal(winner(request("/foo/4"), { path: { kind: "exact", path: "/foo/4" } }, match), 0);
});

test("[Q15] a header matches if any of its values does, a pattern only a whole value", () => {
  const exact: HttpMatch = { headers: [{ name: "Foo", exact: "bar" }] };
  assert.ok(matches(exact, withHeaders(["foo", "bar"])));
  assert.ok(matches(exact, withHeaders(["foo", "bah"], ["foo", "bar"])));
  assert.ok(!matches(exact, withHeaders(["foo", "bar, bah"])));
  assert.ok(!matches(exact, withHeaders(["fo", "bar"])));
  const regex: HttpMatch = { headers: [{ name: "foo", regex: "ba.+" }] };
  assert.ok(matches(regex, withHeaders(["foo", "bah"])));
  assert.ok(matches(regex, withHeaders(["foo", "x"], ["foo", "bar"])));
  assert.ok(!matches(regex, withHeaders(["foo", "xbar"])));
  assert.ok(!matches(regex, withHeaders(["foo", "ba\u00e9"])));
});

test("[Q16] a query parameter is decoded, may be repeated, and without value is empty", () => {
  const exact: HttpMatch = { queryParams: [{ name: "foo", exact: "b r" }] };
  for (const query of ["foo=b%20r", "foo=b+r", "x=1&foo=b+r", "foo=z&foo=b+r", "f%6Fo=b+r"]) {
    assert.ok(matches(exact, request(`/?${query}`)), query);
  }
  for (const query of ["foo=b%2Br", "foo=b+r+", "fo=b+r", "foo"]) {
    assert.ok(!matches(exact, request(`/?${query}`)), query);
  }
  const empty: HttpMatch = { queryParams: [{ name: "foo", exact: "" }] };
  for (const query of ["foo", "foo=", "a&foo&b"]) assert.ok(matches(empty, request(`/?${query}`)));
  assert.ok(!matches(empty, request("/foo")));
  const regex: HttpMatch = { queryParams: [{ name: "foo", regex: "ba." }] };
  assert.ok(matches(regex, request("/?foo=x&foo=bar")));
  assert.ok(matches(regex, request("/?foo=b%61r")));
  assert.ok(!matches(regex, request("/?foo=barr")));
});

test("a parameter's value that only decodes to itself is no trap", () => {
  // "a+b" in a match is those three characters; in a query they are written a%2Bb.
  const match: HttpMatch = { queryParams: [{ name: "q", exact: "a+b" }] };
  assert.ok(matches(match, request("/?q=a%2Bb")));
  assert.ok(!matches(match, request("/?q=a+b")));
  assert.ok(matches({ queryParams: [{ name: "q", exact: "é%" }] }, request("/?q=%C3%A9%")));
});

test("[Q17] all parts of a match must hold", () => {
  const match: HttpMatch = {
    path: { kind: "exact", path: "/" },
    method: "GET",
    headers: [{ name: "a", exact: "1" }],
    queryParams: [{ name: "b", exact: "2" }],
  };
  const headers = TestFields.of({ a: "1" });
  assert.ok(matches(match, request("/?b=2", { headers })));
  assert.ok(!matches(match, request("/?b=3", { headers })));
  assert.ok(!matches(match, request("/?b=2")));
  assert.ok(!matches(match, request("/?b=2", { headers, method: "PUT" })));
  assert.ok(!matches(match, request("/x?b=2", { headers })));
});

test("[Q18] the host decides first, then path, headers, parameters and method; then the order", () => {
  const asked = request("/foo/bar?q=1", { headers: TestFields.of({ a: "1", b: "2" }) });
  const a = { name: "a", exact: "1" };
  const b = { name: "b", exact: "2" };
  const q = { name: "q", exact: "1" };
  const foo: HttpMatch = { path: { kind: "prefix", prefix: "/foo" } };
  const exact: HttpMatch = { path: { kind: "exact", path: "/foo/bar" } };
  assert.equal(winner(asked, { ...exact, headers: [a, b] }, { host: "*.com" }), 1);
  assert.equal(winner(asked, { host: "*.com", ...exact }, { host: "example.com" }), 1);
  assert.equal(winner(asked, { ...foo, headers: [a, b] }, exact), 1);
  assert.equal(
    winner(asked, { ...foo, queryParams: [q], method: "GET" }, { ...foo, headers: [a] }),
    1,
  );
  assert.equal(winner(asked, { ...foo, headers: [a] }, { ...foo, headers: [a, b] }), 1);
  assert.equal(winner(asked, { ...foo, method: "GET" }, { ...foo, queryParams: [q] }), 1);
  assert.equal(winner(asked, foo, { ...foo, method: "GET" }), 1);
  assert.equal(winner(asked, foo, foo), 0);
  const routes = new HttpRoutes([{ hosts: [], rules: [{ matches: [], value: "any" }] }]);
  assert.equal(routes.find(asked)?.value, "any");
  assert.equal(winner(asked, { host: "other.com" }), -1);
});

test("HttpRoutes.find() falls back to the next route if the better host has no matching rule", () => {
  const rules = (path: string, value: string) => [
    { matches: [{ path: { kind: "exact", path } as const }], value },
  ];
  const routes = new HttpRoutes([
    { hosts: [parseHostMatch("example.com")], rules: rules("/a", "exact") },
    { hosts: [], rules: rules("/b", "any") },
  ]);
  assert.equal(routes.find(request("/a"))?.value, "exact");
  assert.equal(routes.find(request("/b"))?.value, "any");
  const hostOnly = request("/a", {
    authority: "",
    headers: TestFields.of({ host: "Example.com:80" }),
  });
  assert.equal(routes.find(hostOnly)?.value, "exact");
});
