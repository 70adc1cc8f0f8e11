// As a module: the global of this name is a getter, which costs 50 ns each time.
import { Buffer } from "node:buffer";

/** A buffer that is appended to, and replaced by a larger one when it is full. */
export class Output {
  bytes: Uint8Array;
  /** Where the next byte goes. */
  end = 0;

  constructor(bytes: Uint8Array = new Uint8Array(256)) {
    this.bytes = bytes;
  }

  /** Makes room for `count` more bytes. Hot: allocates only to grow. */
  reserve(count: number): void {
    if (this.end + count > this.bytes.length) this.#grow(this.end + count);
  }

  /** Appends a range. Hot: `copy` makes no view, as `set` of a `subarray` would. */
  append(bytes: Uint8Array, start: number, end: number): void {
    const count = end - start;
    this.reserve(count);
    if (count > 16) Buffer.prototype.copy.call(bytes, this.bytes, this.end, start, end);
    else for (let i = 0; i < count; i++) this.bytes[this.end + i] = bytes[start + i]!;
    this.end += count;
  }

  #grow(needed: number): void {
    const larger = new Uint8Array(Math.max(needed, this.bytes.length * 2));
    larger.set(this.bytes.subarray(0, this.end));
    this.bytes = larger;
  }
}
