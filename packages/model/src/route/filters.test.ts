import assert from "node:assert/strict";
import { test } from "node:test";
import {
  FailureRatio,
  HeaderModifier,
  Redirect,
  type Redirection,
  type RedirectSpec,
} from "@heddle/model/route/filters";
import { type HttpMatch, HttpRoutes } from "@heddle/model/route/http-routes";
import { TestFields } from "@heddle/model/route/test-fields";

const ROOT: HttpMatch = { path: { kind: "prefix", prefix: "/" } };

function redirect(
  spec: RedirectSpec,
  url: string,
  match: HttpMatch = ROOT,
): Redirection | undefined {
  const [, scheme, authority, path] = /^(\w+):\/\/([^/]*)(.*)$/.exec(url)!;
  const headers = new TestFields();
  const request = { method: "GET", scheme: scheme!, authority: authority!, path: path!, headers };
  const routes = new HttpRoutes([{ hosts: [], rules: [{ matches: [match], value: 0 }] }]);
  return new Redirect(spec).apply(request, routes.find(request)!.prefixLength);
}

function location(spec: RedirectSpec, url: string, match?: HttpMatch): string | undefined {
  return redirect(spec, url, match)?.location;
}

test("[Q30] a redirect to where the request already goes does nothing", () => {
  assert.equal(redirect({}, "http://example.com/foo?q"), undefined);
  assert.equal(redirect({ host: "example.com" }, "http://example.com/foo"), undefined);
  assert.equal(redirect({ scheme: "http" }, "http://example.com/"), undefined);
});

test("[Q31] a redirect to a host keeps path and query, with status 301", () => {
  assert.deepEqual(redirect({ host: "example.org" }, "http://example.com/foo?q=1"), {
    status: 301,
    location: "http://example.org/foo?q=1",
  });
  assert.equal(location({ host: "b.org" }, "http://a.com:8080/"), "http://b.org:8080/");
  assert.equal(location({ host: "b.org" }, "http://a.com:80/"), "http://b.org/");
});

test("[Q32] a redirect to a port leaves out the scheme's own", () => {
  assert.equal(location({ port: 8080 }, "http://a.com/x"), "http://a.com:8080/x");
  assert.equal(location({ port: 80 }, "http://a.com:8080/x"), "http://a.com/x");
  assert.equal(location({ port: 443, scheme: "https" }, "http://a.com/x"), "https://a.com/x");
  assert.equal(location({ port: 443 }, "http://a.com/x"), "http://a.com:443/x");
  assert.equal(location({ host: "b.org", port: 80 }, "http://a.com/x"), "http://b.org:80/x");
  assert.equal(location({ port: 8080 }, "http://[::1]:90/x"), "http://[::1]:8080/x");
});

test("[Q33] a full path replaces path and query", () => {
  const path = (p: string): RedirectSpec => ({ path: { kind: "full", path: p } });
  assert.equal(location(path("/bar"), "http://a.com/foo?q=1"), "http://a.com/bar");
  assert.equal(location(path("/bar?x=2"), "http://a.com/foo?q=1"), "http://a.com/bar?x=2");
});

test("[Q34] a prefix is replaced, the rest of the path and the query stay", () => {
  const qux: RedirectSpec = { path: { kind: "prefix", prefix: "/qux" } };
  const foo: HttpMatch = { path: { kind: "prefix", prefix: "/foo" } };
  const slash: HttpMatch = { path: { kind: "prefix", prefix: "/foo/" } };
  for (const match of [foo, slash]) {
    assert.equal(location(qux, "http://a.com/foo/bar?q", match), "http://a.com/qux/bar?q");
    assert.equal(location(qux, "http://a.com/foo", match), "http://a.com/qux");
    assert.equal(location(qux, "http://a.com/foo?q", match), "http://a.com/qux?q");
  }
  for (const match of [{}, ROOT]) {
    assert.equal(location(qux, "http://a.com/foo/bar", match), "http://a.com/qux/foo/bar");
  }
  const root: RedirectSpec = { path: { kind: "prefix", prefix: "/" } };
  assert.equal(location(root, "http://a.com/foo/bar", foo), "http://a.com/bar");
  assert.equal(location(root, "http://a.com/foo?q", foo), "http://a.com/?q");
});

test("[Q35] a prefix cannot be replaced where the path matched exactly", () => {
  const qux: RedirectSpec = { path: { kind: "prefix", prefix: "/qux" } };
  const exact: HttpMatch = { path: { kind: "exact", path: "/foo" } };
  assert.throws(() => redirect(qux, "http://a.com/foo", exact), { code: "invalid_redirect" });
});

test("[Q36] [Q37] a redirect to a scheme, with a status", () => {
  assert.equal(location({ scheme: "https" }, "http://a.com/foo?q"), "https://a.com/foo?q");
  assert.equal(redirect({ scheme: "https", status: 307 }, "http://a.com/")?.status, 307);
});

test("Redirect refuses what cannot be a port, a status or a path", () => {
  assert.throws(() => new Redirect({ port: 65536 }), SyntaxError);
  assert.throws(() => new Redirect({ status: 99 }), SyntaxError);
  assert.throws(() => new Redirect({ path: { kind: "full", path: "bar" } }), SyntaxError);
});

test("HeaderModifier adds, then sets, then removes", () => {
  const headers = TestFields.of({ a: "1", b: "1", c: "1" });
  const modifier = new HeaderModifier({
    add: [["A", "2"]],
    set: [["B", "2"]],
    remove: ["C"],
  });
  modifier.apply(headers);
  assert.deepEqual(headers.getAll("a"), ["1", "2"]);
  assert.deepEqual(headers.getAll("b"), ["2"]);
  assert.equal(headers.get("c"), undefined);
  assert.throws(() => new HeaderModifier({ add: [["a b", ""]], set: [], remove: [] }), SyntaxError);
  assert.throws(
    () => new HeaderModifier({ add: [["a", "\r\n"]], set: [], remove: [] }),
    SyntaxError,
  );
});

test("FailureRatio.fails() fails its share", () => {
  const half = new FailureRatio(1, 2);
  assert.deepEqual(
    [0, 0.49, 0.5, 0.99].map((random) => half.fails(random)),
    [true, true, false, false],
  );
  assert.equal(new FailureRatio(0, 1).fails(0), false);
  assert.throws(() => new FailureRatio(2, 1), SyntaxError);
  assert.throws(() => new FailureRatio(0, 0), SyntaxError);
});
