// As a module: the global of this name is a getter, which costs 50 ns each time.
import { Buffer } from "node:buffer";
import { copyRange } from "@heddle/base/bytes";
import { readHuffman } from "./huffman.ts";

/** The string may be the name of a field of an HTTP/2 message (RFC 9113 §8.2.1), pseudo or not. */
export const VALID_NAME = 1;
/** The string may be a value: no NUL, CR, LF, and no white space around it. */
export const VALID_VALUE = 2;

const SLOTS = 2048;
/** Longer strings are rarely the same twice. So the cache holds at most some 400 KiB. */
const MAX_CACHED_BYTES = 64;

interface Cached {
  readonly encoded: Uint8Array;
  readonly isHuffman: boolean;
  readonly text: string;
  readonly validity: number;
}

/**
 * Makes strings of encoded header strings. The same bytes mostly come again, so recent strings are
 * kept in a table of fixed size, by their encoded form: a hit costs no Huffman decoding, no check of
 * the characters and no allocation. A string is kept when its place sees it twice in a row, so that
 * strings that come once, such as ids of requests, push nothing out.
 *
 * One can serve all connections of a process: what it returns depends on the input alone.
 */
export class HeaderStrings {
  /** The result of the last `read`. */
  text = "";
  /** `VALID_NAME`, `VALID_VALUE`, or both, of `text`. */
  validity = 0;

  readonly #slots: (Cached | undefined)[] = new Array<Cached | undefined>(SLOTS).fill(undefined);
  readonly #candidates = new Int32Array(SLOTS);
  #scratch: Uint8Array = new Uint8Array(1024);

  /**
   * Reads a whole string into `text` and `validity`. Hot.
   *
   * @param keep - False for what must not stay in memory shared with others: secrets.
   * @returns false if the Huffman code is broken.
   */
  read(bytes: Uint8Array, start: number, end: number, isHuffman: boolean, keep: boolean): boolean {
    const length = end - start;
    if (length > MAX_CACHED_BYTES || length === 0 || !keep) {
      return this.#decode(bytes, start, end, isHuffman);
    }
    const hash = hashOf(bytes, start, end, isHuffman);
    const place = hash & (SLOTS - 1);
    const cached = this.#slots[place];
    if (cached !== undefined && isSame(cached, bytes, start, length, isHuffman)) {
      this.text = cached.text;
      this.validity = cached.validity;
      return true;
    }
    if (!this.#decode(bytes, start, end, isHuffman)) return false;
    if (this.#candidates[place] !== hash) {
      this.#candidates[place] = hash;
      return true;
    }
    const { text, validity } = this;
    this.#slots[place] = { encoded: copyRange(bytes, start, end), isHuffman, text, validity };
    return true;
  }

  #decode(bytes: Uint8Array, start: number, end: number, isHuffman: boolean): boolean {
    if (!isHuffman) {
      this.#take(bytes, start, end);
      return true;
    }
    const room = Math.ceil(((end - start) * 8) / 5);
    if (room > this.#scratch.length) this.#scratch = new Uint8Array(room);
    const length = readHuffman(bytes, start, end, this.#scratch);
    if (length < 0) return false;
    this.#take(this.#scratch, 0, length);
    return true;
  }

  #take(bytes: Uint8Array, start: number, end: number): void {
    this.text = latin1(bytes, start, end);
    this.validity = validityOf(bytes, start, end);
  }
}

/** Of the length and eight bytes, mostly of the ends: a string that comes once is not worth more. */
function hashOf(bytes: Uint8Array, start: number, end: number, isHuffman: boolean): number {
  const length = end - start;
  const last = end - 1;
  let hash = length ^ (isHuffman ? 0x1505 : 0x2b61);
  hash = Math.imul(hash ^ bytes[start]!, 0x01000193);
  hash = Math.imul(hash ^ bytes[start + (length >>> 2)]!, 0x01000193);
  hash = Math.imul(hash ^ bytes[start + (length >>> 1)]!, 0x01000193);
  hash = Math.imul(hash ^ bytes[last - (length >>> 2)]!, 0x01000193);
  hash = Math.imul(hash ^ bytes[last - (length > 3 ? 3 : 0)]!, 0x01000193);
  hash = Math.imul(hash ^ bytes[last - (length > 2 ? 2 : 0)]!, 0x01000193);
  hash = Math.imul(hash ^ bytes[last - (length > 1 ? 1 : 0)]!, 0x01000193);
  hash = Math.imul(hash ^ bytes[last]!, 0x01000193);
  return hash ^ (hash >>> 15);
}

function isSame(
  cached: Cached,
  bytes: Uint8Array,
  start: number,
  length: number,
  isHuffman: boolean,
): boolean {
  const encoded = cached.encoded;
  if (encoded.length !== length || cached.isHuffman !== isHuffman) return false;
  for (let i = 0; i < length; i++) if (encoded[i] !== bytes[start + i]) return false;
  return true;
}

function latin1(bytes: Uint8Array, start: number, end: number): string {
  return Buffer.prototype.latin1Slice.call(bytes, start, end);
}

/** By byte: 1 if it may stand in a name, 2 in a value. */
const ALLOWED: Uint8Array = Uint8Array.from({ length: 256 }, (_, byte) => {
  const inValue = byte !== 0 && byte !== 10 && byte !== 13;
  const isUpper = byte >= 0x41 && byte <= 0x5a;
  const inName = byte > 0x20 && byte < 0x7f && !isUpper && byte !== 0x3a;
  return (inName ? VALID_NAME : 0) | (inValue ? VALID_VALUE : 0);
});

function validityOf(bytes: Uint8Array, start: number, end: number): number {
  if (start === end) return VALID_VALUE;
  let valid = VALID_NAME | VALID_VALUE;
  // The colon of a pseudo-header field stands first; whether its name is known is for others to say.
  let i = start;
  if (bytes[i] === 0x3a) i++;
  if (i === end) valid &= ~VALID_NAME;
  for (; i < end; i++) valid &= ALLOWED[bytes[i]!]!;
  if (isBlank(bytes[start]!) || isBlank(bytes[end - 1]!)) valid &= ~VALID_VALUE;
  return valid;
}

function isBlank(byte: number): boolean {
  return byte === 0x20 || byte === 0x09;
}
