import assert from "node:assert/strict";
import { test } from "node:test";
import { parseResults, table } from "./results.ts";

const PRINTED = `
=== RUN   TestConformance/MeshBasic
    --- PASS: TestConformance/MeshBasic (1.50s)
        --- PASS: TestConformance/MeshBasic/Send_to_service (1.20s)
    --- SKIP: TestConformance/GatewayClass (0.00s)
    --- FAIL: TestConformance/MeshPorts (30.25s)
        --- FAIL: TestConformance/MeshPorts/0_request (30.00s)
--- FAIL: TestConformance (60.00s)
`;

test("parseResults() reads the tests, and neither their parts nor the whole", () => {
  assert.deepEqual(parseResults(PRINTED), [
    { name: "MeshBasic", outcome: "passed", seconds: 1.5 },
    { name: "GatewayClass", outcome: "skipped", seconds: 0 },
    { name: "MeshPorts", outcome: "failed", seconds: 30.25 },
  ]);
});

test("table() shows what was run, and counts all", () => {
  assert.deepEqual(table(parseResults(PRINTED)), [
    "MeshBasic     passed  1.5 s",
    "MeshPorts     failed  30.3 s",
    "1 passed, 1 failed, 1 skipped",
  ]);
});
