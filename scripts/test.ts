/**
 * `npm test`: every test that this machine can run. `npm test -- PATTERN` runs only what matches
 * by name; `npm test -- --fast` leaves out the slow tier.
 */
import { parseArgs } from "node:util";
import { provide } from "./machine.ts";
import { runTests, writeRecord } from "./run-tests.ts";
import { testFiles } from "./test-suites.ts";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { fast: { type: "boolean", default: false } },
});
if (!values.fast) await provide();
const pattern = positionals.length === 0 ? {} : { pattern: positionals.join(" ") };
// One list, one report: node:test's summary closes the output and counts everything.
const files = values.fast ? testFiles("fast") : [...testFiles("fast"), ...testFiles("slow")];
const { tests, ok } = await runTests(files, { concurrency: 2, ...pattern });
if (positionals.length === 0) writeRecord(tests, !values.fast);
process.exit(ok ? 0 : 1);
