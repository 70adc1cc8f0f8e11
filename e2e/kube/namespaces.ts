import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Daemon } from "./daemon.ts";

/** The first process: waits for ever, and buries what containers leave behind. */
const FIRST = "while :; do sleep 3600 & wait $!; done";

const STARTED_MS = 10_000;

/**
 * Network, mount and process namespaces of their own: no packet leaves them, no mount is seen
 * outside, and with their first process everything in them ends, also when ours is killed.
 */
export class Namespaces implements AsyncDisposable {
  readonly #outer: Daemon;
  /** As this machine counts. */
  readonly #first: number;

  private constructor(outer: Daemon, first: number) {
    this.#outer = outer;
    this.#first = first;
  }

  /** @param folder - For the log. */
  static async start(folder: string): Promise<Namespaces> {
    const flags = ["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"];
    const command = ["unshare", ...flags, "--propagation", "private", "sh", "-c", FIRST];
    const outer = new Daemon("namespaces", command, join(folder, "namespaces.log"));
    let first: number | undefined;
    // Its mounts are there as soon as it runs what it was told to.
    await outer.until(async () => {
      first = childOf(outer.pid);
      return first !== undefined && isRunning(first, "sh");
    }, STARTED_MS);
    return new Namespaces(outer, first!);
  }

  /** The command line that runs a program inside. */
  command(program: readonly string[]): string[] {
    return ["nsenter", "-t", String(this.#first), "--net", "--mount", "--pid", "--", ...program];
  }

  /** Runs a program inside to its end. @returns what it printed. @throws what it said if it failed. */
  run(program: readonly string[]): string {
    const [command, ...args] = this.command(program);
    const { status, stdout, stderr, error } = spawnSync(command!, args, { encoding: "utf8" });
    if (status === 0) return stdout;
    throw new Error(`Cannot run ${program.join(" ")}: ${error?.message ?? `${stderr}${stdout}`}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      process.kill(this.#first, "SIGKILL");
    } catch (error) {
      // It has ended by itself.
      if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
    }
    await this.#outer[Symbol.asyncDispose]();
  }
}

function childOf(pid: number): number | undefined {
  try {
    const [child] = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").split(" ");
    return child === undefined || child === "" ? undefined : Number(child);
  } catch {
    // Its end is for the caller to see.
    return undefined;
  }
}

function isRunning(pid: number, name: string): boolean {
  try {
    return readFileSync(`/proc/${pid}/comm`, "utf8").trim() === name;
  } catch {
    // Gone, or not there yet.
    return false;
  }
}
