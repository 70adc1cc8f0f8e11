/** A run shorter than this holds nobody up. */
const SHORT_MS = 10;
/** However long a run took, the next one waits no longer. */
const MAX_REST_MS = 1_000;

/**
 * Runs once after any number of requests in one turn of the event loop. A run that took long is
 * followed by as long a rest, in which others have the loop: whoever changes one thing of ten
 * thousand all the time takes half of it at most.
 */
export class Coalesced {
  readonly #run: () => void;
  #cancel: (() => void) | undefined;
  #isCancelled = false;
  #isRunning = false;
  /** Asked for while it ran: how long the rest must be is not known yet. */
  #isWantedAgain = false;
  /** By `performance.now`. */
  #restUntilMs = 0;

  constructor(run: () => void) {
    this.#run = run;
  }

  schedule(): void {
    if (this.#cancel !== undefined || this.#isCancelled) return;
    if (this.#isRunning) {
      this.#isWantedAgain = true;
      return;
    }
    const restMs = this.#restUntilMs - performance.now();
    if (restMs > 0) {
      const timer = setTimeout(() => this.#now(), restMs);
      this.#cancel = () => clearTimeout(timer);
    } else {
      const timer = setImmediate(() => this.#now());
      this.#cancel = () => clearImmediate(timer);
    }
  }

  cancel(): void {
    this.#isCancelled = true;
    this.#cancel?.();
  }

  #now(): void {
    this.#cancel = undefined;
    this.#isRunning = true;
    this.#isWantedAgain = false;
    const startMs = performance.now();
    try {
      this.#run();
    } finally {
      const endMs = performance.now();
      const tookMs = endMs - startMs;
      if (tookMs > SHORT_MS) this.#restUntilMs = endMs + Math.min(tookMs, MAX_REST_MS);
      this.#isRunning = false;
      if (this.#isWantedAgain) this.schedule();
    }
  }
}
