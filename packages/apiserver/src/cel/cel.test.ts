import assert from "node:assert/strict";
import { test } from "node:test";
import type { Json, JsonObject } from "@heddle/apiserver/json/value";
import { compileSchema } from "@heddle/apiserver/schema/custom-schema";
import { startFixture } from "@heddle/apiserver/testing/fixture";
import { CelEngine, isUnusable } from "./engine.ts";
import { RuleChecker } from "./rule-checker.ts";
import { escapeName } from "./values.ts";

function rule(text: string, more: JsonObject = {}): JsonObject {
  return { rule: text, ...more };
}

function schemaOf(properties: JsonObject, ...rules: JsonObject[]) {
  const source = { type: "object", properties, "x-kubernetes-validations": rules };
  const { schema, causes } = compileSchema(source, "");
  assert.deepEqual(causes, []);
  return schema;
}

async function check(
  object: JsonObject,
  properties: JsonObject,
  rules: JsonObject[],
  old?: JsonObject,
): Promise<string[]> {
  const checker = new RuleChecker();
  await checker.ready();
  const schema = schemaOf(properties, ...rules);
  assert.deepEqual(checker.unusable(schema), []);
  const causes = checker.check(object, old, schema);
  return causes.map(({ field, message }) => `${field}: ${message}`);
}

const INT: JsonObject = { type: "integer" };
const TEXT: JsonObject = { type: "string" };

test("rules see integers, numbers, texts, times, lists and maps as what they are", async () => {
  const properties = {
    min: INT,
    max: INT,
    ratio: { type: "number" },
    name: TEXT,
    at: { type: "string", format: "date-time" },
    every: { type: "string", format: "duration" },
    list: { type: "array", items: INT },
    map: { type: "object", additionalProperties: TEXT },
    port: { "x-kubernetes-int-or-string": true },
    "x-y": TEXT,
  };
  const object = {
    min: 1,
    max: 5,
    ratio: 2,
    name: "web-1",
    at: "2026-01-01T00:00:00Z",
    every: "90s",
    list: [1, 2, 3],
    map: { a: "b" },
    port: 80,
    "x-y": "z",
  };
  const holds = [
    "self.min <= self.max && self.max - self.min == 4",
    "self.ratio / 4.0 == 0.5",
    "self.name.matches('^[a-z]+-[0-9]$') && self.name.startsWith('web')",
    "self.at < timestamp('2027-01-01T00:00:00Z') && self.at.getFullYear() == 2026",
    "self.every > duration('1m')",
    "self.list.all(x, x > 0) && self.list.exists_one(x, x == 2) && size(self.list) == 3",
    "self.list.sum() == 6 && self.list.isSorted() && self.list.max() == 3",
    "'a' in self.map && self.map['a'] == 'b' && self.map.all(k, k.size() == 1)",
    "has(self.name) && !has(self.map.z)",
    "self.port == 80 && type(self.port) == int",
    "self.x__dash__y == 'z'",
    "sets.contains([1, 2, 3], self.list) && isIP('10.0.0.1') && !isURL('x')",
  ];
  assert.deepEqual(
    await check(
      object,
      properties,
      holds.map((text) => rule(text)),
    ),
    [],
  );
});

test("a rule that does not hold says so in its own words, where it wants", async () => {
  const properties = { min: INT, max: INT };
  const text = "self.min <= self.max";
  const fails = (more: JsonObject = {}) =>
    check({ min: 2, max: 1 }, properties, [rule(text, more)]);
  assert.deepEqual(await fails(), [`<nil>: Invalid value: failed rule: ${text}`]);
  assert.deepEqual(await fails({ message: "too small" }), ["<nil>: Invalid value: too small"]);
  const messageExpression = "'max is ' + string(self.max)";
  assert.deepEqual(await fails({ message: "m", messageExpression }), [
    "<nil>: Invalid value: max is 1",
  ]);
  assert.deepEqual(await fails({ messageExpression: "nonsense(", message: "m" }), [
    "<nil>: Invalid value: m",
  ]);
  assert.deepEqual(
    await fails({ reason: "FieldValueForbidden", fieldPath: ".max", message: "m" }),
    ["max: Forbidden: m"],
  );
  const [error] = await check({ min: 1 }, properties, [rule(text)]);
  assert.match(error!, /evaluating rule: self\.min <= self\.max/);
});

test("rules about a change are asked of what has an identity in both states", async () => {
  const items = {
    type: "object",
    properties: { id: TEXT, size: INT },
    "x-kubernetes-validations": [rule("self.size >= oldSelf.size", { message: "shrinks" })],
  };
  const properties = {
    fixed: { ...TEXT, "x-kubernetes-validations": [rule("self == oldSelf", { message: "fixed" })] },
    list: {
      type: "array",
      "x-kubernetes-list-type": "map",
      "x-kubernetes-list-map-keys": ["id"],
      items,
    },
  };
  const old = {
    fixed: "a",
    list: [
      { id: "1", size: 5 },
      { id: "2", size: 5 },
    ],
  };
  const now = {
    fixed: "b",
    list: [
      { id: "2", size: 4 },
      { id: "1", size: 6 },
      { id: "3", size: 1 },
    ],
  };
  assert.deepEqual(await check(now, properties, [], old), [
    'fixed: Invalid value: "b": fixed',
    "list[0]: Invalid value: shrinks",
  ]);
  assert.deepEqual(await check(now, properties, []), []);
});

test("what was wrong before is not held against who changes something else", async () => {
  const properties = {
    a: { ...INT, "x-kubernetes-validations": [rule("self > 10")] },
    b: INT,
  };
  assert.deepEqual(await check({ a: 1, b: 2 }, properties, [], { a: 1, b: 1 }), []);
  assert.equal((await check({ a: 2, b: 1 }, properties, [], { a: 1, b: 1 })).length, 1);
});

test("loops over what is too large are not run", async () => {
  const properties = { list: { type: "array", items: INT } };
  const list = Array.from({ length: 3_000 }, (_, at) => at);
  const text = "self.list.all(x, self.list.exists(y, y == x))";
  const [cause] = await check({ list }, properties, [rule(text)]);
  assert.match(cause!, /too large/);
  assert.deepEqual(await check({ list: list.slice(0, 30) }, properties, [rule(text)]), []);
});

test("the engine tells texts that are broken from functions that it has not", async () => {
  const engine = await CelEngine.load();
  const verdict = (text: string): boolean | undefined => {
    const made = engine.compile(text);
    return isUnusable(made) ? made.isBroken : undefined;
  };
  assert.equal(verdict("self.a = 1"), true);
  assert.equal(verdict("self.a +"), true);
  assert.equal(verdict("other.a == 1"), true);
  assert.equal(verdict("quantity(self.a).isGreaterThan(quantity('1'))"), false);
  assert.equal(verdict("cel.bind(a, self.a, a == a)"), false);
  assert.equal(verdict("self.?a.orValue(1) == 1"), false);
  assert.equal(verdict("self.a.all(x, x == self.b) && int('1') == 1"), undefined);
  assert.equal(verdict(`self.a == '${"x".repeat(100_000)}'`), true);
  assert.equal(verdict("(".repeat(60_000)), true);
});

test("names of properties are escaped as Kubernetes escapes them", () => {
  for (const [name, escaped] of [
    ["a", "a"],
    ["x-y.z/q", "x__dash__y__dot__z__slash__q"],
    ["a__b", "a__underscores__b"],
    ["namespace", "__namespace__"],
    ["1a", undefined],
  ] as const) {
    assert.equal(escapeName(name), escaped);
  }
});

const DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";

function definition(...rules: Json[]): JsonObject {
  const properties = { spec: { type: "object", properties: { min: INT, max: INT } } };
  const openAPIV3Schema = { type: "object", properties, "x-kubernetes-validations": rules };
  return {
    metadata: { name: "carts.shop.example.com" },
    spec: {
      group: "shop.example.com",
      scope: "Namespaced",
      names: { kind: "Cart", plural: "carts" },
      versions: [{ name: "v1", served: true, storage: true, schema: { openAPIV3Schema } }],
    },
  };
}

test("server keeps the rules of custom resources, also after it was started anew", async () => {
  await using first = await startFixture();
  const text = "!has(self.spec.min) || self.spec.min <= self.spec.max";
  const made = await first.admin.post(
    DEFINITIONS,
    definition(rule(text, { message: "min > max" })),
  );
  assert.equal(made.code, 201, made.text);
  const carts = "/apis/shop.example.com/v1/namespaces/default/carts";
  const cart = (name: string, min: number): JsonObject => ({
    metadata: { name },
    spec: { min, max: 3 },
  });
  assert.equal((await first.admin.post(carts, cart("good", 1))).code, 201);
  const bad = await first.admin.post(carts, cart("bad", 4));
  assert.equal(bad.code, 422);
  assert.match(String(bad.body["message"]), /min > max/);
  assert.equal((await first.admin.patch(`${carts}/good`, "merge", { spec: { min: 5 } })).code, 422);
  await first.server.close(0);
  await using second = await startFixture({ dataDir: first.dataDir });
  assert.equal((await second.admin.post(carts, cart("bad", 4))).code, 422);
});

test("server refuses broken rules, and warns of those that it cannot keep", async () => {
  await using fixture = await startFixture();
  const { admin } = fixture;
  const broken = await admin.post(DEFINITIONS, definition(rule("self.spec.min <=")));
  assert.equal(broken.code, 422);
  assert.match(
    String(broken.body["message"]),
    /openAPIV3Schema\.x-kubernetes-validations\[0\]\.rule: .*compilation failed/,
  );
  const foreign = await admin.post(DEFINITIONS, definition(rule("quantity('1') == quantity('1')")));
  assert.equal(foreign.code, 201, foreign.text);
  assert.match(String(foreign.headers["warning"]), /not kept by this server.*quantity/);
  const path = `${DEFINITIONS}/carts.shop.example.com`;
  const versions = (definition(rule("self.=")) as { spec: { versions: Json } }).spec.versions;
  assert.equal((await admin.patch(path, "merge", { spec: { versions } })).code, 422);
});
