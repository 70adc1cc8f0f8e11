import assert from "node:assert/strict";
import { test } from "node:test";
import { overlay, parseValues, setValues } from "./set-values.ts";

for (const [text, expected] of [
  ["a=1,b=x", { a: 1, b: "x" }],
  ["a.b.c=true", { a: { b: { c: true } } }],
  ["a[1].b=x", { a: [undefined, { b: "x" }] }],
  ["a={x,1,true}", { a: ["x", 1, true] }],
  ["a={}", { a: [] }],
  ["a\\.b=c\\,d", { "a.b": "c,d" }],
  ["a=b=c", { a: "b=c" }],
  ["a=007", { a: "007" }],
  ["a=", { a: "" }],
] as const) {
  test(`--set ${text}`, () => {
    assert.equal(JSON.stringify(setValues({}, text)), JSON.stringify(expected));
  });
}

test("null removes a value, and neighbours stay", () => {
  assert.deepEqual(setValues({ a: { b: 1, c: 2 } }, "a.b=null"), { a: { c: 2 } });
});

test("--set-string keeps text", () => {
  assert.deepEqual(setValues({}, "a=1", true), { a: "1" });
});

for (const text of ["a", "=1", "a[x]=1", "a[70000]=1", "__proto__.x=1"]) {
  test(`--set ${text} is refused`, () => {
    assert.throws(() => setValues({}, text), SyntaxError);
  });
}

test("an overlay merges maps and replaces lists", () => {
  const under = { a: { b: 1, c: [1] }, d: 2 };
  assert.deepEqual(overlay(under, { a: { c: [2] }, d: null }), { a: { b: 1, c: [2] } });
});

test("a values file that is no map is refused", () => {
  assert.throws(() => parseValues("- a"), /no map/);
});
