import { Backoff } from "@heddle/base/backoff";
import type { Log } from "@heddle/base/log";

export interface WorkQueueOptions {
  /** For logs. */
  readonly name: string;
  /** Brings the world in line with what is wanted for a key. May run again at any time. */
  readonly reconcile: (key: string) => Promise<void>;
  readonly log: Log;
}

const RETRY_MIN_MS = 50;
const RETRY_MAX_MS = 30_000;
/** Keys worked on side by side. */
const WORKERS = 16;

/**
 * Keys that need work. A key is worked on once at a time; changes to it meanwhile collapse into one
 * more run; failures are tried again, ever more slowly.
 */
export class WorkQueue {
  readonly #options: WorkQueueOptions;
  readonly #waiting = new Set<string>();
  readonly #working = new Set<string>();
  readonly #backoffs = new Map<string, Backoff>();
  readonly #timers = new Map<string, NodeJS.Timeout>();
  #isStopped = false;
  #idle: (() => void)[] = [];

  constructor(options: WorkQueueOptions) {
    this.#options = options;
  }

  add(key: string): void {
    if (this.#isStopped) return;
    clearTimeout(this.#timers.get(key));
    this.#timers.delete(key);
    this.#waiting.add(key);
    // Not in the turn of the event that asked: it may be one of many.
    setImmediate(() => this.#pump());
  }

  /** Resolves when work under way is done; nothing is begun any more. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#waiting.clear();
    for (const timer of this.#timers.values()) clearTimeout(timer);
    this.#timers.clear();
    if (this.#working.size === 0) return;
    await new Promise<void>((resolve) => this.#idle.push(resolve));
  }

  #pump(): void {
    for (const key of this.#waiting) {
      if (this.#working.size >= WORKERS) return;
      if (this.#working.has(key)) continue;
      this.#waiting.delete(key);
      this.#working.add(key);
      void this.#run(key);
    }
  }

  async #run(key: string): Promise<void> {
    try {
      await this.#options.reconcile(key);
      this.#backoffs.delete(key);
    } catch (error) {
      this.#retry(key, error);
    }
    this.#working.delete(key);
    this.#pump();
    if (this.#working.size === 0) for (const resolve of this.#idle.splice(0)) resolve();
  }

  #retry(key: string, error: unknown): void {
    if (this.#isStopped) return;
    const { log, name } = this.#options;
    let backoff = this.#backoffs.get(key);
    if (backoff === undefined) {
      backoff = new Backoff(RETRY_MIN_MS, RETRY_MAX_MS, 0.2);
      this.#backoffs.set(key, backoff);
    }
    const delayMs = backoff.next();
    // The first failures are the usual ones: somebody else changed the object.
    const isUsual = delayMs < 500;
    const fields = { controller: name, key, delayMs: Math.round(delayMs), error: String(error) };
    if (isUsual) log.debug?.("work failed, trying again", fields);
    else log.warn("work failed, trying again", fields);
    const timer = setTimeout(() => {
      this.#timers.delete(key);
      this.add(key);
    }, delayMs);
    timer.unref();
    this.#timers.set(key, timer);
  }
}
