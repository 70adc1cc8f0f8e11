import { Decoded, HpackDecoder } from "@heddle/wire/hpack/decoder";
import { ErrorCode, Flag, type FrameHeader } from "@heddle/wire/http2/frame";
import { HeaderList, type ListKind } from "@heddle/wire/http2/header-list";
import type { Http2ErrorCode } from "./errors.ts";
import { FieldBlock } from "./field-block.ts";
import type { Http2Limits } from "./options.ts";

export interface FieldHost {
  /** What a field section of this stream would be now. */
  listKindOf(streamId: number): ListKind;
  /** A whole section. The list is lent, all but its `headers`; `finish` was not called. */
  fieldSection(streamId: number, list: HeaderList, endStream: boolean, isTooLarge: boolean): void;
  fail(code: number, problem: string, errorCode?: Http2ErrorCode): void;
}

/**
 * The receiving half of field sections: HEADERS and CONTINUATION in, decoded lists out. Every block
 * is decoded, whatever becomes of its stream, since the next ones build on it.
 */
export class FieldSections {
  readonly #host: FieldHost;
  readonly #limits: Http2Limits;
  readonly #decoder: HpackDecoder;
  readonly #list = new HeaderList();
  readonly #block = new FieldBlock();

  constructor(host: FieldHost, limits: Http2Limits) {
    this.#host = host;
    this.#limits = limits;
    this.#decoder = new HpackDecoder(limits.runtime.strings);
  }

  /** CONTINUATION must come, and nothing else (RFC 9113 §6.10). */
  get isIncomplete(): boolean {
    return this.#block.streamId !== 0;
  }

  /** Takes the payload of a HEADERS frame whose header is in order. Hot. */
  headers(frame: FrameHeader, bytes: Uint8Array, start: number, end: number): void {
    let from = start;
    let upTo = end;
    if ((frame.flags & Flag.padded) !== 0) upTo -= bytes[from++]!;
    // Priorities are deprecated; one that is wrong, as a stream that depends on itself, is nothing.
    if ((frame.flags & Flag.priority) !== 0) from += 5;
    if (upTo < from) {
      this.#host.fail(ErrorCode.protocolError, "padding exceeds its frame");
      return;
    }
    const endStream = (frame.flags & Flag.endStream) !== 0;
    if ((frame.flags & Flag.endHeaders) !== 0) {
      this.#decode(frame.streamId, endStream, bytes, from, upTo);
      return;
    }
    this.#block.start(frame.streamId, endStream);
    this.#block.append(bytes, from, upTo);
  }

  continuation(frame: FrameHeader, bytes: Uint8Array, start: number, end: number): void {
    const block = this.#block;
    const { budgets, maxHeaderListBytes, maxFrameBytes } = this.#limits;
    if (frame.streamId !== block.streamId) {
      this.#host.fail(ErrorCode.protocolError, "CONTINUATION of another stream");
      return;
    }
    block.append(bytes, start, end);
    // Encoded, a list is hardly ever longer than as decoded, where each field counts 32 more.
    const maxBytes = maxHeaderListBytes + 2 * maxFrameBytes;
    if (++block.continuations > budgets.continuations || block.length > maxBytes) {
      this.#host.fail(ErrorCode.enhanceYourCalm, "too many CONTINUATION frames", "h2_flood");
      return;
    }
    if ((frame.flags & Flag.endHeaders) === 0) return;
    const { streamId, endStream, length } = block;
    const gathered = block.bytes;
    block.clear();
    this.#decode(streamId, endStream, gathered, 0, length);
  }

  #decode(
    streamId: number,
    endStream: boolean,
    bytes: Uint8Array,
    start: number,
    end: number,
  ): void {
    const list = this.#list;
    list.start(this.#host.listKindOf(streamId));
    const max = this.#limits.maxHeaderListBytes;
    const decoded = this.#decoder.decode(bytes, start, end, max, list);
    if (decoded === Decoded.corrupt) {
      this.#host.fail(ErrorCode.compressionError, "field block is not HPACK");
    } else if (decoded === Decoded.bomb) {
      this.#host.fail(ErrorCode.enhanceYourCalm, "field section is far too large", "h2_flood");
    } else {
      this.#host.fieldSection(streamId, list, endStream, decoded === Decoded.tooLarge);
    }
  }
}
