import { isDigit, latin1, REG_NAME, TARGET } from "./ascii.ts";

const COLON = 0x3a;
const SLASH = 0x2f;
const QUESTION = 0x3f;
const BACKSLASH = 0x5c;

/** The parts of a request target. `form` is one of RFC 9112 section 3.2's. */
export interface Target {
  form: "origin" | "absolute" | "authority" | "asterisk";
  /** `http` or `https` in absolute form, else empty. */
  scheme: string;
  /** In absolute and authority form, else empty. */
  authority: string;
  /** Path and query; `*` in asterisk form; empty in authority form. */
  path: string;
}

/**
 * Reads a request target into `out`. Hot for origin form: one string.
 *
 * @returns false if it has none of the four forms, or a byte that may not stand there.
 */
export function readTarget(bytes: Uint8Array, start: number, end: number, out: Target): boolean {
  if (start === end) return false;
  if (bytes[start] === SLASH) {
    if (!isPath(bytes, start, end)) return false;
    return fill(out, "origin", "", "", latin1(bytes, start, end));
  }
  if (end - start === 1 && bytes[start] === 0x2a) return fill(out, "asterisk", "", "", "*");
  const scheme = schemeOf(bytes, start, end);
  if (scheme !== "") return readAbsolute(bytes, start + scheme.length + 3, end, scheme, out);
  if (!isAuthority(bytes, start, end)) return false;
  return fill(out, "authority", "", latin1(bytes, start, end), "");
}

/**
 * Whether a range is `uri-host [":" port]` with a host. User information is refused (RFC 9110
 * section 4.2.4), and so is an empty port, which peers read differently.
 */
export function isAuthority(bytes: Uint8Array, start: number, end: number): boolean {
  let at = bytes[start] === 0x5b ? endOfIpLiteral(bytes, start, end) : start;
  if (at < 0) return false;
  if (at === start) while (at < end && REG_NAME[bytes[at]!] === 1) at++;
  if (at === start) return false;
  if (at === end) return true;
  if (bytes[at] !== COLON || end - at < 2 || end - at > 6) return false;
  let port = 0;
  for (let i = at + 1; i < end; i++) {
    if (!isDigit(bytes[i]!)) return false;
    port = port * 10 + bytes[i]! - 0x30;
  }
  return port <= 65_535;
}

function readAbsolute(
  bytes: Uint8Array,
  start: number,
  end: number,
  scheme: string,
  out: Target,
): boolean {
  let at = start;
  while (at < end && bytes[at] !== SLASH && bytes[at] !== QUESTION) at++;
  if (!isAuthority(bytes, start, at) || !isPath(bytes, at, end)) return false;
  const rest = latin1(bytes, at, end);
  // An empty path and `/` are the same resource (RFC 9110 section 4.2.3).
  const path = rest.startsWith("/") ? rest : `/${rest}`;
  return fill(out, "absolute", scheme, latin1(bytes, start, at), path);
}

/** A backslash is a slash to some servers, so it may stand in a query only. */
function isPath(bytes: Uint8Array, start: number, end: number): boolean {
  let inQuery = false;
  for (let at = start; at < end; at++) {
    const byte = bytes[at]!;
    if (TARGET[byte] !== 1 || (byte === BACKSLASH && !inQuery)) return false;
    if (byte === QUESTION) inQuery = true;
  }
  return true;
}

/** `http` or `https` if the range starts with it and `://`, in any case; else empty. */
function schemeOf(bytes: Uint8Array, start: number, end: number): string {
  const text = latin1(bytes, start, Math.min(end, start + 8)).toLowerCase();
  if (text.startsWith("http://")) return "http";
  return text === "https://" ? "https" : "";
}

/** The position after `]`, or -1. */
function endOfIpLiteral(bytes: Uint8Array, start: number, end: number): number {
  let at = start + 1;
  for (; at < end && bytes[at] !== 0x5d; at++) {
    const byte = bytes[at]!;
    // Hexadecimal digits, colons, and dots of an embedded IPv4 address. No zones.
    const isHex = isDigit(byte) || ((byte | 0x20) >= 0x61 && (byte | 0x20) <= 0x66);
    if (!isHex && byte !== COLON && byte !== 0x2e) return -1;
  }
  return at < end && at - start >= 3 ? at + 1 : -1;
}

function fill(
  out: Target,
  form: Target["form"],
  scheme: string,
  authority: string,
  path: string,
): true {
  out.form = form;
  out.scheme = scheme;
  out.authority = authority;
  out.path = path;
  return true;
}
