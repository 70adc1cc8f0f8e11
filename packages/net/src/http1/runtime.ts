import { TimerWheel } from "@heddle/base/timer-wheel";
import { HeadWriter } from "@heddle/wire/http1/head-writer";
import { ParserTables } from "@heddle/wire/http1/request-parser";
import { SlabPool } from "@heddle/wire/out-buffer";
import { type Guard, WARNING_GUARD } from "../guard.ts";

/** Something that gathers work within a turn of the event loop and does it at the turn's end. */
export interface TurnEnd {
  turnEnd(): void;
  /** Called if `turnEnd` threw. */
  destroy(): void;
}

export interface Http1RuntimeOptions {
  readonly timers?: TimerWheel;
  readonly wallMs?: () => number;
  readonly guard?: Guard;
}

/**
 * What all HTTP/1 connections of a process share: nothing in it can be told from outside, but for
 * the memory and the time that it saves.
 */
export class Http1Runtime {
  readonly tables: ParserTables = new ParserTables();
  readonly writer: HeadWriter = new HeadWriter();
  readonly slabs: SlabPool = new SlabPool();
  readonly timers: TimerWheel;
  /** Hears of bugs in what runs outside a socket's callbacks. */
  readonly guard: Guard;
  readonly #wallMs: () => number;
  readonly #run: () => void;
  #dateSecond = -1;
  #dateLine: Buffer = Buffer.alloc(0);
  #waiting: TurnEnd[] = [];
  #running: TurnEnd[] = [];
  #isScheduled = false;

  constructor(options: Http1RuntimeOptions = {}) {
    this.timers = options.timers ?? new TimerWheel();
    this.guard = options.guard ?? WARNING_GUARD;
    this.#wallMs = options.wallMs ?? (() => Date.now());
    this.#run = () => this.#endTurn();
  }

  /** Calls `turnEnd` once this turn's events are done. Ask once per turn. Hot. */
  atTurnEnd(work: TurnEnd): void {
    this.#waiting.push(work);
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(this.#run);
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

  #endTurn(): void {
    this.#isScheduled = false;
    const work = this.#waiting;
    this.#waiting = this.#running;
    this.#running = work;
    for (let i = 0; i < work.length; i++) this.#runOne(work[i]!);
    work.length = 0;
  }

  #runOne(work: TurnEnd): void {
    try {
      work.turnEnd();
    } catch (bug) {
      work.destroy();
      this.guard.report(bug);
    }
  }
}

/** For everyone who brings none. Shared, as its contents can be: see the class. */
export const DEFAULT_RUNTIME: Http1Runtime = new Http1Runtime();
