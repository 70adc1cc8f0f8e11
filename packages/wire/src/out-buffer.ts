// As a module: the global of this name is a getter, which costs 50 ns each time.
import { Buffer } from "node:buffer";
import { writeLatin1 } from "./latin1.ts";

const SLAB_BYTES = 16_384;
const MAX_FREE_SLABS = 64;
const NOTHING: Buffer = Buffer.alloc(0);
/** Below this a loop is cheaper than a view and a call into the runtime. */
const SHORT_BYTES = 128;

/** Memory for output, used again and again: a connection has a slab only while it has output. */
export class SlabPool {
  readonly #free: Buffer[] = [];
  readonly #newSlab: (bytes: number) => Buffer;

  /** @param newSlab - Where slabs come from. */
  constructor(newSlab: (bytes: number) => Buffer = Buffer.allocUnsafeSlow) {
    this.#newSlab = newSlab;
  }

  take(): Buffer {
    return this.#free.pop() ?? this.#newSlab(SLAB_BYTES);
  }

  /** Takes a slab back. One of another size, made for a large message, is left to the collector. */
  give(slab: Buffer): void {
    if (slab.length === SLAB_BYTES && this.#free.length < MAX_FREE_SLABS) this.#free.push(slab);
  }
}

/**
 * Bytes on their way to one connection. Grows as needed: what bounds it is the pausing of whoever
 * fills it.
 */
export class OutBuffer {
  /** `[0, end)` is output. Whoever writes calls `room` before, and reads `bytes` after. */
  bytes: Buffer = NOTHING;
  end = 0;
  readonly #slabs: SlabPool;

  constructor(slabs: SlabPool) {
    this.#slabs = slabs;
  }

  /** Makes room for `count` more bytes. Hot. */
  room(count: number): void {
    if (this.bytes.length - this.end < count) this.#grow(count);
  }

  /** Hot. */
  append(bytes: Uint8Array, start: number, end: number): void {
    const count = end - start;
    this.room(count);
    if (count < SHORT_BYTES) {
      const out = this.bytes;
      const shift = this.end - start;
      for (let at = start; at < end; at++) out[shift + at] = bytes[at]!;
    } else {
      const isWhole = start === 0 && end === bytes.length;
      this.bytes.set(isWhole ? bytes : bytes.subarray(start, end), this.end);
    }
    this.end += count;
  }

  /** Text of one byte per character, which the caller has checked. Hot. */
  latin1(text: string): void {
    const length = text.length;
    this.room(length);
    writeLatin1(this.bytes, text, this.end);
    this.end += length;
  }

  byte(value: number): void {
    this.room(1);
    this.bytes[this.end++] = value;
  }

  /** A number of 0 or more in decimal or hexadecimal digits. */
  digits(value: number, radix: 10 | 16): void {
    this.room(16);
    let count = 1;
    for (let rest = value; rest >= radix; rest = Math.floor(rest / radix)) count++;
    let at = this.end + count;
    this.end = at;
    let rest = value;
    do {
      const digit = rest % radix;
      this.bytes[--at] = digit < 10 ? 0x30 + digit : 0x57 + digit;
      rest = Math.floor(rest / radix);
    } while (rest > 0);
  }

  /** Hands the slab over, to be given back to the pool; the buffer is empty after that. */
  take(): Buffer {
    const slab = this.bytes;
    this.bytes = NOTHING;
    this.end = 0;
    return slab;
  }

  #grow(count: number): void {
    const needed = this.end + count;
    const old = this.bytes;
    this.bytes =
      needed <= SLAB_BYTES ? this.#slabs.take() : Buffer.allocUnsafeSlow(sizeFor(needed));
    if (this.end > 0) this.bytes.set(old.subarray(0, this.end));
    if (old.length > 0) this.#slabs.give(old);
  }
}

function sizeFor(needed: number): number {
  let size = SLAB_BYTES * 2;
  while (size < needed) size *= 2;
  return size;
}
