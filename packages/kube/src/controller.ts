import { setTimeout as sleep } from "node:timers/promises";
import { Backoff } from "@heddle/base/backoff";

export interface ControllerOptions<K> {
  /** Keys that changed. Ends when the signal does. */
  readonly changes: AsyncIterable<K>;
  readonly reconcile: (key: K, signal: AbortSignal) => Promise<void>;
  readonly onError: (key: K, error: unknown) => void;
  readonly signal: AbortSignal;
  readonly retryMinMs?: number;
  readonly retryMaxMs?: number;
  /** A key that failed this often in a row is dropped until it changes again. */
  readonly maxRetries?: number;
  readonly random?: () => number;
}

/**
 * Reconciles every changed key: one run at a time per key, different keys side by side. Changes to
 * a key that is being worked on collapse into one more run.
 */
export async function runController<K>(options: ControllerOptions<K>): Promise<void> {
  const { changes, reconcile, onError, signal, retryMinMs = 500, retryMaxMs = 60_000 } = options;
  const { maxRetries = Number.POSITIVE_INFINITY, random } = options;
  const dirty = new Set<K>();
  const working = new Map<K, Promise<void>>();

  async function work(key: K): Promise<void> {
    const backoff = new Backoff(retryMinMs, retryMaxMs, 0.5, random);
    let failures = 0;
    while (!signal.aborted && dirty.delete(key)) {
      try {
        await reconcile(key, signal);
        failures = 0;
        backoff.reset();
      } catch (error) {
        if (signal.aborted) break;
        onError(key, error);
        failures++;
        if (failures <= maxRetries) dirty.add(key);
        await sleep(backoff.next(), undefined, { signal }).catch(() => undefined);
      }
    }
    // In the same tick as the last look at `dirty`, so that no change slips in between.
    working.delete(key);
  }

  for await (const key of changes) {
    dirty.add(key);
    if (!working.has(key)) working.set(key, work(key));
  }
  await Promise.all(working.values());
}

/**
 * Changed keys on their way to a controller. Never blocks who adds: a key that waits already is
 * not added again, so it holds at most as many as there are keys.
 */
export class ChangeQueue<K> implements AsyncIterable<K> {
  readonly #waiting = new Set<K>();
  #wake: (() => void) | undefined;
  #isClosed = false;

  constructor(signal: AbortSignal) {
    if (signal.aborted) this.#isClosed = true;
    else signal.addEventListener("abort", () => this.#close(), { once: true });
  }

  get size(): number {
    return this.#waiting.size;
  }

  add(key: K): void {
    if (this.#isClosed) return;
    this.#waiting.add(key);
    this.#wake?.();
  }

  async *[Symbol.asyncIterator](): AsyncIterator<K> {
    while (!this.#isClosed) {
      for (const key of this.#waiting) {
        this.#waiting.delete(key);
        yield key;
        if (this.#isClosed) return;
      }
      if (this.#waiting.size > 0) continue;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
        if (this.#isClosed) resolve();
      });
      this.#wake = undefined;
    }
  }

  #close(): void {
    this.#isClosed = true;
    this.#wake?.();
  }
}
