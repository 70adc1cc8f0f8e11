// As a module: the global of this name is a getter, which costs 50 ns each time.
import { Buffer } from "node:buffer";

export const TAB = 0x09;
export const LF = 0x0a;
export const CR = 0x0d;
export const SPACE = 0x20;
export const COLON = 0x3a;

/** For each byte of a token (RFC 9110 section 5.6.2) its lower-case form, for all others 0. */
export const TOKEN: Uint8Array = tokenTable();

/** 1 for what may stand in a field's value: HTAB, SP, VCHAR, obs-text. */
export const FIELD_TEXT: Uint8Array = table(
  (byte) => byte === TAB || (byte >= 0x20 && byte !== 0x7f),
);

/**
 * 1 for what may stand in a request target: visible ASCII without what RFC 3986 forbids and peers
 * read differently (`#` starts a fragment for some, `<` and `>` are never sent raw).
 */
export const TARGET: Uint8Array = table(
  (byte) => byte > 0x20 && byte < 0x7f && !"#<>".includes(String.fromCharCode(byte)),
);

/** 1 for reg-name (RFC 3986 section 3.2.2): unreserved, sub-delims and `%`. */
export const REG_NAME: Uint8Array = table((byte) =>
  /[A-Za-z0-9\-._~!$&'()*+,;=%]/.test(String.fromCharCode(byte)),
);

/** The value of a hexadecimal digit, 255 for anything else. */
export const HEX: Uint8Array = hexTable();

export function isDigit(byte: number): boolean {
  return byte >= 0x30 && byte <= 0x39;
}

/** A range as text, one character per byte. Hot: for short ranges a call costs more than a loop. */
export function latin1(bytes: Uint8Array, start: number, end: number): string {
  if (end - start > 6) return Buffer.prototype.latin1Slice.call(bytes, start, end);
  let text = "";
  for (let at = start; at < end; at++) text += String.fromCharCode(bytes[at]!);
  return text;
}

function table(accepts: (byte: number) => boolean): Uint8Array {
  return Uint8Array.from({ length: 256 }, (_, byte) => (accepts(byte) ? 1 : 0));
}

function tokenTable(): Uint8Array {
  return Uint8Array.from({ length: 256 }, (_, byte) => {
    const text = String.fromCharCode(byte);
    return /[!#$%&'*+\-.^_`|~0-9A-Za-z]/.test(text) ? text.toLowerCase().charCodeAt(0) : 0;
  });
}

function hexTable(): Uint8Array {
  return Uint8Array.from({ length: 256 }, (_, byte) => {
    const text = String.fromCharCode(byte);
    return /[0-9A-Fa-f]/.test(text) ? Number.parseInt(text, 16) : 255;
  });
}
