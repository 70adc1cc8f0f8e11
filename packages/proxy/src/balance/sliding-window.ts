const BUCKETS = 10;

/** Successes and all, over the last `windowMs`, in ten buckets. Hot: allocates nothing. */
export class SlidingWindow {
  readonly #bucketMs: number;
  readonly #good = new Array<number>(BUCKETS).fill(0);
  readonly #all = new Array<number>(BUCKETS).fill(0);
  /** Number of the current bucket since the start of time; its place is the remainder. */
  #bucket: number;
  successes = 0;
  total = 0;

  /** @param windowMs - At least 10. */
  constructor(windowMs: number, nowMs: number) {
    this.#bucketMs = Math.max(10, windowMs) / BUCKETS;
    this.#bucket = Math.floor(nowMs / this.#bucketMs);
  }

  add(isGood: boolean, nowMs: number): void {
    this.advance(nowMs);
    const at = this.#bucket % BUCKETS;
    this.#all[at]!++;
    this.total++;
    if (!isGood) return;
    this.#good[at]!++;
    this.successes++;
  }

  /** Forgets what is older than the window. */
  advance(nowMs: number): void {
    const bucket = Math.floor(nowMs / this.#bucketMs);
    if (bucket - this.#bucket >= BUCKETS) {
      this.clear(nowMs);
      return;
    }
    while (this.#bucket < bucket) {
      this.#bucket++;
      const at = this.#bucket % BUCKETS;
      this.successes -= this.#good[at]!;
      this.total -= this.#all[at]!;
      this.#good[at] = 0;
      this.#all[at] = 0;
    }
  }

  clear(nowMs: number): void {
    this.#bucket = Math.floor(nowMs / this.#bucketMs);
    this.#good.fill(0);
    this.#all.fill(0);
    this.successes = 0;
    this.total = 0;
  }
}
