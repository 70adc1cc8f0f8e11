import type { Side } from "@heddle/base/errors";
import { CR, LF } from "./ascii.ts";
import { http1Error } from "./errors.ts";

/** `read` wants more bytes; it keeps what it saw. */
export const MORE = -1;
/** The line is longer than its budget. */
export const TOO_LONG = -2;

const NOTHING = new Uint8Array(0);

/**
 * Finds lines that end in CRLF in a stream that may be split anywhere. A line that lies in one
 * range is not copied; the parts of others are kept, up to the caller's budget.
 */
export class LineReader {
  /** Where the line found is, without its CRLF. Valid until the next `read`. */
  bytes: Uint8Array = NOTHING;
  start = 0;
  end = 0;
  readonly #side: Side;
  #kept: Uint8Array = NOTHING;
  #keptBytes = 0;

  constructor(side: Side) {
    this.#side = side;
  }

  /** Whether part of a line was seen. */
  get isPartial(): boolean {
    return this.#keptBytes > 0;
  }

  /**
   * Hot. `budget` is what the line may have at most, CRLF included.
   *
   * @returns the position after the line, or `MORE`, or `TOO_LONG`.
   */
  read(bytes: Uint8Array, start: number, end: number, budget: number): number {
    let at = start;
    while (at < end && bytes[at] !== LF) at++;
    if (at - start + 1 + this.#keptBytes > budget) return TOO_LONG;
    if (at === end) {
      this.#keep(bytes, start, end);
      return MORE;
    }
    if (this.#keptBytes === 0) {
      this.bytes = bytes;
      this.start = start;
      this.end = at - 1;
    } else {
      this.#keep(bytes, start, at);
      this.bytes = this.#kept;
      this.start = 0;
      this.end = this.#keptBytes - 1;
      this.#keptBytes = 0;
    }
    if (this.end < this.start || this.bytes[this.end] !== CR) {
      throw http1Error("http1_bad_line_end", this.#side, "bare LF");
    }
    return at + 1;
  }

  /** Forgets a partial line, and its memory if there was much of it. */
  reset(): void {
    this.#keptBytes = 0;
    if (this.#kept.length > 4096) this.#kept = NOTHING;
    this.bytes = NOTHING;
  }

  #keep(bytes: Uint8Array, start: number, end: number): void {
    const needed = this.#keptBytes + end - start;
    if (needed > this.#kept.length) {
      const grown = new Uint8Array(Math.max(256, needed * 2));
      grown.set(this.#kept.subarray(0, this.#keptBytes));
      this.#kept = grown;
    }
    this.#kept.set(bytes.subarray(start, end), this.#keptBytes);
    this.#keptBytes = needed;
  }
}
