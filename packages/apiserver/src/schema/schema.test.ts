import assert from "node:assert/strict";
import { test } from "node:test";
import type { Json, JsonObject } from "@heddle/apiserver/json/value";
import { hasFormat } from "./formats.ts";
import { parseTypes } from "./notation.ts";
import type { Schema } from "./schema.ts";
import { validate } from "./validate.ts";
import { applyDefaults, dropNulls, inOrder, prune } from "./walk.ts";

const TYPES = parseTypes(`
Shop: 1:name* string; 2:open bool?; 3.1:doors [Door] ~id #; 4:tags [string] ~ set; 5:size
  (small|large) =small; 6:labels {string}; 7:extra any; 8:limit quantity; 9:port int-or-string
Door: 1:id* string; 2:width int32 =80; 3:inner Shop
`);
const SHOP: Schema = TYPES.get("Shop")!;

test("parseTypes() reads types, marks, defaults and numbers", () => {
  assert.deepEqual(SHOP.required, ["name"]);
  const doors = SHOP.properties!.get("doors")!;
  assert.equal(doors.patchMergeKey, "id");
  assert.deepEqual(doors.listMapKeys, ["id"]);
  assert.equal(doors.items!.properties!.get("inner"), SHOP);
  assert.equal(SHOP.properties!.get("tags")!.listType, "set");
  assert.deepEqual(SHOP.wire!.get("doors"), { path: [3, 1], keepsZero: false });
  assert.equal(SHOP.wire!.get("open")!.keepsZero, true);
  assert.throws(() => parseTypes("A: 1:b Nothing"), SyntaxError);
  assert.throws(() => parseTypes("A: 1:b string\nA: 1:c string"), SyntaxError);
  assert.throws(() => parseTypes("A: 1:b string frob"), SyntaxError);
});

test("prune() removes what the schema does not know and says where it was", () => {
  const value: JsonObject = {
    name: "x",
    no: 1,
    doors: [{ id: "a", no: 2 }],
    labels: { any: "thing" },
    extra: { deep: { all: [1] } },
  };
  assert.deepEqual(prune(value, SHOP).sort(), ["doors[0].no", "no"]);
  assert.deepEqual(value["extra"], { deep: { all: [1] } });
});

test("applyDefaults() fills in what is absent, at every depth", () => {
  const value: JsonObject = { name: "x", doors: [{ id: "a" }, { id: "b", width: 90 }] };
  applyDefaults(value, SHOP);
  assert.deepEqual(value, {
    name: "x",
    size: "small",
    doors: [
      { id: "a", width: 80 },
      { id: "b", width: 90 },
    ],
  });
});

test("dropNulls() takes null for absence, but in free-form fields", () => {
  const value: JsonObject = { name: null, doors: [{ id: null }], extra: { keep: null } };
  dropNulls(value, SHOP);
  assert.deepEqual(value, { doors: [{}], extra: { keep: null } });
});

function faults(value: Json): string[] {
  return validate(value, SHOP).map(({ reason, field }) => `${reason.slice(10)} ${field}`);
}

test("validate() names each fault with its path", () => {
  assert.deepEqual(faults({ name: "x", port: 80, limit: "1Gi" }), []);
  assert.deepEqual(faults({}), ["Required name"]);
  assert.deepEqual(faults({ name: 1, size: "huge", port: 1.5 }), [
    "TypeInvalid name",
    "NotSupported size",
    "TypeInvalid port",
  ]);
  const doors = [{ id: "a" }, { id: "a" }, { width: 2 ** 31 }];
  assert.deepEqual(faults({ name: "x", doors }), [
    "Required doors[2].id",
    "Invalid doors[2].width",
    "Duplicate doors[1]",
  ]);
  assert.deepEqual(faults({ name: "x", labels: { "a/b": 1 } }), ["TypeInvalid labels[a/b]"]);
  assert.deepEqual(faults({ name: "x", tags: ["a", "a"] }), ["Duplicate tags[1]"]);
  assert.deepEqual(faults({ name: "x", limit: "1Zi" }), ["Invalid limit"]);
});

test("validate() stops at a bound", () => {
  const doors = Array.from({ length: 10_000 }, () => ({ id: 1 }));
  assert.equal(validate({ name: "x", doors }, SHOP).length, 64);
});

test("hasFormat() tells good from bad", () => {
  const cases: readonly (readonly [string, string, boolean])[] = [
    ["2026-01-02T03:04:05Z", "date-time", true],
    ["2026-01-02T03:04:05.123456Z", "date-time-micro", true],
    ["2026-01-02T03:04:05+01:00", "date-time", true],
    ["2026-01-02", "date-time", false],
    ["2026-01-02T25:04:05Z", "date-time", false],
    ["1h30m", "duration", true],
    ["1.5s", "duration", true],
    ["1 h", "duration", false],
    ["10.0.0.0/8", "cidr", true],
    ["10.0.0.0/33", "cidr", false],
    ["::/0", "cidr", true],
    ["YQ==", "byte", true],
    ["YQ=", "byte", false],
    ["Y Q=", "byte", false],
    ["100m", "quantity", true],
    [".5Gi", "quantity", true],
    ["1e3", "quantity", true],
    ["x", "quantity", false],
    ["anything", "no-such-format", true],
  ];
  for (const [text, format, expected] of cases) {
    assert.equal(hasFormat(text, format), expected, `${format} ${text}`);
  }
});

test("inOrder() puts apiVersion, kind and metadata in front", () => {
  const keys = Object.keys(inOrder({ spec: {}, metadata: {}, kind: "A", apiVersion: "b" }));
  assert.deepEqual(keys, ["apiVersion", "kind", "metadata", "spec"]);
});
