/** How many retries may follow how many requests: ServiceProfiles' budget. */
export interface RetryBudgetConfig {
  readonly ttlMs: number;
  readonly ratio: number;
  readonly minPerSecond: number;
}

const SLOTS = 10;

/**
 * Each settled request deposits, each retry withdraws; deposits are forgotten after `ttlMs`, and a
 * reserve is there without any. Hot: allocates nothing.
 */
export class RetryBudget {
  readonly #deposit: number;
  readonly #cost: number;
  readonly #reserve: number;
  readonly #slotMs: number;
  readonly #nowMs: () => number;
  readonly #slots = new Array<number>(SLOTS).fill(0);
  #slot: number;
  #sum = 0;

  constructor(config: RetryBudgetConfig, nowMs: () => number) {
    const { ratio, minPerSecond, ttlMs } = config;
    this.#deposit = ratio === 0 ? 0 : ratio <= 1 ? 1 : 1_000;
    this.#cost = ratio === 0 ? 1 : Math.max(1, Math.floor(this.#deposit / ratio));
    this.#reserve = Math.floor((minPerSecond * ttlMs) / 1_000) * this.#cost;
    this.#slotMs = ttlMs / SLOTS;
    this.#nowMs = nowMs;
    this.#slot = Math.floor(nowMs() / this.#slotMs);
  }

  deposit(): void {
    this.#expire();
    this.#slots[this.#slot % SLOTS]! += this.#deposit;
    this.#sum += this.#deposit;
  }

  withdraw(): boolean {
    this.#expire();
    if (this.#sum + this.#reserve < this.#cost) return false;
    this.#slots[this.#slot % SLOTS]! -= this.#cost;
    this.#sum -= this.#cost;
    return true;
  }

  #expire(): void {
    const now = Math.floor(this.#nowMs() / this.#slotMs);
    if (now - this.#slot >= SLOTS) {
      this.#slots.fill(0);
      this.#sum = 0;
      this.#slot = now;
      return;
    }
    while (this.#slot < now) {
      this.#slot++;
      const at = this.#slot % SLOTS;
      this.#sum -= this.#slots[at]!;
      this.#slots[at] = 0;
    }
  }
}
