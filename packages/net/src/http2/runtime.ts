import { TimerWheel } from "@heddle/base/timer-wheel";
import { HeaderStrings } from "@heddle/wire/hpack/header-strings";
import { Output } from "@heddle/wire/hpack/output";

/** Something that gathers work within a turn of the event loop and does it at the turn's end. */
export interface TurnEnd {
  turnEnd(): void;
}

/** Enough for what one turn sends on a busy connection; larger bursts are written in between. */
export const SLAB_BYTES = 65_536;
const MAX_IDLE_SLABS = 16;

/**
 * What all HTTP/2 connections of a process share: nothing in it can be told from outside, but for
 * the memory and the time that it saves.
 */
export class Http2Runtime {
  readonly strings: HeaderStrings = new HeaderStrings();
  readonly timers: TimerWheel;
  readonly nowMs: () => number;
  readonly #idleSlabs: Output[] = [];
  #waiting: TurnEnd[] = [];
  #running: TurnEnd[] = [];
  #isScheduled = false;
  readonly #run: () => void;

  constructor(options: { readonly timers?: TimerWheel; readonly nowMs?: () => number } = {}) {
    this.nowMs = options.nowMs ?? (() => performance.now());
    this.timers = options.timers ?? new TimerWheel(this.nowMs);
    this.#run = () => this.#endTurn();
  }

  /** Calls `turnEnd` once this turn's events are done. Ask once per turn. Hot. */
  atTurnEnd(work: TurnEnd): void {
    this.#waiting.push(work);
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(this.#run);
  }

  /** An empty buffer to gather output in. */
  takeSlab(): Output {
    return this.#idleSlabs.pop() ?? new Output(Buffer.allocUnsafeSlow(SLAB_BYTES));
  }

  /** Gives it back, when nobody reads it any more. */
  giveSlab(slab: Output): void {
    slab.end = 0;
    if (slab.bytes.length === SLAB_BYTES && this.#idleSlabs.length < MAX_IDLE_SLABS) {
      this.#idleSlabs.push(slab);
    }
  }

  #endTurn(): void {
    this.#isScheduled = false;
    const work = this.#waiting;
    this.#waiting = this.#running;
    this.#running = work;
    for (let i = 0; i < work.length; i++) work[i]!.turnEnd();
    work.length = 0;
  }
}

/** For everyone who brings none. Shared, as its contents can be: see the class. */
export const DEFAULT_RUNTIME: Http2Runtime = new Http2Runtime();
