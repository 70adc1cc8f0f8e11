/**
 * An exponentially weighted moving average that also knows how to jump: `addPeak` takes a worse
 * sample at once and forgets it slowly. Units of the value are the caller's; times are milliseconds.
 */
export class Ewma {
  readonly #decayMs: number;
  #value: number = Number.POSITIVE_INFINITY;
  #updatedMs: number;

  /** @param decayMs - After this long without samples 1/e of the value is left. At least 1. */
  constructor(decayMs: number, nowMs: number) {
    this.#decayMs = Math.max(1, decayMs);
    this.#updatedMs = nowMs;
  }

  /** The value as it would be at `nowMs`, decayed towards zero; infinity before the first sample. */
  get(nowMs: number): number {
    const elapsed = nowMs - this.#updatedMs;
    return elapsed <= 0 ? this.#value : this.#value * Math.exp(-elapsed / this.#decayMs);
  }

  /** Blends a sample in. One that is not newer than the last is ignored. */
  add(sample: number, nowMs: number): void {
    const elapsed = nowMs - this.#updatedMs;
    if (elapsed <= 0) return;
    if (this.#value === Number.POSITIVE_INFINITY) {
      this.reset(sample, nowMs);
      return;
    }
    const weight = Math.exp(-elapsed / this.#decayMs);
    this.reset(this.#value * weight + sample * (1 - weight), nowMs);
  }

  /** As `add`, but a sample above the decayed value replaces it. */
  addPeak(sample: number, nowMs: number): void {
    const isFirst = this.#value === Number.POSITIVE_INFINITY;
    if (isFirst || this.get(nowMs) < sample) this.reset(sample, nowMs);
    else this.add(sample, nowMs);
  }

  reset(value: number, nowMs: number): void {
    this.#value = value;
    this.#updatedMs = nowMs;
  }
}
