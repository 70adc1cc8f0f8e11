import assert from "node:assert/strict";
import { test } from "node:test";
import { parseDnsName, parseDnsSuffixes } from "@heddle/model/dns-name";
import {
  externalWorkloadId,
  IdentityMatch,
  parseSpiffeId,
  parseTlsId,
  serviceAccountId,
} from "@heddle/model/identity";

test("parseSpiffeId() takes SPIFFE ids and nothing like them", () => {
  assert.deepEqual(parseSpiffeId("spiffe://td"), { trustDomain: "td", path: "" });
  assert.deepEqual(parseSpiffeId("spiffe://a.b/ns/x"), { trustDomain: "a.b", path: "/ns/x" });
  const bad = ["http://td/a", "spiffe:/td/a", "spiffe:///a", "spiffe//td", "spiffe://td/a?q"];
  bad.push(
    "spiffe://td/a#f",
    "spiffe://td:80/a",
    "spiffe://u@td/a",
    "spiffe://td/",
    "spiffe://td//a",
  );
  bad.push(
    "spiffe://td/a/",
    "spiffe://td/./a",
    "spiffe://td/../a",
    "spiffe://TD/a",
    "spiffe://td/a\0",
  );
  bad.push(`spiffe://td/${"a".repeat(2048)}`, `spiffe://${"a".repeat(256)}/a`);
  for (const text of bad) assert.equal(parseSpiffeId(text), undefined, text);
});

test("identities of pods and machines are written as Linkerd and SPIFFE write them", () => {
  assert.equal(
    serviceAccountId("web", "shop", "linkerd", "cluster.local"),
    "web.shop.serviceaccount.identity.linkerd.cluster.local",
  );
  assert.equal(externalWorkloadId("root", "shop", "vm-1"), "spiffe://root/ns/shop/external/vm-1");
  assert.equal(parseTlsId("Web.Shop."), "web.shop");
  assert.equal(parseTlsId("spiffe://td/a"), "spiffe://td/a");
  assert.equal(parseTlsId("spiffe://td//a"), undefined);
  assert.equal(parseTlsId("10.0.0.1"), undefined);
});

test("IdentityMatch takes names literally and suffixes by whole labels", () => {
  const match = new IdentityMatch(["a.x", "spiffe://td/a"], [["b", "c"]]);
  for (const id of ["a.x", "spiffe://td/a", "z.b.c", "y.z.b.c"]) assert.ok(match.matches(id), id);
  for (const id of ["b.c", "xb.c", "b.a.x", "spiffe://td/b", "spiffe://td/z.b.c"]) {
    assert.ok(!match.matches(id), id);
  }
});

test("the suffix of no parts admits every DNS name and no SPIFFE id", () => {
  const any = new IdentityMatch([], [[]]);
  assert.ok(any.matches("a.b"));
  assert.ok(!any.matches("spiffe://td/a"));
});

test("a trust domain admits its own SPIFFE ids only, and no DNS name", () => {
  const machines = new IdentityMatch([], [], ["td"]);
  assert.ok(machines.matches("spiffe://td/ns/a/external/b"));
  for (const id of [
    "spiffe://other/a",
    "spiffe://td.other/a",
    "td",
    "spiffe://td",
    "spiffe://td/",
  ]) {
    assert.ok(!machines.matches(id), id);
  }
});

test("parseDnsName() takes names that the proxy API takes", () => {
  assert.equal(parseDnsName("Web.NS.svc.cluster.local."), "web.ns.svc.cluster.local");
  assert.equal(parseDnsName("a_b-c"), "a_b-c");
  assert.equal(parseDnsName(`${"a".repeat(63)}.b`), `${"a".repeat(63)}.b`);
  const bad = ["", ".", "a..b", ".a", "a..", "-a", "a-", "a.-b.c", "a b", "1.2.3.4", "a.1", "ä"];
  bad.push("a".repeat(64), `${"a.".repeat(127)}a`);
  for (const text of bad) assert.equal(parseDnsName(text), undefined, text);
});

test("parseDnsSuffixes() matches whole labels; a dot alone stands for all", () => {
  const suffixes = parseDnsSuffixes("svc.cluster.local., Example.com,,");
  assert.ok(suffixes.contains("web.ns.svc.cluster.local"));
  assert.ok(suffixes.contains("example.com"));
  assert.ok(!suffixes.contains("badexample.com"));
  assert.ok(parseDnsSuffixes(".").contains("anything"));
  assert.ok(!parseDnsSuffixes("").contains("anything"));
  assert.throws(() => parseDnsSuffixes("a..b"), SyntaxError);
});
