import { TimerWheel } from "@heddle/base/timer-wheel";
import { HeaderStrings } from "@heddle/wire/hpack/header-strings";
import { Output } from "@heddle/wire/hpack/output";
import { newPinned } from "../pinned.ts";
import { DEFAULT_TURN, type Turn } from "../turn.ts";

/** Enough for what one turn sends on a busy connection; larger bursts are written in between. */
export const SLAB_BYTES = 65_536;
/** As many connections send in one turn without new memory. */
const MAX_IDLE_SLABS = 64;

export interface Http2RuntimeOptions {
  readonly turn?: Turn;
  readonly timers?: TimerWheel;
  readonly nowMs?: () => number;
}

/**
 * What all HTTP/2 connections of a process share: nothing in it can be told from outside, but for
 * the memory and the time that it saves.
 */
export class Http2Runtime {
  readonly turn: Turn;
  readonly strings: HeaderStrings = new HeaderStrings();
  readonly timers: TimerWheel;
  readonly nowMs: () => number;
  readonly #idleSlabs: Output[] = [];

  constructor(options: Http2RuntimeOptions = {}) {
    this.turn = options.turn ?? DEFAULT_TURN;
    this.nowMs = options.nowMs ?? this.turn.nowMs;
    this.timers = options.timers ?? new TimerWheel(this.nowMs);
  }

  /** An empty buffer to gather output in. */
  takeSlab(): Output {
    return this.#idleSlabs.pop() ?? new Output(newPinned(SLAB_BYTES));
  }

  /** Gives it back, when nobody reads it any more. */
  giveSlab(slab: Output): void {
    slab.end = 0;
    if (slab.bytes.length === SLAB_BYTES && this.#idleSlabs.length < MAX_IDLE_SLABS) {
      this.#idleSlabs.push(slab);
    }
  }
}

/** For everyone who brings none. Shared, as its contents can be: see the class. */
export const DEFAULT_RUNTIME: Http2Runtime = new Http2Runtime();
