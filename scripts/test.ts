/**
 * `npm test`: every test that this machine can run, the fast tier two files at a time, then the
 * slow one file by file. `npm test -- PATTERN` runs only what matches by name; `-- --fast` leaves
 * out the slow tier.
 */
import { parseArgs } from "node:util";
import { provide } from "./machine.ts";
import { runTests, type TestRecord, writeRecord } from "./run-tests.ts";
import { testFiles } from "./test-suites.ts";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { fast: { type: "boolean", default: false } },
});
if (!values.fast) await provide();
const pattern = positionals.length === 0 ? {} : { pattern: positionals.join(" ") };
const tests: TestRecord["tests"][number][] = [];
let ok = true;
for (const tier of values.fast ? (["fast"] as const) : (["fast", "slow"] as const)) {
  const concurrency = tier === "fast" ? 2 : 1;
  const result = await runTests(testFiles(tier), { concurrency, ...pattern });
  tests.push(...result.tests);
  ok &&= result.ok;
}
if (positionals.length === 0) writeRecord(tests, !values.fast);
const count = (outcome: string): number => tests.filter((one) => one.outcome === outcome).length;
// All tiers together, in the one line that every reader of test output knows.
console.log(`${count("pass")} passed, ${count("fail")} failed, ${count("skip")} skipped`);
process.exit(ok ? 0 : 1);
