import type { Output } from "../hpack/output.ts";

/** Sent by a client before its first frame (RFC 9113 §3.4). */
export const PREFACE = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

export const FRAME_HEADER_BYTES = 9;
/** The limit that holds until SETTINGS says otherwise, and the smallest that it may say. */
export const MIN_MAX_FRAME_BYTES = 16_384;
export const MAX_MAX_FRAME_BYTES = 16_777_215;
export const MAX_WINDOW = 0x7fff_ffff;
export const MAX_STREAM_ID = 0x7fff_ffff;
/** Windows are this large until SETTINGS or WINDOW_UPDATE change them (§6.9.2). */
export const DEFAULT_WINDOW = 65_535;

/** §6 */
export const FrameType = {
  data: 0,
  headers: 1,
  priority: 2,
  rstStream: 3,
  settings: 4,
  pushPromise: 5,
  ping: 6,
  goaway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const;

/** What the bits of `flags` mean depends on the type. */
export const Flag = {
  /** DATA, HEADERS */
  endStream: 0x1,
  /** SETTINGS, PING */
  ack: 0x1,
  /** HEADERS, PUSH_PROMISE, CONTINUATION */
  endHeaders: 0x4,
  /** DATA, HEADERS, PUSH_PROMISE */
  padded: 0x8,
  /** HEADERS */
  priority: 0x20,
} as const;

/** §7 */
export const ErrorCode = {
  noError: 0,
  protocolError: 1,
  internalError: 2,
  flowControlError: 3,
  settingsTimeout: 4,
  streamClosed: 5,
  frameSizeError: 6,
  refusedStream: 7,
  cancel: 8,
  compressionError: 9,
  connectError: 10,
  enhanceYourCalm: 11,
  inadequateSecurity: 12,
  http11Required: 13,
} as const;

const ERROR_NAMES: readonly string[] = [
  "NO_ERROR",
  "PROTOCOL_ERROR",
  "INTERNAL_ERROR",
  "FLOW_CONTROL_ERROR",
  "SETTINGS_TIMEOUT",
  "STREAM_CLOSED",
  "FRAME_SIZE_ERROR",
  "REFUSED_STREAM",
  "CANCEL",
  "COMPRESSION_ERROR",
  "CONNECT_ERROR",
  "ENHANCE_YOUR_CALM",
  "INADEQUATE_SECURITY",
  "HTTP_1_1_REQUIRED",
];

/** The RFC's name of an error code, or the number in hexadecimal. */
export function errorName(code: number): string {
  return ERROR_NAMES[code] ?? `0x${code.toString(16)}`;
}

export interface FrameHeader {
  /** Bytes of payload that follow, 0 to 2^24 - 1. */
  length: number;
  /** 0 to 255. A type we do not know must be skipped, not refused (§5.5). */
  type: number;
  /** Bit set; what a bit means depends on `type`. */
  flags: number;
  /** 31 bits. 0 is the connection itself. */
  streamId: number;
}

/**
 * Reads the header at `offset` into `out`, which the caller owns and reuses. Hot: allocates nothing.
 *
 * @returns false, with `out` untouched, if fewer than 9 bytes are left before `end`.
 */
export function readFrameHeader(
  bytes: Uint8Array,
  offset: number,
  end: number,
  out: FrameHeader,
): boolean {
  if (end - offset < FRAME_HEADER_BYTES) return false;
  out.length = (bytes[offset]! << 16) | (bytes[offset + 1]! << 8) | bytes[offset + 2]!;
  out.type = bytes[offset + 3]!;
  out.flags = bytes[offset + 4]!;
  out.streamId = readUint31(bytes, offset + 5);
  return true;
}

/** Writes a header at `offset`, where 9 bytes must be free. Hot. */
export function writeFrameHeader(
  bytes: Uint8Array,
  offset: number,
  length: number,
  type: number,
  flags: number,
  streamId: number,
): void {
  bytes[offset] = length >>> 16;
  bytes[offset + 1] = length >>> 8;
  bytes[offset + 2] = length;
  bytes[offset + 3] = type;
  bytes[offset + 4] = flags;
  writeUint32(bytes, offset + 5, streamId);
}

/** The top bit is reserved in every place where this is used, and must be ignored. */
export function readUint31(bytes: Uint8Array, offset: number): number {
  return (
    ((bytes[offset]! & 0x7f) << 24) |
    (bytes[offset + 1]! << 16) |
    (bytes[offset + 2]! << 8) |
    bytes[offset + 3]!
  );
}

export function readUint32(bytes: Uint8Array, offset: number): number {
  return (readUint31(bytes, offset) | ((bytes[offset]! & 0x80) << 24)) >>> 0;
}

export function writeUint32(bytes: Uint8Array, offset: number, value: number): void {
  bytes[offset] = value >>> 24;
  bytes[offset + 1] = value >>> 16;
  bytes[offset + 2] = value >>> 8;
  bytes[offset + 3] = value;
}

export function writeRstStream(out: Output, streamId: number, code: number): void {
  out.reserve(13);
  writeFrameHeader(out.bytes, out.end, 4, FrameType.rstStream, 0, streamId);
  writeUint32(out.bytes, out.end + 9, code);
  out.end += 13;
}

export function writeWindowUpdate(out: Output, streamId: number, increment: number): void {
  out.reserve(13);
  writeFrameHeader(out.bytes, out.end, 4, FrameType.windowUpdate, 0, streamId);
  writeUint32(out.bytes, out.end + 9, increment);
  out.end += 13;
}

/** The 8 bytes at `offset` of `payload` are the ping's. */
export function writePing(out: Output, isAck: boolean, payload: Uint8Array, offset: number): void {
  out.reserve(17);
  writeFrameHeader(out.bytes, out.end, 8, FrameType.ping, isAck ? Flag.ack : 0, 0);
  out.end += FRAME_HEADER_BYTES;
  out.append(payload, offset, offset + 8);
}

/** @param debug - ASCII, for people who look at the peer's logs. */
export function writeGoaway(out: Output, lastStreamId: number, code: number, debug: string): void {
  out.reserve(17 + debug.length);
  writeFrameHeader(out.bytes, out.end, 8 + debug.length, FrameType.goaway, 0, 0);
  writeUint32(out.bytes, out.end + 9, lastStreamId);
  writeUint32(out.bytes, out.end + 13, code);
  for (let i = 0; i < debug.length; i++) out.bytes[out.end + 17 + i] = debug.charCodeAt(i);
  out.end += 17 + debug.length;
}

/** The caller puts the payload behind it. Hot. */
export function writeDataHeader(
  out: Output,
  streamId: number,
  length: number,
  endStream: boolean,
): void {
  out.reserve(FRAME_HEADER_BYTES + length);
  const flags = endStream ? Flag.endStream : 0;
  writeFrameHeader(out.bytes, out.end, length, FrameType.data, flags, streamId);
  out.end += FRAME_HEADER_BYTES;
}

/**
 * Finishes a HEADERS frame whose block was encoded behind 9 free bytes at `start`. A block of more
 * than `maxFrameBytes` is cut into CONTINUATION frames.
 */
export function finishHeaders(
  out: Output,
  start: number,
  streamId: number,
  endStream: boolean,
  maxFrameBytes: number,
): void {
  const flags = endStream ? Flag.endStream : 0;
  const blockStart = start + FRAME_HEADER_BYTES;
  const blockBytes = out.end - blockStart;
  if (blockBytes <= maxFrameBytes) {
    const type = FrameType.headers;
    writeFrameHeader(out.bytes, start, blockBytes, type, flags | Flag.endHeaders, streamId);
    return;
  }
  const parts = Math.ceil(blockBytes / maxFrameBytes);
  out.reserve((parts - 1) * FRAME_HEADER_BYTES);
  const { bytes } = out;
  // From the last part to the first, so that no part is moved onto one that is still to be moved.
  for (let part = parts - 1; part >= 0; part--) {
    const from = blockStart + part * maxFrameBytes;
    const length = Math.min(maxFrameBytes, blockStart + blockBytes - from);
    const to = from + part * FRAME_HEADER_BYTES;
    bytes.copyWithin(to, from, from + length);
    const type = part === 0 ? FrameType.headers : FrameType.continuation;
    const bits = (part === 0 ? flags : 0) | (part === parts - 1 ? Flag.endHeaders : 0);
    writeFrameHeader(bytes, to - FRAME_HEADER_BYTES, length, type, bits, streamId);
  }
  out.end += (parts - 1) * FRAME_HEADER_BYTES;
}
