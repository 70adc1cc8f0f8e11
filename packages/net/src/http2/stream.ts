import type { MeshError } from "@heddle/base/errors";
import type { HeaderMap } from "@heddle/wire/http/headers";
import {
  type BodySink,
  DISCARD,
  type Flow,
  NO_FLOW,
  type ResponseHead,
  type ResponseSink,
} from "../http.ts";
import { ByteQueue } from "./byte-queue.ts";

/** What a stream needs of its connection. */
export interface StreamHost {
  sendResponse(stream: Http2Stream, head: ResponseHead, isFinal: boolean): void;
  sendData(stream: Http2Stream, bytes: Uint8Array, start: number, end: number): void;
  sendEnd(stream: Http2Stream, trailers: HeaderMap | undefined): void;
  /** Nobody wants the rest of what comes. */
  unwanted(stream: Http2Stream): void;
  /** Our side gave the stream up. */
  abortStream(stream: Http2Stream, reason: MeshError): void;
  /** Bytes that came were passed on: their place in the windows is free again. */
  consumed(stream: Http2Stream, count: number): void;
  /** `resume` was called; the host calls `deliver` when the turn ends. */
  resumed(stream: Http2Stream): void;
  /** The end of what comes was passed on. */
  delivered(stream: Http2Stream): void;
}

/**
 * One stream: the sink of what we send and the flow of what we receive, in either role. A server's
 * is the response's sink and the request's flow, a client's the request's sink and the response's
 * flow. One object, so that a request costs one allocation.
 *
 * Fields are the connection's; all others use the methods of `ResponseSink` and `Flow`.
 */
export class Http2Stream implements Flow, ResponseSink {
  readonly #host: StreamHost;
  /** 0 for a request that waits for its turn. */
  id = 0;
  /** Link of the `StreamTable`. */
  nextInPlace: Http2Stream | undefined;
  /** Neither side may send any more, or the stream was reset. */
  isClosed = false;

  // Sending.
  sendWindow = 0;
  /** Who is slowed down when we cannot send. */
  source: Flow;
  isSourcePaused = false;
  /** The owner of our side aborted: its flow is not to be touched again. */
  isAbandoned = false;
  headSent = false;
  sendEnded = false;
  /** What could not be sent at once; undefined if nothing waits. */
  sendQueue: ByteQueue | undefined;
  /** `end` was called with data still waiting. */
  endWaits = false;
  waitingTrailers: HeaderMap | undefined;
  /** Position in the outbox of the last frame that may carry END_STREAM; -1 for none. */
  lastFrameAt = -1;
  /** In the list of streams that could send if the connection could. */
  isReady = false;
  nextReady: Http2Stream | undefined;
  previousReady: Http2Stream | undefined;

  // Receiving.
  sink: BodySink = DISCARD;
  /** A client's, until its final head has come; a server's never. */
  response: ResponseSink | undefined;
  recvWindow: number;
  /** Bytes passed on that the peer was not told of. */
  recvUnacked = 0;
  /** Of the declared length; -1 if none was, or if it does not speak of this body. */
  bodyLeft = -1;
  headReceived = false;
  recvEnded = false;
  /** The sink had its last call. */
  isDelivered = false;
  /** A server's sink hears of a reset also after the request's end, until it has answered. */
  hearsOfCancel = false;
  /** `stop` was called. */
  isUnwanted = false;
  /** What `fail` was called with. */
  failure: MeshError | undefined;
  isPaused = false;
  /** What came while the sink was paused. */
  recvQueue: ByteQueue | undefined;
  endedTrailers: HeaderMap | undefined;
  /** In the host's list of streams to deliver. */
  isResumed = false;

  /** The answer's length says nothing about its body. */
  isHeadRequest = false;
  isConnect = false;
  /** Which read of the connection opened it. */
  openedInRead = 0;

  constructor(host: StreamHost, recvWindow: number, source: Flow = NO_FLOW) {
    this.#host = host;
    this.recvWindow = recvWindow;
    this.source = source;
  }

  pause(): void {
    this.isPaused = true;
  }

  resume(): void {
    if (!this.isPaused) return;
    this.isPaused = false;
    if (!this.isDelivered) this.#host.resumed(this);
  }

  stop(): void {
    this.isUnwanted = true;
    this.#host.unwanted(this);
  }

  informational(head: ResponseHead): void {
    if (!this.headSent && !this.isClosed) this.#host.sendResponse(this, head, false);
  }

  head(head: ResponseHead, flow: Flow): void {
    if (this.headSent) throw new Error("Cannot send response head: it was sent before");
    this.headSent = true;
    if (this.isClosed) return;
    this.source = flow;
    this.#host.sendResponse(this, head, true);
  }

  /** Hot. */
  data(bytes: Uint8Array, start: number, end: number): void {
    if (this.isClosed || this.sendEnded || this.endWaits || start === end) return;
    if (!this.headSent) throw new Error("Cannot send body: its head was not sent");
    this.#host.sendData(this, bytes, start, end);
  }

  end(trailers: HeaderMap | undefined): void {
    if (this.isClosed || this.sendEnded || this.endWaits) return;
    if (!this.headSent) throw new Error("Cannot end body: its head was not sent");
    this.#host.sendEnd(this, trailers);
  }

  abort(reason: MeshError): void {
    // The answer is of no interest any more, whatever of it is still here.
    this.isDelivered = true;
    this.hearsOfCancel = false;
    this.isAbandoned = true;
    this.#host.abortStream(this, reason);
  }

  /** Passes on a range that came, or keeps a copy while the sink is paused. Hot. */
  receive(bytes: Uint8Array, start: number, end: number): void {
    if (this.isPaused || this.recvQueue !== undefined) {
      this.recvQueue ??= new ByteQueue();
      this.recvQueue.push(bytes, start, end);
      return;
    }
    this.sink.data(bytes, start, end);
    this.#host.consumed(this, end - start);
  }

  /** The peer's side is complete. */
  receiveEnd(trailers: HeaderMap | undefined): void {
    this.endedTrailers = trailers;
    if (this.recvQueue === undefined) this.#deliverEnd();
  }

  /** The connection is lost, but all that the peer had to say on this stream is here. */
  get isOnlyBehind(): boolean {
    return this.recvEnded && !this.isDelivered && !this.hearsOfCancel;
  }

  /** Passes on what was kept, unless the sink is paused again. */
  deliver(): void {
    if (this.isPaused || this.isDelivered) return;
    const queue = this.recvQueue;
    if (queue !== undefined) {
      this.recvQueue = undefined;
      const count = queue.length;
      this.sink.data(queue.bytes, queue.start, queue.end);
      this.#host.consumed(this, count);
    } else {
      // The windows may have waited for the sink alone.
      this.#host.consumed(this, 0);
    }
    if (this.recvEnded && this.recvQueue === undefined) this.#deliverEnd();
  }

  #deliverEnd(): void {
    if (this.isDelivered) return;
    this.isDelivered = true;
    this.sink.end(this.endedTrailers);
    this.#host.delivered(this);
  }

  /** Tells the sink that the stream is lost, unless it is done with it. */
  fail(reason: MeshError): void {
    const isDone = this.isDelivered && (!this.hearsOfCancel || this.sendEnded);
    this.isDelivered = true;
    this.hearsOfCancel = false;
    if (isDone) return;
    this.failure = reason;
    (this.response ?? this.sink).abort(reason);
  }
}
