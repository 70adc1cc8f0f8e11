import { MeshError, type Side } from "@heddle/base/errors";
import type { Timer } from "@heddle/base/timer-wheel";
import { Decoded, HpackDecoder } from "@heddle/wire/hpack/decoder";
import type { HeaderMap } from "@heddle/wire/http/headers";
import {
  DEFAULT_WINDOW,
  ErrorCode,
  errorName,
  Flag,
  type FrameHeader,
  FrameType,
  MAX_WINDOW,
  MIN_MAX_FRAME_BYTES,
  readUint31,
  readUint32,
  writeGoaway,
  writePing,
  writeRstStream,
  writeWindowUpdate,
} from "@heddle/wire/http2/frame";
import { checkFrameHeader, isStreamError } from "@heddle/wire/http2/frame-rules";
import { HeaderList, ListKind } from "@heddle/wire/http2/header-list";
import { SettingId, writeSettings, writeSettingsAck } from "@heddle/wire/http2/settings";
import { DISCARD, type ResponseHead } from "../http.ts";
import type { Socket, SocketHandler } from "../transport.ts";
import { Budget, PRIORITIES_PER_STREAM, WINDOW_UPDATES_PER_DATA } from "./budget.ts";
import { Http2Error, type Http2ErrorCode, h2ReasonOf } from "./errors.ts";
import { FieldBlock } from "./field-block.ts";
import { FrameReader, type FrameSink, Verdict } from "./frame-reader.ts";
import { KeepAlive } from "./keep-alive.ts";
import type { Http2Limits } from "./options.ts";
import { Outbox } from "./outbox.ts";
import type { TurnEnd } from "./runtime.ts";
import { Sender } from "./sender.ts";
import type { Http2Stream, StreamHost } from "./stream.ts";
import { StreamTable } from "./stream-table.ts";

/** What differs between the two roles. */
export interface Http2Role {
  readonly isServer: boolean;
  /** A field section of a stream that is not open: a request, or a mistake. */
  newStream(streamId: number, list: HeaderList, endStream: boolean, decoded: Decoded): void;
  /** The head of an answer. False if it is malformed. */
  responseHead(stream: Http2Stream, list: HeaderList, endStream: boolean): boolean;
  /** The peer's SETTINGS came. */
  settingsChanged(): void;
  goawayReceived(lastStreamId: number, code: number): void;
  /** A stream ended on the wire, or will never begin: another may. */
  slotFreed(stream: Http2Stream): void;
  /** A stream ended, on the wire and for its sinks. */
  streamFinished(): void;
  /** Our GOAWAY's PING was answered. */
  drainAcknowledged(): void;
  /** Nothing new is begun any more; `closed` follows when the socket is gone. */
  ending(): void;
  closed(error: MeshError | undefined): void;
}

const Life = { open: 0, ending: 1, closed: 2 } as const;
type Life = (typeof Life)[keyof typeof Life];

/** How long a peer may take to end its side after we ended ours. */
const LINGER_MS = 1000;
/** A server with so much output waiting reads no more requests. */
const PAUSE_READING_BYTES = 262_144;
/** Output that nobody takes, whatever it is. */
const MAX_PENDING_BYTES = 4_194_304;
/** Streams that we reset and remember; frames for them may still be under way. */
const MAX_RESET_REMEMBERED = 256;

const KEEP_ALIVE_PING: Uint8Array = Uint8Array.from([0x68, 0x64, 0x6c, 0x6b, 0x61, 0, 0, 1]);
const DRAIN_PING: Uint8Array = Uint8Array.from([0x68, 0x64, 0x6c, 0x64, 0x72, 0, 0, 2]);

/**
 * One HTTP/2 connection (RFC 9113), in either role: frames in and out, windows, budgets, and the
 * lives of streams. Everything happens in the callbacks of the socket and in `turnEnd`.
 *
 * Longer than others, as the rules of the frames meet here on one state; sending is in `Sender`.
 */
export class Http2Connection implements SocketHandler, FrameSink, StreamHost, TurnEnd {
  readonly streams: StreamTable = new StreamTable();
  readonly limits: Http2Limits;
  readonly outbox: Outbox;
  readonly sender: Sender;
  /** Streams that count against a limit on concurrency: open or half open on the wire. */
  concurrentStreams = 0;
  /** The highest stream that the peer opened. */
  lastPeerStreamId = 0;
  /** The highest stream that we opened; the client counts it up. */
  lastOwnStreamId = 0;
  settingsReceived = false;
  /** Counts the reads, to tell what came together. */
  readCount = 0;

  readonly #role: Http2Role;
  readonly #socket: Socket;
  readonly #reader: FrameReader;
  readonly #decoder: HpackDecoder;
  readonly #list = new HeaderList();
  readonly #block = new FieldBlock();
  readonly #keepAlive: KeepAlive;
  readonly #linger: Timer;
  readonly #peerSide: Side;
  #life: Life = Life.open;
  #failure: MeshError | undefined;
  #isWoken = false;
  #isReadingPaused = false;
  #resumed: Http2Stream[] = [];

  // Receiving.
  #recvWindow: number;
  #recvUnacked = 0;
  readonly #firstStreamWindow: number;
  /** The stream of the DATA frame that is being read; undefined if its data is dropped. */
  #dataStream: Http2Stream | undefined;
  readonly #resetIds = new Set<number>();
  /** Resets of streams up to this one may be forgotten. */
  #forgottenUpTo = 0;

  // Budgets.
  readonly #resets: Budget;
  #pendingResets = 0;
  readonly #emptyFrames: Budget;
  readonly #pings: Budget;
  readonly #settings: Budget;
  readonly #windowUpdates: Budget;
  readonly #priorities: Budget;
  readonly #closedStreamFrames: Budget;
  #queuedAcks = 0;

  constructor(socket: Socket, role: Http2Role, limits: Http2Limits) {
    const { runtime, budgets } = limits;
    this.#socket = socket;
    this.#role = role;
    this.limits = limits;
    this.#peerSide = role.isServer ? "client" : "server";
    this.outbox = new Outbox(socket, runtime);
    this.sender = new Sender(this, this.outbox, limits);
    this.#reader = new FrameReader(this);
    this.#decoder = new HpackDecoder(runtime.strings);
    this.#keepAlive = new KeepAlive(
      this,
      runtime.timers,
      limits.keepAliveIntervalMs,
      limits.keepAliveTimeoutMs,
    );
    this.#linger = runtime.timers.timer(() => this.destroy(this.#failure));
    this.#recvWindow = limits.connectionWindowBytes;
    // Until our SETTINGS arrive, the peer goes by the default.
    this.#firstStreamWindow = Math.max(limits.streamWindowBytes, DEFAULT_WINDOW);
    this.#resets = new Budget(budgets.resets, runtime.nowMs);
    this.#emptyFrames = new Budget(budgets.emptyFrames, runtime.nowMs);
    this.#pings = new Budget(budgets.pings, runtime.nowMs);
    this.#settings = new Budget(budgets.settings, runtime.nowMs);
    this.#windowUpdates = new Budget(budgets.windowUpdates, runtime.nowMs);
    this.#priorities = new Budget(budgets.priorities, runtime.nowMs);
    this.#closedStreamFrames = new Budget(budgets.closedStreamFrames, runtime.nowMs);
  }

  /** False once the connection ends, for whatever reason. */
  get isOpen(): boolean {
    return this.#life === Life.open;
  }

  /** Nothing is left of it. */
  get isClosed(): boolean {
    return this.#life === Life.closed;
  }

  /** How much the peer may send on a stream before it hears of our SETTINGS, or after. */
  get streamWindowBytes(): number {
    return this.#firstStreamWindow;
  }

  /** Sends our SETTINGS. `pairs` are the role's own. */
  start(pairs: readonly number[]): void {
    const { limits } = this;
    const out = this.outbox.open();
    writeSettings(out, [
      ...pairs,
      ...[SettingId.initialWindowSize, limits.streamWindowBytes],
      ...[SettingId.maxFrameSize, limits.maxFrameBytes],
      ...[SettingId.maxHeaderListSize, limits.maxHeaderListBytes],
    ]);
    const more = limits.connectionWindowBytes - DEFAULT_WINDOW;
    if (more > 0) writeWindowUpdate(out, 0, more);
    this.wake();
  }

  /** Registers a stream that has its id. */
  open(stream: Http2Stream): void {
    stream.sendWindow = this.sender.peer.initialWindowBytes;
    stream.openedInRead = this.readCount;
    this.streams.add(stream);
    this.concurrentStreams++;
    this.#priorities.give(PRIORITIES_PER_STREAM);
  }

  goaway(lastStreamId: number, code: number, debug = ""): void {
    writeGoaway(this.outbox.open(), lastStreamId, code, debug);
    this.wake();
  }

  pingForDrain(): void {
    writePing(this.outbox.open(), false, DRAIN_PING, 0);
    this.wake();
  }

  /** Ends our side after what is gathered, and waits a little for the peer to end its own. */
  end(): void {
    if (this.#life !== Life.open) return;
    this.#life = Life.ending;
    this.#keepAlive.stop();
    this.#role.ending();
    this.outbox.end();
    if (this.#isReadingPaused) this.#socket.resume();
    if (this.outbox.hasEnded || this.#failure !== undefined) this.#linger.arm(LINGER_MS);
  }

  /** Now. Streams hear of `reason`, or that the connection was closed. */
  destroy(reason: MeshError | undefined): void {
    if (this.#life === Life.closed) return;
    this.#socket.destroy(reason);
    this.#close(reason);
  }

  /** The peer broke a rule of the connection: GOAWAY, and all streams fail. */
  fail(code: number, problem: string, errorCode: Http2ErrorCode = "h2_protocol"): void {
    if (this.#life !== Life.open) return;
    const message = `Cannot use HTTP/2 connection: ${problem} (${errorName(code)})`;
    this.#failure = new Http2Error(errorCode, this.#peerSide, message, { h2Reason: code });
    writeGoaway(this.outbox.open(), this.lastPeerStreamId, code, problem);
    this.end();
    this.#failStreams(this.#failure);
  }

  /** Resets a stream because of what the peer did on it, and tells its sinks. */
  failStream(stream: Http2Stream, code: number, problem: string): void {
    if (stream.isClosed) return;
    const message = `Cannot use HTTP/2 stream: ${problem} (${errorName(code)})`;
    // A client can make a server drop its work by mistakes as well as by RST_STREAM.
    if (!this.#spendReset(stream, this.#role.isServer && !stream.headSent)) return;
    this.resetStream(stream, code);
    stream.fail(new Http2Error("h2_protocol", this.#peerSide, message, { h2Reason: code }));
    this.#finish(stream);
  }

  /** Sends RST_STREAM and forgets the stream. */
  resetStream(stream: Http2Stream, code: number): void {
    this.reset(stream.id, code);
    this.#closeOnWire(stream);
    this.#finish(stream);
  }

  /** Gives up a stream without a word to the peer, who never took it. */
  dropStream(stream: Http2Stream, reason: MeshError): void {
    this.#closeOnWire(stream);
    stream.fail(reason);
    this.#finish(stream);
  }

  /** Sends RST_STREAM for a stream that never became one. */
  reset(streamId: number, code: number): void {
    writeRstStream(this.outbox.open(), streamId, code);
    this.wake();
    if (this.#resetIds.size >= MAX_RESET_REMEMBERED) {
      const oldest: number = this.#resetIds.values().next().value!;
      this.#resetIds.delete(oldest);
      this.#forgottenUpTo = Math.max(this.#forgottenUpTo, oldest);
    }
    this.#resetIds.add(streamId);
  }

  // SocketHandler

  /** Hot. */
  onData(bytes: Uint8Array, start: number, end: number): void {
    if (this.#life !== Life.open) return;
    this.readCount++;
    this.#pendingResets = 0;
    this.#keepAlive.heard();
    this.#reader.read(bytes, start, end);
    if (this.outbox.pendingBytes > PAUSE_READING_BYTES) this.#limitOutput();
  }

  onDrain(): void {
    if (this.#life === Life.closed) return;
    this.sender.progressed();
    this.outbox.drained();
    this.sender.pump();
    if (this.#life === Life.ending && this.outbox.hasEnded) this.#linger.arm(LINGER_MS);
    if (this.outbox.isBlocked) return;
    this.#queuedAcks = 0;
    if (!this.#isReadingPaused) return;
    this.#isReadingPaused = false;
    this.#socket.resume();
  }

  onEnd(): void {
    if (this.#life === Life.open) {
      // Nobody is left who could cancel what runs, or be answered.
      this.end();
      this.#failStreams(this.#closedByPeer());
    }
  }

  onClose(error: MeshError | undefined): void {
    this.#close(error);
  }

  // TurnEnd

  turnEnd(): void {
    this.#isWoken = false;
    try {
      if (this.#resumed.length > 0) this.#deliverResumed();
      this.sender.pump();
      this.outbox.flush();
      if (!this.outbox.isBlocked) this.#queuedAcks = 0;
      else this.sender.watchBlocked();
    } catch (bug) {
      // Not under the transport's guard: this is the end of a turn, not a callback of the socket.
      this.destroy(new MeshError("bug", "self", "Cannot use HTTP/2 connection: a handler failed"));
      this.limits.guard.report(bug);
    }
  }

  // KeepAliveHost

  isWatched(): boolean {
    return this.limits.keepAliveWhileIdle || this.streams.size > 0;
  }

  ping(): void {
    writePing(this.outbox.open(), false, KEEP_ALIVE_PING, 0);
    this.wake();
  }

  timedOut(): void {
    const message = "Cannot use HTTP/2 connection: no answer to keep-alive PING";
    this.destroy(new MeshError("keep_alive_timeout", this.#peerSide, message));
  }

  // SenderHost

  wake(): void {
    if (this.#isWoken) return;
    this.#isWoken = true;
    this.limits.runtime.atTurnEnd(this);
  }

  sent(stream: Http2Stream): void {
    if (stream.recvEnded) this.#closeOnWire(stream);
    // Nobody reads the rest of the request (RFC 9113 §8.1).
    else if (this.#role.isServer && stream.sink === DISCARD) {
      stream.isDelivered = true;
      this.resetStream(stream, ErrorCode.noError);
    }
    this.#finish(stream);
  }

  sentData(frames: number): void {
    this.#windowUpdates.give(frames * WINDOW_UPDATES_PER_DATA);
  }

  overflowed(stream: Http2Stream): void {
    const limit = this.limits.maxSendBufferBytes;
    const message = `Cannot buffer HTTP/2 body: its sender ignored pause beyond ${limit} bytes`;
    const reason = new MeshError("send_buffer_full", "self", message);
    if (stream.id === 0) this.#closeOnWire(stream);
    else this.resetStream(stream, ErrorCode.internalError);
    stream.fail(reason);
    this.#finish(stream);
  }

  stalled(): void {
    const message = "Cannot send on HTTP/2 connection: the peer takes no data";
    this.destroy(new MeshError("h2_send_stall", this.#peerSide, message));
  }

  // StreamHost

  sendResponse(stream: Http2Stream, head: ResponseHead, isFinal: boolean): void {
    this.sender.response(stream, head, isFinal);
  }

  /** Hot. */
  sendData(stream: Http2Stream, bytes: Uint8Array, start: number, end: number): void {
    this.sender.data(stream, bytes, start, end);
  }

  sendEnd(stream: Http2Stream, trailers: HeaderMap | undefined): void {
    this.sender.end(stream, trailers);
  }

  abortStream(stream: Http2Stream, reason: MeshError): void {
    if (!stream.isClosed) {
      const otherwise = this.#role.isServer ? ErrorCode.internalError : ErrorCode.cancel;
      if (stream.id === 0) this.#closeOnWire(stream);
      else this.resetStream(stream, h2ReasonOf(reason) ?? otherwise);
    }
    this.#finish(stream);
  }

  /** Hot. */
  consumed(stream: Http2Stream, count: number): void {
    this.#giveConnectionWindow(count);
    stream.recvUnacked += count;
    if (stream.recvEnded || stream.isClosed || stream.isPaused) return;
    if (stream.recvUnacked < this.limits.streamWindowBytes / 2) return;
    stream.recvWindow += stream.recvUnacked;
    writeWindowUpdate(this.outbox.open(), stream.id, stream.recvUnacked);
    stream.recvUnacked = 0;
    this.wake();
  }

  resumed(stream: Http2Stream): void {
    if (stream.isResumed) return;
    stream.isResumed = true;
    this.#resumed.push(stream);
    this.wake();
  }

  delivered(stream: Http2Stream): void {
    this.#finish(stream);
  }

  // FrameSink

  /** Hot. */
  frameHeader(frame: FrameHeader): Verdict {
    if (this.#life !== Life.open) return Verdict.stop;
    const { maxFrameBytes } = this.limits;
    const isContinuation = frame.type === FrameType.continuation;
    if (isContinuation !== (this.#block.streamId !== 0) || !this.#isFirstInOrder(frame)) {
      return this.#stop(ErrorCode.protocolError, `frame of type ${frame.type} out of order`);
    }
    const error = checkFrameHeader(frame, maxFrameBytes);
    if (error !== ErrorCode.noError) {
      if (!isStreamError(frame, maxFrameBytes)) {
        return this.#stop(error, `bad header of a frame of type ${frame.type}`);
      }
      this.#badStreamFrame(frame.streamId, error);
      return Verdict.skip;
    }
    if (frame.type > FrameType.continuation || frame.type === FrameType.priority) {
      if (!this.#spend(this.#priorities, "PRIORITY or unknown frames")) return Verdict.stop;
      return Verdict.skip;
    }
    return Verdict.take;
  }

  frame(frame: FrameHeader, bytes: Uint8Array, start: number, end: number): void {
    switch (frame.type) {
      case FrameType.headers:
        this.#headers(frame, bytes, start, end);
        break;
      case FrameType.rstStream:
        this.#rstStream(frame.streamId, readUint32(bytes, start));
        break;
      case FrameType.settings:
        this.#readSettings((frame.flags & Flag.ack) !== 0, bytes, start, end);
        break;
      case FrameType.ping:
        this.#ping((frame.flags & Flag.ack) !== 0, bytes, start);
        break;
      case FrameType.goaway:
        this.#role.goawayReceived(readUint31(bytes, start), readUint32(bytes, start + 4));
        break;
      case FrameType.windowUpdate:
        this.#windowUpdate(frame.streamId, readUint31(bytes, start));
        break;
      case FrameType.continuation:
        this.#continuation(frame, bytes, start, end);
        break;
      default:
        break;
    }
  }

  /** Hot. */
  dataStart(frame: FrameHeader, dataBytes: number): Verdict {
    this.#dataStream = undefined;
    if (dataBytes < 0) return this.#stop(ErrorCode.protocolError, "padding exceeds its frame");
    this.#recvWindow -= frame.length;
    if (this.#recvWindow < 0) {
      return this.#stop(ErrorCode.flowControlError, "connection window exceeded");
    }
    const endStream = (frame.flags & Flag.endStream) !== 0;
    if (dataBytes === 0 && !endStream && !this.#spend(this.#emptyFrames, "empty DATA frames")) {
      return Verdict.stop;
    }
    const stream = this.streams.get(frame.streamId);
    if (stream === undefined || stream.isClosed) {
      if (!this.#onClosedStream(frame.streamId, "DATA")) return Verdict.stop;
      return this.#dropData(frame);
    }
    stream.recvWindow -= frame.length;
    const error = dataError(stream, dataBytes, endStream);
    if (error !== ErrorCode.noError) {
      this.failStream(stream, error, "DATA that must not be");
      return this.#dropData(frame);
    }
    if (stream.bodyLeft >= 0) stream.bodyLeft -= dataBytes;
    this.#dataStream = stream;
    if (dataBytes < frame.length) this.consumed(stream, frame.length - dataBytes);
    return Verdict.take;
  }

  /** Hot. */
  data(bytes: Uint8Array, start: number, end: number): void {
    const stream = this.#dataStream;
    if (stream === undefined || stream.isClosed) this.#giveConnectionWindow(end - start);
    else stream.receive(bytes, start, end);
  }

  dataEnd(frame: FrameHeader): void {
    const stream = this.#dataStream;
    this.#dataStream = undefined;
    if (stream === undefined || stream.isClosed || (frame.flags & Flag.endStream) === 0) return;
    this.#endReceiving(stream, undefined);
  }

  // Frames

  /** The first frame of a connection is SETTINGS (§3.4). */
  #isFirstInOrder(frame: FrameHeader): boolean {
    if (this.settingsReceived) return true;
    return frame.type === FrameType.settings && (frame.flags & Flag.ack) === 0;
  }

  #headers(frame: FrameHeader, bytes: Uint8Array, start: number, end: number): void {
    let from = start;
    let upTo = end;
    if ((frame.flags & Flag.padded) !== 0) upTo -= bytes[from++]!;
    if ((frame.flags & Flag.priority) !== 0) {
      // A stream cannot depend on itself (RFC 7540 §5.3.1); RFC 9113 lets it be ignored.
      from += 5;
    }
    if (upTo < from) {
      this.fail(ErrorCode.protocolError, "padding exceeds its frame");
      return;
    }
    const endStream = (frame.flags & Flag.endStream) !== 0;
    if ((frame.flags & Flag.endHeaders) !== 0) {
      this.#fieldBlock(frame.streamId, endStream, bytes, from, upTo);
      return;
    }
    this.#block.start(frame.streamId, endStream);
    this.#block.append(bytes, from, upTo);
  }

  #continuation(frame: FrameHeader, bytes: Uint8Array, start: number, end: number): void {
    const block = this.#block;
    if (frame.streamId !== block.streamId) {
      this.fail(ErrorCode.protocolError, "CONTINUATION of another stream");
      return;
    }
    block.append(bytes, start, end);
    // Encoded, a list may be a little longer than decoded, as long as it is not Huffman-coded.
    const maxBytes = this.limits.maxHeaderListBytes + MIN_MAX_FRAME_BYTES;
    if (
      ++block.continuations > this.limits.budgets.continuations ||
      block.length > maxBytes + this.limits.maxFrameBytes
    ) {
      this.fail(ErrorCode.enhanceYourCalm, "too many CONTINUATION frames", "h2_flood");
      return;
    }
    if ((frame.flags & Flag.endHeaders) === 0) return;
    const { streamId, endStream, length } = block;
    const gathered = block.bytes;
    block.clear();
    this.#fieldBlock(streamId, endStream, gathered, 0, length);
  }

  /** A whole block. It must be decoded whatever becomes of it, for the sake of the next ones. */
  #fieldBlock(
    streamId: number,
    endStream: boolean,
    bytes: Uint8Array,
    start: number,
    end: number,
  ): void {
    const stream = this.streams.get(streamId);
    const list = this.#list;
    const isFirst = stream === undefined || !stream.headReceived;
    if (!isFirst) list.start(ListKind.trailers);
    else list.start(this.#role.isServer ? ListKind.request : ListKind.response);
    const decoded = this.#decoder.decode(bytes, start, end, this.limits.maxHeaderListBytes, list);
    if (decoded === Decoded.corrupt) {
      this.fail(ErrorCode.compressionError, "field block is not HPACK");
    } else if (decoded === Decoded.bomb) {
      this.fail(ErrorCode.enhanceYourCalm, "field section is far too large", "h2_flood");
    } else if (stream === undefined) {
      this.#fieldsOfNoStream(streamId, list, endStream, decoded);
    } else {
      this.#fieldsOf(stream, list, endStream, decoded);
    }
  }

  #fieldsOfNoStream(
    streamId: number,
    list: HeaderList,
    endStream: boolean,
    decoded: Decoded,
  ): void {
    const isPeers = this.#isPeerId(streamId);
    if (!isPeers || streamId <= this.lastPeerStreamId) {
      this.#onClosedStream(streamId, "HEADERS");
      return;
    }
    if (!this.#role.isServer) {
      this.fail(ErrorCode.protocolError, "HEADERS on a stream that nobody opened");
      return;
    }
    this.lastPeerStreamId = streamId;
    this.#role.newStream(streamId, list, endStream, decoded);
  }

  #fieldsOf(stream: Http2Stream, list: HeaderList, endStream: boolean, decoded: Decoded): void {
    if (stream.isClosed) return;
    if (stream.recvEnded) {
      this.failStream(stream, ErrorCode.streamClosed, "HEADERS after END_STREAM");
    } else if (decoded === Decoded.tooLarge) {
      this.failStream(stream, ErrorCode.protocolError, "field section is too large");
    } else if (!list.finish()) {
      this.failStream(stream, ErrorCode.protocolError, list.problem);
    } else if (!stream.headReceived) {
      if (!this.#role.responseHead(stream, list, endStream)) {
        this.failStream(stream, ErrorCode.protocolError, "malformed response");
      } else if (endStream && !stream.isClosed) {
        this.endOfHead(stream);
      }
    } else if (!endStream) {
      this.failStream(stream, ErrorCode.protocolError, "trailers without END_STREAM");
    } else if (stream.bodyLeft > 0) {
      this.failStream(stream, ErrorCode.protocolError, "body is shorter than content-length");
    } else {
      this.#endReceiving(stream, list.headers);
    }
  }

  /** A head came that has END_STREAM. */
  endOfHead(stream: Http2Stream): void {
    if (stream.bodyLeft > 0) {
      this.failStream(stream, ErrorCode.protocolError, "no body in spite of content-length");
    } else {
      this.#endReceiving(stream, undefined);
    }
  }

  #rstStream(streamId: number, code: number): void {
    const stream = this.streams.get(streamId);
    if (stream === undefined || stream.isClosed) {
      this.#onClosedStream(streamId, "RST_STREAM");
      return;
    }
    this.#closeOnWire(stream);
    const isServer = this.#role.isServer;
    if (!this.#spendReset(stream, isServer && !stream.headSent)) return;
    if (stream.recvEnded && !isServer) {
      // The whole answer is here; the server does not want the rest of the request.
      this.#finish(stream);
      return;
    }
    const message = `Cannot finish request: its stream was reset (${errorName(code)})`;
    const retryable = code === ErrorCode.refusedStream;
    const options = { h2Reason: code, retryable };
    const reason = new Http2Error("h2_reset", this.#peerSide, message, options);
    stream.fail(reason);
    this.#finish(stream);
  }

  #readSettings(isAck: boolean, bytes: Uint8Array, start: number, end: number): void {
    if (isAck) return;
    this.settingsReceived = true;
    if (!this.#spend(this.#settings, "SETTINGS")) return;
    const { peer } = this.sender;
    const windowBefore = peer.initialWindowBytes;
    const error = peer.read(bytes, start, end);
    if (error !== ErrorCode.noError) {
      this.fail(error, "bad value in SETTINGS");
      return;
    }
    if (!this.#ack()) return;
    writeSettingsAck(this.outbox.open());
    this.sender.setHeaderTable(peer.headerTableBytes);
    const delta = peer.initialWindowBytes - windowBefore;
    if (delta !== 0 && !this.sender.moveWindows(this.streams.all(), delta)) {
      this.fail(ErrorCode.flowControlError, "SETTINGS make a window too large");
      return;
    }
    this.#role.settingsChanged();
  }

  #ping(isAck: boolean, bytes: Uint8Array, start: number): void {
    if (!this.#spend(this.#pings, "PING")) return;
    if (!isAck) {
      if (this.#ack()) writePing(this.outbox.open(), true, bytes, start);
    } else if (bytes[start + 7] === DRAIN_PING[7]) {
      this.#role.drainAcknowledged();
    }
  }

  #windowUpdate(streamId: number, increment: number): void {
    if (!this.#spend(this.#windowUpdates, "WINDOW_UPDATE")) return;
    if (streamId === 0) {
      this.sender.window += increment;
      if (increment === 0) this.fail(ErrorCode.protocolError, "WINDOW_UPDATE of 0");
      else if (this.sender.window > MAX_WINDOW) {
        this.fail(ErrorCode.flowControlError, "connection window too large");
      } else this.wake();
      return;
    }
    const stream = this.streams.get(streamId);
    if (stream === undefined || stream.isClosed) {
      this.#onClosedStream(streamId, "WINDOW_UPDATE");
      return;
    }
    stream.sendWindow += increment;
    if (increment === 0) this.failStream(stream, ErrorCode.protocolError, "WINDOW_UPDATE of 0");
    else if (stream.sendWindow > MAX_WINDOW) {
      this.failStream(stream, ErrorCode.flowControlError, "stream window too large");
    } else {
      this.sender.windowOpened(stream);
      this.wake();
    }
  }

  // Streams

  #endReceiving(stream: Http2Stream, trailers: HeaderMap | undefined): void {
    stream.recvEnded = true;
    // The stream is counted as long as we send; its sink may still be behind.
    if (stream.sendEnded) this.#closeOnWire(stream);
    stream.receiveEnd(trailers);
  }

  #closeOnWire(stream: Http2Stream): void {
    if (stream.isClosed) return;
    stream.isClosed = true;
    this.sender.drop(stream);
    if (stream.id !== 0) this.concurrentStreams--;
    this.#role.slotFreed(stream);
  }

  /** Forgets a stream that is closed on the wire and whose sink had its last call. */
  #finish(stream: Http2Stream): void {
    if (!stream.isClosed || !stream.isDelivered) return;
    const queue = stream.recvQueue;
    stream.recvQueue = undefined;
    if (queue !== undefined) this.#giveConnectionWindow(queue.length);
    if (stream.id !== 0 && this.streams.remove(stream)) this.#role.streamFinished();
  }

  #failStreams(reason: MeshError): void {
    for (const stream of this.streams.all()) {
      this.#closeOnWire(stream);
      if (stream.isOnlyBehind) continue;
      stream.fail(reason);
      this.#finish(stream);
    }
  }

  #deliverResumed(): void {
    const streams = this.#resumed;
    this.#resumed = [];
    for (const stream of streams) {
      stream.isResumed = false;
      stream.deliver();
    }
  }

  // Windows

  #giveConnectionWindow(count: number): void {
    this.#recvUnacked += count;
    if (this.#recvUnacked < this.limits.connectionWindowBytes / 2 || !this.isOpen) return;
    this.#recvWindow += this.#recvUnacked;
    writeWindowUpdate(this.outbox.open(), 0, this.#recvUnacked);
    this.#recvUnacked = 0;
    this.wake();
  }

  #dropData(frame: FrameHeader): Verdict {
    this.#giveConnectionWindow(frame.length);
    return Verdict.skip;
  }

  // Rules and budgets

  #isPeerId(streamId: number): boolean {
    return (streamId & 1) === (this.#role.isServer ? 1 : 0);
  }

  /**
   * A frame for a stream that is not open. What was under way when we reset it is dropped; what
   * nobody opened, or was complete, is an error.
   *
   * @returns false if the connection failed.
   */
  #onClosedStream(streamId: number, what: string): boolean {
    if (this.#isIdle(streamId)) {
      this.fail(ErrorCode.protocolError, `${what} on an idle stream`);
      return false;
    }
    if (!this.#spend(this.#closedStreamFrames, `${what} on closed streams`)) return false;
    if (what !== "DATA" && what !== "HEADERS") return true;
    if (this.#resetIds.has(streamId) || streamId <= this.#forgottenUpTo) return true;
    this.fail(ErrorCode.streamClosed, `${what} on a closed stream`);
    return false;
  }

  /** Never opened, neither by the peer nor by us. */
  #isIdle(streamId: number): boolean {
    if (this.#isPeerId(streamId)) return streamId > this.lastPeerStreamId;
    return streamId > this.lastOwnStreamId;
  }

  #badStreamFrame(streamId: number, error: number): void {
    const stream = this.streams.get(streamId);
    if (stream !== undefined) this.failStream(stream, error, "frame of a wrong size");
  }

  #spend(budget: Budget, what: string): boolean {
    if (budget.take()) return true;
    this.fail(ErrorCode.enhanceYourCalm, `too many ${what}`, "h2_flood");
    return false;
  }

  /** A stream ended before it was answered, by the client's doing. */
  #spendReset(stream: Http2Stream, isUnanswered: boolean): boolean {
    if (!isUnanswered) return true;
    const isPending = stream.openedInRead === this.readCount;
    if (isPending && ++this.#pendingResets > this.limits.budgets.pendingResets) {
      this.fail(ErrorCode.enhanceYourCalm, "too many requests reset at once", "h2_flood");
      return false;
    }
    return this.#spend(this.#resets, "requests reset");
  }

  /** Room for one more answer to PING or SETTINGS? */
  #ack(): boolean {
    this.wake();
    if (++this.#queuedAcks <= this.limits.budgets.queuedAcks) return true;
    this.fail(ErrorCode.enhanceYourCalm, "does not take answers to PING and SETTINGS", "h2_flood");
    return false;
  }

  #stop(code: number, problem: string): Verdict {
    this.fail(code, problem);
    return Verdict.stop;
  }

  #limitOutput(): void {
    this.outbox.flush();
    if (this.outbox.pendingBytes > MAX_PENDING_BYTES) {
      this.stalled();
      return;
    }
    // Only a server: if both sides waited for each other to read, nothing would move again.
    if (!this.#role.isServer || !this.outbox.isBlocked || this.#isReadingPaused) return;
    this.#isReadingPaused = true;
    this.#socket.pause();
  }

  // End

  #closedByPeer(): MeshError {
    const message = "Cannot finish request: its connection was closed";
    return new MeshError("connection_closed", this.#peerSide, message);
  }

  #close(error: MeshError | undefined): void {
    if (this.#life === Life.closed) return;
    const wasOpen = this.#life === Life.open;
    this.#life = Life.closed;
    this.#keepAlive.stop();
    this.#linger.disarm();
    this.sender.close();
    this.outbox.shut();
    const cause = this.#failure ?? error;
    this.#failStreams(cause ?? this.#closedByPeer());
    // After we ended in good order, how the socket went is of no interest.
    this.#role.closed(this.#failure ?? (wasOpen ? error : undefined));
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
