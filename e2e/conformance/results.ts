/** What became of one of the suite's tests. */
export interface Result {
  readonly name: string;
  readonly outcome: Outcome;
  readonly seconds: number;
}

const OUTCOMES = { PASS: "passed", FAIL: "failed", SKIP: "skipped" } as const;

export type Outcome = (typeof OUTCOMES)[keyof typeof OUTCOMES];

/** Only the tests themselves: what each consists of has names with more parts. */
const ENDED = /^ +--- (PASS|FAIL|SKIP): TestConformance\/([^/\s]+) \((\d+\.\d+)s\)$/gm;

/** Reads what the suite prints with `-test.v`. */
export function parseResults(text: string): Result[] {
  return [...text.matchAll(ENDED)].map(([, word, name, seconds]) => ({
    name: name!,
    outcome: OUTCOMES[word as keyof typeof OUTCOMES],
    seconds: Number(seconds),
  }));
}

/** A line for each test that was not left out, and one with the sums. */
export function table(results: readonly Result[]): string[] {
  const width = Math.max(...results.map(({ name }) => name.length));
  const lines = results
    .filter(({ outcome }) => outcome !== "skipped")
    .map(
      ({ name, outcome, seconds }) => `${name.padEnd(width)}  ${outcome}  ${seconds.toFixed(1)} s`,
    );
  const sums = Object.values(OUTCOMES).map(
    (wanted) => `${results.filter(({ outcome }) => outcome === wanted).length} ${wanted}`,
  );
  return [...lines, sums.join(", ")];
}
