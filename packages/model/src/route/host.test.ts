import assert from "node:assert/strict";
import { test } from "node:test";
import { HostMatcher, hostOf, NO_HOST, parseHostMatch } from "@heddle/model/route/host";
import { SniRoutes } from "@heddle/model/route/sni";

function rank(pattern: string, host: string): number {
  return new HostMatcher([parseHostMatch(pattern)]).rank(host);
}

test("[Q01] an exact host takes a trailing dot in the request, and wants one if it has one", () => {
  assert.ok(rank("example.com", "example.com") > 0);
  assert.ok(rank("example.com", "example.com.") > 0);
  assert.ok(rank("example.com.", "example.com.") > 0);
  assert.equal(rank("example.com.", "example.com"), NO_HOST);
  assert.equal(rank("example.com", "www.example.com"), NO_HOST);
});

test("[Q02] a wildcard host wants at least one more label", () => {
  assert.ok(rank("*.example.com", "www.example.com") > 0);
  assert.ok(rank("*.example.com", "a.b.example.com") > 0);
  assert.ok(rank("*.example.com", "www.example.com.") > 0);
  assert.equal(rank("*.example.com", "example.com"), NO_HOST);
  assert.equal(rank("*.example.com", ".example.com"), NO_HOST);
  assert.equal(rank("*.example.com", "badexample.com"), NO_HOST);
});

test("[Q03] hosts compare without regard to case", () => {
  assert.ok(rank("Example.COM", hostOf("eXample.com:8080")) > 0);
  assert.ok(rank("*.Example.com", hostOf("WWW.EXAMPLE.COM")) > 0);
});

test("[Q04] exact hosts beat suffixes, longer suffixes shorter ones, equal ones tie", () => {
  assert.ok(rank("a.example.com", "a.example.com") > rank("*.example.com", "a.example.com"));
  assert.ok(rank("*.example.com", "a.example.com") > rank("*.com", "a.example.com"));
  assert.equal(rank("*.example.com", "a.example.com"), rank("*.example.com", "b.example.com"));
  const both = new HostMatcher([parseHostMatch("*.com"), parseHostMatch("*.example.com")]);
  assert.equal(both.rank("a.example.com"), rank("*.example.com", "a.example.com"));
});

test("hostOf() takes ports off names and bracketed addresses", () => {
  assert.equal(hostOf("example.com:80"), "example.com");
  assert.equal(hostOf("[::1]:80"), "[::1]");
  assert.equal(hostOf("[::1]"), "[::1]");
  assert.equal(hostOf(""), "");
});

function sni(...patterns: (string | undefined)[]): SniRoutes<number> {
  return new SniRoutes(
    patterns.map((pattern, value) => ({
      snis: pattern === undefined ? [] : [parseHostMatch(pattern)],
      value,
    })),
  );
}

test("[Q05] SNI matches exactly or by suffix, with the same precedence as hosts", () => {
  assert.equal(sni("*.example.com", "www.example.com").find("www.example.com"), 1);
  assert.equal(sni("*.com", "*.example.com").find("www.example.com"), 1);
  assert.equal(sni("*.example.com").find("example.com"), undefined);
  assert.equal(sni("example.com").find("example.com."), 0);
  assert.equal(sni("example.com.").find("example.com"), undefined);
});

test("[Q06] without SNI routes, or with none that matches, there is no route; the first of equals wins", () => {
  assert.equal(sni().find("example.com"), undefined);
  assert.equal(sni("other.com").find("example.com"), undefined);
  assert.equal(sni(undefined).find("example.com"), 0);
  assert.equal(sni(undefined, "*.com").find("example.com"), 1);
  assert.equal(sni("example.com", "example.com").find("example.com"), 0);
});
