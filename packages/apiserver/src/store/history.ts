import type { Entry } from "./entry.ts";

export interface StoreEvent {
  readonly type: "ADDED" | "MODIFIED" | "DELETED";
  readonly rv: number;
  /** The state after the event; for DELETED the last state, with the revision of its end. */
  readonly entry: Entry;
  /** The state before it; undefined if there was none, or if it is no longer known. */
  readonly previous: Entry | undefined;
}

export interface HistoryLimits {
  readonly maxEvents: number;
  /** Of the objects' JSON. */
  readonly maxBytes: number;
}

export const DEFAULT_HISTORY: HistoryLimits = { maxEvents: 32_768, maxBytes: 48 * 1024 * 1024 };

/**
 * The latest events in the order of their revisions, from which watches are resumed. What falls
 * out at the old end is handed to the database as obsolete.
 */
export class History {
  #limits: HistoryLimits;
  /** The oldest is at `#head`; what stands before it is gone. */
  #events: (StoreEvent | undefined)[] = [];
  #head = 0;
  #bytes = 0;
  #obsolete: number[] = [];
  /** Events up to this revision are not kept. */
  #compacted: number;

  constructor(compacted: number, limits: HistoryLimits) {
    this.#compacted = compacted;
    this.#limits = limits;
  }

  get compacted(): number {
    return this.#compacted;
  }

  get size(): number {
    return this.#events.length - this.#head;
  }

  push(event: StoreEvent): void {
    this.#events.push(event);
    this.#bytes += event.entry.bytes.length;
    this.#trim(this.#limits);
  }

  /** Notes a revision that no present object and no kept event needs. */
  discard(rv: number): void {
    this.#obsolete.push(rv);
  }

  /** Events behind a revision, oldest first. The caller has compared it with `compacted`. */
  *since(rv: number): Generator<StoreEvent> {
    for (let at = this.#indexAfter(rv); at < this.#events.length; at++) yield this.#events[at]!;
  }

  /** Drops all but the newest `part` of the events: their rows make room on a full disk. */
  shrink(part: number): void {
    const maxEvents = Math.floor(this.size * part);
    this.#trim({ maxEvents, maxBytes: this.#limits.maxBytes });
  }

  /** Revisions that may be deleted; they count as handed over. */
  takeObsolete(): number[] {
    const taken = this.#obsolete;
    this.#obsolete = [];
    return taken;
  }

  /** Takes back what could not be deleted. */
  returnObsolete(revisions: readonly number[]): void {
    for (const rv of revisions) this.#obsolete.push(rv);
  }

  #trim(limits: HistoryLimits): void {
    while (this.size > limits.maxEvents || this.#bytes > limits.maxBytes) {
      const event = this.#events[this.#head];
      if (event === undefined) return;
      this.#events[this.#head++] = undefined;
      this.#bytes -= event.entry.bytes.length;
      this.#compacted = event.rv;
      if (event.previous !== undefined) this.#obsolete.push(event.previous.rv);
      if (event.type === "DELETED") this.#obsolete.push(event.rv);
    }
    if (this.#head > 1_024 && this.#head > this.#events.length / 2) {
      this.#events = this.#events.slice(this.#head);
      this.#head = 0;
    }
  }

  #indexAfter(rv: number): number {
    let low = this.#head;
    let high = this.#events.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#events[middle]!.rv <= rv) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
