import type { Clock } from "@heddle/base/clock";
import { MeshError } from "@heddle/base/errors";
import type { Timer, TimerWheel } from "@heddle/base/timer-wheel";
import {
  type BodySink,
  DISCARD,
  type Flow,
  type HttpService,
  type RequestHead,
  type ResponseHead,
  type ResponseSink,
} from "@heddle/net/http";
import type { HeaderMap } from "@heddle/wire/http/headers";
import { type RequestRecord, recordOf } from "../record.ts";

/**
 * Bounds one exchange with an endpoint by what its route decided (`proxy-behaviour` 9.5): the whole
 * request, the answer, the answer's head, and gaps between frames. Costs nothing where none is set.
 */
export class StreamTimeouts implements HttpService {
  readonly #inner: HttpService;
  readonly #timers: TimerWheel;
  readonly #clock: Clock;

  constructor(inner: HttpService, timers: TimerWheel, clock: Clock) {
    this.#inner = inner;
    this.#timers = timers;
    this.#clock = clock;
  }

  /** Hot where no timeout is set. */
  call(head: RequestHead, flow: Flow, response: ResponseSink): BodySink {
    const record = recordOf(head);
    if (
      record.deadlineMs === 0 &&
      record.responseTimeoutMs === 0 &&
      record.idleTimeoutMs === 0 &&
      record.attemptTimeoutMs === 0
    ) {
      return this.#inner.call(head, flow, response);
    }
    const exchange = new TimedExchange(record, this.#timers, this.#clock, response);
    if (exchange.isExpired()) return DISCARD;
    exchange.start(this.#inner, head, flow);
    return exchange.request;
  }
}

class TimedExchange implements ResponseSink {
  readonly request: TimedRequest;
  readonly #response: ResponseSink;
  readonly #clock: Clock;
  readonly #timer: Timer;
  // Copied, since an answer may outlive what its attempt's record says.
  readonly #deadlineMs: number;
  readonly #responseTimeoutMs: number;
  readonly #idleTimeoutMs: number;
  readonly #attemptTimeoutMs: number;
  /** When the request's body was through; 0: not yet. */
  #flushedMs = 0;
  #frameMs = 0;
  #hasHead = false;
  #isDone = false;

  constructor(record: RequestRecord, timers: TimerWheel, clock: Clock, response: ResponseSink) {
    this.request = new TimedRequest(this);
    this.#response = response;
    this.#clock = clock;
    this.#timer = timers.timer(() => this.#fire());
    this.#deadlineMs = record.deadlineMs;
    this.#responseTimeoutMs = record.responseTimeoutMs;
    this.#idleTimeoutMs = record.idleTimeoutMs;
    this.#attemptTimeoutMs = record.attemptTimeoutMs;
  }

  /** Whether the deadline has passed while the request waited; then that is the answer. */
  isExpired(): boolean {
    if (this.#deadlineMs === 0 || this.#clock.nowMs() < this.#deadlineMs) return false;
    this.#isDone = true;
    this.#response.abort(requestTimeout());
    return true;
  }

  start(inner: HttpService, head: RequestHead, flow: Flow): void {
    this.#frameMs = this.#clock.nowMs();
    this.request.inner = inner.call(head, flow, this);
    this.#schedule();
  }

  informational(head: ResponseHead): void {
    this.#response.informational?.(head);
  }

  head(head: ResponseHead, flow: Flow): void {
    if (this.#isDone) return;
    this.#hasHead = true;
    const nowMs = this.#clock.nowMs();
    if (this.#flushedMs === 0) this.#flushedMs = nowMs;
    this.#frameMs = nowMs;
    this.#response.head(head, flow);
    this.#schedule();
  }

  data(bytes: Uint8Array, start: number, end: number): void {
    if (this.#isDone) return;
    this.#frameMs = this.#clock.nowMs();
    this.#response.data(bytes, start, end);
  }

  end(trailers: HeaderMap | undefined): void {
    if (this.#isDone) return;
    this.#finish();
    this.#response.end(trailers);
  }

  abort(reason: MeshError): void {
    if (this.#isDone) return;
    this.#finish();
    this.#response.abort(reason);
  }

  requestFrame(): void {
    this.#frameMs = this.#clock.nowMs();
  }

  requestEnded(): void {
    if (this.#isDone || this.#flushedMs !== 0) return;
    this.#flushedMs = this.#clock.nowMs();
    this.#schedule();
  }

  requestAborted(): void {
    this.#finish();
  }

  #finish(): void {
    this.#isDone = true;
    this.#timer.disarm();
  }

  /** Arms the timer for the earliest bound; frames that come move the idle bound when it fires. */
  #schedule(): void {
    if (this.#isDone) return;
    const at = this.#nextMs();
    if (at === Number.POSITIVE_INFINITY) this.#timer.disarm();
    else this.#timer.arm(at - this.#clock.nowMs());
  }

  #nextMs(): number {
    return Math.min(this.#deadline(), this.#responseBound(), this.#idleBound());
  }

  #deadline(): number {
    return this.#deadlineMs === 0 ? Number.POSITIVE_INFINITY : this.#deadlineMs;
  }

  /** Waiting for the head, an attempt's own bound stands in place of the response's. */
  #responseBound(): number {
    if (this.#flushedMs === 0) return Number.POSITIVE_INFINITY;
    const forHead = !this.#hasHead && this.#attemptTimeoutMs !== 0;
    const bound = forHead ? this.#attemptTimeoutMs : this.#responseTimeoutMs;
    return bound === 0 ? Number.POSITIVE_INFINITY : this.#flushedMs + bound;
  }

  /** Bodies only: between the request's end and the answer's head nothing is idle. */
  #idleBound(): number {
    if (this.#idleTimeoutMs === 0) return Number.POSITIVE_INFINITY;
    if (this.#flushedMs !== 0 && !this.#hasHead) return Number.POSITIVE_INFINITY;
    return this.#frameMs + this.#idleTimeoutMs;
  }

  #fire(): void {
    const nowMs = this.#clock.nowMs();
    const error = this.#expired(nowMs);
    if (error === undefined) {
      this.#schedule();
      return;
    }
    this.#finish();
    this.request.inner.abort(error);
    this.#response.abort(error);
  }

  #expired(nowMs: number): MeshError | undefined {
    if (nowMs >= this.#deadline()) return requestTimeout();
    if (nowMs >= this.#responseBound()) {
      if (this.#hasHead) {
        return new MeshError("response_stream_timeout", "server", "response stream timeout");
      }
      const retryable = this.#attemptTimeoutMs !== 0;
      const message = "timed out waiting for response headers";
      return new MeshError("response_headers_timeout", "server", message, { retryable });
    }
    if (nowMs >= this.#idleBound()) {
      return new MeshError("idle_timeout", "server", "stream idle timeout");
    }
    return undefined;
  }
}

class TimedRequest implements BodySink {
  readonly #exchange: TimedExchange;
  inner: BodySink = DISCARD;

  constructor(exchange: TimedExchange) {
    this.#exchange = exchange;
  }

  data(bytes: Uint8Array, start: number, end: number): void {
    this.#exchange.requestFrame();
    this.inner.data(bytes, start, end);
  }

  end(trailers: HeaderMap | undefined): void {
    this.#exchange.requestEnded();
    this.inner.end(trailers);
  }

  abort(reason: MeshError): void {
    this.#exchange.requestAborted();
    this.inner.abort(reason);
  }
}

function requestTimeout(): MeshError {
  return new MeshError("request_timeout", "server", "stream deadline met");
}
