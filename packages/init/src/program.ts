import { type ExecFileException, execFile } from "node:child_process";
import { accessSync, constants, statSync } from "node:fs";
import { isAbsolute, join } from "node:path";

/** One program with its arguments. */
export interface Invocation {
  readonly program: string;
  readonly args: readonly string[];
  /** For its standard input. */
  readonly input?: string;
}

export interface ProgramRun {
  readonly isOk: boolean;
  /** Both of its outputs. */
  readonly output: string;
  /** Why it failed: what it said of it, or why it did not even start. Empty if it did not fail. */
  readonly problem: string;
}

/** A call that waits for a lock longer than this has met one that nobody gives back. */
const TIMEOUT_MS = 60_000;
const MAX_OUTPUT_BYTES = 16 * 1024 * 1024;
/** Where firewall programs are, also for those whose PATH leaves out what is for administrators. */
const ADMIN_FOLDERS = ["/usr/sbin", "/sbin"];

/** Runs a program to its end. What it answers is no exception, however it ends. */
export function runProgram(call: Invocation, signal?: AbortSignal): Promise<ProgramRun> {
  return new Promise((resolve) => {
    const options = {
      timeout: TIMEOUT_MS,
      maxBuffer: MAX_OUTPUT_BYTES,
      env: { ...process.env, PATH: searchPath() },
      ...(signal === undefined ? {} : { signal }),
    };
    const child = execFile(call.program, call.args, options, (error, stdout, stderr) => {
      const output = `${stdout}${stderr}`.trimEnd();
      if (error === null) resolve({ isOk: true, output, problem: "" });
      else resolve({ isOk: false, output, problem: problemOf(error, stderr) });
    });
    // A program that ends before it has read everything says why in its exit code.
    child.stdin?.on("error", () => {});
    child.stdin?.end(call.input ?? "");
  });
}

function problemOf(error: ExecFileException, stderr: string): string {
  const said = stderr.trim();
  if (error.killed === true) return `${said} (it took too long)`.trim();
  return said === "" ? error.message : said;
}

/** Where a program is; undefined if it is not installed. */
export function findProgram(name: string): string | undefined {
  if (isAbsolute(name)) return isExecutable(name) ? name : undefined;
  return searchPath()
    .split(":")
    .map((folder) => join(folder, name))
    .find(isExecutable);
}

function searchPath(): string {
  return [process.env["PATH"] ?? "", ...ADMIN_FOLDERS].filter(Boolean).join(":");
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    // Not there, or not for us.
    return false;
  }
}
