// As a module: the global of this name is a getter, which costs 50 ns each time.
import { Buffer } from "node:buffer";

/** Bytes in the order in which they came. Holds no memory while it is empty. */
export class ByteQueue {
  #bytes: Uint8Array = EMPTY;
  #start = 0;
  #end = 0;

  get length(): number {
    return this.#end - this.#start;
  }

  /** The buffer in which `start` to `end` is what the queue holds; until the next call. */
  get bytes(): Uint8Array {
    return this.#bytes;
  }

  get start(): number {
    return this.#start;
  }

  get end(): number {
    return this.#end;
  }

  /** Copies a range to the end. */
  push(bytes: Uint8Array, start: number, end: number): void {
    const count = end - start;
    if (this.#end + count > this.#bytes.length) this.#makeRoom(count);
    Buffer.prototype.copy.call(bytes, this.#bytes, this.#end, start, end);
    this.#end += count;
  }

  /** Drops the first `count` bytes. */
  shift(count: number): void {
    this.#start += count;
    if (this.#start === this.#end) this.clear();
  }

  clear(): void {
    this.#bytes = EMPTY;
    this.#start = 0;
    this.#end = 0;
  }

  #makeRoom(count: number): void {
    const length = this.length;
    const needed = length + count;
    // At least doubled, so that many small pushes cost one copy each on average.
    const target = needed > this.#bytes.length / 2 ? Math.max(needed, length * 2, 512) : needed * 2;
    const next = new Uint8Array(Math.max(target, this.#bytes.length >> 1));
    next.set(this.#bytes.subarray(this.#start, this.#end));
    this.#bytes = next;
    this.#start = 0;
    this.#end = length;
  }
}

const EMPTY = new Uint8Array(0);
