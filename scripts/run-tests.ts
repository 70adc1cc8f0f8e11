import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { run } from "node:test";
import { spec } from "node:test/reporters";
import { ROOT } from "./test-suites.ts";

export type Outcome = "pass" | "fail" | "skip" | "todo";

/** What one full run saw; `npm run conformance` reads it. */
export interface TestRecord {
  readonly commit: string;
  /** Whether every tier ran. */
  readonly complete: boolean;
  readonly tests: readonly {
    readonly file: string;
    readonly name: string;
    readonly outcome: Outcome;
    readonly reason?: string;
  }[];
}

export const RECORD_PATH: string = join(ROOT, "node_modules", ".heddle", "test-record.json");

interface RunOptions {
  /** How many files at a time. */
  readonly concurrency: number;
  /** Only tests whose name matches. */
  readonly pattern?: string;
}

/**
 * Runs test files in a process each and prints node:test's own report. A skipped test fails the run
 * where `CI=true`: what CI does not see is not proven.
 *
 * @returns what was seen, and whether it counts as success.
 */
export async function runTests(
  files: readonly string[],
  options: RunOptions,
): Promise<{ readonly tests: TestRecord["tests"]; readonly ok: boolean }> {
  const tests: TestRecord["tests"][number][] = [];
  let ok = true;
  const stream = run({
    files: [...files],
    concurrency: options.concurrency,
    execArgv: ["--disable-warning=ExperimentalWarning"],
    timeout: 600_000,
    ...(options.pattern === undefined ? {} : { testNamePatterns: options.pattern }),
  });
  stream.on("test:pass", (data) => {
    if (data.details.type === "suite" || data.file === undefined) return;
    const outcome: Outcome =
      data.skip !== undefined ? "skip" : data.todo !== undefined ? "todo" : "pass";
    const reason = typeof data.skip === "string" ? { reason: data.skip } : {};
    tests.push({ file: relative(ROOT, data.file), name: data.name, outcome, ...reason });
  });
  stream.on("test:fail", (data) => {
    ok = false;
    if (data.details.type === "suite" || data.file === undefined) return;
    tests.push({ file: relative(ROOT, data.file), name: data.name, outcome: "fail" });
  });
  const report = stream.compose(spec);
  report.pipe(process.stdout, { end: false });
  await new Promise<void>((resolve, reject) => {
    report.once("end", resolve);
    report.once("error", reject);
  });
  const skipped = tests.filter(({ outcome }) => outcome === "skip");
  for (const { file, name, reason } of skipped) {
    console.error(`skipped: ${file}: ${name}${reason === undefined ? "" : ` (${reason})`}`);
  }
  if (skipped.length > 0 && process.env["CI"] === "true") {
    console.error("With CI=true a skipped test fails the run.");
    ok = false;
  }
  return { tests, ok };
}

/** Writes the record of a run for `npm run conformance`. */
export function writeRecord(tests: TestRecord["tests"], complete: boolean): void {
  const record: TestRecord = { commit: headCommit(), complete, tests };
  mkdirSync(dirname(RECORD_PATH), { recursive: true });
  writeFileSync(RECORD_PATH, `${JSON.stringify(record, null, 1)}\n`);
}

/** The commit that is checked out, with `+` behind it if the tree differs from it. */
export function headCommit(): string {
  const git = (...args: string[]): string =>
    execFileSync("git", args, { cwd: ROOT, encoding: "utf8" }).trim();
  const dirty = git("status", "--porcelain", "--untracked-files=no") !== "";
  return `${git("rev-parse", "HEAD")}${dirty ? "+" : ""}`;
}
