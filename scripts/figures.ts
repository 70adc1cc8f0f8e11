import { writeFileSync } from "node:fs";
import { cpus, hostname, loadavg, totalmem } from "node:os";
import { headCommit } from "./run-tests.ts";

/** What a figure was measured on, for people: processor, cores, memory. */
export function machineName(): string {
  const cores = cpus();
  const gib = Math.round(totalmem() / 2 ** 30);
  return `${cores[0]?.model.trim() ?? "unknown"} x${cores.length}, ${gib} GiB (${hostname()})`;
}

/**
 * Writes the result of a measuring command: `{name, commit, machine, load, figures}`, where a
 * figure has a dotted name that never changes (`bench/README.md` lists them).
 */
export function writeFigures(
  path: string,
  name: string,
  figures: Readonly<Record<string, number>>,
): void {
  const load = Math.round(loadavg()[0]! * 100) / 100;
  const result = { name, commit: headCommit(), machine: machineName(), load, figures };
  writeFileSync(path, `${JSON.stringify(result, null, 2)}\n`);
}
