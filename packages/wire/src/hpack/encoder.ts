import { WIDE, writeLatin1 } from "../latin1.ts";
import { FIELD_OVERHEAD } from "./decoder.ts";
import { huffmanLength, writeHuffman } from "./huffman.ts";
import type { Output } from "./output.ts";
import { STATIC_BY_NAME, STATIC_LAST, STATIC_VALUES } from "./static-table.ts";

/** What we know of a name: where it can be referred to, and what was sent with it last. */
interface NameSlot {
  /** Index in the static table, 0 for none; so many from there on have values. */
  readonly staticIndex: number;
  readonly staticValues: number;
  readonly policy: Policy;
  /** Sequence number of the newest dynamic entry with this name; may be evicted by now. */
  newest: number;
  /** The last value that was sent literally: seen again, it is worth an entry. */
  lastLiteral: string | undefined;
  /** The value of the last hit, so that most fields cost one look-up and one comparison. */
  hotValue: string | undefined;
  hotIndex: number;
  hotIsStatic: boolean;
}

/** How the values of a name are indexed. */
const Policy = {
  /** At once the first time that the name is sent, then when a value comes twice in a row. */
  eager: 0,
  /** When a value comes twice in a row: names whose values mostly differ. */
  repeated: 1,
  /** Never, and neither shall whoever receives it (§7.1.3). */
  secret: 2,
  /** Never when short, since then it could be guessed byte by byte. */
  secretIfShort: 3,
} as const;
type Policy = (typeof Policy)[keyof typeof Policy];

const POLICIES: ReadonlyMap<string, Policy> = new Map([
  ["authorization", Policy.secret],
  ["proxy-authorization", Policy.secret],
  ["cookie", Policy.secretIfShort],
  ["set-cookie", Policy.secretIfShort],
  [":path", Policy.repeated],
  ["age", Policy.repeated],
  ["content-length", Policy.repeated],
  ["content-range", Policy.repeated],
  ["etag", Policy.repeated],
  ["if-modified-since", Policy.repeated],
  ["if-none-match", Policy.repeated],
  ["last-modified", Policy.repeated],
  ["location", Policy.repeated],
  ["range", Policy.repeated],
]);

/** RFC 7541 §7.1.3 speaks of short secrets; shorter cookies than this count as such. */
const SHORT_SECRET_CHARS = 20;
/** Peers choose names; we remember no more than this many at a time. */
const MAX_NAMES = 512;
/** A value's hash reads about so many of its characters. */
const HASHED_CHARS = 8;
/** Both are powers of two. */
const PLACES_PER_ENTRY = 4;
const NO_PLACES = new Float64Array(0);

/**
 * HPACK, sending (RFC 7541). Holds the dynamic table of one direction of one connection: what is
 * encoded must be sent, in this order, or the peer's table differs from ours.
 *
 * Names are looked up in a map: they were interned, and carry their hash with them. Most values come
 * once, so their entries are found by a cheap hash of our own. A place holds the newest entry of its
 * hash; one that was displaced costs a literal, never a wrong index.
 */
export class HpackEncoder {
  readonly #maxTableBytes: number;
  readonly #useHuffman: boolean;
  readonly #slots = new Map<string, NameSlot>();
  #tableLimit = 4096;
  #tableBytes = 0;
  /** A ring, by sequence number. Entries `#inserted - #count + 1` to `#inserted` live. */
  #ringSlots: (NameSlot | undefined)[] = [];
  #ringValues: string[] = [];
  #ringSizes: number[] = [];
  /**
   * Sequence numbers by the hash of the value. Those of evicted entries stay, and are recognized.
   * None until there is an entry: most connections that wait have next to nothing in their table.
   */
  #places: Float64Array = NO_PLACES;
  #inserted = 0;
  #count = 0;
  /** The smallest limit since the last block, if the peer has to be told one. */
  #smallestLimit = -1;

  /**
   * @param maxTableBytes - Never use more, whatever the peer allows.
   * @param useHuffman - Shorter by a fifth, and several times the work.
   */
  constructor(maxTableBytes = 4096, useHuffman = false) {
    this.#maxTableBytes = maxTableBytes;
    this.#useHuffman = useHuffman;
    if (maxTableBytes < this.#tableLimit) this.setPeerLimit(maxTableBytes);
  }

  /** Bytes that the dynamic table holds now. */
  get tableBytes(): number {
    return this.#tableBytes;
  }

  /** The peer's SETTINGS_HEADER_TABLE_SIZE. Told to the peer in the next block (§4.2). */
  setPeerLimit(bytes: number): void {
    const limit = Math.min(bytes, this.#maxTableBytes);
    if (limit === this.#tableLimit) return;
    if (this.#smallestLimit < 0 || limit < this.#smallestLimit) this.#smallestLimit = limit;
    this.#tableLimit = limit;
    this.#evict(0);
  }

  /** Starts a header block. */
  begin(out: Output): void {
    if (this.#smallestLimit < 0) return;
    out.reserve(12);
    if (this.#smallestLimit < this.#tableLimit) writeInteger(out, 0x20, 0x1f, this.#smallestLimit);
    writeInteger(out, 0x20, 0x1f, this.#tableLimit);
    this.#smallestLimit = -1;
  }

  /**
   * Appends one field. The name is lower-case; characters are bytes, and what must not stand in a
   * field (NUL, CR, LF, above 255) is sent as `?`, so that nothing can break out of it.
   *
   * Hot: allocates only for what it has not seen.
   *
   * @param neverIndex - It came to us like that, or is known to be a secret.
   */
  field(out: Output, name: string, value: string, neverIndex = false): void {
    // Room for two integers, their strings, Huffman-coded or not (30 bits at most for 8).
    out.reserve(16 + (name.length + value.length) * (this.#useHuffman ? 4 : 1));
    const slot = this.#slots.get(name) ?? this.#newSlot(name);
    if (value === slot.hotValue && !neverIndex && this.#writeHot(out, slot)) return;
    const policy = slot.policy;
    if (
      neverIndex ||
      policy === Policy.secret ||
      (policy === Policy.secretIfShort && value.length < SHORT_SECRET_CHARS)
    ) {
      this.#literal(out, 0x10, 0x0f, slot, name, value);
      return;
    }
    const staticIndex = staticIndexOf(slot, value);
    if (staticIndex !== 0) {
      slot.hotValue = value;
      slot.hotIndex = staticIndex;
      slot.hotIsStatic = true;
      writeInteger(out, 0x80, 0x7f, staticIndex);
      return;
    }
    const sequence = this.#hasEntry(slot) ? this.#find(slot, value) : 0;
    if (sequence !== 0) {
      slot.hotValue = value;
      slot.hotIndex = sequence;
      slot.hotIsStatic = false;
      writeInteger(out, 0x80, 0x7f, STATIC_LAST + 1 + this.#inserted - sequence);
      return;
    }
    const isFirst = slot.lastLiteral === undefined && policy === Policy.eager;
    const size = name.length + value.length + FIELD_OVERHEAD;
    // A large field would push out all others for little.
    if ((isFirst || slot.lastLiteral === value) && size <= this.#tableLimit >> 1) {
      this.#literal(out, 0x40, 0x3f, slot, name, value);
      this.#insert(slot, value, size);
    } else {
      this.#literal(out, 0, 0x0f, slot, name, value);
    }
    slot.lastLiteral = value;
  }

  #writeHot(out: Output, slot: NameSlot): boolean {
    if (slot.hotIsStatic) {
      out.bytes[out.end++] = 0x80 | slot.hotIndex;
      return true;
    }
    const age = this.#inserted - slot.hotIndex;
    if (age >= this.#count) return false;
    writeInteger(out, 0x80, 0x7f, STATIC_LAST + 1 + age);
    return true;
  }

  #literal(
    out: Output,
    pattern: number,
    mask: number,
    slot: NameSlot,
    name: string,
    value: string,
  ): void {
    if (slot.staticIndex !== 0) {
      writeInteger(out, pattern, mask, slot.staticIndex);
    } else if (this.#hasEntry(slot)) {
      writeInteger(out, pattern, mask, STATIC_LAST + 1 + this.#inserted - slot.newest);
    } else {
      out.bytes[out.end++] = pattern;
      this.#string(out, name);
    }
    this.#string(out, value);
  }

  #string(out: Output, text: string): void {
    if (this.#useHuffman) {
      const clean = cleaned(text);
      const length = huffmanLength(clean);
      if (length < clean.length) {
        writeInteger(out, 0x80, 0x7f, length);
        out.end = writeHuffman(clean, out.bytes, out.end);
        return;
      }
    }
    writeInteger(out, 0, 0x7f, text.length);
    const bytes = out.bytes;
    const at = out.end;
    const end = at + text.length;
    writeLatin1(bytes, text, at);
    let isClean = !WIDE.test(text);
    for (let i = at; i < end; i++) if (bytes[i]! < 0x20) isClean = false;
    if (!isClean) {
      for (let i = 0; i < text.length; i++) bytes[at + i] = cleanByte(text.charCodeAt(i));
    }
    out.end = end;
  }

  #hasEntry(slot: NameSlot): boolean {
    return slot.newest !== 0 && this.#inserted - slot.newest < this.#count;
  }

  /** @returns the sequence number of the living entry with this value, 0 for none. */
  #find(slot: NameSlot, value: string): number {
    const sequence = this.#places[hashOf(value) & (this.#places.length - 1)]!;
    if (sequence === 0 || this.#inserted - sequence >= this.#count) return 0;
    const place = sequence & (this.#ringSlots.length - 1);
    return this.#ringSlots[place] === slot && this.#ringValues[place] === value ? sequence : 0;
  }

  #insert(slot: NameSlot, value: string, size: number): void {
    this.#evict(size);
    if (this.#count === this.#ringSlots.length) this.#grow();
    const sequence = ++this.#inserted;
    const place = sequence & (this.#ringSlots.length - 1);
    this.#ringSlots[place] = slot;
    this.#ringValues[place] = value;
    this.#ringSizes[place] = size;
    this.#count++;
    this.#tableBytes += size;
    slot.newest = sequence;
    this.#place(value, sequence);
  }

  #evict(needed: number): void {
    while (this.#count > 0 && this.#tableBytes + needed > this.#tableLimit) {
      const sequence = this.#inserted - this.#count + 1;
      const place = sequence & (this.#ringSlots.length - 1);
      this.#tableBytes -= this.#ringSizes[place]!;
      this.#ringSlots[place] = undefined;
      this.#ringValues[place] = "";
      this.#count--;
    }
  }

  #grow(): void {
    const length = Math.max(8, this.#ringSlots.length * 2);
    const slots = new Array<NameSlot | undefined>(length).fill(undefined);
    const values = new Array<string>(length).fill("");
    const sizes = new Array<number>(length).fill(0);
    for (let age = 0; age < this.#count; age++) {
      const sequence = this.#inserted - age;
      const from = sequence & (this.#ringSlots.length - 1);
      const to = sequence & (length - 1);
      slots[to] = this.#ringSlots[from];
      values[to] = this.#ringValues[from]!;
      sizes[to] = this.#ringSizes[from]!;
    }
    this.#ringSlots = slots;
    this.#ringValues = values;
    this.#ringSizes = sizes;
    this.#places = new Float64Array(length * PLACES_PER_ENTRY);
    // The oldest first: a place is its newest entry's.
    for (let age = this.#count - 1; age >= 0; age--) {
      const sequence = this.#inserted - age;
      this.#place(values[sequence & (length - 1)]!, sequence);
    }
  }

  #place(value: string, sequence: number): void {
    this.#places[hashOf(value) & (this.#places.length - 1)] = sequence;
  }

  #newSlot(name: string): NameSlot {
    if (this.#slots.size >= MAX_NAMES) this.#forgetNames();
    const known = STATIC_BY_NAME.get(name);
    const slot: NameSlot = {
      staticIndex: known?.index ?? 0,
      staticValues: known?.values ?? 0,
      policy: POLICIES.get(name) ?? Policy.eager,
      newest: 0,
      lastLiteral: undefined,
      hotValue: undefined,
      hotIndex: 0,
      hotIsStatic: false,
    };
    this.#slots.set(name, slot);
    return slot;
  }

  /** Forgets the names that no entry has; at most 128 entries fit the table. */
  #forgetNames(): void {
    for (const [name, slot] of this.#slots) if (!this.#hasEntry(slot)) this.#slots.delete(name);
  }
}

function hashOf(value: string): number {
  const step = 1 + Math.floor(value.length / HASHED_CHARS);
  let hash = value.length;
  for (let at = 0; at < value.length; at += step) {
    hash = Math.imul(hash, 31) + value.charCodeAt(at);
  }
  return hash ^ (hash >>> 15);
}

/** @returns 0 if the static table has no such field. */
function staticIndexOf(slot: NameSlot, value: string): number {
  const end = slot.staticIndex + slot.staticValues;
  for (let index = slot.staticIndex; index < end; index++) {
    if (STATIC_VALUES[index] === value) return index;
  }
  return 0;
}

/** §5.1. The caller has made room. */
function writeInteger(out: Output, pattern: number, mask: number, value: number): void {
  const bytes = out.bytes;
  if (value < mask) {
    bytes[out.end++] = pattern | value;
    return;
  }
  bytes[out.end++] = pattern | mask;
  let rest = value - mask;
  while (rest >= 0x80) {
    bytes[out.end++] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
  }
  bytes[out.end++] = rest;
}

function cleanByte(code: number): number {
  return code > 0xff || code === 0 || code === 10 || code === 13 ? 0x3f : code;
}

function cleaned(text: string): string {
  return text.replace(/[\0\r\n]|[^\0-\xff]/g, "?");
}
