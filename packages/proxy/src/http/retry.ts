import type { Backoff } from "@heddle/base/backoff";
import { copyRange } from "@heddle/base/bytes";
import { MeshError } from "@heddle/base/errors";
import type { Counter } from "@heddle/base/metrics";
import type { Timer, TimerWheel } from "@heddle/base/timer-wheel";
import {
  type BodySink,
  DISCARD,
  type Flow,
  type HttpService,
  NO_FLOW,
  type RequestHead,
  type ResponseHead,
  type ResponseSink,
} from "@heddle/net/http";
import type { HeaderMap } from "@heddle/wire/http/headers";
import { type RequestRecord, recordOf } from "../record.ts";
import { unseenTrailersFor } from "./errors.ts";
import { cloneHead } from "./heads.ts";
import { ReplayBuffer } from "./replay.ts";

/** What an answer is worth so far. */
export type Verdict = "take" | "retry" | "wait_for_trailers";

/** Which answers are tried again. One per route, or per request where headers say so. */
export interface RetryRules {
  /** Beyond the first attempt. */
  readonly maxRetries: number;
  readonly maxRequestBytes: number;
  /** Bound of each attempt but the last, until the head of its answer; 0: none. */
  readonly attemptTimeoutMs: number;
  readonly backoff: Backoff | undefined;
  atHead(status: number, headers: HeaderMap, record: RequestRecord): Verdict;
  /** Asked after `wait_for_trailers`. */
  atEnd(trailers: HeaderMap | undefined, record: RequestRecord): boolean;
  onError(error: MeshError): boolean;
  /** Takes the cost of one retry; false if that is too much now. */
  withdraw(): boolean;
  /** An answer was taken that was not worth a retry. */
  settled(): void;
}

export interface RetryMetrics {
  readonly requests: Counter;
  readonly successes: Counter;
  readonly limitExceeded: Counter;
  readonly overflow: Counter;
}

/** What attempts are made of: everything below the retry, which may be unable to take one now. */
export interface AttemptService extends HttpService {
  readonly isReady: boolean;
}

export interface RetryParts {
  readonly inner: AttemptService;
  readonly rules: RetryRules;
  readonly metrics: RetryMetrics;
  readonly timers: TimerWheel;
}

/** Sends one request by `rules`, more than once if it must. */
export function callWithRetries(
  parts: RetryParts,
  head: RequestHead,
  flow: Flow,
  response: ResponseSink,
): BodySink {
  const exchange = new RetryExchange(parts, head, flow, response);
  exchange.start();
  return exchange;
}

class RetryExchange implements BodySink {
  readonly rules: RetryRules;
  readonly metrics: RetryMetrics;
  readonly response: ResponseSink;
  readonly record: RequestRecord;
  readonly #inner: AttemptService;
  readonly timers: TimerWheel;
  /** As it came; each attempt gets a copy. */
  readonly #head: RequestHead;
  readonly #flow: Flow;
  readonly #body: ReplayBuffer;
  #attempt: Attempt | undefined;
  #retriesLeft: number;
  #timer: Timer | undefined;
  #isCancelled = false;
  /** The client was asked to wait with the body. */
  #isPaused = false;

  constructor(parts: RetryParts, head: RequestHead, flow: Flow, response: ResponseSink) {
    const { inner, rules, metrics, timers } = parts;
    this.#inner = inner;
    this.rules = rules;
    this.metrics = metrics;
    this.timers = timers;
    this.#head = head;
    this.#flow = flow;
    this.response = response;
    this.record = recordOf(head);
    this.#body = new ReplayBuffer(rules.maxRequestBytes);
    this.#retriesLeft = rules.maxRetries;
  }

  start(): void {
    this.#send();
  }

  data(bytes: Uint8Array, start: number, end: number): void {
    this.#body.data(bytes, start, end);
    this.#attempt?.sink.data(bytes, start, end);
  }

  end(trailers: HeaderMap | undefined): void {
    this.#body.end(trailers);
    this.#attempt?.sink.end(trailers);
  }

  abort(reason: MeshError): void {
    this.#isCancelled = true;
    this.#timer?.disarm();
    this.#body.drop();
    this.#attempt?.cancel(reason);
  }

  /** `attempt` cannot take more of the body now. */
  pause(attempt: Attempt): void {
    if (attempt !== this.#attempt || this.#isPaused) return;
    this.#isPaused = true;
    this.#flow.pause();
  }

  resume(attempt: Attempt): void {
    if (attempt === this.#attempt) this.#resume();
  }

  /**
   * Whether an answer that deserves it can be tried again: what has passed of the body is still
   * here, and the rest goes to the next attempt as it comes. Counts why not.
   */
  canRetry(): boolean {
    if (this.#isCancelled || this.#body.isCapped) return false;
    if (this.#retriesLeft === 0) {
      this.metrics.limitExceeded.inc();
      return false;
    }
    return this.rules.withdraw();
  }

  /** `attempt` holds an answer or an error that shall not be the last. */
  retry(attempt: Attempt): void {
    const delayMs = this.rules.backoff?.next() ?? 0;
    if (delayMs === 0) {
      this.#again(attempt);
      return;
    }
    this.#timer ??= this.timers.timer(() => this.#again(this.#attempt!));
    this.#timer.arm(delayMs);
  }

  get isRequestEnded(): boolean {
    return this.#body.isEnded;
  }

  /** No more attempts will come: what is kept for them is freed. */
  taken(): void {
    this.#body.drop();
  }

  #again(attempt: Attempt): void {
    if (this.#isCancelled) return;
    const isReady = this.#inner.isReady;
    if (!isReady) this.metrics.overflow.inc();
    // The body may have outgrown its buffer while the retry waited.
    if (!isReady || this.#body.isCapped) {
      attempt.release();
      return;
    }
    attempt.discard();
    this.#retriesLeft--;
    this.metrics.requests.inc();
    this.#send();
  }

  #resume(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    this.#flow.resume();
  }

  #send(): void {
    const { record, rules } = this;
    const attempt = new Attempt(this, this.#attempt !== undefined);
    this.#attempt = attempt;
    record.isSynthesized = false;
    record.closesConnection = false;
    record.attemptTimeoutMs = this.#retriesLeft > 0 ? rules.attemptTimeoutMs : 0;
    const head = cloneHead(this.#head);
    const requestFlow = new RequestFlow(this, attempt);
    const sink = this.#inner.call(head, requestFlow, attempt);
    attempt.sent(sink);
    if (!attempt.isRetry || this.#attempt !== attempt) return;
    // Everything that came before this attempt is in the buffer; the first one had nothing yet.
    this.#body.replay(attempt.sink);
    // The attempt before may have left the client paused: this one says itself what is too much.
    if (!requestFlow.isPausing) this.#resume();
  }
}

/** Lets one attempt slow the client down, for as long as it is the current one. */
class RequestFlow implements Flow {
  readonly #exchange: RetryExchange;
  readonly #attempt: Attempt;
  isPausing = false;

  constructor(exchange: RetryExchange, attempt: Attempt) {
    this.#exchange = exchange;
    this.#attempt = attempt;
  }

  pause(): void {
    this.isPausing = true;
    this.#exchange.pause(this.#attempt);
  }

  resume(): void {
    this.isPausing = false;
    this.#exchange.resume(this.#attempt);
  }
}

/** How long the beginning of a gRPC answer waits for the status behind it. */
const PEEK_MS = 60;
/** How much of it waits. */
const PEEK_BYTES = 65_536;

const OPEN = 0;
/** Held back until it is known whether there is another attempt. */
const HELD = 1;
const PEEKING = 2;
const RELEASED = 3;
const DISCARDED = 4;

/** One attempt: holds its answer back while it may be tried again. */
class Attempt implements ResponseSink {
  readonly isRetry: boolean;
  readonly #exchange: RetryExchange;
  sink: BodySink = DISCARD;
  #state: typeof OPEN | typeof HELD | typeof PEEKING | typeof RELEASED | typeof DISCARDED = OPEN;
  #head: ResponseHead | undefined;
  #flow: Flow = NO_FLOW;
  #chunks: Uint8Array[] | undefined;
  #heldBytes = 0;
  #isEnded = false;
  #trailers: HeaderMap | undefined;
  #error: MeshError | undefined;
  #peeking: Timer | undefined;

  constructor(exchange: RetryExchange, isRetry: boolean) {
    this.#exchange = exchange;
    this.isRetry = isRetry;
  }

  /** The request is on its way; it may have been answered and given up meanwhile. */
  sent(sink: BodySink): void {
    if (this.#state === DISCARDED) sink.abort(SUPERSEDED);
    else this.sink = sink;
  }

  informational(head: ResponseHead): void {
    this.#exchange.response.informational?.(head);
  }

  head(head: ResponseHead, flow: Flow): void {
    if (this.#state === DISCARDED) return;
    const exchange = this.#exchange;
    this.#head = head;
    this.#flow = flow;
    const verdict =
      exchange.record.isSynthesized && isInjected(exchange.record)
        ? "take"
        : exchange.rules.atHead(head.status, head.headers, exchange.record);
    if (verdict === "wait_for_trailers") this.#state = PEEKING;
    else this.#judged(verdict === "retry");
  }

  data(bytes: Uint8Array, start: number, end: number): void {
    if (this.#state === RELEASED) {
      this.#exchange.response.data(bytes, start, end);
      return;
    }
    if (this.#state === DISCARDED) return;
    const isFirst = this.#chunks === undefined;
    this.#chunks ??= [];
    this.#chunks.push(copyRange(bytes, start, end));
    if (this.#state !== PEEKING) return;
    this.#heldBytes += end - start;
    if (this.#heldBytes > PEEK_BYTES) this.#judged(false);
    // Most answers are short, and their status comes with them, or right behind.
    else if (isFirst) setImmediate(peekOn, this);
  }

  end(trailers: HeaderMap | undefined): void {
    if (this.#state === RELEASED) {
      this.#exchange.response.end(trailers);
      return;
    }
    if (this.#state === DISCARDED) return;
    this.#isEnded = true;
    this.#trailers = trailers;
    if (this.#state === PEEKING) {
      this.#judged(this.#exchange.rules.atEnd(trailers, this.#exchange.record));
    }
  }

  abort(reason: MeshError): void {
    if (this.#state === RELEASED) {
      this.#exchange.response.abort(reason);
      return;
    }
    if (this.#state === DISCARDED) return;
    this.#error = reason;
    this.#isEnded = true;
    const { rules, record } = this.#exchange;
    if (this.#state === OPEN) this.#judged(rules.onError(reason));
    else if (this.#state === PEEKING) this.#judged(rules.atEnd(unseenTrailersFor(reason), record));
  }

  /** The client does not want the answer any more. */
  cancel(reason: MeshError): void {
    this.#state = DISCARDED;
    this.#peeking?.disarm();
    this.sink.abort(reason);
  }

  /** Another attempt takes its place. */
  discard(): void {
    this.#state = DISCARDED;
    this.#chunks = undefined;
    if (this.#error === undefined) this.sink.abort(SUPERSEDED);
  }

  /** What was held back becomes the answer. */
  release(): void {
    const { response } = this.#exchange;
    this.#state = RELEASED;
    this.#exchange.taken();
    if (this.#head === undefined) {
      response.abort(this.#error!);
      return;
    }
    response.head(this.#head, this.#flow);
    for (const chunk of this.#chunks ?? []) response.data(chunk, 0, chunk.length);
    this.#chunks = undefined;
    if (this.#error !== undefined) response.abort(this.#error);
    else if (this.#isEnded) response.end(this.#trailers);
    else this.#flow.resume();
  }

  /** The turn is over, and the status not there: a stream is not held up for it much longer. */
  peekOn(): void {
    if (this.#state !== PEEKING) return;
    // While the client still sends, it may wait for this message before it says more.
    if (!this.#exchange.isRequestEnded) {
      this.#judged(false);
      return;
    }
    this.#peeking = this.#exchange.timers.timer(() => {
      if (this.#state === PEEKING) this.#judged(false);
    });
    this.#peeking.arm(PEEK_MS);
  }

  #judged(deservesRetry: boolean): void {
    const exchange = this.#exchange;
    this.#peeking?.disarm();
    if (deservesRetry && exchange.canRetry()) {
      this.#state = HELD;
      if (!this.#isEnded) this.#flow.pause();
      exchange.retry(this);
      return;
    }
    if (!deservesRetry) {
      exchange.rules.settled();
      if (this.isRetry && this.#error === undefined) exchange.metrics.successes.inc();
    }
    this.release();
  }
}

function peekOn(attempt: Attempt): void {
  attempt.peekOn();
}

function isInjected(record: RequestRecord): boolean {
  return record.error.startsWith("injected_");
}

const SUPERSEDED = new MeshError("retried", "self", "Cannot use the answer: it is tried again");
