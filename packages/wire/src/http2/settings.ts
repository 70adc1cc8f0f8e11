import type { Output } from "../hpack/output.ts";
import {
  ErrorCode,
  Flag,
  FRAME_HEADER_BYTES,
  FrameType,
  MAX_MAX_FRAME_BYTES,
  MAX_WINDOW,
  MIN_MAX_FRAME_BYTES,
  readUint32,
  writeFrameHeader,
  writeUint32,
} from "./frame.ts";

/** §6.5.2 */
export const SettingId = {
  headerTableSize: 1,
  enablePush: 2,
  maxConcurrentStreams: 3,
  initialWindowSize: 4,
  maxFrameSize: 5,
  maxHeaderListSize: 6,
  enableConnectProtocol: 8,
} as const;

/** What one side has announced; the initial values are the RFC's. */
export class Settings {
  headerTableBytes = 4096;
  /** Undefined until it is announced: then clients take pushes. */
  enablePush: boolean | undefined;
  /** Infinity until it is announced. */
  maxConcurrentStreams: number = Number.POSITIVE_INFINITY;
  initialWindowBytes = 65_535;
  maxFrameBytes: number = MIN_MAX_FRAME_BYTES;
  /** Infinity until it is announced. */
  maxHeaderListBytes: number = Number.POSITIVE_INFINITY;

  /**
   * Takes over the payload of a SETTINGS frame, whose length is a multiple of 6. Unknown settings
   * are ignored.
   *
   * @returns 0, or the error code that the connection fails with.
   */
  read(bytes: Uint8Array, start: number, end: number): number {
    for (let at = start; at + 6 <= end; at += 6) {
      const error = this.#set((bytes[at]! << 8) | bytes[at + 1]!, readUint32(bytes, at + 2));
      if (error !== ErrorCode.noError) return error;
    }
    return ErrorCode.noError;
  }

  #set(id: number, value: number): number {
    switch (id) {
      case SettingId.headerTableSize:
        this.headerTableBytes = value;
        break;
      case SettingId.enablePush:
        if (value > 1) return ErrorCode.protocolError;
        this.enablePush = value === 1;
        break;
      case SettingId.maxConcurrentStreams:
        this.maxConcurrentStreams = value;
        break;
      case SettingId.initialWindowSize:
        if (value > MAX_WINDOW) return ErrorCode.flowControlError;
        this.initialWindowBytes = value;
        break;
      case SettingId.maxFrameSize:
        if (value < MIN_MAX_FRAME_BYTES || value > MAX_MAX_FRAME_BYTES) {
          return ErrorCode.protocolError;
        }
        this.maxFrameBytes = value;
        break;
      case SettingId.maxHeaderListSize:
        this.maxHeaderListBytes = value;
        break;
      default:
        break;
    }
    return ErrorCode.noError;
  }
}

/** @param pairs - id, value, id, value, … */
export function writeSettings(out: Output, pairs: readonly number[]): void {
  const length = (pairs.length / 2) * 6;
  out.reserve(FRAME_HEADER_BYTES + length);
  writeFrameHeader(out.bytes, out.end, length, FrameType.settings, 0, 0);
  let at = out.end + FRAME_HEADER_BYTES;
  for (let i = 0; i < pairs.length; i += 2) {
    out.bytes[at] = 0;
    out.bytes[at + 1] = pairs[i]!;
    writeUint32(out.bytes, at + 2, pairs[i + 1]!);
    at += 6;
  }
  out.end = at;
}

export function writeSettingsAck(out: Output): void {
  out.reserve(FRAME_HEADER_BYTES);
  writeFrameHeader(out.bytes, out.end, 0, FrameType.settings, Flag.ack, 0);
  out.end += FRAME_HEADER_BYTES;
}
