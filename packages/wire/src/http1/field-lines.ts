import { MeshError } from "@heddle/base/errors";
import { WIDE, writeLatin1 } from "../latin1.ts";
import type { OutBuffer } from "../out-buffer.ts";
import { FIELD_TEXT, latin1, TOKEN } from "./ascii.ts";

const SLOTS = 512;
const MAX_LINE_BYTES = 160;
const MAX_CREDIT = 8;
const SECRETS = new Set(["authorization", "proxy-authorization", "cookie", "set-cookie"]);

/**
 * Writes field lines, and remembers those that come again as one checked string, which the runtime
 * copies faster than a loop. The mirror image of `FieldCache`, with the same rule of replacement,
 * and without secrets as well.
 */
export class FieldLines {
  readonly #credits: Uint8Array = new Uint8Array(SLOTS);
  /** The last field that missed, by its full hash: only what misses twice is worth its place. */
  readonly #missed: Int32Array = new Int32Array(SLOTS);
  readonly #names: string[] = new Array<string>(SLOTS).fill("");
  readonly #values: string[] = new Array<string>(SLOTS).fill("");
  readonly #lines: string[] = new Array<string>(SLOTS).fill("");

  /**
   * Appends `name: value CRLF`. Hot.
   *
   * @throws MeshError on a name that is no lower-case token, or a value that would break its line.
   */
  write(out: OutBuffer, name: string, value: string): void {
    const hash = hashOf(name, value);
    const slot = (hash ^ (hash >>> 13)) & (SLOTS - 1);
    if (name !== "" && this.#names[slot] === name && this.#values[slot] === value) {
      if (this.#credits[slot]! < MAX_CREDIT) this.#credits[slot]!++;
      out.latin1(this.#lines[slot]!);
      return;
    }
    const start = out.end;
    writeChecked(out, name, value);
    if (this.#missed[slot] !== hash) {
      this.#missed[slot] = hash;
    } else if (this.#credits[slot]! > 0) {
      this.#credits[slot]!--;
    } else if (out.end - start <= MAX_LINE_BYTES && !SECRETS.has(name)) {
      this.#names[slot] = name;
      this.#values[slot] = value;
      this.#lines[slot] = latin1(out.bytes, start, out.end);
    }
  }
}

function hashOf(name: string, value: string): number {
  const length = value.length;
  let hash = (name.length << 8) ^ length;
  if (length > 0) {
    hash = Math.imul(hash ^ value.charCodeAt(length - 1), 0x01000193);
    hash = Math.imul(hash ^ value.charCodeAt(length >>> 1), 0x01000193);
    hash = Math.imul(hash ^ value.charCodeAt(0), 0x01000193);
  }
  // A name may be empty here, which is refused later.
  return Math.imul(hash ^ name.charCodeAt(name.length >>> 1), 0x01000193);
}

/** Copies, then looks at what it wrote: most lines that come here come once. */
function writeChecked(out: OutBuffer, name: string, value: string): void {
  out.room(name.length + value.length + 4);
  const { bytes } = out;
  const colon = out.end + name.length;
  const end = colon + 2 + value.length;
  writeLatin1(bytes, name, out.end);
  bytes[colon] = 0x3a;
  bytes[colon + 1] = 0x20;
  writeLatin1(bytes, value, colon + 2);
  bytes[end] = 0x0d;
  bytes[end + 1] = 0x0a;
  // Finding anything else here means that a layer let something through.
  let isToken = name.length > 0 && !WIDE.test(name);
  for (let at = out.end; at < colon; at++) if (!isLowerToken(bytes[at]!)) isToken = false;
  let isText = !WIDE.test(value);
  for (let at = colon + 2; at < end; at++) if (FIELD_TEXT[bytes[at]!] !== 1) isText = false;
  if (!isToken || !isText) {
    const found = isToken ? `the value of ${name}` : "a field name";
    throw new MeshError("http1_unwritable", "self", `Cannot write HTTP/1 message: ${found}`);
  }
  out.end = end + 2;
}

function isLowerToken(byte: number): boolean {
  return byte !== 0 && TOKEN[byte] === byte;
}
