/** Exponential backoff: `min * 2^n`, at most `max`, plus uniform jitter of up to `jitter` of it. */
export class Backoff {
  readonly #minMs: number;
  readonly #maxMs: number;
  readonly #jitter: number;
  readonly #random: () => number;
  #attempt = 0;

  /** @param jitter - Ratio, 0 for none. The sum never exceeds `maxMs`. */
  constructor(minMs: number, maxMs: number, jitter = 0, random: () => number = Math.random) {
    this.#minMs = minMs;
    this.#maxMs = maxMs;
    this.#jitter = jitter;
    this.#random = random;
  }

  /** Milliseconds to wait before the next attempt. */
  next(): number {
    const base = Math.min(this.#minMs * 2 ** Math.min(this.#attempt, 50), this.#maxMs);
    this.#attempt++;
    return Math.min(base + base * this.#jitter * this.#random(), this.#maxMs);
  }

  /** Starts the series again, after a success. */
  reset(): void {
    this.#attempt = 0;
  }
}
