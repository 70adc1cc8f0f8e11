const ENCODER = new TextEncoder();
const DECODER = new TextDecoder();

/**
 * Encodes `grpc-message`: UTF-8, of which all but printable ASCII, and `%`, is escaped. Blanks at
 * either end too: no field value may begin or end with one (RFC 9113 section 8.2.1).
 */
export function encodeGrpcMessage(text: string): string {
  if (/^(?:[!-$&-~](?:[ -$&-~]*[!-$&-~])?)?$/.test(text)) return text;
  const bytes = ENCODER.encode(text);
  let out = "";
  for (const [at, byte] of bytes.entries()) {
    const isAtEnd = byte === 0x20 && (at === 0 || at === bytes.length - 1);
    if (byte >= 0x20 && byte <= 0x7e && byte !== 0x25 && !isAtEnd) out += String.fromCharCode(byte);
    else out += `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  }
  return out;
}

/** Decodes it. Whatever is no escape stays as it is: a message must not hide its status. */
export function decodeGrpcMessage(text: string): string {
  if (!text.includes("%")) return text;
  const bytes = Buffer.from(text, "utf8");
  let end = 0;
  for (let at = 0; at < bytes.length; at++) {
    const escaped = bytes[at] === 0x25 ? hexByte(bytes, at + 1) : -1;
    bytes[end++] = escaped < 0 ? bytes[at]! : escaped;
    if (escaped >= 0) at += 2;
  }
  return DECODER.decode(bytes.subarray(0, end));
}

/** -1 if there are no two hexadecimal digits at `at`. */
function hexByte(bytes: Uint8Array, at: number): number {
  const high = hexDigit(bytes[at]);
  const low = hexDigit(bytes[at + 1]);
  return high < 0 || low < 0 ? -1 : high * 16 + low;
}

function hexDigit(byte: number | undefined): number {
  if (byte === undefined) return -1;
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const lower = byte | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x61 + 10 : -1;
}
