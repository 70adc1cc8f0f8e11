import { ErrorCode, Flag, type FrameHeader, FrameType } from "./frame.ts";

/**
 * What a frame's header alone says about its validity: stream 0 or not, and the size (RFC 9113
 * §4.2, §6). All of these errors are errors of the connection, but for one: `isStreamError`.
 *
 * Hot.
 *
 * @returns 0 if the header is in order, or the error code.
 */
export function checkFrameHeader(frame: FrameHeader, maxFrameBytes: number): number {
  const { length, type, streamId } = frame;
  if (length > maxFrameBytes) return ErrorCode.frameSizeError;
  switch (type) {
    case FrameType.data:
      if (streamId === 0) return ErrorCode.protocolError;
      // Room for the length of the padding.
      if ((frame.flags & Flag.padded) !== 0 && length < 1) return ErrorCode.frameSizeError;
      return ErrorCode.noError;
    case FrameType.headers: {
      if (streamId === 0) return ErrorCode.protocolError;
      const padding = (frame.flags & Flag.padded) !== 0 ? 1 : 0;
      const priority = (frame.flags & Flag.priority) !== 0 ? 5 : 0;
      return length < padding + priority ? ErrorCode.frameSizeError : ErrorCode.noError;
    }
    case FrameType.priority:
      if (streamId === 0) return ErrorCode.protocolError;
      return length === 5 ? ErrorCode.noError : ErrorCode.frameSizeError;
    case FrameType.rstStream:
      if (streamId === 0) return ErrorCode.protocolError;
      return length === 4 ? ErrorCode.noError : ErrorCode.frameSizeError;
    case FrameType.settings:
      if (streamId !== 0) return ErrorCode.protocolError;
      if ((frame.flags & Flag.ack) !== 0 && length !== 0) return ErrorCode.frameSizeError;
      return length % 6 === 0 ? ErrorCode.noError : ErrorCode.frameSizeError;
    case FrameType.pushPromise:
      // Nobody may send us one: we announce ENABLE_PUSH 0, and clients never push (§8.4).
      return ErrorCode.protocolError;
    case FrameType.ping:
      if (streamId !== 0) return ErrorCode.protocolError;
      return length === 8 ? ErrorCode.noError : ErrorCode.frameSizeError;
    case FrameType.goaway:
      if (streamId !== 0) return ErrorCode.protocolError;
      return length >= 8 ? ErrorCode.noError : ErrorCode.frameSizeError;
    case FrameType.windowUpdate:
      return length === 4 ? ErrorCode.noError : ErrorCode.frameSizeError;
    case FrameType.continuation:
      return streamId === 0 ? ErrorCode.protocolError : ErrorCode.noError;
    default:
      return ErrorCode.noError;
  }
}

/**
 * The errors of `checkFrameHeader` that concern one stream only: a PRIORITY of the wrong size
 * (§6.3), and frames too large that change no state of the connection (§4.2).
 */
export function isStreamError(frame: FrameHeader, maxFrameBytes: number): boolean {
  if (frame.streamId === 0) return false;
  if (frame.type === FrameType.priority) return frame.length <= maxFrameBytes;
  return false;
}
