import assert from "node:assert/strict";
import { test } from "node:test";
import { Interner } from "./interner.ts";

test("Interner makes equal values one, and different ones none", () => {
  const interner = new Interner<{ readonly a: number; readonly b?: string }>();
  const first = interner.of({ a: 1 });
  assert.equal(interner.of({ a: 1 }), first);
  assert.notEqual(interner.of({ a: 1, b: "x" }), first);
  assert.deepEqual(interner.of({ a: 2 }), { a: 2 });
});

test("Interner forgets what it met longest ago", () => {
  const interner = new Interner<readonly number[]>(2);
  const one = interner.of([1]);
  const two = interner.of([2]);
  assert.equal(interner.of([1]), one);
  interner.of([3]);
  assert.equal(interner.of([1]), one);
  assert.notEqual(interner.of([2]), two);
});
