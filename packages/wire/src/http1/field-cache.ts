import type { FieldKind } from "./field-names.ts";

const SLOTS = 512;
const SLOT_BYTES = 128;
const MAX_CREDIT = 8;

/**
 * Remembers whole field lines, so that a line which comes again (most do) makes no strings and is
 * not validated again. Direct-mapped and bounded; a line is replaced only after as many misses in
 * its slot as it had hits (up to 8), so values that never repeat do not push out those that do.
 *
 * Holds no secrets: the caller keeps `SECRET` fields out.
 */
export class FieldCache {
  /** What the last successful `find` found. */
  name = "";
  value = "";
  kind: FieldKind = 0;
  readonly #lines: Uint8Array = new Uint8Array(SLOTS * SLOT_BYTES);
  readonly #lengths: Uint8Array = new Uint8Array(SLOTS);
  readonly #credits: Uint8Array = new Uint8Array(SLOTS);
  /** The last line that missed, by its full hash: only what misses twice is worth its place. */
  readonly #missed: Int32Array = new Int32Array(SLOTS);
  readonly #kinds: Uint8Array = new Uint8Array(SLOTS);
  readonly #names: string[] = new Array<string>(SLOTS).fill("");
  readonly #values: string[] = new Array<string>(SLOTS).fill("");

  /** Hot: allocates nothing. */
  find(bytes: Uint8Array, start: number, end: number): boolean {
    const length = end - start;
    if (length > SLOT_BYTES || length < 4) return false;
    const slot = slotOf(hashOf(bytes, start, end));
    if (this.#lengths[slot] !== length) return false;
    const lines = this.#lines;
    const offset = slot * SLOT_BYTES - start;
    // From the end: lines of one name differ there.
    for (let at = end - 1; at >= start; at--) if (lines[offset + at] !== bytes[at]) return false;
    if (this.#credits[slot]! < MAX_CREDIT) this.#credits[slot]!++;
    this.name = this.#names[slot]!;
    this.value = this.#values[slot]!;
    this.kind = this.#kinds[slot] as FieldKind;
    return true;
  }

  /** After a `find` that failed. The line must be valid. */
  insert(
    line: { readonly bytes: Uint8Array; readonly start: number; readonly end: number },
    name: string,
    value: string,
    kind: FieldKind,
  ): void {
    const { bytes, start, end } = line;
    const length = end - start;
    if (length > SLOT_BYTES || length < 4) return;
    const hash = hashOf(bytes, start, end);
    const slot = slotOf(hash);
    if (this.#missed[slot] !== hash) {
      this.#missed[slot] = hash;
      return;
    }
    if (this.#credits[slot]! > 0) {
      this.#credits[slot]!--;
      return;
    }
    const offset = slot * SLOT_BYTES;
    for (let i = 0; i < length; i++) this.#lines[offset + i] = bytes[start + i]!;
    this.#lengths[slot] = length;
    this.#names[slot] = name;
    this.#values[slot] = value;
    this.#kinds[slot] = kind;
  }
}

/** Of the length and six bytes, mostly of the end. At least 4 bytes. */
function hashOf(bytes: Uint8Array, start: number, end: number): number {
  let hash = end - start;
  hash = Math.imul(hash ^ bytes[start]!, 0x01000193);
  hash = Math.imul(hash ^ bytes[start + 2]!, 0x01000193);
  hash = Math.imul(hash ^ bytes[(start + end) >>> 1]!, 0x01000193);
  hash = Math.imul(hash ^ bytes[end - 4]!, 0x01000193);
  hash = Math.imul(hash ^ bytes[end - 2]!, 0x01000193);
  hash = Math.imul(hash ^ bytes[end - 1]!, 0x01000193);
  return hash;
}

function slotOf(hash: number): number {
  return (hash ^ (hash >>> 13)) & (SLOTS - 1);
}
