import { MeshError } from "@heddle/base/errors";
import { type Guard, WARNING_GUARD } from "./guard.ts";

/** Something that gathers work within a turn of the event loop and does it at the turn's end. */
export interface TurnEnd {
  turnEnd(): void;
  /** Called with the reason if `turnEnd` threw. */
  destroy(reason: MeshError): void;
}

export interface TurnOptions {
  /** Hears of bugs in what runs at the end of a turn, outside a socket's callbacks. */
  readonly guard?: Guard;
  readonly nowMs?: () => number;
}

/**
 * The current turn of the event loop, shared by everything in a process that gathers its output: one
 * callback ends it for all connections, and the clock is read once in it.
 */
export class Turn {
  readonly guard: Guard;
  /** Monotonic milliseconds, the same all through a turn. Hot. */
  readonly nowMs: () => number;
  readonly #run: () => void;
  /** The first so many wait; cutting an array costs a call into the runtime. */
  #waiting: (TurnEnd | undefined)[] = [];
  #running: (TurnEnd | undefined)[] = [];
  #count = 0;
  #isScheduled = false;
  #knowsTime = false;
  #timeMs = 0;

  constructor(options: TurnOptions = {}) {
    const readMs = options.nowMs ?? (() => performance.now());
    this.guard = options.guard ?? WARNING_GUARD;
    this.#run = () => this.#end();
    this.nowMs = () => {
      if (!this.#knowsTime) {
        this.#knowsTime = true;
        this.#timeMs = readMs();
        this.#schedule();
      }
      return this.#timeMs;
    };
  }

  /** Calls `turnEnd` once this turn's events are done. Ask once per turn. Hot. */
  atEnd(work: TurnEnd): void {
    this.#waiting[this.#count++] = work;
    this.#schedule();
  }

  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(this.#run);
  }

  #end(): void {
    this.#isScheduled = false;
    this.#knowsTime = false;
    const work = this.#waiting;
    this.#waiting = this.#running;
    this.#running = work;
    const count = this.#count;
    this.#count = 0;
    for (let i = 0; i < count; i++) {
      const one = work[i]!;
      work[i] = undefined;
      this.#runOne(one);
    }
  }

  #runOne(work: TurnEnd): void {
    try {
      work.turnEnd();
    } catch (bug) {
      work.destroy(new MeshError("bug", "self", "Cannot use connection: a handler failed"));
      this.guard.report(bug);
    }
  }
}

/** For everyone who brings none. Shared, as nothing in it can be told from outside. */
export const DEFAULT_TURN: Turn = new Turn();
