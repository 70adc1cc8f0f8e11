/**
 * `npm test`: every test that this machine can run, the fast tier two files at a time, then the
 * slow one file by file. `npm test -- PATTERN` runs only what matches by name; `-- --fast` leaves
 * out the slow tier.
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
const pattern = positionals.length === 0 ? undefined : positionals.join(" ");
const fast = { files: testFiles("fast"), concurrency: 2 };
const slow = { files: testFiles("slow"), concurrency: 1 };
const { tests, ok } = await runTests(values.fast ? [fast] : [fast, slow], pattern);
if (pattern === undefined) writeRecord(tests, !values.fast);
process.exit(ok ? 0 : 1);
