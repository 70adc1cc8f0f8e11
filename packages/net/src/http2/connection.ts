import { MeshError, type Side } from "@heddle/base/errors";
import type { Timer } from "@heddle/base/timer-wheel";
import type { HeaderMap } from "@heddle/wire/http/headers";
import {
  DEFAULT_WINDOW,
  ErrorCode,
  errorName,
  Flag,
  type FrameHeader,
  FrameType,
  MAX_WINDOW,
  readUint31,
  readUint32,
  writeGoaway,
  writePing,
  writeRstStream,
  writeWindowUpdate,
} from "@heddle/wire/http2/frame";
import type { HeaderList } from "@heddle/wire/http2/header-list";
import { SettingId, writeSettings, writeSettingsAck } from "@heddle/wire/http2/settings";
import { DISCARD, type ResponseHead } from "../http.ts";
import type { Socket, SocketHandler } from "../transport.ts";
import type { TurnEnd } from "../turn.ts";
import { Http2Error, type Http2ErrorCode, h2ReasonOf } from "./errors.ts";
import { KeepAlive, type KeepAliveHost } from "./keep-alive.ts";
import type { Http2Limits } from "./options.ts";
import { Outbox } from "./outbox.ts";
import { type FloodHost, PeerBudgets } from "./peer-budgets.ts";
import { Receiver, type ReceiverHost } from "./receiver.ts";
import { Sender, type SenderHost } from "./sender.ts";
import type { Http2Stream, StreamHost } from "./stream.ts";
import { StreamTable } from "./stream-table.ts";

/** What differs between the two roles. */
export interface Http2Role {
  readonly isServer: boolean;
  /** A field section of a stream that is not open: a request, or a mistake. */
  newStream(streamId: number, list: HeaderList, endStream: boolean, isTooLarge: boolean): void;
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

const KEEP_ALIVE_PING: Uint8Array = Uint8Array.from([0x68, 0x64, 0x6c, 0x6b, 0x61, 0, 0, 1]);
const DRAIN_PING: Uint8Array = Uint8Array.from([0x68, 0x64, 0x6c, 0x64, 0x72, 0, 0, 2]);

/**
 * One HTTP/2 connection (RFC 9113), in either role: the lives of its streams and its own, between
 * `Receiver` and `Sender`. Everything happens in the callbacks of the socket and in `turnEnd`.
 */
export class Http2Connection
  implements SocketHandler, ReceiverHost, SenderHost, StreamHost, FloodHost, KeepAliveHost, TurnEnd
{
  readonly streams: StreamTable = new StreamTable();
  readonly limits: Http2Limits;
  readonly outbox: Outbox;
  readonly sender: Sender;
  readonly receiver: Receiver;
  /** Streams that count against a limit on concurrency: open or half open on the wire. */
  concurrentStreams = 0;
  /** The highest stream that we opened; the client counts it up. */
  lastOwnStreamId = 0;
  settingsReceived = false;

  readonly #role: Http2Role;
  readonly #socket: Socket;
  readonly #budgets: PeerBudgets;
  readonly #keepAlive: KeepAlive;
  readonly #linger: Timer;
  readonly #peerSide: Side;
  #life: Life = Life.open;
  #failure: MeshError | undefined;
  #isWoken = false;
  #isReadingPaused = false;
  #resumed: Http2Stream[] = [];

  constructor(socket: Socket, role: Http2Role, limits: Http2Limits) {
    const { runtime } = limits;
    this.#socket = socket;
    this.#role = role;
    this.limits = limits;
    this.#peerSide = role.isServer ? "client" : "server";
    this.outbox = new Outbox(socket, runtime);
    this.sender = new Sender(this, this.outbox, limits);
    this.#budgets = new PeerBudgets(this, limits);
    this.receiver = new Receiver(this, limits, this.#budgets);
    this.#keepAlive = new KeepAlive(
      this,
      runtime.timers,
      limits.keepAliveIntervalMs,
      limits.keepAliveTimeoutMs,
    );
    this.#linger = runtime.timers.timer(() => this.destroy(this.#failure));
  }

  get isServer(): boolean {
    return this.#role.isServer;
  }

  /** False once the connection ends, for whatever reason. */
  get isOpen(): boolean {
    return this.#life === Life.open;
  }

  /** Nothing is left of it. */
  get isClosed(): boolean {
    return this.#life === Life.closed;
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
    stream.openedInRead = this.#budgets.streamOpened();
    this.streams.add(stream);
    this.concurrentStreams++;
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
    writeGoaway(this.outbox.open(), this.receiver.lastPeerStreamId, code, problem);
    this.end();
    this.#failStreams(this.#failure);
  }

  /** Resets a stream because of what the peer did on it, and tells its sinks. */
  failStream(stream: Http2Stream, code: number, problem: string): void {
    if (stream.isClosed) return;
    const message = `Cannot use HTTP/2 stream: ${problem} (${errorName(code)})`;
    // A client can make a server drop its work by mistakes as well as by RST_STREAM.
    if (!this.#mayEnd(stream)) return;
    this.resetStream(stream, code);
    stream.fail(new Http2Error("h2_protocol", this.#peerSide, message, { h2Reason: code }));
    this.#finish(stream);
  }

  /** Sends RST_STREAM and forgets the stream. */
  resetStream(stream: Http2Stream, code: number): void {
    this.#reset(stream.id, code);
    this.#closeOnWire(stream);
    this.#finish(stream);
  }

  /** Gives up a stream without a word to the peer, who never took it. */
  dropStream(stream: Http2Stream, reason: MeshError): void {
    this.#closeOnWire(stream);
    stream.fail(reason);
    this.#finish(stream);
  }

  /** Refuses a stream that never became one. */
  refuse(streamId: number): void {
    if (this.#budgets.refused()) this.#reset(streamId, ErrorCode.refusedStream);
  }

  #reset(streamId: number, code: number): void {
    writeRstStream(this.outbox.open(), streamId, code);
    this.receiver.wasReset(streamId);
    this.wake();
  }

  // SocketHandler

  /** Hot. */
  onData(bytes: Uint8Array, start: number, end: number): void {
    if (this.#life !== Life.open) return;
    this.#keepAlive.heard();
    this.receiver.read(bytes, start, end);
    if (this.outbox.pendingBytes > PAUSE_READING_BYTES) this.#limitOutput();
  }

  onDrain(): void {
    if (this.#life === Life.closed) return;
    this.sender.progressed();
    this.outbox.drained();
    this.sender.pump();
    if (this.#life === Life.ending && this.outbox.hasEnded) this.#linger.arm(LINGER_MS);
    if (this.outbox.isBlocked) return;
    this.#budgets.acksTaken();
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
    if (this.#resumed.length > 0) this.#deliverResumed();
    this.sender.pump();
    this.outbox.flush();
    if (!this.outbox.isBlocked) this.#budgets.acksTaken();
    else this.sender.watchBlocked();
  }

  // FloodHost

  flooded(problem: string): void {
    this.fail(ErrorCode.enhanceYourCalm, problem, "h2_flood");
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
    this.limits.runtime.turn.atEnd(this);
  }

  sent(stream: Http2Stream): void {
    if (stream.recvEnded) this.#closeOnWire(stream);
    else if (stream.sink === DISCARD || stream.isUnwanted) this.unwanted(stream);
    this.#finish(stream);
  }

  sentData(frames: number): void {
    this.#budgets.sentData(frames);
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

  /** A server whose answer is complete may say that it reads no more (RFC 9113 §8.1). */
  unwanted(stream: Http2Stream): void {
    if (!this.isServer || !stream.sendEnded || stream.recvEnded || stream.isClosed) return;
    stream.isDelivered = true;
    this.resetStream(stream, ErrorCode.noError);
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
    this.receiver.consumed(stream, count);
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

  // ReceiverHost

  controlFrame(frame: FrameHeader, bytes: Uint8Array, start: number): void {
    const isAck = (frame.flags & Flag.ack) !== 0;
    switch (frame.type) {
      case FrameType.rstStream:
        this.#rstStream(frame.streamId, readUint32(bytes, start));
        break;
      case FrameType.settings:
        this.#readSettings(isAck, bytes, start, start + frame.length);
        break;
      case FrameType.ping:
        this.#ping(isAck, bytes, start);
        break;
      case FrameType.goaway:
        this.#role.goawayReceived(readUint31(bytes, start), readUint32(bytes, start + 4));
        break;
      case FrameType.windowUpdate:
        this.#windowUpdate(frame.streamId, readUint31(bytes, start));
        break;
      default:
        break;
    }
  }

  newStream(streamId: number, list: HeaderList, endStream: boolean, isTooLarge: boolean): void {
    this.#role.newStream(streamId, list, endStream, isTooLarge);
  }

  responseHead(stream: Http2Stream, list: HeaderList, endStream: boolean): boolean {
    return this.#role.responseHead(stream, list, endStream);
  }

  endReceiving(stream: Http2Stream, trailers: HeaderMap | undefined): void {
    stream.recvEnded = true;
    // On the wire it may be over while its sink is still behind.
    if (stream.sendEnded) this.#closeOnWire(stream);
    stream.receiveEnd(trailers);
  }

  #rstStream(streamId: number, code: number): void {
    const stream = this.streams.get(streamId);
    if (stream === undefined || stream.isClosed) {
      this.receiver.isClosedInOrder(streamId, "RST_STREAM");
      return;
    }
    this.#closeOnWire(stream);
    if (!this.#mayEnd(stream)) return;
    if (stream.recvEnded && !this.#role.isServer) {
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
    if (!this.#budgets.settings()) return;
    const { peer } = this.sender;
    const windowBefore = peer.initialWindowBytes;
    const error = peer.read(bytes, start, end);
    if (error !== ErrorCode.noError) {
      this.fail(error, "bad value in SETTINGS");
      return;
    }
    if (!this.#budgets.ack()) return;
    writeSettingsAck(this.outbox.open());
    this.wake();
    this.sender.setHeaderTable(peer.headerTableBytes);
    const delta = peer.initialWindowBytes - windowBefore;
    if (delta !== 0 && !this.sender.moveWindows(this.streams.all(), delta)) {
      this.fail(ErrorCode.flowControlError, "SETTINGS make a window too large");
      return;
    }
    this.#role.settingsChanged();
  }

  #ping(isAck: boolean, bytes: Uint8Array, start: number): void {
    if (!this.#budgets.ping()) return;
    if (isAck) {
      if (bytes[start + 7] === DRAIN_PING[7]) this.#role.drainAcknowledged();
    } else if (this.#budgets.ack()) {
      writePing(this.outbox.open(), true, bytes, start);
      this.wake();
    }
  }

  #windowUpdate(streamId: number, increment: number): void {
    if (!this.#budgets.windowUpdate()) return;
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
      this.receiver.isClosedInOrder(streamId, "WINDOW_UPDATE");
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
    if (queue !== undefined) this.receiver.giveBack(queue.length);
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

  /** A stream ended because of the peer; false if that was once too often. */
  #mayEnd(stream: Http2Stream): boolean {
    if (!this.#role.isServer || stream.headSent) return true;
    return this.#budgets.unanswered(stream.openedInRead);
  }

  #limitOutput(): void {
    this.outbox.flush();
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
