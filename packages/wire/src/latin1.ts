// As a module: the global of this name is a getter, which costs 50 ns each time.
import { Buffer } from "node:buffer";

/** As old and as stable as `latin1Slice`, which Node's types know; `write` adds 50 ns of checks. */
const latin1Write = (Buffer.prototype as unknown as { latin1Write: Latin1Write }).latin1Write;
type Latin1Write = (this: Uint8Array, text: string, start: number, length: number) => number;

/** Below this a loop is cheaper than a call into the runtime; in a loop a character costs 3 ns. */
const SHORT_CHARS = 12;

/** Characters that are not one byte. For strings that have none, as nearly all, it need not look. */
export const WIDE: RegExp = /[^\0-\xff]/;

/** Writes text of one byte per character; of wider characters the low byte. Room must be there. Hot. */
export function writeLatin1(bytes: Uint8Array, text: string, at: number): void {
  const length = text.length;
  if (length < SHORT_CHARS) {
    for (let i = 0; i < length; i++) bytes[at + i] = text.charCodeAt(i);
  } else {
    latin1Write.call(bytes, text, at, length);
  }
}
