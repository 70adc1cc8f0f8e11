import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync, readFileSync } from "node:fs";

const KILL_AFTER_MS = 10_000;
const SHOWN_LINES = 15;

/** A program that runs until it is disposed of, its output in a file. */
export class Daemon implements AsyncDisposable {
  readonly name: string;
  readonly #process: ChildProcess;
  readonly #logPath: string;
  readonly #ended: Promise<unknown>;

  /** @param logPath - Overwritten. */
  constructor(name: string, command: readonly string[], logPath: string) {
    const log = openSync(logPath, "w");
    try {
      // The kernel ends it with us, however we end.
      const args = ["--pdeathsig", "KILL", "--", ...command];
      this.#process = spawn("setpriv", args, { stdio: ["ignore", log, log] });
    } finally {
      closeSync(log);
    }
    this.name = name;
    this.#logPath = logPath;
    this.#ended = once(this.#process, "exit");
    this.#ended.catch(() => undefined);
  }

  /** @throws Error if the program could not be started. */
  get pid(): number {
    const { pid } = this.#process;
    if (pid === undefined) throw this.#failure("not started");
    return pid;
  }

  /**
   * Asks until `isReady` says yes.
   *
   * @throws Error with the end of the log when the program ended, or after `timeoutMs`.
   */
  async until(isReady: () => Promise<boolean>, timeoutMs: number): Promise<void> {
    const deadline = performance.now() + timeoutMs;
    while (!(await isReady())) {
      const { exitCode, signalCode } = this.#process;
      if (exitCode !== null || signalCode !== null) throw this.#failure("ended");
      if (performance.now() > deadline) throw this.#failure(`not ready after ${timeoutMs} ms`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  /** All that it has written so far. */
  said(): string {
    return readFileSync(this.#logPath, "utf8");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { exitCode, signalCode } = this.#process;
    if (exitCode !== null || signalCode !== null || this.#process.pid === undefined) return;
    this.#process.kill("SIGTERM");
    const timer = setTimeout(() => this.#process.kill("SIGKILL"), KILL_AFTER_MS);
    await this.#ended;
    clearTimeout(timer);
  }

  #failure(what: string): Error {
    const lines = readFileSync(this.#logPath, "utf8").trimEnd().split("\n").slice(-SHOWN_LINES);
    return new Error(`Cannot run ${this.name}: ${what}\n${lines.join("\n")}`);
  }
}
