import { GrpcError } from "./error.ts";
import { GrpcStatus } from "./status.ts";

/** A flag and the length, before each message. */
export const PREFIX_BYTES = 5;

/** What is set aside for a message before its bytes come: its length is the peer's claim only. */
const FIRST_BYTES = 4_096;

/**
 * Cuts a body into messages. Ranges may be split anywhere; each message is handed on in memory of
 * its own.
 */
export class MessageReader {
  readonly #maxBytes: number;
  readonly #onMessage: (message: Uint8Array) => void;
  readonly #prefix: Uint8Array = new Uint8Array(PREFIX_BYTES);
  #prefixBytes = 0;
  #message: Uint8Array = EMPTY;
  #messageBytes = 0;
  /** Of the message that is being read. */
  #length = 0;

  /** @param maxBytes - Of one message, without its prefix. */
  constructor(maxBytes: number, onMessage: (message: Uint8Array) => void) {
    this.#maxBytes = maxBytes;
    this.#onMessage = onMessage;
  }

  /** A message has begun and is not complete. */
  get isPartial(): boolean {
    return this.#prefixBytes > 0;
  }

  /** @throws GrpcError on a message that is too large or compressed; the reader is then unusable. */
  feed(bytes: Uint8Array, start: number, end: number): void {
    let at = start;
    while (at < end) {
      at =
        this.#prefixBytes < PREFIX_BYTES
          ? this.#feedPrefix(bytes, at, end)
          : this.#feedMessage(bytes, at, end);
      if (this.#prefixBytes === PREFIX_BYTES && this.#messageBytes === this.#length) this.#finish();
    }
  }

  #feedPrefix(bytes: Uint8Array, start: number, end: number): number {
    let at = start;
    while (at < end && this.#prefixBytes < PREFIX_BYTES) {
      this.#prefix[this.#prefixBytes++] = bytes[at++]!;
    }
    if (this.#prefixBytes < PREFIX_BYTES) return at;
    const [flags, a, b, c, d] = this.#prefix as unknown as [number, number, number, number, number];
    // We offer no compression, so no honest peer sets the flag (or one of those that have no meaning).
    if (flags !== 0) {
      const message = `Cannot read message: flags are ${flags}, but no compression was agreed on`;
      throw new GrpcError(GrpcStatus.internal, message);
    }
    this.#length = a * 0x1000000 + b * 0x10000 + c * 0x100 + d;
    if (this.#length > this.#maxBytes) {
      const message = `Cannot read message: it has ${this.#length} bytes, more than ${this.#maxBytes}`;
      throw new GrpcError(GrpcStatus.resourceExhausted, message);
    }
    this.#message =
      this.#length === 0 ? EMPTY : new Uint8Array(Math.min(this.#length, FIRST_BYTES));
    return at;
  }

  #feedMessage(bytes: Uint8Array, start: number, end: number): number {
    const count = Math.min(end - start, this.#length - this.#messageBytes);
    const needed = this.#messageBytes + count;
    if (needed > this.#message.length) {
      const grown = new Uint8Array(
        Math.min(this.#length, Math.max(needed, this.#message.length * 2)),
      );
      grown.set(this.#message.subarray(0, this.#messageBytes));
      this.#message = grown;
    }
    this.#message.set(bytes.subarray(start, start + count), this.#messageBytes);
    this.#messageBytes = needed;
    return start + count;
  }

  #finish(): void {
    const message = this.#message.subarray(0, this.#length);
    this.#prefixBytes = 0;
    this.#messageBytes = 0;
    this.#length = 0;
    this.#message = EMPTY;
    this.#onMessage(message);
  }
}

const EMPTY = new Uint8Array(0);
