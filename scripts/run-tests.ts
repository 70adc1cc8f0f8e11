import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { Readable } from "node:stream";
import { run } from "node:test";
import { spec, type TestEvent } from "node:test/reporters";
import { ROOT } from "./test-suites.ts";
import { cacheDir } from "./tools.ts";

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

/** Files that run so many at a time, each in a process. */
export interface TestGroup {
  readonly files: readonly string[];
  readonly concurrency: number;
}

/**
 * Runs groups of test files one after the other and prints node:test's own report, with one summary
 * for all of them. A skipped test fails the run where `CI=true`: what CI does not see is not proven.
 *
 * @param pattern - Only tests whose name matches.
 * @returns what was seen, and whether it counts as success.
 */
export async function runTests(
  groups: readonly TestGroup[],
  pattern?: string,
): Promise<{ readonly tests: TestRecord["tests"]; readonly ok: boolean }> {
  // Each file is a process of its own: what was compiled for one is there for the next.
  process.env["NODE_COMPILE_CACHE"] ??= join(cacheDir(), "compile");
  const tests: TestRecord["tests"][number][] = [];
  let ok = true;
  const note = (event: TestEvent): void => {
    if (event.type === "test:fail") ok = false;
    if (event.type !== "test:fail" && event.type !== "test:pass") return;
    const { details, file, name, skip, todo } = event.data;
    if (details.type === "suite" || file === undefined) return;
    const at = { file: relative(ROOT, file), name };
    if (event.type === "test:fail") tests.push({ ...at, outcome: "fail" });
    else if (skip !== undefined) {
      const reason = typeof skip === "string" ? { reason: skip } : {};
      tests.push({ ...at, outcome: "skip", ...reason });
    } else tests.push({ ...at, outcome: todo === undefined ? "pass" : "todo" });
  };
  const report = Readable.from(eventsOf(groups, pattern, note)).compose(spec);
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

/** The lines of a run's summary, each a name and a number. */
const SUMMARY = /^(tests|suites|pass|fail|cancelled|skipped|todo|duration_ms) ([\d.]+)$/;

/** The events of all groups in order; in place of a summary for each, one with their sums. */
async function* eventsOf(
  groups: readonly TestGroup[],
  pattern: string | undefined,
  note: (event: TestEvent) => void,
): AsyncGenerator<TestEvent> {
  const sums = new Map<string, number>();
  for (const { files, concurrency } of groups) {
    const stream = run({
      files: [...files],
      concurrency,
      // A file of which nothing matches has set things up, and its `after` does not come.
      execArgv: [
        "--disable-warning=ExperimentalWarning",
        ...(pattern === undefined ? [] : ["--test-force-exit"]),
      ],
      timeout: 600_000,
      ...(pattern === undefined ? {} : { testNamePatterns: pattern }),
    });
    for await (const event of stream as AsyncIterable<TestEvent>) {
      note(event);
      const found =
        event.type === "test:diagnostic" && event.data.file === undefined
          ? SUMMARY.exec(event.data.message)
          : null;
      if (found === null) yield event;
      else sums.set(found[1]!, (sums.get(found[1]!) ?? 0) + Number(found[2]));
    }
  }
  for (const [name, sum] of sums) {
    const message = `${name} ${Math.round(sum)}`;
    yield { type: "test:diagnostic", data: { nesting: 0, message, level: "info" } };
  }
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
