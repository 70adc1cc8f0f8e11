/**
 * How often a peer may do what costs us and brings it nothing: a bucket that starts full and fills
 * again with time, or with useful work.
 *
 * Hot: while the bucket lasts, taking is a subtraction; the clock is read when it is empty.
 */
export class Budget {
  readonly #capacity: number;
  readonly #perSecond: number;
  readonly #nowMs: () => number;
  #left: number;
  #filledAtMs: number;

  constructor(limit: BudgetLimit, nowMs: () => number) {
    this.#capacity = limit.burst;
    this.#perSecond = limit.perSecond;
    this.#nowMs = nowMs;
    this.#left = limit.burst;
    this.#filledAtMs = nowMs();
  }

  /** @returns false if the budget is exceeded. */
  take(cost = 1): boolean {
    if (this.#left < cost) {
      const now = this.#nowMs();
      this.give(((now - this.#filledAtMs) * this.#perSecond) / 1000);
      this.#filledAtMs = now;
      if (this.#left < cost) return false;
    }
    this.#left -= cost;
    return true;
  }

  /** Fills up by `amount`, never above the burst. */
  give(amount: number): void {
    this.#left = Math.min(this.#capacity, this.#left + amount);
  }
}

export interface BudgetLimit {
  readonly burst: number;
  readonly perSecond: number;
}

/** What a peer may do before the connection ends with ENHANCE_YOUR_CALM. */
export interface Http2Budgets {
  /** Streams reset before they were answered: by the client, or by us because of its mistakes. */
  readonly resets: BudgetLimit;
  /** Of these, in one turn of the event loop: requests that nobody can have looked at yet. */
  readonly pendingResets: number;
  /** DATA frames with no data that do not end their stream. */
  readonly emptyFrames: BudgetLimit;
  readonly pings: BudgetLimit;
  readonly settings: BudgetLimit;
  /** Each DATA frame that we send gives back `WINDOW_UPDATES_PER_DATA`. */
  readonly windowUpdates: BudgetLimit;
  /** PRIORITY and frames of unknown types. Each stream gives back `PRIORITIES_PER_STREAM`. */
  readonly priorities: BudgetLimit;
  /** Frames on streams that are closed: what was under way when we reset a stream, and no more. */
  readonly closedStreamFrames: BudgetLimit;
  /** CONTINUATION frames of one field section. */
  readonly continuations: number;
  /** Answers to PING and SETTINGS that the peer has not taken yet. */
  readonly queuedAcks: number;
}

export const WINDOW_UPDATES_PER_DATA = 10;
export const PRIORITIES_PER_STREAM = 10;

/** Wide of what peers were seen to do, and narrow enough that none of it is felt. */
export const DEFAULT_BUDGETS: Http2Budgets = {
  resets: { burst: 1000, perSecond: 100 },
  pendingResets: 20,
  emptyFrames: { burst: 100, perSecond: 20 },
  pings: { burst: 1000, perSecond: 1000 },
  settings: { burst: 100, perSecond: 10 },
  windowUpdates: { burst: 10_000, perSecond: 1000 },
  priorities: { burst: 1000, perSecond: 100 },
  closedStreamFrames: { burst: 10_000, perSecond: 1000 },
  continuations: 16,
  queuedAcks: 1000,
};
