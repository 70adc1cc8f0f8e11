import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { controlPlaneSchema, SCHEMA_PATH } from "./chart-schema.ts";
import { crdTemplates, writtenCrdTemplates } from "./generate-charts.ts";

test("charts/heddle-crds is what the definitions generate (node scripts/generate-charts.ts)", () => {
  const byName = ([one]: [string, string], [other]: [string, string]): number =>
    one < other ? -1 : 1;
  assert.deepEqual([...writtenCrdTemplates()].sort(byName), [...crdTemplates()].sort(byName));
});

test("the control plane's values.schema.json is what its values generate (node scripts/generate-charts.ts)", () => {
  assert.equal(readFileSync(SCHEMA_PATH, "utf8"), controlPlaneSchema());
});
