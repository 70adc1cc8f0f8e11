import { MeshError } from "@heddle/base/errors";
import type { OutBuffer } from "../out-buffer.ts";
import { TOKEN } from "./ascii.ts";

const SLOTS = 512;
const SLOT_BYTES = 160;
const MAX_CREDIT = 8;
/** What may not stand in a value. Finding it here means that a layer let something through. */
const FORBIDDEN = /[^\t\x20-\x7e\x80-\xff]/;
const SECRET = /^(proxy-)?authorization$|^(set-)?cookie$/;

/**
 * Writes field lines, and remembers those that come again: they are checked and encoded once. The
 * mirror image of `FieldCache`, with the same rule of replacement, and without secrets as well.
 */
export class FieldLines {
  readonly #lines: Uint8Array = new Uint8Array(SLOTS * SLOT_BYTES);
  readonly #lengths: Uint8Array = new Uint8Array(SLOTS);
  readonly #credits: Uint8Array = new Uint8Array(SLOTS);
  readonly #names: string[] = new Array<string>(SLOTS).fill("");
  readonly #values: string[] = new Array<string>(SLOTS).fill("");

  /**
   * Appends `name: value CRLF`. Hot.
   *
   * @throws MeshError on a name that is no lower-case token, or a value that would break its line.
   */
  write(out: OutBuffer, name: string, value: string): void {
    const slot = slotOf(name, value);
    if (this.#names[slot] === name && this.#values[slot] === value) {
      if (this.#credits[slot]! < MAX_CREDIT) this.#credits[slot]!++;
      const length = this.#lengths[slot]!;
      out.room(length);
      copy(this.#lines, slot * SLOT_BYTES, out.bytes, out.end, length);
      out.end += length;
      return;
    }
    check(name, value);
    const start = out.end;
    out.room(name.length + value.length + 4);
    out.latin1(name);
    out.byte(0x3a);
    out.byte(0x20);
    out.latin1(value);
    out.byte(0x0d);
    out.byte(0x0a);
    this.#remember(slot, name, value, out, start);
  }

  #remember(slot: number, name: string, value: string, out: OutBuffer, start: number): void {
    const length = out.end - start;
    if (length > SLOT_BYTES || SECRET.test(name)) return;
    if (this.#credits[slot]! > 0) {
      this.#credits[slot]!--;
      return;
    }
    copy(out.bytes, start, this.#lines, slot * SLOT_BYTES, length);
    this.#lengths[slot] = length;
    this.#names[slot] = name;
    this.#values[slot] = value;
  }
}

function slotOf(name: string, value: string): number {
  const length = value.length;
  let hash = (name.length << 8) ^ length;
  if (length > 0) {
    hash = Math.imul(hash ^ value.charCodeAt(length - 1), 0x01000193);
    hash = Math.imul(hash ^ value.charCodeAt(length >>> 1), 0x01000193);
    hash = Math.imul(hash ^ value.charCodeAt(0), 0x01000193);
  }
  hash = Math.imul(hash ^ name.charCodeAt(name.length >>> 1), 0x01000193);
  return (hash ^ (hash >>> 13)) & (SLOTS - 1);
}

function copy(from: Uint8Array, start: number, to: Uint8Array, at: number, length: number): void {
  for (let i = 0; i < length; i++) to[at + i] = from[start + i]!;
}

function check(name: string, value: string): void {
  let isToken = name.length > 0;
  for (let i = 0; i < name.length; i++) {
    const code = name.charCodeAt(i);
    if (code > 0x7f || TOKEN[code] !== code) isToken = false;
  }
  if (isToken && !FORBIDDEN.test(value)) return;
  const found = isToken ? `the value of ${name}` : "a field name";
  throw new MeshError("http1_unwritable", "self", `Cannot write HTTP/1 message: ${found}`);
}
