/**
 * The generic cell rate algorithm: `perSecond` requests a second, of which a whole second's worth
 * may come at once. State is one number: the time, counted in cells, at which the bucket is empty.
 */
export class Gcra {
  readonly #perSecond: number;
  readonly #startMs: number;
  #emptyAt = 0;

  /** @param perSecond - At least 1. */
  constructor(perSecond: number, nowMs: number) {
    this.#perSecond = perSecond;
    this.#startMs = nowMs;
  }

  /** Takes a cell if there is one. Hot: allocates nothing. */
  take(nowMs: number): boolean {
    const now = this.#cells(nowMs);
    const emptyAt = Math.max(this.#emptyAt, now);
    // The slack absorbs rounding in `#cells`; it is far below one cell.
    if (emptyAt - now > this.#perSecond - 1 + 1e-6) return false;
    this.#emptyAt = emptyAt + 1;
    return true;
  }

  /** Whether nothing is taken: such a limiter is as good as a new one. */
  isIdle(nowMs: number): boolean {
    return this.#emptyAt <= this.#cells(nowMs);
  }

  /** Counted from the limiter's own start, so that doubles keep their precision. */
  #cells(nowMs: number): number {
    return ((nowMs - this.#startMs) * this.#perSecond) / 1000;
  }
}

export interface RateLimitSpec {
  /** Requests per second; undefined or 0 for no limit. The same holds for the others. */
  readonly total: number | undefined;
  readonly identity: number | undefined;
  readonly overrides: readonly {
    readonly perSecond: number;
    readonly identities: readonly string[];
  }[];
}

/** Which limit a request ran into. */
export type Limited = "total" | "identity" | "override";

/** Clients that are tracked apart; beyond it the idle ones are forgotten, then the oldest. */
const MAX_CLIENTS = 10_000;

/**
 * The limits of one Server. Total first, then the override of the client's identity, or else the
 * limit that each identity has of its own; clients without identity share one. What a later limit
 * refuses has already taken from the total.
 */
export class RateLimiter {
  readonly #total: Gcra | undefined;
  readonly #identityPerSecond: number;
  readonly #clients = new Map<string, Gcra>();
  readonly #overrides = new Map<string, Gcra>();
  readonly #maxClients: number;

  constructor(spec: RateLimitSpec, nowMs: number, maxClients: number = MAX_CLIENTS) {
    this.#total = spec.total ? new Gcra(spec.total, nowMs) : undefined;
    this.#identityPerSecond = spec.identity ?? 0;
    this.#maxClients = maxClients;
    for (const override of spec.overrides) {
      if (override.perSecond === 0) continue;
      // One limiter for all identities of an entry.
      const shared = new Gcra(override.perSecond, nowMs);
      for (const identity of override.identities) {
        if (!this.#overrides.has(identity)) this.#overrides.set(identity, shared);
      }
    }
  }

  /**
   * Counts one request; undefined if it may pass. Hot: allocates once per new client.
   *
   * @param tlsId - Proved by mutual TLS; nothing else counts as identity.
   */
  check(tlsId: string | undefined, nowMs: number): Limited | undefined {
    if (this.#total !== undefined && !this.#total.take(nowMs)) return "total";
    if (tlsId !== undefined) {
      const override = this.#overrides.get(tlsId);
      if (override !== undefined) return override.take(nowMs) ? undefined : "override";
    }
    if (this.#identityPerSecond === 0) return undefined;
    return this.#client(tlsId ?? "", nowMs).take(nowMs) ? undefined : "identity";
  }

  get clients(): number {
    return this.#clients.size;
  }

  #client(key: string, nowMs: number): Gcra {
    const known = this.#clients.get(key);
    if (known !== undefined) return known;
    if (this.#clients.size >= this.#maxClients) this.#forget(nowMs);
    const made = new Gcra(this.#identityPerSecond, nowMs);
    this.#clients.set(key, made);
    return made;
  }

  #forget(nowMs: number): void {
    for (const [key, gcra] of this.#clients) if (gcra.isIdle(nowMs)) this.#clients.delete(key);
    // A tenth at once, so that the walk above is not repeated for every new client.
    const target = this.#maxClients * 0.9;
    for (const key of this.#clients.keys()) {
      if (this.#clients.size <= target) return;
      this.#clients.delete(key);
    }
  }
}
