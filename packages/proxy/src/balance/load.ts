import { Ewma } from "./ewma.ts";

/** How busy an endpoint is, as the balancer sees it. One per endpoint, told of each request. */
export interface LoadEstimator {
  /** Comparable between endpoints of one balancer. Hot. */
  load(nowMs: number): number;
  /** A request was dispatched. */
  started(): void;
  /** Its first body bytes came, or it ended, or it failed. */
  finished(elapsedMs: number, nowMs: number): void;
  /** As `finished`, for an answer that must cost more than its latency says. */
  penalized(hintMs: number | undefined, nowMs: number): void;
  /** Whether failures are worth telling apart: `penalized` differs from `finished`. */
  readonly penalizes: boolean;
}

export type LoadConfig =
  | { readonly kind: "peak_ewma"; readonly defaultRttMs: number; readonly decayMs: number }
  | {
      readonly kind: "penalty_peak_ewma";
      readonly defaultRttMs: number;
      readonly decayMs: number;
      readonly penaltyMs: number;
      readonly maxRetryAfterMs: number;
    };

/** What Linkerd's controller sends, and what profile and control-plane balancers use. */
export const DEFAULT_LOAD: LoadConfig = { kind: "peak_ewma", defaultRttMs: 30, decayMs: 10_000 };

export function newLoadEstimator(config: LoadConfig, nowMs: number): LoadEstimator {
  return config.kind === "peak_ewma"
    ? new PeakEwma(config.defaultRttMs, config.decayMs, nowMs)
    : new PenaltyPeakEwma(config, nowMs);
}

/**
 * Latency that jumps up at once and sinks slowly, times the requests under way. Reading the load is
 * itself a sample of zero, so that an idle endpoint grows cheaper and is tried again.
 */
export class PeakEwma implements LoadEstimator {
  readonly penalizes = false;
  readonly #decayMs: number;
  #estimateMs: number;
  #updatedMs: number;
  #pending = 0;

  constructor(defaultRttMs: number, decayMs: number, nowMs: number) {
    this.#estimateMs = Math.max(1, defaultRttMs);
    this.#decayMs = Math.max(1, decayMs);
    this.#updatedMs = nowMs;
  }

  load(nowMs: number): number {
    const elapsed = nowMs - this.#updatedMs;
    if (elapsed > 0) {
      this.#estimateMs *= Math.exp(-elapsed / this.#decayMs);
      this.#updatedMs = nowMs;
    }
    return this.#estimateMs * (this.#pending + 1);
  }

  started(): void {
    this.#pending++;
  }

  finished(elapsedMs: number, nowMs: number): void {
    this.#pending--;
    if (this.#estimateMs < elapsedMs) {
      this.#estimateMs = elapsedMs;
    } else {
      const weight = Math.exp(-Math.max(0, nowMs - this.#updatedMs) / this.#decayMs);
      this.#estimateMs = this.#estimateMs * weight + elapsedMs * (1 - weight);
    }
    this.#updatedMs = Math.max(this.#updatedMs, nowMs);
  }

  penalized(_hintMs: number | undefined, nowMs: number): void {
    this.finished(0, nowMs);
  }
}

/** Peak EWMA in which a failure counts as a slow answer: a fast 503 must not attract requests. */
export class PenaltyPeakEwma implements LoadEstimator {
  readonly penalizes = true;
  readonly #cell: Ewma;
  readonly #penaltyMs: number;
  readonly #maxRetryAfterMs: number;
  #pending = 0;

  constructor(config: LoadConfig & { kind: "penalty_peak_ewma" }, nowMs: number) {
    this.#cell = new Ewma(config.decayMs, nowMs);
    this.#cell.reset(Math.max(1, config.defaultRttMs), nowMs);
    this.#penaltyMs = config.penaltyMs;
    this.#maxRetryAfterMs = config.maxRetryAfterMs;
  }

  load(nowMs: number): number {
    return this.#cell.get(nowMs) * (this.#pending + 1);
  }

  started(): void {
    this.#pending++;
  }

  finished(elapsedMs: number, nowMs: number): void {
    this.#pending--;
    this.#cell.addPeak(elapsedMs, nowMs);
  }

  penalized(hintMs: number | undefined, nowMs: number): void {
    this.#pending--;
    const hinted = hintMs === undefined ? 0 : Math.min(hintMs, this.#maxRetryAfterMs);
    const penalty = Math.max(this.#penaltyMs, hinted);
    this.#cell.addPeak(Math.max(penalty, this.#cell.get(nowMs)), nowMs);
  }
}
