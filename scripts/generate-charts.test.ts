import assert from "node:assert/strict";
import { test } from "node:test";
import { crdTemplates, writtenCrdTemplates } from "./generate-charts.ts";

test("charts/heddle-crds is what the definitions generate (node scripts/generate-charts.ts)", () => {
  const byName = ([one]: [string, string], [other]: [string, string]): number =>
    one < other ? -1 : 1;
  assert.deepEqual([...writtenCrdTemplates()].sort(byName), [...crdTemplates()].sort(byName));
});
