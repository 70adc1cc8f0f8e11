import { spawn } from "node:child_process";

export interface BoundedRun {
  readonly command: string;
  readonly args: readonly string[];
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

export interface RunAnswer {
  readonly stdout: string;
  readonly stderr: string;
  /** Why there is no answer: it could not be started, took too long, said too much. */
  readonly problem?: string;
}

const MAX_BYTES = 8 * 1024 * 1024;

/**
 * Runs a foreign program to its end, for so long and with so much output. Its exit code is not
 * asked for: a check that found something exits with 1. Rejects when `signal` aborts.
 */
export function runBounded({ command, args, timeoutMs, signal }: BoundedRun): Promise<RunAnswer> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) {
      reject(signal.reason);
      return;
    }
    // A group of its own, so that what it has started ends with it.
    const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"], detached: true });
    const chunks = { stdout: [] as Buffer[], stderr: [] as Buffer[] };
    let size = 0;
    let problem: string | undefined;
    const end = (why: string): void => {
      problem ??= why;
      killGroup(child.pid);
      // Whoever has left the group may hold the pipes open.
      child.stdout.destroy();
      child.stderr.destroy();
    };
    const timer = setTimeout(() => end(`it did not end within ${timeoutMs / 1000} s`), timeoutMs);
    const onAbort = (): void => end("stopped");
    signal.addEventListener("abort", onAbort, { once: true });
    for (const name of ["stdout", "stderr"] as const) {
      child[name].on("data", (chunk: Buffer) => {
        size += chunk.length;
        if (size > MAX_BYTES) end(`it wrote more than ${MAX_BYTES} bytes`);
        else chunks[name].push(chunk);
      });
    }
    child.on("error", ({ message }) => {
      problem ??= message;
    });
    child.once("close", () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", onAbort);
      if (signal.aborted) reject(signal.reason);
      else {
        resolve({
          stdout: Buffer.concat(chunks.stdout).toString("utf8"),
          stderr: Buffer.concat(chunks.stderr).toString("utf8"),
          ...(problem === undefined ? {} : { problem }),
        });
      }
    });
  });
}

function killGroup(leader: number | undefined): void {
  if (leader === undefined) return;
  try {
    process.kill(-leader, "SIGKILL");
  } catch (error) {
    // It has ended meanwhile, with all of its group.
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}
