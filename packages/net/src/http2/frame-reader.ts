import {
  Flag,
  FRAME_HEADER_BYTES,
  type FrameHeader,
  FrameType,
  readFrameHeader,
} from "@heddle/wire/http2/frame";

/** What to do with the payload of a frame whose header has come. */
export const Verdict = { take: 0, skip: 1, stop: 2 } as const;
export type Verdict = (typeof Verdict)[keyof typeof Verdict];

/** Takes the frames of one connection. Headers and ranges are lent until the call returns. */
export interface FrameSink {
  /** A header has come: every frame starts here. DATA and others are told of in different ways. */
  frameHeader(frame: FrameHeader): Verdict;
  /** A whole frame, any but DATA, without its header. */
  frame(frame: FrameHeader, bytes: Uint8Array, start: number, end: number): void;
  /** A DATA frame begins. `dataBytes` is its length without padding; -1 if the padding is too long. */
  dataStart(frame: FrameHeader, dataBytes: number): Verdict;
  /** Bytes of its data, as they come. */
  data(bytes: Uint8Array, start: number, end: number): void;
  /** The data is complete. */
  dataEnd(frame: FrameHeader): void;
}

const State = { header: 0, payload: 1, padLength: 2, data: 3, skip: 4 } as const;
type State = (typeof State)[keyof typeof State];

/**
 * Cuts a byte stream into frames, however it was split. DATA is passed on as it comes, without
 * waiting and without a copy; other frames are gathered if they are not whole in one range.
 */
export class FrameReader {
  readonly #sink: FrameSink;
  readonly #frame: FrameHeader = { length: 0, type: 0, flags: 0, streamId: 0 };
  readonly #partial: Uint8Array = new Uint8Array(FRAME_HEADER_BYTES);
  #state: State = State.header;
  /** Bytes of `#partial`, or of `#payload`, that have come. */
  #filled = 0;
  #payload: Uint8Array = EMPTY;
  /** Bytes of data or to be skipped that are still to come. */
  #left = 0;
  #paddingBytes = 0;

  constructor(sink: FrameSink) {
    this.#sink = sink;
  }

  /**
   * Takes one range. Hot.
   *
   * @returns false if the sink said stop; then nothing more may be read.
   */
  read(bytes: Uint8Array, start: number, end: number): boolean {
    let at = start;
    while (at < end) {
      switch (this.#state) {
        case State.header:
          at = this.#readHeader(bytes, at, end);
          break;
        case State.payload:
          at = this.#readPayload(bytes, at, end);
          break;
        case State.padLength:
          at = this.#startData(bytes[at]!, at + 1);
          break;
        case State.data: {
          const upTo = Math.min(end, at + this.#left);
          this.#left -= upTo - at;
          this.#sink.data(bytes, at, upTo);
          at = upTo;
          if (this.#left === 0) this.#endData();
          break;
        }
        case State.skip: {
          const count = Math.min(end - at, this.#left);
          this.#left -= count;
          at += count;
          if (this.#left === 0) this.#state = State.header;
          break;
        }
      }
      if (at < 0) return false;
    }
    return true;
  }

  /** @returns the offset behind what was read, or -1 to stop. */
  #readHeader(bytes: Uint8Array, at: number, end: number): number {
    const frame = this.#frame;
    if (this.#filled === 0 && readFrameHeader(bytes, at, end, frame)) {
      return this.#startFrame(bytes, at + FRAME_HEADER_BYTES, end);
    }
    let next = at;
    while (next < end && this.#filled < FRAME_HEADER_BYTES) {
      this.#partial[this.#filled++] = bytes[next++]!;
    }
    if (this.#filled < FRAME_HEADER_BYTES) return next;
    this.#filled = 0;
    readFrameHeader(this.#partial, 0, FRAME_HEADER_BYTES, frame);
    return this.#startFrame(bytes, next, end);
  }

  #startFrame(bytes: Uint8Array, at: number, end: number): number {
    const frame = this.#frame;
    const verdict = this.#sink.frameHeader(frame);
    if (verdict === Verdict.stop) return -1;
    if (verdict === Verdict.skip) {
      this.#skip(frame.length);
      return at;
    }
    if (frame.type === FrameType.data) {
      if ((frame.flags & Flag.padded) === 0) return this.#startData(-1, at);
      this.#state = State.padLength;
      return at;
    }
    if (end - at >= frame.length) {
      this.#sink.frame(frame, bytes, at, at + frame.length);
      return at + frame.length;
    }
    this.#payload = new Uint8Array(frame.length);
    this.#state = State.payload;
    return at;
  }

  #readPayload(bytes: Uint8Array, at: number, end: number): number {
    const payload = this.#payload;
    const count = Math.min(end - at, payload.length - this.#filled);
    payload.set(bytes.subarray(at, at + count), this.#filled);
    this.#filled += count;
    if (this.#filled === payload.length) {
      this.#filled = 0;
      this.#payload = EMPTY;
      this.#state = State.header;
      this.#sink.frame(this.#frame, payload, 0, payload.length);
    }
    return at + count;
  }

  /** @param padding - Bytes of padding, -1 if the frame has not even their number. */
  #startData(padding: number, at: number): number {
    const frame = this.#frame;
    this.#paddingBytes = Math.max(0, padding);
    const dataBytes = padding < 0 ? frame.length : frame.length - 1 - padding;
    const verdict = this.#sink.dataStart(frame, dataBytes);
    if (verdict === Verdict.stop) return -1;
    if (verdict === Verdict.skip) {
      this.#skip(dataBytes + this.#paddingBytes);
      return at;
    }
    this.#left = dataBytes;
    this.#state = State.data;
    if (dataBytes === 0) this.#endData();
    return at;
  }

  #endData(): void {
    this.#skip(this.#paddingBytes);
    this.#sink.dataEnd(this.#frame);
  }

  #skip(count: number): void {
    this.#left = count;
    this.#state = count === 0 ? State.header : State.skip;
  }
}

const EMPTY = new Uint8Array(0);
