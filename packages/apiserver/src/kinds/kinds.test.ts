import assert from "node:assert/strict";
import { test } from "node:test";
import { parseResourcePath } from "@heddle/apiserver/http/path";
import { compileJsonPath } from "@heddle/apiserver/json/json-path";
import { StatusError } from "@heddle/apiserver/status-error";
import { humanDuration } from "./duration.ts";
import { IpRange } from "./ip-range.ts";
import { byPreference } from "./registry.ts";
import { builtInTypes } from "./table.ts";

test("the table of built-in kinds holds together", () => {
  const names = new Set<string>();
  for (const type of builtInTypes()) {
    const name = `${type.group}/${type.plural}`;
    assert.ok(!names.has(name), name);
    names.add(name);
    for (const view of type.versions) {
      assert.ok(view.schema.properties?.has("metadata"), name);
      assert.equal(view.hasStatus && !view.schema.properties?.has("status"), false, name);
    }
  }
  assert.ok(names.has("/events") && names.has("events.k8s.io/events"));
});

test("humanDuration() shows ages as kubectl does", () => {
  const s = 1_000;
  const cases: readonly (readonly [number, string])[] = [
    [0, "0s"],
    [119 * s, "119s"],
    [120 * s, "2m"],
    [125 * s, "2m5s"],
    [11 * 60 * s, "11m"],
    [179 * 60 * s, "179m"],
    [3 * 3600 * s + 60 * s, "3h1m"],
    [9 * 3600 * s, "9h"],
    [50 * 3600 * s, "2d2h"],
    [10 * 86_400 * s, "10d"],
    [800 * 86_400 * s, "2y70d"],
    [-5 * s, "<invalid>"],
  ];
  for (const [ms, text] of cases) assert.equal(humanDuration(ms), text);
});

test("IpRange gives out addresses in order and keeps to its ends", () => {
  const range = IpRange.parse("10.0.0.5/29");
  assert.equal(range.firstFree(new Set()), "10.0.0.2");
  assert.equal(range.firstFree(new Set(["10.0.0.2", "10.0.0.3"])), "10.0.0.4");
  assert.equal(range.has("10.0.0.0"), false);
  assert.equal(range.has("10.0.0.1"), true);
  assert.equal(range.has("10.0.0.7"), false);
  assert.equal(range.has("10.0.0.8"), false);
  const all = new Set(["2", "3", "4", "5", "6"].map((last) => `10.0.0.${last}`));
  assert.equal(range.firstFree(all), undefined);
  const six = IpRange.parse("fd00::/112");
  assert.equal(six.firstFree(new Set(["fd00::2"])), "fd00::3");
  assert.equal(six.has("fd00::ffff"), true);
  assert.equal(six.has("fd00::1:0"), false);
  for (const bad of ["10.0.0.0", "10.0.0.0/33", "x/8", "10.0.0.0/8/8", ""]) {
    assert.throws(() => IpRange.parse(bad), SyntaxError, bad);
  }
});

test("byPreference() ranks versions as Kubernetes does", () => {
  const versions = [
    "foo1",
    "v1beta1",
    "v2alpha1",
    "v10",
    "v1",
    "v2",
    "v1beta2",
    "v1alpha1",
    "v11alpha2",
  ];
  assert.deepEqual(versions.sort(byPreference), [
    "v10",
    "v2",
    "v1",
    "v1beta2",
    "v1beta1",
    "v11alpha2",
    "v2alpha1",
    "v1alpha1",
    "foo1",
  ]);
});

test("compileJsonPath() reads the paths that columns use", () => {
  const document = {
    spec: { hosts: ["a", "b"], "a.key": 1 },
    status: { conditions: [{ type: "Ready", status: "True" }, { type: "Other" }] },
  };
  const read = (path: string): unknown => compileJsonPath(path)(document);
  assert.deepEqual(read(".spec.hosts"), [["a", "b"]]);
  assert.deepEqual(read(".spec.hosts[1]"), ["b"]);
  assert.deepEqual(read(".spec.hosts[*]"), ["a", "b"]);
  assert.deepEqual(read(".spec['a.key']"), [1]);
  assert.deepEqual(read(".spec.a\\.key"), [1]);
  assert.deepEqual(read('.status.conditions[?(@.type=="Ready")].status'), ["True"]);
  assert.deepEqual(read(".no.such"), []);
  for (const bad of ["..a", ".a[", ".a[?(@.b)]", ".a[x]"]) {
    assert.throws(() => compileJsonPath(bad), SyntaxError, bad);
  }
});

test("parseResourcePath() finds group, version, namespace, resource and name", () => {
  const parse = (path: string): string | undefined => {
    const found = parseResourcePath(path);
    return found && Object.values(found).join(" ");
  };
  assert.equal(parse("/api/v1/pods"), " v1  pods  ");
  assert.equal(parse("/api/v1/namespaces/a/pods/b/status"), " v1 a pods b status");
  assert.equal(parse("/api/v1/namespaces/a"), " v1  namespaces a ");
  assert.equal(parse("/api/v1/namespaces/a/finalize"), " v1  namespaces a finalize");
  assert.equal(parse("/apis/apps/v1/deployments/"), "apps v1  deployments  ");
  assert.equal(parse("/apis/apps/v1"), undefined);
  assert.equal(parse("/version"), undefined);
  for (const bad of ["/api/v1/pods/%", "/api/v1/namespaces/a%2fb/pods"]) {
    assert.throws(() => parse(bad), StatusError, bad);
  }
});
