import type { Clock } from "@heddle/base/clock";
import { MeshError } from "@heddle/base/errors";
import type { Log } from "@heddle/base/log";
import {
  type BodySink,
  DISCARD,
  type Flow,
  type HttpService,
  type RequestHead,
  type ResponseHead,
  type ResponseSink,
} from "@heddle/net/http";
import { h2ReasonOf } from "@heddle/net/http2/errors";
import type { HeaderMap } from "@heddle/wire/http/headers";
import type { ClientInfo, RecordPool, RequestRecord } from "../record.ts";
import { defaultClassifier, grpcStatus, isGrpc } from "./classify.ts";
import { respondToError, trailersFor } from "./errors.ts";

/** Hears of requests that ended; metrics of errors, and access logs. */
export interface EdgeObserver {
  /** An error of ours or of the way became the answer, or broke it off. */
  failed(error: MeshError, record: RequestRecord): void;
  /** Everything that will be known is in the record, which is lent. */
  ended(record: RequestRecord): void;
}

export interface EdgeOptions {
  readonly clock: Clock;
  readonly records: RecordPool;
  readonly log: Log;
  readonly observer: EdgeObserver;
  /** Requests under way on one connection, beyond which new ones are shed. */
  readonly maxInFlight: number;
  /** What a request asked for that names no authority: `10.0.0.1:80`, `10.0.0.1` for port 80. */
  readonly defaultAuthority: string;
}

/** What is particular to one client connection. */
export interface EdgeConnection {
  readonly client: ClientInfo;
  /** Whether this client may read why a request failed. */
  readonly tellsWhy: boolean;
  /** Takes no new requests and closes when those under way are done. */
  drain(): void;
}

/**
 * The outermost layer, one per client connection: gives each request its record, sheds what is too
 * much, and is the one place of a side where errors become answers.
 */
export class ServerEdge implements HttpService {
  readonly inner: HttpService;
  readonly options: EdgeOptions;
  readonly connection: EdgeConnection;
  inFlight = 0;

  constructor(inner: HttpService, options: EdgeOptions, connection: EdgeConnection) {
    this.inner = inner;
    this.options = options;
    this.connection = connection;
  }

  /** Hot: two objects per request. */
  call(head: RequestHead, flow: Flow, response: ResponseSink): BodySink {
    const { options } = this;
    const record = options.records.take();
    record.client = this.connection.client;
    record.startedMs = options.clock.nowMs();
    record.method = head.method;
    record.path = head.path;
    if (head.authority === "" && head.version !== "2") {
      head.authority = head.headers.get("host") || options.defaultAuthority;
    }
    record.authority = head.authority;
    record.classifier = defaultClassifier(head.headers);
    head.context = record;
    const exchange = new EdgeExchange(this, head, record, response);
    if (this.inFlight >= options.maxInFlight) {
      exchange.abort(new MeshError("load_shed", "self", "service unavailable: too many requests"));
      return DISCARD;
    }
    this.inFlight++;
    exchange.isCounted = true;
    const request = new EdgeRequest(exchange);
    request.inner = this.inner.call(head, flow, exchange);
    return request;
  }
}

/** The way of the answer. */
class EdgeExchange implements ResponseSink {
  readonly #edge: ServerEdge;
  readonly #response: ResponseSink;
  readonly record: RequestRecord;
  /** Kept for the errors' sake; its headers may have changed, its version not. */
  readonly #head: RequestHead;
  readonly #isGrpc: boolean;
  isCounted = false;
  isRequestDone = false;
  isResponseDone = false;
  #hasHead = false;

  constructor(edge: ServerEdge, head: RequestHead, record: RequestRecord, response: ResponseSink) {
    this.#edge = edge;
    this.#head = head;
    this.record = record;
    this.#response = response;
    this.#isGrpc = head.version === "2" && isGrpc(head.headers);
  }

  informational(head: ResponseHead): void {
    this.#response.informational?.(head);
  }

  head(head: ResponseHead, flow: Flow): void {
    const { record } = this;
    this.#hasHead = true;
    record.status = head.status;
    record.headMs = this.#edge.options.clock.nowMs();
    const status = grpcStatus(head.headers);
    if (status >= 0) record.grpcStatus = status;
    this.#uncount();
    if (record.closesConnection && head.version !== "2") head.headers.set("connection", "close");
    this.#response.head(head, flow);
  }

  data(bytes: Uint8Array, start: number, end: number): void {
    this.record.responseBytes += end - start;
    this.#response.data(bytes, start, end);
  }

  end(trailers: HeaderMap | undefined): void {
    if (trailers !== undefined) {
      const status = grpcStatus(trailers);
      if (status >= 0) this.record.grpcStatus = status;
    }
    this.#response.end(trailers);
    this.#finish();
  }

  abort(reason: MeshError): void {
    const { record } = this;
    const { connection, options } = this.#edge;
    record.error = reason.code;
    options.observer.failed(reason, record);
    if (options.log.debug) {
      options.log.debug("request failed", { code: reason.code, error: reason });
    }
    if (this.#hasHead) {
      if (this.#isGrpc) this.#response.end(trailersFor(reason, connection.tellsWhy));
      else this.#response.abort(reason);
      this.#finish();
    } else if (h2ReasonOf(reason) !== undefined && this.#head.version === "2") {
      this.#response.abort(reason);
      this.#finish();
    } else {
      // Comes back through `head` and `end`.
      respondToError(reason, this.#head, record, this, connection.tellsWhy);
    }
  }

  /** The client went away, or its request broke off: no answer is wanted. */
  cancelled(reason: MeshError): void {
    if (this.isResponseDone) return;
    this.record.error = reason.code;
    this.#finish();
  }

  #finish(): void {
    if (this.isResponseDone) return;
    this.isResponseDone = true;
    this.#uncount();
    this.#edge.options.observer.ended(this.record);
    if (this.record.closesConnection) this.#edge.connection.drain();
    this.release();
  }

  /** The record goes back once neither side can speak of it any more. */
  release(): void {
    if (this.isRequestDone && this.isResponseDone) this.#edge.options.records.give(this.record);
  }

  #uncount(): void {
    if (!this.isCounted) return;
    this.isCounted = false;
    this.#edge.inFlight--;
  }
}

/** The way of the request's body. */
class EdgeRequest implements BodySink {
  readonly #exchange: EdgeExchange;
  inner: BodySink = DISCARD;

  constructor(exchange: EdgeExchange) {
    this.#exchange = exchange;
  }

  data(bytes: Uint8Array, start: number, end: number): void {
    this.#exchange.record.requestBytes += end - start;
    this.inner.data(bytes, start, end);
  }

  end(trailers: HeaderMap | undefined): void {
    this.inner.end(trailers);
    this.#done();
  }

  abort(reason: MeshError): void {
    this.inner.abort(reason);
    this.#exchange.cancelled(reason);
    this.#done();
  }

  /** May come twice: `abort` is allowed after `end`. */
  #done(): void {
    if (this.#exchange.isRequestDone) return;
    this.#exchange.isRequestDone = true;
    this.#exchange.release();
  }
}
