import { type HeaderStrings, VALID_NAME, VALID_VALUE } from "./header-strings.ts";
import { STATIC_LAST, STATIC_NAMES, STATIC_VALUES } from "./static-table.ts";

/** Takes the fields of one list, in order. */
export interface FieldSink {
  /**
   * @param isValid - Name and value have only bytes that HTTP/2 allows. The message is malformed
   * otherwise, which is no fault of the compression.
   * @param neverIndex - Whoever sends the field on must not index it either (§6.2.3).
   */
  field(name: string, value: string, isValid: boolean, neverIndex: boolean): void;
}

export const Decoded = {
  ok: 0,
  /** More than `maxListBytes`: the sink did not get all; the table is intact, the connection lives. */
  tooLarge: 1,
  /** Far more than allowed: given up midway, the connection is lost. */
  bomb: 2,
  /** Not HPACK: the connection is lost with COMPRESSION_ERROR. */
  corrupt: 3,
} as const;
export type Decoded = (typeof Decoded)[keyof typeof Decoded];

/** The overhead of a field in the size of a table or list (§4.1, RFC 9113 §6.5.2). */
export const FIELD_OVERHEAD = 32;
/** A list that is this many times too large is an attack, not a mistake. */
const BOMB_FACTOR = 4;

/**
 * HPACK, receiving (RFC 7541). Holds the dynamic table of one direction of one connection; blocks
 * must come whole and in the order in which they were sent. Strings of more than the block cannot
 * come, integers are held to 28 bits, and the size of a list is counted as decoded, so that a small
 * block that refers to one large field again and again is stopped.
 */
export class HpackDecoder {
  /** Bytes of the last list, 32 more for each field. */
  listBytes = 0;

  readonly #strings: HeaderStrings;
  readonly #maxTableBytes: number;
  /** What the peer chose, at most `#maxTableBytes`. */
  #tableLimit: number;
  #tableBytes = 0;
  /** A ring: the newest entry is at `#head`. Its length is a power of two. */
  #names: string[] = [];
  #values: string[] = [];
  #valid: boolean[] = [];
  #head = 0;
  #count = 0;

  // The block at hand.
  #bytes: Uint8Array = EMPTY;
  #at = 0;
  #end = 0;
  #number = 0;

  /** @param maxTableBytes - What we announced as SETTINGS_HEADER_TABLE_SIZE. */
  constructor(strings: HeaderStrings, maxTableBytes = 4096) {
    this.#strings = strings;
    this.#maxTableBytes = maxTableBytes;
    this.#tableLimit = maxTableBytes;
  }

  /** Bytes that the dynamic table holds now. */
  get tableBytes(): number {
    return this.#tableBytes;
  }

  /** Decodes one whole header block. Hot: allocates the strings that are new, and nothing else. */
  decode(
    bytes: Uint8Array,
    start: number,
    end: number,
    maxListBytes: number,
    sink: FieldSink,
  ): Decoded {
    this.#bytes = bytes;
    this.#at = start;
    this.#end = end;
    this.listBytes = 0;
    const result = this.#fields(maxListBytes, sink);
    this.#bytes = EMPTY;
    return result;
  }

  #fields(maxListBytes: number, sink: FieldSink): Decoded {
    const bytes = this.#bytes;
    let mayResize = true;
    while (this.#at < this.#end) {
      const first = bytes[this.#at]!;
      if (first >= 0x80) {
        if (!this.#integer(0x7f) || !this.#indexed(maxListBytes, sink)) return Decoded.corrupt;
      } else if (first >= 0x40) {
        if (!this.#literal(0x3f, maxListBytes, sink)) return Decoded.corrupt;
      } else if (first >= 0x20) {
        if (!mayResize || !this.#resize()) return Decoded.corrupt;
        continue;
      } else if (!this.#literal(0x0f, maxListBytes, sink)) {
        return Decoded.corrupt;
      }
      mayResize = false;
      if (this.listBytes > maxListBytes * BOMB_FACTOR) return Decoded.bomb;
    }
    return this.listBytes > maxListBytes ? Decoded.tooLarge : Decoded.ok;
  }

  #indexed(maxListBytes: number, sink: FieldSink): boolean {
    const index = this.#number;
    if (index === 0) return false;
    let name: string;
    let value: string;
    let isValid = true;
    if (index <= STATIC_LAST) {
      name = STATIC_NAMES[index]!;
      value = STATIC_VALUES[index]!;
    } else {
      const place = this.#place(index);
      if (place < 0) return false;
      name = this.#names[place]!;
      value = this.#values[place]!;
      isValid = this.#valid[place]!;
    }
    this.listBytes += name.length + value.length + FIELD_OVERHEAD;
    if (this.listBytes <= maxListBytes) sink.field(name, value, isValid, false);
    return true;
  }

  #literal(mask: number, maxListBytes: number, sink: FieldSink): boolean {
    const first = this.#bytes[this.#at]!;
    const neverIndex = mask === 0x0f && (first & 0x10) !== 0;
    if (!this.#integer(mask)) return false;
    const index = this.#number;
    let name: string;
    let isValid = true;
    if (index === 0) {
      if (!this.#string(true)) return false;
      name = this.#strings.text;
      isValid = (this.#strings.validity & VALID_NAME) !== 0;
    } else if (index <= STATIC_LAST) {
      name = STATIC_NAMES[index]!;
    } else {
      const place = this.#place(index);
      if (place < 0) return false;
      name = this.#names[place]!;
      // The old entry may be bad because of its value only; then its name says nothing. Names with
      // bad bytes are refused again below, since the flag stays with whoever refers to them.
      isValid = this.#valid[place]! || isValidName(name);
    }
    if (!this.#string(!neverIndex)) return false;
    const value = this.#strings.text;
    if ((this.#strings.validity & VALID_VALUE) === 0) isValid = false;
    if (mask === 0x3f) this.#insert(name, value, isValid);
    this.listBytes += name.length + value.length + FIELD_OVERHEAD;
    if (this.listBytes <= maxListBytes) sink.field(name, value, isValid, neverIndex);
    return true;
  }

  /** §6.3, only before the first field of a block (§4.2). */
  #resize(): boolean {
    if (!this.#integer(0x1f) || this.#number > this.#maxTableBytes) return false;
    this.#tableLimit = this.#number;
    this.#evict(0);
    return true;
  }

  /** Reads a prefixed integer (§5.1) into `#number`. At most four more bytes: 28 bits. */
  #integer(mask: number): boolean {
    const bytes = this.#bytes;
    let value = bytes[this.#at++]! & mask;
    if (value === mask) {
      let shift = 0;
      for (;;) {
        if (this.#at >= this.#end || shift > 21) return false;
        const byte = bytes[this.#at++]!;
        value += (byte & 0x7f) << shift;
        if (byte < 0x80) break;
        shift += 7;
      }
    }
    this.#number = value;
    return true;
  }

  /** Reads a string (§5.2) into `#strings.text`. */
  #string(keep: boolean): boolean {
    if (this.#at >= this.#end) return false;
    const isHuffman = this.#bytes[this.#at]! >= 0x80;
    if (!this.#integer(0x7f)) return false;
    const start = this.#at;
    if (this.#number > this.#end - start) return false;
    this.#at = start + this.#number;
    return this.#strings.read(this.#bytes, start, this.#at, isHuffman, keep);
  }

  /** Where the dynamic entry of this index lies, or -1. */
  #place(index: number): number {
    const age = index - STATIC_LAST - 1;
    return age < this.#count ? (this.#head - age) & (this.#names.length - 1) : -1;
  }

  #insert(name: string, value: string, isValid: boolean): void {
    const size = name.length + value.length + FIELD_OVERHEAD;
    this.#evict(size);
    // One that does not fit empties the table, which is no error (§4.4).
    if (size > this.#tableLimit) return;
    if (this.#count === this.#names.length) this.#grow();
    this.#head = (this.#head + 1) & (this.#names.length - 1);
    this.#names[this.#head] = name;
    this.#values[this.#head] = value;
    this.#valid[this.#head] = isValid;
    this.#count++;
    this.#tableBytes += size;
  }

  /** Drops the oldest entries until `needed` more bytes fit, or none is left. */
  #evict(needed: number): void {
    while (this.#count > 0 && this.#tableBytes + needed > this.#tableLimit) {
      const place = (this.#head - this.#count + 1) & (this.#names.length - 1);
      this.#tableBytes -= this.#names[place]!.length + this.#values[place]!.length + FIELD_OVERHEAD;
      this.#names[place] = "";
      this.#values[place] = "";
      this.#count--;
    }
  }

  /** Entries have 32 bytes at least, so the rings stay within a table's size / 32, rounded up. */
  #grow(): void {
    const length = this.#names.length;
    const names: string[] = [];
    const values: string[] = [];
    const valid: boolean[] = [];
    for (let i = 0; i < Math.max(8, length * 2); i++) {
      const place = (this.#head + 1 + i) & (length - 1);
      names.push(i < length ? this.#names[place]! : "");
      values.push(i < length ? this.#values[place]! : "");
      valid.push(i < length && this.#valid[place]!);
    }
    this.#names = names;
    this.#values = values;
    this.#valid = valid;
    this.#head = length === 0 ? 0 : length - 1;
  }
}

const EMPTY = new Uint8Array(0);

function isValidName(name: string): boolean {
  return /^:?[!-9;-@[-~]+$/.test(name);
}
