import assert from "node:assert/strict";
import { test } from "node:test";
import { idsOf, parseConformance } from "./conformance-doc.ts";

test("parseConformance() reads sections, states and reasons", () => {
  const text = `# Title
## proxy.A Transparency
| id | behaviour | state |
|---|---|---|
| A01 | is answered | proven |
| A02 | is forwarded | differs: the original drops it silently |
`;
  assert.deepEqual(parseConformance(text), [
    {
      key: "proxy.A",
      title: "Transparency",
      entries: [
        { id: "A01", behaviour: "is answered", state: "proven", reason: "" },
        {
          id: "A02",
          behaviour: "is forwarded",
          state: "differs",
          reason: "the original drops it silently",
        },
      ],
    },
  ]);
});

test("parseConformance() refuses an unknown state, a reason that says nothing and a repeated id", () => {
  const row = (state: string): string => `## proxy.A T\n| A01 | x | ${state} |`;
  assert.throws(() => parseConformance(row("done")), /A01 has the unknown state "done"/);
  assert.throws(() => parseConformance(row("differs: so")), SyntaxError);
  assert.throws(
    () => parseConformance(`${row("proven")}\n| A01 | y | later |`),
    /A01 stands twice/,
  );
});

test("idsOf() gives the ids that lead a title, and nothing else in brackets", () => {
  assert.deepEqual(idsOf("[A12] [3.1/TL01] shows it [not this]"), ["A12", "3.1/TL01"]);
  assert.deepEqual(idsOf("shows [A12]"), []);
});
