import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { Backoff } from "@heddle/base/backoff";
import type { Log } from "@heddle/base/log";

export interface ProcessSpec {
  /** For logs and errors: `control`, `proxy`. */
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  /** The whole environment; nothing is inherited. */
  readonly env: Readonly<Record<string, string>>;
  readonly uid?: number;
  readonly gid?: number;
  readonly cwd?: string;
  /** Takes each line of output, of both streams. */
  readonly onLine: (line: string) => void;
  /** Hears of each end that was not asked for, before the restart. */
  readonly onExit?: (code: number | null, signal: NodeJS.Signals | null) => void;
  /** Ends with this code are wrong settings: no restart would help. */
  readonly fatalCodes?: readonly number[];
}

/** The least and the most time between restarts, and how long a run counts as a success. */
const RESTART_MIN_MS = 200;
const RESTART_MAX_MS = 10_000;
const STEADY_MS = 10_000;

/**
 * Keeps one process running: restarts it with backoff when it ends, and ends it on `close`. The
 * child's standard input is a pipe that closes with us, so that a child of ours that watches it
 * (`HEDDLE_SUPERVISED=1`) never outlives a supervisor that was killed.
 */
export class Supervised {
  readonly #spec: ProcessSpec;
  readonly #log: Log;
  readonly #backoff = new Backoff(RESTART_MIN_MS, RESTART_MAX_MS, 0.2);
  #child: ChildProcess | undefined;
  #timer: NodeJS.Timeout | undefined;
  #isClosing = false;
  #isHalted = false;
  #restarts = 0;
  #startedMs = 0;

  constructor(spec: ProcessSpec, log: Log) {
    this.#spec = spec;
    this.#log = log;
    this.#start();
  }

  /** Undefined between an end and its restart. */
  get pid(): number | undefined {
    return this.#child?.pid;
  }

  get restarts(): number {
    return this.#restarts;
  }

  /** Sends a signal to the process, if there is one; a death by it is restarted like any other. */
  kill(signal: NodeJS.Signals): void {
    this.#child?.kill(signal);
  }

  /** One line to the process's standard input. @returns false if there is no process. */
  write(line: string): boolean {
    if (this.#child?.stdin?.writable !== true) return false;
    this.#child.stdin.write(`${line}\n`);
    return true;
  }

  /** Kills the process at once, and keeps it down until `start`. Resolves when it is gone. */
  async halt(): Promise<void> {
    this.#isHalted = true;
    clearTimeout(this.#timer);
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, "exit");
    child.kill("SIGKILL");
    await gone;
  }

  /** Lets it run again after `halt`. */
  start(): void {
    if (!this.#isHalted || this.#isClosing) return;
    this.#isHalted = false;
    this.#start();
  }

  /** SIGTERM, and SIGKILL after `graceMs`. Returns when the process is gone. */
  async close(graceMs = 5_000): Promise<void> {
    this.#isClosing = true;
    clearTimeout(this.#timer);
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, "exit");
    child.kill("SIGTERM");
    const force = setTimeout(() => child.kill("SIGKILL"), graceMs);
    await gone;
    clearTimeout(force);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #start(): void {
    const { name, command, args, env, uid, gid, cwd, onLine } = this.#spec;
    this.#startedMs = performance.now();
    const child = spawn(command, [...args], {
      env: { ...env, HEDDLE_SUPERVISED: "1" },
      stdio: ["pipe", "pipe", "pipe"],
      ...(uid === undefined ? {} : { uid }),
      ...(gid === undefined ? {} : { gid }),
      ...(cwd === undefined ? {} : { cwd }),
    });
    this.#child = child;
    for (const stream of [child.stdout, child.stderr]) {
      if (stream !== null) createInterface({ input: stream }).on("line", onLine);
    }
    // A child that ends while we write nothing may still reset the pipe; its exit says the rest.
    child.stdin?.on("error", () => {});
    child.once("error", (error) => {
      this.#log.error("cannot start process", { name, command, error: error.message });
      this.#ended(null, null);
    });
    child.once("exit", (code, signal) => this.#ended(code, signal));
  }

  #ended(code: number | null, signal: NodeJS.Signals | null): void {
    if (this.#child === undefined) return;
    this.#child = undefined;
    if (this.#isClosing || this.#isHalted) return;
    const { name, onExit, fatalCodes } = this.#spec;
    onExit?.(code, signal);
    if (code !== null && (fatalCodes ?? [64]).includes(code)) {
      this.#log.error("process ended for good: its settings are wrong", { name, code });
      return;
    }
    if (performance.now() - this.#startedMs > STEADY_MS) this.#backoff.reset();
    const delayMs = Math.round(this.#backoff.next());
    this.#log.warn("process ended, restarting", { name, code, signal, delayMs });
    this.#restarts++;
    this.#timer = setTimeout(() => this.#start(), delayMs);
  }
}
