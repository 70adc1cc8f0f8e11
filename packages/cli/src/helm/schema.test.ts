import assert from "node:assert/strict";
import { test } from "node:test";
import { chartSchema, chartValues } from "./chart.ts";
import { checkSchema } from "./schema.ts";
import { overlay } from "./set-values.ts";

const SCHEMA = {
  type: "object",
  properties: {
    text: { type: ["string", "number"] },
    count: { type: "integer", minimum: 1, maximum: 3 },
    word: { enum: ["", "on", "off"] },
    list: { type: "array", items: { type: "string" } },
    open: { type: "object" },
  },
  additionalProperties: false,
};

for (const [value, expected] of [
  [{ text: "a", count: 1, word: "", list: ["x"], open: { any: 1 } }, undefined],
  [{ text: 25 }, undefined],
  [{ text: true }, 'text is "true"; it must be text or a number'],
  [{ count: 1.5 }, 'count is "1.5"; it must be a whole number'],
  [{ count: 0 }, 'count is "0"; it must be at least 1'],
  [{ count: 4 }, 'count is "4"; it must be at most 3'],
  [{ word: "maybe" }, 'word is "maybe"; it must be one of on, off'],
  [{ list: "x" }, 'list is "x"; it must be a list'],
  [{ list: ["x", 1] }, 'list[1] is "1"; it must be text'],
  [{ open: [] }, 'open is "[]"; it must be a map'],
  [{ other: 1 }, "the chart has no value other"],
  [{ constructor: 1 }, "the chart has no value constructor"],
] as const) {
  test(`checkSchema() of ${JSON.stringify(value)}: ${expected ?? "fits"}`, () => {
    const check = (): void => checkSchema(value, SCHEMA);
    if (expected === undefined) check();
    else assert.throws(check, { name: "SyntaxError", message: expected });
  });
}

test("each chart's own values fit its schema, and so do those for high availability", () => {
  for (const chart of ["heddle-crds", "heddle-control-plane"] as const) {
    checkSchema(chartValues(chart), chartSchema(chart));
  }
  const chart = "heddle-control-plane";
  const ha = overlay(chartValues(chart), chartValues(chart, "values-ha.yaml"));
  checkSchema(ha, chartSchema(chart));
});
