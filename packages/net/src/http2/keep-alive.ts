import type { Timer, TimerWheel } from "@heddle/base/timer-wheel";

export interface KeepAliveHost {
  /** Whether a silent peer is to be asked now. */
  isWatched(): boolean;
  ping(): void;
  timedOut(): void;
}

/**
 * Asks a peer that is silent for the interval, and gives it up if it stays silent for the timeout.
 * Whatever comes counts as an answer: a peer that sends is alive.
 */
export class KeepAlive {
  readonly #host: KeepAliveHost;
  readonly #intervalMs: number;
  readonly #timeoutMs: number;
  readonly #timer: Timer | undefined;
  #heard = false;
  #isAsking = false;

  /** @param intervalMs - 0 for never. */
  constructor(host: KeepAliveHost, timers: TimerWheel, intervalMs: number, timeoutMs: number) {
    this.#host = host;
    this.#intervalMs = intervalMs;
    this.#timeoutMs = timeoutMs;
    if (intervalMs <= 0) return;
    this.#timer = timers.timer(() => this.#fire());
    this.#timer.arm(intervalMs);
  }

  /** Bytes came. Hot. */
  heard(): void {
    this.#heard = true;
  }

  stop(): void {
    this.#timer?.disarm();
  }

  #fire(): void {
    if (this.#isAsking && !this.#heard) {
      this.#host.timedOut();
      return;
    }
    const isSilent = !this.#heard && !this.#isAsking;
    this.#heard = false;
    this.#isAsking = isSilent && this.#host.isWatched();
    if (this.#isAsking) this.#host.ping();
    this.#timer!.arm(this.#isAsking ? this.#timeoutMs : this.#intervalMs);
  }
}
