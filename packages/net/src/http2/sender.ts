import type { Timer } from "@heddle/base/timer-wheel";
import { HpackEncoder } from "@heddle/wire/hpack/encoder";
import type { Output } from "@heddle/wire/hpack/output";
import type { HeaderMap } from "@heddle/wire/http/headers";
import {
  DEFAULT_WINDOW,
  FRAME_HEADER_BYTES,
  finishHeaders,
  MAX_WINDOW,
  writeDataHeader,
} from "@heddle/wire/http2/frame";
import { Settings } from "@heddle/wire/http2/settings";
import type { RequestHead, ResponseHead } from "../http.ts";
import { ByteQueue } from "./byte-queue.ts";
import type { Http2Limits } from "./options.ts";
import type { Outbox } from "./outbox.ts";
import type { Http2Stream } from "./stream.ts";

/** What the sender tells its connection. */
export interface SenderHost {
  /** Something was put into the outbox. */
  wake(): void;
  /** Our side of the stream is complete. */
  sent(stream: Http2Stream): void;
  /** DATA went out; `frames` of them. */
  sentData(frames: number): void;
  /** Its sender ignores `pause`. */
  overflowed(stream: Http2Stream): void;
  /** The peer takes nothing. */
  stalled(): void;
}

/** Frames larger than this would let one stream hold up the others. */
const MAX_SENT_FRAME_BYTES = 32_768;

/**
 * The sending half of a connection: field sections in the order of the HPACK state, DATA as the
 * windows and the socket allow. Streams that could send when the connection cannot stand in a ring,
 * and get one frame each in turn.
 */
export class Sender {
  /** What the peer announced. */
  readonly peer: Settings = new Settings();
  /** Bytes that the connection may send, all streams together. */
  window: number = DEFAULT_WINDOW;
  readonly #host: SenderHost;
  readonly #outbox: Outbox;
  readonly #encoder = new HpackEncoder();
  readonly #maxBufferBytes: number;
  readonly #stallTimeoutMs: number;
  readonly #stall: Timer;
  #hasProgress = false;
  /** Streams with data waiting. */
  #waiting = 0;
  #firstReady: Http2Stream | undefined;
  #lastReady: Http2Stream | undefined;

  constructor(host: SenderHost, outbox: Outbox, limits: Http2Limits) {
    this.#host = host;
    this.#outbox = outbox;
    this.#maxBufferBytes = limits.maxSendBufferBytes;
    this.#stallTimeoutMs = limits.sendStallTimeoutMs;
    this.#stall = limits.runtime.timers.timer(() => this.#checkStall());
  }

  /** Hot. */
  request(stream: Http2Stream, head: RequestHead): void {
    const out = this.#open();
    const start = this.#startHeaders(out);
    const encoder = this.#encoder;
    const isConnect = head.method === "CONNECT";
    encoder.field(out, ":method", head.method);
    if (!isConnect) encoder.field(out, ":scheme", head.scheme === "" ? "http" : head.scheme);
    if (head.authority !== "") encoder.field(out, ":authority", head.authority);
    if (!isConnect) encoder.field(out, ":path", head.path === "" ? "/" : head.path);
    this.#fields(out, head.headers);
    this.#finish(out, stream, start, false);
    stream.headSent = true;
  }

  /** Hot. */
  response(stream: Http2Stream, head: ResponseHead, isFinal: boolean): void {
    const out = this.#open();
    const start = this.#startHeaders(out);
    this.#encoder.field(out, ":status", statusText(head.status));
    this.#fields(out, head.headers);
    this.#finish(out, stream, start, false);
    // END_STREAM belongs to the final head only.
    if (!isFinal) stream.lastFrameAt = -1;
  }

  /** Sends what the windows and the socket allow, keeps the rest and pauses its source. Hot. */
  data(stream: Http2Stream, bytes: Uint8Array, start: number, end: number): void {
    let at = start;
    if (stream.sendQueue === undefined) {
      // Whoever stands in the ring goes first.
      if (this.#firstReady === undefined) at = this.#write(stream, bytes, start, end);
      if (at === end) return;
      stream.sendQueue = new ByteQueue();
      this.#waiting++;
      this.#watch();
    } else if (stream.sendQueue.length > this.#maxBufferBytes) {
      this.#host.overflowed(stream);
      return;
    }
    stream.sendQueue.push(bytes, at, end);
    if (stream.sendWindow > 0) this.#enqueue(stream);
    stream.isSourcePaused = true;
    stream.source.pause();
  }

  /** Ends our side, once everything before it is sent. */
  end(stream: Http2Stream, trailers: HeaderMap | undefined): void {
    if (stream.id === 0 || stream.sendQueue !== undefined) {
      stream.endWaits = true;
      stream.waitingTrailers = trailers;
      return;
    }
    if (trailers !== undefined && trailers.size > 0) {
      const out = this.#open();
      const start = this.#startHeaders(out);
      this.#fields(out, trailers);
      this.#finish(out, stream, start, true);
    } else if (stream.lastFrameAt < 0 || !this.#outbox.endStreamAt(stream.lastFrameAt)) {
      writeDataHeader(this.#open(), stream.id, 0, true);
    }
    stream.sendEnded = true;
    this.#host.sent(stream);
  }

  /** A stream of ours got its id, or its window grew. */
  windowOpened(stream: Http2Stream): void {
    if (stream.sendQueue !== undefined && stream.sendWindow > 0) this.#enqueue(stream);
    else if (stream.sendQueue === undefined && stream.endWaits && stream.id !== 0) {
      stream.endWaits = false;
      this.end(stream, stream.waitingTrailers);
    }
  }

  /**
   * The peer changed SETTINGS_INITIAL_WINDOW_SIZE: every stream's window moves, perhaps below 0.
   *
   * @returns false if one grew too large.
   */
  moveWindows(streams: Iterable<Http2Stream>, delta: number): boolean {
    for (const stream of streams) {
      stream.sendWindow += delta;
      if (stream.sendWindow > MAX_WINDOW) return false;
      this.windowOpened(stream);
    }
    return true;
  }

  setHeaderTable(bytes: number): void {
    this.#encoder.setPeerLimit(bytes);
  }

  /** Sends of what waits as much as windows and socket allow. */
  pump(): void {
    let stream = this.#firstReady;
    while (stream !== undefined && this.window > 0 && this.#outbox.hasRoom(0)) {
      this.#dequeue(stream);
      this.#sendWaiting(stream);
      stream = this.#firstReady;
    }
  }

  /** The socket took bytes. */
  progressed(): void {
    this.#hasProgress = true;
  }

  /** The outbox is blocked: from now on the peer has to take something. */
  watchBlocked(): void {
    this.#watch();
  }

  /** Forgets what waits on a stream that is closed. What its source still has, it may get rid of. */
  drop(stream: Http2Stream): void {
    if (stream.isReady) this.#dequeue(stream);
    if (stream.sendQueue !== undefined) {
      stream.sendQueue = undefined;
      this.#waiting--;
    }
    if (stream.isAbandoned) return;
    if (!stream.sendEnded) stream.source.stop?.();
    if (!stream.isSourcePaused) return;
    stream.isSourcePaused = false;
    stream.source.resume();
  }

  close(): void {
    this.#stall.disarm();
  }

  #open(): Output {
    this.#host.wake();
    return this.#outbox.open();
  }

  #startHeaders(out: Output): number {
    const start = out.end;
    out.reserve(FRAME_HEADER_BYTES);
    out.end += FRAME_HEADER_BYTES;
    this.#encoder.begin(out);
    return start;
  }

  #fields(out: Output, headers: HeaderMap): void {
    const encoder = this.#encoder;
    const size = headers.size;
    for (let i = 0; i < size; i++) {
      const name = headers.nameAt(i);
      const value = headers.valueAt(i);
      if (isForHttp2(name, value)) encoder.field(out, name, value, headers.isSensitive(name));
    }
  }

  #finish(out: Output, stream: Http2Stream, start: number, endStream: boolean): void {
    stream.lastFrameAt = this.#outbox.position - (out.end - start);
    finishHeaders(out, start, stream.id, endStream, this.#maxFrame());
  }

  #maxFrame(): number {
    return Math.min(this.peer.maxFrameBytes, MAX_SENT_FRAME_BYTES);
  }

  /** @returns the offset behind what was sent. */
  #write(stream: Http2Stream, bytes: Uint8Array, start: number, end: number): number {
    const maxFrame = this.#maxFrame();
    let at = start;
    let frames = 0;
    while (at < end) {
      const count = Math.min(end - at, stream.sendWindow, this.window, maxFrame);
      if (count <= 0 || !this.#outbox.hasRoom(count)) break;
      const out = this.#open();
      stream.lastFrameAt = this.#outbox.position;
      writeDataHeader(out, stream.id, count, false);
      out.append(bytes, at, at + count);
      at += count;
      stream.sendWindow -= count;
      this.window -= count;
      frames++;
    }
    if (frames > 0) {
      this.#hasProgress = true;
      this.#host.sentData(frames);
    }
    return at;
  }

  /** One frame of a stream that stood in the ring. */
  #sendWaiting(stream: Http2Stream): void {
    const queue = stream.sendQueue!;
    const { bytes, start } = queue;
    const upTo = Math.min(queue.end, start + this.#maxFrame());
    queue.shift(this.#write(stream, bytes, start, upTo) - start);
    if (queue.length > 0) {
      if (stream.sendWindow > 0) this.#enqueue(stream);
      return;
    }
    stream.sendQueue = undefined;
    this.#waiting--;
    if (!stream.endWaits) {
      stream.isSourcePaused = false;
      stream.source.resume();
      return;
    }
    stream.endWaits = false;
    this.end(stream, stream.waitingTrailers);
  }

  #enqueue(stream: Http2Stream): void {
    if (stream.isReady) return;
    stream.isReady = true;
    stream.previousReady = this.#lastReady;
    stream.nextReady = undefined;
    if (this.#lastReady === undefined) this.#firstReady = stream;
    else this.#lastReady.nextReady = stream;
    this.#lastReady = stream;
  }

  #dequeue(stream: Http2Stream): void {
    stream.isReady = false;
    if (stream.previousReady === undefined) this.#firstReady = stream.nextReady;
    else stream.previousReady.nextReady = stream.nextReady;
    if (stream.nextReady === undefined) this.#lastReady = stream.previousReady;
    else stream.nextReady.previousReady = stream.previousReady;
    stream.nextReady = undefined;
    stream.previousReady = undefined;
  }

  #watch(): void {
    if (this.#stallTimeoutMs === 0 || this.#stall.isArmed) return;
    this.#hasProgress = false;
    this.#stall.arm(this.#stallTimeoutMs);
  }

  #checkStall(): void {
    if (this.#waiting === 0 && !this.#outbox.isBlocked) return;
    if (this.#hasProgress) this.#watch();
    else this.#host.stalled();
  }
}

/** Fields of one connection have no place in HTTP/2 (RFC 9113 §8.2.2), nor has `te` but this one. */
function isForHttp2(name: string, value: string): boolean {
  switch (name) {
    case "connection":
    case "keep-alive":
    case "proxy-connection":
    case "transfer-encoding":
    case "upgrade":
    case "http2-settings":
      return false;
    case "te":
      return value === "trailers";
    default:
      return name.charCodeAt(0) !== 0x3a;
  }
}

const STATUS_TEXTS: readonly string[] = Array.from({ length: 600 }, (_, i) => String(i));

function statusText(status: number): string {
  return STATUS_TEXTS[status] ?? String(status);
}
