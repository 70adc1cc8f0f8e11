/**
 * The fragments of one field block: of HEADERS, then of its CONTINUATION frames. Most blocks come
 * whole and never get here.
 */
export class FieldBlock {
  /** Of the stream whose block is incomplete; 0 if there is none. */
  streamId = 0;
  endStream = false;
  /** CONTINUATION frames so far. */
  continuations = 0;
  #bytes: Uint8Array = EMPTY;
  #length = 0;

  get bytes(): Uint8Array {
    return this.#bytes;
  }

  get length(): number {
    return this.#length;
  }

  start(streamId: number, endStream: boolean): void {
    this.streamId = streamId;
    this.endStream = endStream;
    this.continuations = 0;
    this.#length = 0;
  }

  append(bytes: Uint8Array, start: number, end: number): void {
    const length = this.#length + end - start;
    if (length > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(length, this.#bytes.length * 2, 4096));
      larger.set(this.#bytes.subarray(0, this.#length));
      this.#bytes = larger;
    }
    this.#bytes.set(bytes.subarray(start, end), this.#length);
    this.#length = length;
  }

  clear(): void {
    this.streamId = 0;
    this.#bytes = EMPTY;
    this.#length = 0;
  }
}

const EMPTY = new Uint8Array(0);
