import assert from "node:assert/strict";
import { test } from "node:test";
import { matchesSelector } from "./selector.ts";
import type { LabelSelector } from "./types/meta.ts";

const LABELS = { app: "web", tier: "front" };

for (const [selector, expected] of [
  [undefined, false],
  [{}, true],
  [{ matchLabels: { app: "web" } }, true],
  [{ matchLabels: { app: "web", x: "y" } }, false],
  [{ matchLabels: { constructor: "x" } }, false],
  [{ matchExpressions: [{ key: "app", operator: "In", values: ["db", "web"] }] }, true],
  [{ matchExpressions: [{ key: "app", operator: "In" }] }, false],
  [{ matchExpressions: [{ key: "x", operator: "In", values: ["y"] }] }, false],
  [{ matchExpressions: [{ key: "app", operator: "NotIn", values: ["web"] }] }, false],
  [{ matchExpressions: [{ key: "x", operator: "NotIn", values: ["y"] }] }, true],
  [{ matchExpressions: [{ key: "app", operator: "Exists" }] }, true],
  [{ matchExpressions: [{ key: "toString", operator: "Exists" }] }, false],
  [{ matchExpressions: [{ key: "app", operator: "DoesNotExist" }] }, false],
  [{ matchExpressions: [{ key: "app", operator: "Bogus" }] }, false],
] as const) {
  test(`matchesSelector() of ${JSON.stringify(selector)} is ${expected}`, () => {
    assert.equal(matchesSelector(selector as LabelSelector | undefined, LABELS), expected);
  });
}
