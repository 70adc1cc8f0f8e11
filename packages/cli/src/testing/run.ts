import { systemClock } from "@heddle/base/clock";
import { runCli } from "../main.ts";

export interface CliRun {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** For tests: runs a command line in this process, with these variables and no others. */
export async function runInProcess(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<CliRun> {
  const out: string[] = [];
  const err: string[] = [];
  const code = await runCli(args, {
    out: (line) => out.push(line),
    err: (line) => err.push(line),
    env: (key) => env[key],
    stop: new AbortController().signal,
    hasColor: false,
    clock: systemClock,
  });
  return { code, out: out.join("\n"), err: err.join("\n") };
}
