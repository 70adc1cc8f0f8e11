import { TimerWheel } from "@heddle/base/timer-wheel";
import { HeadWriter } from "@heddle/wire/http1/head-writer";
import { ParserTables } from "@heddle/wire/http1/request-parser";
import { SlabPool } from "@heddle/wire/out-buffer";
import { newPinned } from "../pinned.ts";
import { DEFAULT_TURN, type Turn } from "../turn.ts";

export interface Http1RuntimeOptions {
  readonly turn?: Turn;
  readonly timers?: TimerWheel;
  readonly wallMs?: () => number;
}

/**
 * What all HTTP/1 connections of a process share: nothing in it can be told from outside, but for
 * the memory and the time that it saves.
 */
export class Http1Runtime {
  readonly turn: Turn;
  readonly tables: ParserTables = new ParserTables();
  readonly writer: HeadWriter = new HeadWriter();
  readonly slabs: SlabPool = new SlabPool(newPinned);
  readonly timers: TimerWheel;
  readonly #wallMs: () => number;
  #dateSecond = -1;
  #dateLine: Buffer = Buffer.alloc(0);

  constructor(options: Http1RuntimeOptions = {}) {
    this.turn = options.turn ?? DEFAULT_TURN;
    this.timers = options.timers ?? new TimerWheel();
    this.#wallMs = options.wallMs ?? (() => Date.now());
  }

  /** The `date` field as a line, made once a second. Hot. */
  dateLine(): Buffer {
    const second = Math.floor(this.#wallMs() / 1000);
    if (second !== this.#dateSecond) {
      this.#dateSecond = second;
      this.#dateLine = Buffer.from(`date: ${new Date(second * 1000).toUTCString()}\r\n`);
    }
    return this.#dateLine;
  }
}

/** For everyone who brings none. Shared, as its contents can be: see the class. */
export const DEFAULT_RUNTIME: Http1Runtime = new Http1Runtime();
