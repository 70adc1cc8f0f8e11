import { MeshError } from "@heddle/base/errors";
import type { Timer } from "@heddle/base/timer-wheel";
import { ErrorCode, MAX_STREAM_ID, PREFACE } from "@heddle/wire/http2/frame";
import type { HeaderList } from "@heddle/wire/http2/header-list";
import { SettingId } from "@heddle/wire/http2/settings";
import {
  type BodySink,
  DISCARD,
  type Flow,
  type HttpService,
  type RequestHead,
  type ResponseHead,
  type ResponseSink,
} from "../http.ts";
import type { Socket } from "../transport.ts";
import { Http2Connection, type Http2Role } from "./connection.ts";
import { Http2Error } from "./errors.ts";
import { type Http2ClientOptions, limitsOf } from "./options.ts";
import { Http2Stream } from "./stream.ts";

/** Streams that are opened before the server has said how many it takes. */
const FIRST_CONCURRENT_STREAMS = 100;
const DEFAULT_QUEUED_REQUESTS = 10_000;
const DEFAULT_GRACE_MS = 120_000;

/**
 * The client's end of one HTTP/2 connection, which starts with its preface: nobody asks whether the
 * server speaks HTTP/2. Requests share the connection; those for which the server allows no stream
 * yet wait in a queue of bounded length.
 */
export class Http2Client implements HttpService, AsyncDisposable {
  readonly #connection: Http2Connection;
  readonly #options: Http2ClientOptions;
  readonly #maxQueued: number;
  readonly #graceTimer: Timer;
  readonly #gone = Promise.withResolvers<void>();
  /** Requests that wait for a stream, in order. */
  readonly #queue = new Map<Http2Stream, RequestHead>();
  #isDraining = false;

  constructor(socket: Socket, options: Http2ClientOptions = {}) {
    const limits = limitsOf(options, false);
    this.#options = options;
    this.#maxQueued = options.maxQueuedRequests ?? DEFAULT_QUEUED_REQUESTS;
    this.#graceTimer = limits.runtime.timers.timer(() => this.destroy(graceOver()));
    this.#connection = new Http2Connection(socket, this.#role(), limits);
    const out = this.#connection.outbox.open();
    const preface = new TextEncoder().encode(PREFACE);
    out.append(preface, 0, preface.length);
    this.#connection.start([SettingId.enablePush, 0]);
    socket.setHandler(this.#connection);
  }

  /** Requests that are not finished, those that wait included. */
  get openStreams(): number {
    return this.#connection.streams.size + this.#queue.size;
  }

  /** It takes no more requests: `call` would answer with a retryable error. */
  get isDraining(): boolean {
    return this.#isDraining || !this.#connection.isOpen;
  }

  /** The connection is gone. */
  get isClosed(): boolean {
    return this.#connection.isClosed;
  }

  /** Whether a request would get a stream at once. */
  get hasCapacity(): boolean {
    return !this.isDraining && this.#queue.size === 0 && this.#hasSlot();
  }

  /** Hot. */
  call(head: RequestHead, flow: Flow, response: ResponseSink): BodySink {
    if (this.isDraining) {
      response.abort(notTaken("the connection takes no more requests"));
      return DISCARD;
    }
    const stream = new Http2Stream(
      this.#connection,
      this.#connection.receiver.streamWindowBytes,
      flow,
    );
    stream.sink = response;
    stream.response = response;
    stream.isHeadRequest = head.method === "HEAD";
    stream.isConnect = head.method === "CONNECT";
    if (this.#queue.size === 0 && this.#hasSlot()) {
      this.#open(stream, head);
      return stream;
    }
    if (this.#queue.size >= this.#maxQueued) {
      response.abort(notTaken("too many requests wait for a stream"));
      return DISCARD;
    }
    // What its sender does in the meantime is kept by the stream.
    stream.headSent = true;
    this.#queue.set(stream, head);
    return stream;
  }

  /**
   * Takes no more requests, finishes those it has, and ends the connection; what is left after the
   * grace is destroyed. Resolves when the connection is gone.
   */
  close(graceMs: number = DEFAULT_GRACE_MS): Promise<void> {
    if (!this.isClosed) this.#graceTimer.arm(graceMs);
    this.#drain();
    this.#endIfDone();
    return this.#gone.promise;
  }

  destroy(reason?: MeshError): void {
    this.#connection.destroy(reason);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #role(): Http2Role {
    return {
      isServer: false,
      newStream: () => {},
      responseHead: responseHead,
      settingsChanged: () => this.#settingsChanged(),
      slotFreed: (stream) => this.#slotFreed(stream),
      goawayReceived: (last, code) => this.#goaway(last, code),
      streamFinished: () => this.#endIfDone(),
      drainAcknowledged: () => {},
      ending: () => this.#ending(),
      closed: (error) => this.#closed(error),
    };
  }

  #hasSlot(): boolean {
    const connection = this.#connection;
    const max = connection.settingsReceived
      ? connection.sender.peer.maxConcurrentStreams
      : FIRST_CONCURRENT_STREAMS;
    return connection.concurrentStreams < max;
  }

  #open(stream: Http2Stream, head: RequestHead): void {
    const connection = this.#connection;
    const last = connection.lastOwnStreamId;
    stream.id = last === 0 ? 1 : last + 2;
    connection.lastOwnStreamId = stream.id;
    connection.open(stream);
    connection.sender.request(stream, head);
    // Ids are never used again: the connection ends with its last one.
    if (stream.id >= MAX_STREAM_ID - 1) this.#drain();
  }

  #settingsChanged(): void {
    // Only clients may announce it (RFC 9113 §6.5.2).
    if (this.#connection.sender.peer.enablePush === true) {
      this.#connection.fail(ErrorCode.protocolError, "ENABLE_PUSH from a server");
    } else {
      this.#openQueued();
    }
  }

  #slotFreed(stream: Http2Stream): void {
    if (this.#queue.size === 0) return;
    if (stream.id === 0 && this.#queue.delete(stream)) this.#endIfDone();
    else this.#openQueued();
  }

  #openQueued(): void {
    for (const [stream, head] of this.#queue) {
      if (!this.#connection.isOpen || !this.#hasSlot()) return;
      this.#queue.delete(stream);
      this.#open(stream, head);
      this.#connection.sender.windowOpened(stream);
      this.#connection.wake();
    }
  }

  /** Streams above `last` were not and will not be processed (RFC 9113 §6.8). */
  #goaway(last: number, code: number): void {
    this.#drain();
    const message = "Cannot finish request: the server goes away and did not take it";
    const options = { h2Reason: code, retryable: true };
    // First those that wait, or one would take the place of a stream that is dropped.
    this.#failQueued(new Http2Error("h2_goaway", "server", message, options));
    for (const stream of this.#connection.streams.all()) {
      if (stream.id <= last || stream.isClosed) continue;
      this.#connection.dropStream(stream, new Http2Error("h2_goaway", "server", message, options));
    }
    this.#endIfDone();
  }

  #drain(): void {
    if (this.#isDraining) return;
    this.#isDraining = true;
    this.#options.onDraining?.();
  }

  #endIfDone(): void {
    if (!this.#isDraining || this.openStreams > 0 || !this.#connection.isOpen) return;
    this.#connection.goaway(0, ErrorCode.noError);
    this.#connection.end();
  }

  #failQueued(reason: MeshError): void {
    const queued = [...this.#queue.keys()];
    this.#queue.clear();
    for (const stream of queued) this.#connection.dropStream(stream, reason);
  }

  #ending(): void {
    this.#failQueued(notTaken("its connection ends"));
    this.#drain();
  }

  #closed(error: MeshError | undefined): void {
    this.#graceTimer.disarm();
    this.#failQueued(notTaken("its connection was closed", error));
    this.#drain();
    this.#options.onClose?.(error);
    this.#gone.resolve();
  }
}

/** Passes on a head. False if it is malformed. */
function responseHead(stream: Http2Stream, list: HeaderList, endStream: boolean): boolean {
  const { status, headers } = list;
  const head: ResponseHead = { status, version: "2", headers, contentLength: list.contentLength };
  const response = stream.response!;
  if (status < 200) {
    if (endStream) return false;
    response.informational?.(head);
    return true;
  }
  stream.headReceived = true;
  stream.response = undefined;
  const isTunnel = stream.isConnect && status < 300;
  const hasBody = !stream.isHeadRequest && status !== 204 && status !== 304 && !isTunnel;
  if (hasBody) {
    stream.bodyLeft = list.contentLength;
    if (endStream && list.contentLength > 0) {
      stream.response = response;
      return false;
    }
  }
  if (isTunnel) head.contentLength = -1;
  else if (endStream && head.contentLength < 0) head.contentLength = 0;
  response.head(head, stream);
  return true;
}

function notTaken(why: string, cause?: MeshError): MeshError {
  const options = cause === undefined ? { retryable: true } : { retryable: true, cause };
  return new MeshError("h2_not_sent", "server", `Cannot send request: ${why}`, options);
}

function graceOver(): MeshError {
  return new MeshError("shutdown_grace", "self", "Cannot finish request: shutting down");
}
