import { Backoff } from "@heddle/base/backoff";
import type { Timer, TimerWheel } from "@heddle/base/timer-wheel";
import type { Gate } from "./gate.ts";
import { SlidingWindow } from "./sliding-window.ts";

export interface BackoffConfig {
  readonly minMs: number;
  readonly maxMs: number;
  readonly jitter: number;
}

/** When an endpoint is taken out of the rotation. */
export type AccrualConfig =
  | {
      readonly kind: "consecutive";
      /** 0: never. */
      readonly maxFailures: number;
      readonly backoff: BackoffConfig;
    }
  | {
      readonly kind: "unified";
      /** 0: never. */
      readonly maxConsecutiveFailures: number;
      /** 0 to 1; 0: never. */
      readonly successRateThreshold: number;
      readonly windowMs: number;
      readonly minRequests: number;
      readonly backoff: BackoffConfig;
    };

/** What one answer says about its endpoint. */
export interface Outcome {
  readonly isSuccess: boolean;
  /** 429 or RESOURCE_EXHAUSTED: a success to clients, a bad sign to a success rate. */
  readonly isRateLimited: boolean;
}

/** Watches the answers of one endpoint and turns its gate. */
export interface Breaker {
  /** Hot. */
  observe(isSuccess: boolean, isRateLimited: boolean): void;
  close(): void;
}

export interface BreakerParts {
  readonly gate: Gate;
  readonly timers: TimerWheel;
  readonly nowMs: () => number;
  readonly random: () => number;
}

const CLOSED = 0;
const SHUT = 1;
const PROBATION = 2;

/**
 * Open, until the policy trips; shut for a backoff; then one probe decides. While shut, answers of
 * requests that were under way are ignored.
 */
class GateBreaker implements Breaker {
  readonly #policy: TripPolicy;
  readonly #gate: Gate;
  readonly #backoff: Backoff;
  readonly #timer: Timer;
  #state: typeof CLOSED | typeof SHUT | typeof PROBATION = CLOSED;

  constructor(policy: TripPolicy, config: BackoffConfig, parts: BreakerParts) {
    this.#policy = policy;
    this.#gate = parts.gate;
    this.#backoff = new Backoff(config.minMs, config.maxMs, config.jitter, parts.random);
    this.#timer = parts.timers.timer(() => this.#probe());
  }

  observe(isSuccess: boolean, isRateLimited: boolean): void {
    if (this.#state === SHUT) return;
    if (this.#state === CLOSED) {
      if (this.#policy.trips(isSuccess, isRateLimited)) this.#shut();
      return;
    }
    if (!this.#policy.probeSucceeds(isSuccess, isRateLimited)) {
      this.#shut();
      return;
    }
    this.#state = CLOSED;
    this.#policy.reset();
    this.#backoff.reset();
    this.#gate.open();
  }

  close(): void {
    this.#timer.disarm();
  }

  #shut(): void {
    this.#state = SHUT;
    this.#timer.arm(this.#backoff.next());
    this.#gate.shut();
  }

  #probe(): void {
    this.#state = PROBATION;
    this.#gate.limit(1);
  }
}

interface TripPolicy {
  trips(isSuccess: boolean, isRateLimited: boolean): boolean;
  probeSucceeds(isSuccess: boolean, isRateLimited: boolean): boolean;
  reset(): void;
}

class Consecutive implements TripPolicy {
  readonly #max: number;
  #run = 0;

  constructor(max: number) {
    this.#max = max;
  }

  trips(isSuccess: boolean, _isRateLimited: boolean): boolean {
    if (isSuccess) this.#run = 0;
    else this.#run++;
    return this.#max > 0 && this.#run >= this.#max;
  }

  probeSucceeds(isSuccess: boolean, _isRateLimited: boolean): boolean {
    return isSuccess;
  }

  reset(): void {
    this.#run = 0;
  }
}

/** A run of failures, or a success rate too low over a sliding window. */
class Unified implements TripPolicy {
  readonly #consecutive: Consecutive;
  readonly #threshold: number;
  readonly #minRequests: number;
  readonly #window: SlidingWindow;
  readonly #nowMs: () => number;

  constructor(config: AccrualConfig & { kind: "unified" }, nowMs: () => number) {
    this.#consecutive = new Consecutive(config.maxConsecutiveFailures);
    this.#threshold = config.successRateThreshold;
    this.#minRequests = config.minRequests;
    this.#window = new SlidingWindow(config.windowMs, nowMs());
    this.#nowMs = nowMs;
  }

  trips(isSuccess: boolean, isRateLimited: boolean): boolean {
    const isGood = isSuccess && !isRateLimited;
    const run = this.#consecutive.trips(isSuccess, isRateLimited);
    if (this.#threshold > 0) this.#window.add(isGood, this.#nowMs());
    return run || this.#rateIsLow();
  }

  probeSucceeds(isSuccess: boolean, isRateLimited: boolean): boolean {
    return isSuccess && !isRateLimited;
  }

  reset(): void {
    this.#consecutive.reset();
    this.#window.clear(this.#nowMs());
  }

  #rateIsLow(): boolean {
    if (this.#threshold === 0) return false;
    const total = this.#window.total;
    if (total === 0 || total < this.#minRequests) return false;
    return this.#window.successes / total < this.#threshold;
  }
}

export function newBreaker(config: AccrualConfig, parts: BreakerParts): Breaker {
  const policy =
    config.kind === "consecutive"
      ? new Consecutive(config.maxFailures)
      : new Unified(config, parts.nowMs);
  return new GateBreaker(policy, config.backoff, parts);
}

/** For endpoints without a policy: the gate stays as it is. */
export const NO_BREAKER: Breaker = { observe: () => {}, close: () => {} };
