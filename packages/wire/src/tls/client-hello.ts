/** What the first bytes of a connection say about TLS. */
export type HelloVerdict =
  | { readonly kind: "incomplete" }
  | { readonly kind: "not-tls" }
  /** A ClientHello that names no server, or not by a DNS name. */
  | { readonly kind: "no-sni" }
  /** In lower case. */
  | { readonly kind: "sni"; readonly serverName: string };

/** More than this is never needed for a verdict; what is undecided then is no TLS for us. */
export const MAX_HELLO_BYTES = 8_192;

/**
 * Nobody splits a hello into more records. Without a limit, a client that sends single bytes in
 * records of their own would have each of them parsed again with each segment.
 */
const MAX_RECORDS = 32;

const HANDSHAKE_RECORD = 22;
const CLIENT_HELLO = 1;
const SERVER_NAME = 0;
const RECORD_HEADER_BYTES = 5;

const INCOMPLETE: HelloVerdict = { kind: "incomplete" };
const NOT_TLS: HelloVerdict = { kind: "not-tls" };
const NO_SNI: HelloVerdict = { kind: "no-sni" };

/**
 * Reads a TLS ClientHello (RFC 8446 4.1.2) as far as its server_name, from the first byte of the
 * connection on. Called again with more bytes, a verdict other than `incomplete` stays the same. The
 * message may be split over some records.
 */
export function readClientHello(bytes: Uint8Array): HelloVerdict {
  const fragments: Uint8Array[] = [];
  let at = 0;
  let message: Uint8Array = new Uint8Array(0);
  // Only as many records as the message needs: what follows it is not ours to judge.
  while (at < bytes.length && !isWhole(message)) {
    const length = readRecordHeader(bytes, at);
    if (length === -1 || fragments.length === MAX_RECORDS) return NOT_TLS;
    if (length === 0) break;
    fragments.push(bytes.subarray(at + RECORD_HEADER_BYTES, at + RECORD_HEADER_BYTES + length));
    at += RECORD_HEADER_BYTES + length;
    message = fragments.length === 1 ? fragments[0]! : Buffer.concat(fragments);
  }
  return readMessage(message);
}

function isWhole(message: Uint8Array): boolean {
  if (message.length < 4) return false;
  return message.length >= 4 + ((message[1]! << 16) | readUint16(message, 2));
}

/** @returns payload length; 0 if the header is cut off; -1 if this is no handshake record. */
function readRecordHeader(bytes: Uint8Array, at: number): number {
  if (bytes[at] !== HANDSHAKE_RECORD) return -1;
  if (at + 1 < bytes.length && bytes[at + 1] !== 3) return -1;
  if (at + 2 < bytes.length && bytes[at + 2] !== 1 && bytes[at + 2] !== 3) return -1;
  if (bytes.length - at < RECORD_HEADER_BYTES) return 0;
  const length = (bytes[at + 3]! << 8) | bytes[at + 4]!;
  return length === 0 || length > MAX_HELLO_BYTES ? -1 : length;
}

/** Reads the handshake message, of which `bytes` may be a prefix. */
function readMessage(bytes: Uint8Array): HelloVerdict {
  if (bytes.length > 0 && bytes[0] !== CLIENT_HELLO) return NOT_TLS;
  if (bytes.length < 6) return INCOMPLETE;
  const end = 4 + ((bytes[1]! << 16) | (bytes[2]! << 8) | bytes[3]!);
  if (bytes[4] !== 3 || bytes[5] !== 3) return NOT_TLS;
  // Version and random, then three vectors with lengths of one, two and one octets.
  let at = 4 + 2 + 32;
  for (const octets of [1, 2, 1]) {
    if (at + octets > end) return NOT_TLS;
    if (at + octets > bytes.length) return INCOMPLETE;
    at += octets + (octets === 1 ? bytes[at]! : readUint16(bytes, at));
  }
  // TLS 1.2 allowed hellos without extensions.
  if (at === end) return NO_SNI;
  if (at + 2 > end) return NOT_TLS;
  if (at + 2 > bytes.length) return INCOMPLETE;
  const extensionsEnd = at + 2 + readUint16(bytes, at);
  if (extensionsEnd !== end) return NOT_TLS;
  return readExtensions(bytes, at + 2, extensionsEnd);
}

function readExtensions(bytes: Uint8Array, start: number, end: number): HelloVerdict {
  for (let at = start; at < end; ) {
    if (at + 4 > end) return NOT_TLS;
    if (at + 4 > bytes.length) return INCOMPLETE;
    const length = readUint16(bytes, at + 2);
    const next = at + 4 + length;
    if (next > end) return NOT_TLS;
    if (readUint16(bytes, at) === SERVER_NAME) {
      return next > bytes.length ? INCOMPLETE : readServerName(bytes.subarray(at + 4, next));
    }
    at = next;
  }
  return NO_SNI;
}

/** RFC 6066 3: a list, of which only one host_name is allowed and anything else unheard of. */
function readServerName(extension: Uint8Array): HelloVerdict {
  const length = extension.length - 5;
  if (length < 1 || extension[2] !== 0) return NO_SNI;
  if (readUint16(extension, 0) !== length + 3 || readUint16(extension, 3) !== length) return NO_SNI;
  const name = Buffer.from(extension.subarray(5)).toString("latin1").toLowerCase();
  if (length > 253 || !/^[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?$/.test(name)) return NO_SNI;
  return { kind: "sni", serverName: name };
}

function readUint16(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 8) | bytes[at + 1]!;
}
