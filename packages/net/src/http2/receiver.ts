import type { HeaderMap } from "@heddle/wire/http/headers";
import {
  DEFAULT_WINDOW,
  ErrorCode,
  Flag,
  type FrameHeader,
  FrameType,
  writeWindowUpdate,
} from "@heddle/wire/http2/frame";
import { checkFrameHeader, isStreamError } from "@heddle/wire/http2/frame-rules";
import { type HeaderList, ListKind } from "@heddle/wire/http2/header-list";
import type { Http2ErrorCode } from "./errors.ts";
import { type FieldHost, FieldSections } from "./field-sections.ts";
import { FrameReader, type FrameSink, Verdict } from "./frame-reader.ts";
import type { Http2Limits } from "./options.ts";
import type { Outbox } from "./outbox.ts";
import type { PeerBudgets } from "./peer-budgets.ts";
import { ResetStreams } from "./reset-streams.ts";
import type { Http2Stream } from "./stream.ts";
import type { StreamTable } from "./stream-table.ts";

/** What the receiver needs of its connection. */
export interface ReceiverHost {
  readonly isServer: boolean;
  readonly isOpen: boolean;
  readonly outbox: Outbox;
  readonly streams: StreamTable;
  /** The highest stream that we opened. */
  readonly lastOwnStreamId: number;
  /** The peer's first SETTINGS have come. */
  readonly settingsReceived: boolean;
  wake(): void;
  fail(code: number, problem: string, errorCode?: Http2ErrorCode): void;
  failStream(stream: Http2Stream, code: number, problem: string): void;
  /** RST_STREAM, SETTINGS, PING, GOAWAY or WINDOW_UPDATE, whose header is in order. */
  controlFrame(frame: FrameHeader, bytes: Uint8Array, start: number): void;
  /** A request, whose list is not checked yet. */
  newStream(streamId: number, list: HeaderList, endStream: boolean, isTooLarge: boolean): void;
  /** The head of an answer. False if it is malformed. */
  responseHead(stream: Http2Stream, list: HeaderList, endStream: boolean): boolean;
  /** The peer has said all on this stream. */
  endReceiving(stream: Http2Stream, trailers: HeaderMap | undefined): void;
}

/**
 * The receiving half of a connection: which frame may come when (RFC 9113 §5.1, §6), field sections,
 * DATA with its windows. What a frame does to the connection is the host's.
 */
export class Receiver implements FrameSink, FieldHost {
  /** The highest stream that the peer opened. */
  lastPeerStreamId = 0;
  /** How much the peer may send on a new stream. */
  readonly streamWindowBytes: number;
  readonly #host: ReceiverHost;
  readonly #limits: Http2Limits;
  readonly #budgets: PeerBudgets;
  readonly #reader: FrameReader;
  readonly #fields: FieldSections;
  readonly #resetStreams = new ResetStreams();
  #window: number;
  /** Bytes passed on that the peer was not told of. */
  #unacked = 0;
  /** The stream of the DATA frame that is being read; undefined if its data is dropped. */
  #dataStream: Http2Stream | undefined;

  constructor(host: ReceiverHost, limits: Http2Limits, budgets: PeerBudgets) {
    this.#host = host;
    this.#limits = limits;
    this.#budgets = budgets;
    this.#reader = new FrameReader(this);
    this.#fields = new FieldSections(this, limits);
    this.#window = limits.connectionWindowBytes;
    // Until our SETTINGS arrive, the peer goes by the default.
    this.streamWindowBytes = Math.max(limits.streamWindowBytes, DEFAULT_WINDOW);
  }

  /** Hot. */
  read(bytes: Uint8Array, start: number, end: number): void {
    this.#budgets.readStarted();
    this.#reader.read(bytes, start, end);
  }

  /** We reset this stream: what was under way on it is dropped. */
  wasReset(streamId: number): void {
    this.#resetStreams.add(streamId);
  }

  /** Bytes of a stream were passed on: their place in both windows is free again. Hot. */
  consumed(stream: Http2Stream, count: number): void {
    this.giveBack(count);
    stream.recvUnacked += count;
    if (stream.recvEnded || stream.isClosed || stream.isPaused) return;
    if (stream.recvUnacked < this.#limits.streamWindowBytes / 2) return;
    stream.recvWindow += stream.recvUnacked;
    writeWindowUpdate(this.#host.outbox.open(), stream.id, stream.recvUnacked);
    stream.recvUnacked = 0;
    this.#host.wake();
  }

  /** Bytes came and are gone: only the connection's window knows of them still. Hot. */
  giveBack(count: number): void {
    this.#unacked += count;
    if (this.#unacked < this.#limits.connectionWindowBytes / 2 || !this.#host.isOpen) return;
    this.#window += this.#unacked;
    writeWindowUpdate(this.#host.outbox.open(), 0, this.#unacked);
    this.#unacked = 0;
    this.#host.wake();
  }

  /** A head came that has END_STREAM. */
  endOfHead(stream: Http2Stream): void {
    if (stream.bodyLeft > 0) {
      const problem = "no body in spite of content-length";
      this.#host.failStream(stream, ErrorCode.protocolError, problem);
    } else {
      this.#host.endReceiving(stream, undefined);
    }
  }

  // FrameSink

  /** Hot. */
  frameHeader(frame: FrameHeader): Verdict {
    const host = this.#host;
    if (!host.isOpen) return Verdict.stop;
    const { maxFrameBytes } = this.#limits;
    const isContinuation = frame.type === FrameType.continuation;
    if (isContinuation !== this.#fields.isIncomplete || !this.#isFirstInOrder(frame)) {
      return this.#stop(ErrorCode.protocolError, `frame of type ${frame.type} out of order`);
    }
    const error = checkFrameHeader(frame, maxFrameBytes);
    if (error !== ErrorCode.noError) {
      if (!isStreamError(frame, maxFrameBytes)) {
        return this.#stop(error, `bad header of a frame of type ${frame.type}`);
      }
      const stream = host.streams.get(frame.streamId);
      if (stream !== undefined) host.failStream(stream, error, "frame of a wrong size");
      return Verdict.skip;
    }
    if (frame.type > FrameType.continuation || frame.type === FrameType.priority) {
      return this.#budgets.ignoredFrame() ? Verdict.skip : Verdict.stop;
    }
    return Verdict.take;
  }

  /** Hot. */
  frame(frame: FrameHeader, bytes: Uint8Array, start: number, end: number): void {
    if (frame.type === FrameType.headers) this.#fields.headers(frame, bytes, start, end);
    else if (frame.type === FrameType.continuation) {
      this.#fields.continuation(frame, bytes, start, end);
    } else this.#host.controlFrame(frame, bytes, start);
  }

  /** Hot. */
  dataStart(frame: FrameHeader, dataBytes: number): Verdict {
    this.#dataStream = undefined;
    if (dataBytes < 0) return this.#stop(ErrorCode.protocolError, "padding exceeds its frame");
    this.#window -= frame.length;
    if (this.#window < 0) {
      return this.#stop(ErrorCode.flowControlError, "connection window exceeded");
    }
    const endStream = (frame.flags & Flag.endStream) !== 0;
    if (dataBytes === 0 && !endStream && !this.#budgets.emptyFrame()) return Verdict.stop;
    const stream = this.#host.streams.get(frame.streamId);
    if (stream === undefined || stream.isClosed) {
      if (!this.isClosedInOrder(frame.streamId, "DATA")) return Verdict.stop;
      return this.#dropData(frame);
    }
    stream.recvWindow -= frame.length;
    const error = dataError(stream, dataBytes, endStream);
    if (error !== ErrorCode.noError) {
      this.#host.failStream(stream, error, "DATA that must not be");
      return this.#dropData(frame);
    }
    if (stream.bodyLeft >= 0) stream.bodyLeft -= dataBytes;
    this.#dataStream = stream;
    // Padding is dealt with at once.
    if (dataBytes < frame.length) this.consumed(stream, frame.length - dataBytes);
    return Verdict.take;
  }

  /** Hot. */
  data(bytes: Uint8Array, start: number, end: number): void {
    const stream = this.#dataStream;
    if (stream === undefined || stream.isClosed) this.giveBack(end - start);
    else stream.receive(bytes, start, end);
  }

  dataEnd(frame: FrameHeader): void {
    const stream = this.#dataStream;
    this.#dataStream = undefined;
    if (stream === undefined || stream.isClosed || (frame.flags & Flag.endStream) === 0) return;
    this.#host.endReceiving(stream, undefined);
  }

  // FieldHost

  listKindOf(streamId: number): ListKind {
    if (this.#host.streams.get(streamId)?.headReceived === true) return ListKind.trailers;
    return this.#host.isServer ? ListKind.request : ListKind.response;
  }

  fieldSection(streamId: number, list: HeaderList, endStream: boolean, isTooLarge: boolean): void {
    const host = this.#host;
    const stream = host.streams.get(streamId);
    if (stream !== undefined && !stream.isClosed) {
      this.#fieldsOf(stream, list, endStream, isTooLarge);
    } else if (!this.#isPeers(streamId) || streamId <= this.lastPeerStreamId) {
      this.isClosedInOrder(streamId, "HEADERS");
    } else if (!host.isServer) {
      host.fail(ErrorCode.protocolError, "HEADERS on a stream that nobody opened");
    } else {
      this.lastPeerStreamId = streamId;
      host.newStream(streamId, list, endStream, isTooLarge);
    }
  }

  fail(code: number, problem: string, errorCode?: Http2ErrorCode): void {
    this.#host.fail(code, problem, errorCode);
  }

  /** Of a stream that is open: the head of an answer, or trailers. */
  #fieldsOf(stream: Http2Stream, list: HeaderList, endStream: boolean, isTooLarge: boolean): void {
    const host = this.#host;
    if (stream.recvEnded) {
      host.failStream(stream, ErrorCode.streamClosed, "HEADERS after END_STREAM");
    } else if (isTooLarge) {
      host.failStream(stream, ErrorCode.protocolError, "field section is too large");
    } else if (!list.finish()) {
      host.failStream(stream, ErrorCode.protocolError, list.problem);
    } else if (!stream.headReceived) {
      if (!host.responseHead(stream, list, endStream)) {
        host.failStream(stream, ErrorCode.protocolError, "malformed response");
      } else if (endStream && !stream.isClosed) this.endOfHead(stream);
    } else if (!endStream) {
      host.failStream(stream, ErrorCode.protocolError, "trailers without END_STREAM");
    } else if (stream.bodyLeft > 0) {
      host.failStream(stream, ErrorCode.protocolError, "body is shorter than content-length");
    } else {
      host.endReceiving(stream, list.headers);
    }
  }

  // Order

  /** The first frame of a connection is SETTINGS (§3.4). */
  #isFirstInOrder(frame: FrameHeader): boolean {
    if (this.#host.settingsReceived) return true;
    return frame.type === FrameType.settings && (frame.flags & Flag.ack) === 0;
  }

  /**
   * A frame came for a stream that is not open. What was under way when we reset it is dropped; what
   * nobody opened, or was complete, is an error.
   *
   * @returns false if the connection failed.
   */
  isClosedInOrder(streamId: number, what: string): boolean {
    const last = this.#isPeers(streamId) ? this.lastPeerStreamId : this.#host.lastOwnStreamId;
    if (streamId > last) {
      this.#host.fail(ErrorCode.protocolError, `${what} on an idle stream`);
      return false;
    }
    if (!this.#budgets.closedStreamFrame()) return false;
    if (what !== "DATA" && what !== "HEADERS") return true;
    if (this.#resetStreams.mayHave(streamId)) return true;
    this.#host.fail(ErrorCode.streamClosed, `${what} on a closed stream`);
    return false;
  }

  #isPeers(streamId: number): boolean {
    return (streamId & 1) === (this.#host.isServer ? 1 : 0);
  }

  #dropData(frame: FrameHeader): Verdict {
    this.giveBack(frame.length);
    return Verdict.skip;
  }

  #stop(code: number, problem: string): Verdict {
    this.#host.fail(code, problem);
    return Verdict.stop;
  }
}

/** What is wrong with a DATA frame on an open stream; `recvWindow` is what is left behind it. */
function dataError(stream: Http2Stream, dataBytes: number, endStream: boolean): number {
  if (stream.recvEnded) return ErrorCode.streamClosed;
  if (!stream.headReceived) return ErrorCode.protocolError;
  if (stream.recvWindow < 0) return ErrorCode.flowControlError;
  const left = stream.bodyLeft;
  if (left >= 0 && (dataBytes > left || (endStream && dataBytes < left))) {
    return ErrorCode.protocolError;
  }
  return ErrorCode.noError;
}
