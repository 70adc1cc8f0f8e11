import type { Clock } from "@heddle/base/clock";
import { TimerWheel } from "@heddle/base/timer-wheel";

/** A clock that stands still until a test moves it, and a wheel that runs by it. */
export class FakeTime implements Clock {
  #nowMs = 1_000_000;
  readonly timers: TimerWheel = new TimerWheel(() => this.#nowMs, 1);

  nowMs(): number {
    return this.#nowMs;
  }

  wallMs(): number {
    return 1_700_000_000_000 + this.#nowMs;
  }

  /** Moves time, tick by tick, and fires what comes due on the way. */
  pass(ms: number): void {
    for (let left = ms; left > 0; left--) {
      this.#nowMs++;
      this.timers.advance();
    }
  }

  /** Moves time in one step; no timer fires until the next `pass`. */
  jump(ms: number): void {
    this.#nowMs += ms;
  }
}
