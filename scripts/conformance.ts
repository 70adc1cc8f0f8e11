/**
 * `npm run conformance`: holds docs/conformance.md against the last full test run. An id counts as
 * proven only if a test that carries it ran and passed; where there is no full record for this
 * commit, the suites run first. `--quick` judges the record that is there, whatever its commit.
 */
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { idsOf, parseConformance, type Section } from "./conformance-doc.ts";
import { writeFigures } from "./figures.ts";
import { headCommit, RECORD_PATH, type TestRecord } from "./run-tests.ts";
import { ROOT } from "./test-suites.ts";

const { values } = parseArgs({
  options: { json: { type: "string" }, quick: { type: "boolean", default: false } },
});

function readRecord(): TestRecord | undefined {
  if (!existsSync(RECORD_PATH)) return undefined;
  return JSON.parse(readFileSync(RECORD_PATH, "utf8")) as TestRecord;
}

function fullRecord(): TestRecord {
  const known = readRecord();
  const fits = known?.complete === true && known.commit === headCommit();
  if (known !== undefined && (fits || values.quick)) return known;
  console.log("No full record for this commit: running the suites first.");
  spawnSync(process.execPath, ["--disable-warning=ExperimentalWarning", "scripts/test.ts"], {
    cwd: ROOT,
    stdio: "inherit",
  });
  const made = readRecord();
  if (made === undefined) throw new Error("Cannot judge conformance: the run left no record");
  return made;
}

/** Ids with at least one test that passed and none that failed. */
function provenIds(record: TestRecord): Set<string> {
  const passed = new Set<string>();
  const failed = new Set<string>();
  for (const { name, outcome } of record.tests) {
    for (const id of idsOf(name)) {
      if (outcome === "pass") passed.add(id);
      else if (outcome === "fail") failed.add(id);
    }
  }
  return passed.difference(failed);
}

interface Count {
  readonly key: string;
  readonly title: string;
  readonly proven: number;
  readonly differs: number;
  readonly later: number;
  /** Entries less the `later` ones. */
  readonly total: number;
}

function count(section: Section, proven: ReadonlySet<string>): Count {
  const of = (state: string): number => section.entries.filter((e) => e.state === state).length;
  const later = of("later");
  return {
    key: section.key,
    title: section.title,
    proven: section.entries.filter((e) => e.state === "proven" && proven.has(e.id)).length,
    differs: of("differs"),
    later,
    total: section.entries.length - later,
  };
}

const record = fullRecord();
const proven = provenIds(record);
const sections = parseConformance(readFileSync(join(ROOT, "docs", "conformance.md"), "utf8"));
const entries = sections.flatMap((section) => section.entries);
const counts = sections.map((section) => count(section, proven));

console.log(`${"section".padEnd(14)} proven differs total     %`);
for (const { key, proven: yes, differs, total, title } of counts) {
  const share = total === 0 ? "-" : `${Math.round((100 * yes) / total)}`;
  const cells = [yes, differs, total].map((n, i) => String(n).padStart([6, 7, 5][i]!));
  console.log(`${key.padEnd(14)} ${cells.join(" ")} ${share.padStart(5)}  ${title}`);
}

const known = new Set(entries.map(({ id }) => id));
const problems = [
  ...entries
    .filter(({ id, state }) => state === "proven" && !proven.has(id))
    .map(({ id }) => `${id} is called proven, and no test of it passed in the last full run`),
  ...entries
    .filter(({ id, state }) => state === "not yet" && proven.has(id))
    .map(({ id }) => `${id} is called "not yet", and a test of it passed`),
];
const unlisted = [...proven].filter((id) => !known.has(id));
for (const problem of problems) console.error(problem);
if (unlisted.length > 0) {
  console.error(`${unlisted.length} ids have tests that passed, and no row in the list yet.`);
}
if (!record.complete) console.error("The record is of a partial run: figures are too low.");

if (values.json !== undefined) {
  const figures = Object.fromEntries(
    counts.flatMap(({ key, proven: yes, differs, total }) => [
      [`${key}.proven`, yes],
      [`${key}.differs`, differs],
      [`${key}.total`, total],
    ]),
  );
  writeFigures(values.json, "conformance", figures);
}
process.exit(problems.length === 0 ? 0 : 1);
