import { MeshError } from "@heddle/base/errors";
import type { Timer } from "@heddle/base/timer-wheel";
import { HeaderMap } from "@heddle/wire/http/headers";
import { ErrorCode, MAX_STREAM_ID, PREFACE } from "@heddle/wire/http2/frame";
import type { HeaderList } from "@heddle/wire/http2/header-list";
import { SettingId } from "@heddle/wire/http2/settings";
import { type BodySink, DISCARD, type HttpService, NO_FLOW, type RequestHead } from "../http.ts";
import type { Socket, SocketHandler } from "../transport.ts";
import { Http2Connection, type Http2Role } from "./connection.ts";
import { type Http2ServerOptions, limitsOf } from "./options.ts";
import { Http2Stream } from "./stream.ts";

/** The server's end of one HTTP/2 connection. */
export interface Http2Server extends AsyncDisposable {
  /** Requests that are not finished. */
  readonly openStreams: number;
  readonly isClosed: boolean;
  /**
   * Takes no more requests, finishes those that run, and ends the connection; what still runs after
   * the grace is destroyed. Resolves when the connection is gone.
   */
  close(graceMs?: number): Promise<void>;
  destroy(reason?: MeshError): void;
}

/**
 * Serves one connection whose client speaks HTTP/2 (RFC 9113), from its preface on. The socket is
 * the server's from here on.
 */
export function serveHttp2(
  socket: Socket,
  service: HttpService,
  options: Http2ServerOptions = {},
): Http2Server {
  return new ServerConnection(socket, service, options);
}

/** A client that does not answer the PING of our first GOAWAY gets the second after this time. */
const DRAIN_PING_MS = 1000;
const DEFAULT_GRACE_MS = 120_000;

class ServerConnection implements Http2Server, Http2Role, SocketHandler {
  readonly isServer = true;
  readonly #connection: Http2Connection;
  readonly #service: HttpService;
  readonly #options: Http2ServerOptions;
  readonly #maxConcurrentStreams: number;
  readonly #drainTimer: Timer;
  readonly #graceTimer: Timer;
  readonly #gone = Promise.withResolvers<void>();
  #prefaceRead = 0;
  #isDraining = false;
  /** After the second GOAWAY: streams above this one are refused. */
  #lastAccepted: number = MAX_STREAM_ID;

  constructor(socket: Socket, service: HttpService, options: Http2ServerOptions) {
    const limits = limitsOf(options, true);
    this.#service = service;
    this.#options = options;
    this.#maxConcurrentStreams = options.maxConcurrentStreams ?? Number.POSITIVE_INFINITY;
    this.#connection = new Http2Connection(socket, this, limits);
    this.#drainTimer = limits.runtime.timers.timer(() => this.drainAcknowledged());
    this.#graceTimer = limits.runtime.timers.timer(() => this.destroy(graceOver()));
    const max = options.maxConcurrentStreams;
    this.#connection.start(max === undefined ? [] : [SettingId.maxConcurrentStreams, max]);
    socket.setHandler(this);
  }

  get openStreams(): number {
    return this.#connection.streams.size;
  }

  get isClosed(): boolean {
    return this.#connection.isClosed;
  }

  close(graceMs: number = DEFAULT_GRACE_MS): Promise<void> {
    if (!this.isClosed) this.#graceTimer.arm(graceMs);
    if (!this.#isDraining && this.#connection.isOpen) {
      this.#isDraining = true;
      // Requests may be under way: the client is warned first, and told the last one after a round
      // trip (RFC 9113 §6.8).
      this.#connection.goaway(MAX_STREAM_ID, ErrorCode.noError);
      this.#connection.pingForDrain();
      this.#drainTimer.arm(DRAIN_PING_MS);
    }
    return this.#gone.promise;
  }

  destroy(reason?: MeshError): void {
    this.#connection.destroy(reason);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  // SocketHandler: the preface, then the connection.

  /** Hot. */
  onData(bytes: Uint8Array, start: number, end: number): void {
    let at = start;
    while (this.#prefaceRead < PREFACE.length && at < end) {
      if (bytes[at++] !== PREFACE.charCodeAt(this.#prefaceRead++)) {
        this.#prefaceRead = PREFACE.length;
        this.#connection.fail(ErrorCode.protocolError, "no HTTP/2 preface");
        return;
      }
    }
    if (at < end) this.#connection.onData(bytes, at, end);
  }

  onDrain(): void {
    this.#connection.onDrain();
  }

  onEnd(): void {
    this.#connection.onEnd();
  }

  onClose(error: MeshError | undefined): void {
    this.#connection.onClose(error);
  }

  // Http2Role

  newStream(streamId: number, list: HeaderList, endStream: boolean, isTooLarge: boolean): void {
    const connection = this.#connection;
    if (
      streamId > this.#lastAccepted ||
      connection.concurrentStreams >= this.#maxConcurrentStreams
    ) {
      connection.refuse(streamId);
      return;
    }
    const stream = new Http2Stream(connection, connection.receiver.streamWindowBytes);
    stream.id = streamId;
    stream.headReceived = true;
    stream.hearsOfCancel = true;
    stream.sink = PENDING;
    connection.open(stream);
    if (isTooLarge) {
      stream.recvEnded = endStream;
      refuseLarge(stream);
    } else if (!list.finish()) {
      connection.failStream(stream, ErrorCode.protocolError, list.problem);
    } else {
      this.#call(stream, list, endStream);
    }
  }

  #call(stream: Http2Stream, list: HeaderList, endStream: boolean): void {
    const head = requestHead(list, endStream);
    if (!head.upgrade) stream.bodyLeft = list.contentLength;
    if (endStream && stream.bodyLeft > 0) {
      this.#connection.receiver.endOfHead(stream);
      return;
    }
    const sink = this.#service.call(head, stream, stream);
    if (stream.failure !== undefined) {
      sink.abort(stream.failure);
      return;
    }
    stream.sink = sink;
    if (stream.isClosed) return;
    if (endStream) this.#connection.receiver.endOfHead(stream);
    // It was answered at once; now we know whether somebody reads the request.
    else if (stream.sendEnded) this.#connection.sent(stream);
  }

  responseHead(): boolean {
    return false;
  }

  settingsChanged(): void {
    // A server opens no streams that could wait for the settings.
  }

  slotFreed(): void {
    // The client opens streams, and knows.
  }

  goawayReceived(): void {
    // The client will open no more streams, and ends the connection when it is done.
  }

  streamFinished(): void {
    if (this.#lastAccepted !== MAX_STREAM_ID) this.#endIfDone();
  }

  drainAcknowledged(): void {
    if (!this.#isDraining || this.#lastAccepted !== MAX_STREAM_ID) return;
    this.#drainTimer.disarm();
    this.#lastAccepted = this.#connection.receiver.lastPeerStreamId;
    this.#connection.goaway(this.#lastAccepted, ErrorCode.noError);
    this.#endIfDone();
  }

  #endIfDone(): void {
    if (this.#connection.streams.size === 0) this.#connection.end();
  }

  ending(): void {
    this.#drainTimer.disarm();
  }

  closed(error: MeshError | undefined): void {
    this.#drainTimer.disarm();
    this.#graceTimer.disarm();
    this.#options.onClose?.(error);
    this.#gone.resolve();
  }
}

/** The sink of a request whose service has not returned one yet. */
const PENDING: BodySink = { data: () => {}, end: () => {}, abort: () => {} };

function requestHead(list: HeaderList, endStream: boolean): RequestHead {
  const isConnect = list.method === "CONNECT";
  return {
    method: list.method,
    scheme: list.scheme,
    authority: list.authority,
    path: list.path,
    version: "2",
    headers: list.headers,
    absoluteForm: false,
    upgrade: isConnect,
    contentLength: endStream ? 0 : isConnect ? -1 : list.contentLength,
  };
}

/** RFC 6585 §5. Of the request nothing more is read. */
function refuseLarge(stream: Http2Stream): void {
  stream.sink = DISCARD;
  stream.isDelivered = true;
  stream.hearsOfCancel = false;
  const headers = HeaderMap.of({ "content-length": "0" });
  stream.head({ status: 431, version: "2", headers, contentLength: 0 }, NO_FLOW);
  stream.end(undefined);
}

function graceOver(): MeshError {
  return new MeshError("shutdown_grace", "self", "Cannot finish request: shutting down");
}
