import assert from "node:assert/strict";
import { test } from "node:test";
import { readValues } from "./values.ts";

/** Each line stands for nine of the line before: a billion in a few hundred bytes. */
function bomb(): string {
  const nine = (name: string): string => `[${Array(9).fill(`*${name}`).join(",")}]`;
  const lines = ["a0: &a0 lol"];
  for (let at = 1; at < 10; at++) lines.push(`a${at}: &a${at} ${nine(`a${at - 1}`)}`);
  return lines.join("\n");
}

test("values that unfold without end are refused, soon", () => {
  const startMs = performance.now();
  assert.throws(() => readValues(bomb(), "v1"), { code: "bad_values" });
  assert.throws(() => readValues(`${"[".repeat(10_000)}`, "v1"), { code: "bad_values" });
  assert.ok(performance.now() - startMs < 5_000);
});

test("keys of values that are every object's are read as others are, or refused", () => {
  for (const text of ["__proto__: {x: 1}", "constructor: {prototype: {x: 1}}", "toString: 5"]) {
    try {
      readValues(text, "v1");
    } catch (error) {
      assert.equal((error as { readonly code?: string }).code, "bad_values");
    }
    assert.equal(({} as Readonly<Record<string, unknown>>)["x"], undefined);
    assert.equal(typeof {}.toString, "function");
  }
});
