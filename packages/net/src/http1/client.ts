import type { MeshError } from "@heddle/base/errors";
import type { Timer } from "@heddle/base/timer-wheel";
import type { HeaderMap } from "@heddle/wire/http/headers";
import { BodyReader } from "@heddle/wire/http1/body-reader";
import { isHttp1Error } from "@heddle/wire/http1/errors";
import { stripHopByHop } from "@heddle/wire/http1/hop-by-hop";
import { DEFAULT_HEAD_LIMITS, type HeadLimits } from "@heddle/wire/http1/request-parser";
import { BodyEnd, ResponseParser } from "@heddle/wire/http1/response-parser";
import {
  type BodySink,
  DISCARD,
  type Flow,
  type HttpService,
  type RequestHead,
  type ResponseHead,
  type ResponseSink,
} from "../http.ts";
import type { Socket, SocketHandler } from "../transport.ts";
import type { TurnEnd } from "../turn.ts";
import { ClientExchange, type ClientOwner } from "./client-exchange.ts";
import { connectionError } from "./errors.ts";
import { Outbox } from "./outbox.ts";
import { DEFAULT_RUNTIME, type Http1Runtime } from "./runtime.ts";

/** Hears of a connection. A pool. */
export interface Http1ClientOwner {
  /** An exchange is over, and the connection can take the next. */
  onIdle(client: Http1Client): void;
  /** Once, last. */
  onClose(client: Http1Client, error: MeshError | undefined): void;
  /**
   * A connection that had been used before was closed by the server before it answered: most
   * likely while the request was on its way, so that it was never read. The request has no body
   * and may be repeated (RFC 9112 section 9.3.1).
   *
   * @returns where the request goes on, or undefined if it shall fail.
   */
  onStale?(head: RequestHead, flow: Flow, response: ResponseSink): BodySink | undefined;
}

export interface Http1ClientOptions {
  readonly runtime?: Http1Runtime;
  readonly limits?: HeadLimits;
  readonly owner?: Http1ClientOwner;
}

const IN_HEAD = 0;
const IN_BODY = 1;
const IN_TUNNEL = 2;
const GONE = 3;

/** Methods that may be sent twice (RFC 9110 section 9.2.2). */
const IDEMPOTENT = new Set(["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"]);

/**
 * One connection to an HTTP/1 server, for one request at a time. Responses come without their
 * hop-by-hop fields, unless they switch protocols. Aborting a request destroys the connection.
 */
export class Http1Client
  implements HttpService, SocketHandler, ClientOwner, TurnEnd, AsyncDisposable
{
  readonly runtime: Http1Runtime;
  readonly outbox: Outbox;
  readonly #socket: Socket;
  readonly #owner: Http1ClientOwner | undefined;
  readonly #parser: ResponseParser;
  readonly #body: BodyReader;
  readonly #closed: Promise<void>;
  #resolveClosed!: () => void;
  #exchange: ClientExchange | undefined;
  #phase = IN_HEAD;
  #requests = 0;
  /** Something of the current response has arrived. */
  #sawResponse = false;
  #keepsAlive = true;
  #isResponsePaused = false;
  #isReading = false;
  #isTurnEndAsked = false;
  #isClosing = false;
  #servesOnce = false;
  #isClosed = false;
  #reason: MeshError | undefined;
  #graceTimer: Timer | undefined;

  constructor(socket: Socket, options: Http1ClientOptions = {}) {
    this.#socket = socket;
    this.#owner = options.owner;
    this.runtime = options.runtime ?? DEFAULT_RUNTIME;
    this.outbox = new Outbox(socket, this.runtime.slabs);
    this.#parser = new ResponseParser(this.runtime.tables, options.limits ?? DEFAULT_HEAD_LIMITS);
    this.#body = new BodyReader("server", this.runtime.tables);
    this.#closed = new Promise((resolve) => {
      this.#resolveClosed = resolve;
    });
    socket.setHandler(this);
  }

  /** Whether `call` would send a request. */
  get isIdle(): boolean {
    return this.#exchange === undefined && this.#phase === IN_HEAD && !this.#isClosing;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Hot. */
  call(head: RequestHead, flow: Flow, response: ResponseSink): BodySink {
    if (!this.isIdle) {
      const isBusy = this.#exchange !== undefined;
      const code = isBusy ? "http1_busy" : "http1_closing";
      response.abort(connectionError(code, "self", { retryable: true }));
      return DISCARD;
    }
    const exchange = new ClientExchange(this, head, flow, response);
    try {
      exchange.writeHead();
    } catch (error) {
      exchange.detach();
      response.abort(error as MeshError);
      return DISCARD;
    }
    this.#exchange = exchange;
    this.#requests++;
    this.#sawResponse = false;
    this.#phase = IN_HEAD;
    this.#parser.expect(head.method, head.upgrade);
    if (head.contentLength === 0) this.outbox.flush();
    else this.sendSoon();
    return exchange;
  }

  /** The exchange that comes next shall be the last one. */
  serveOnce(): void {
    this.#servesOnce = true;
  }

  /** Lets the exchange under way finish, and destroys the connection then, or after `graceMs`. */
  close(graceMs: number): Promise<void> {
    if (this.#isClosed || this.#isClosing) return this.#closed;
    this.#isClosing = true;
    if (this.#exchange === undefined) {
      this.#socket.destroy();
    } else {
      this.#graceTimer = this.runtime.timers.timer(() => this.destroy());
      this.#graceTimer.arm(graceMs);
    }
    return this.#closed;
  }

  destroy(reason?: MeshError): void {
    if (this.#phase === GONE) return;
    this.#phase = GONE;
    this.#reason ??= reason;
    this.#body.stop();
    this.#socket.destroy(reason);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close(0);
  }

  /** Hot. */
  onData(bytes: Uint8Array, start: number, end: number): void {
    const exchange = this.#exchange;
    let at = start;
    this.#isReading = true;
    try {
      while (at < end && exchange !== undefined && !exchange.isResponseDone) {
        if (exchange.isDetached) break;
        if (this.#phase === IN_HEAD) {
          at = this.#readHead(exchange, bytes, at, end);
        } else if (this.#phase === IN_BODY) {
          at = this.#body.read(bytes, at, end, this);
        } else {
          this.data(bytes, at, end);
          at = end;
        }
      }
    } catch (error) {
      if (!isHttp1Error(error)) throw error;
      this.fail(error);
    } finally {
      this.#isReading = false;
    }
    // Bytes that answer nothing: whatever they are, the next answer would be misread.
    if (at < end) this.#desynchronised();
    else if (exchange !== undefined && this.isIdle) this.#owner?.onIdle(this);
  }

  onDrain(): void {
    this.outbox.drained();
    if (!this.outbox.isBlocked) this.#exchange?.drained();
  }

  onEnd(): void {
    const exchange = this.#exchange;
    if (exchange === undefined) {
      this.destroy();
    } else if (exchange.isTunnel) {
      this.#endResponse(exchange, undefined);
    } else if (exchange.isResponseDone) {
      // The server has answered and does not want the rest of the request.
      this.#forget(exchange);
      this.destroy();
    } else if (this.#phase !== IN_BODY) {
      this.#failUnanswered(exchange, undefined);
    } else if (!this.#body.close(this)) {
      this.fail(connectionError("http1_response_truncated", "server"));
    }
  }

  onClose(error: MeshError | undefined): void {
    this.#isClosed = true;
    const exchange = this.#exchange;
    if (exchange !== undefined) {
      if (exchange.isResponseDone) this.#forget(exchange);
      else if (this.#reason !== undefined) this.fail(this.#reason);
      else if (this.#phase === IN_HEAD) this.#failUnanswered(exchange, error);
      else this.fail(connectionError("http1_response_truncated", "server", causedBy(error)));
    }
    this.#phase = GONE;
    this.#graceTimer?.disarm();
    this.outbox.shut();
    this.#resolveClosed();
    this.#owner?.onClose(this, error ?? this.#reason);
  }

  turnEnd(): void {
    this.#isTurnEndAsked = false;
    if (this.#phase !== GONE) this.outbox.flush();
  }

  /** `BodyOutput`: of the response body. Hot. */
  data(bytes: Uint8Array, start: number, end: number): void {
    this.#exchange?.response.data(bytes, start, end);
  }

  /** `BodyOutput`: the response body is complete. */
  end(trailers: HeaderMap | undefined): void {
    const exchange = this.#exchange;
    if (exchange !== undefined) this.#endResponse(exchange, trailers);
  }

  sendSoon(): void {
    if (this.outbox.isFull) {
      this.outbox.flush();
    } else if (!this.#isTurnEndAsked) {
      this.#isTurnEndAsked = true;
      this.runtime.turn.atEnd(this);
    }
  }

  pauseResponse(): void {
    if (this.#isResponsePaused) return;
    this.#isResponsePaused = true;
    this.#socket.pause();
  }

  resumeResponse(): void {
    if (!this.#isResponsePaused) return;
    this.#isResponsePaused = false;
    this.#socket.resume();
  }

  requested(exchange: ClientExchange): void {
    if (exchange.isTunnel) this.outbox.end();
    else this.outbox.flush();
    if (exchange.isResponseDone) this.#finish(exchange);
  }

  cancel(exchange: ClientExchange): void {
    this.#forget(exchange);
    this.destroy();
  }

  fail(reason: MeshError): void {
    const exchange = this.#exchange;
    this.destroy(reason);
    if (exchange === undefined) return;
    this.#forget(exchange);
    if (!exchange.isResponseDone) exchange.response.abort(reason);
  }

  #readHead(exchange: ClientExchange, bytes: Uint8Array, start: number, end: number): number {
    this.#sawResponse = true;
    const parser = this.#parser;
    const at = parser.read(bytes, start, end);
    if (!parser.isDone) return at;
    const { headers, bodyEnd } = parser;
    const isTunnel = bodyEnd === BodyEnd.TUNNEL;
    if (parser.hasHopByHop && !(isTunnel && parser.status === 101)) stripHopByHop(headers);
    const head: ResponseHead = {
      status: parser.status,
      version: parser.minor === 0 ? "1.0" : "1.1",
      headers,
      contentLength: parser.contentLength,
    };
    if (parser.isInformational) {
      parser.next();
      exchange.response.informational?.(head);
      return at;
    }
    this.#keepsAlive = parser.isKeepAlive;
    this.#startBody(exchange, bodyEnd, parser.contentLength);
    exchange.response.head(head, exchange);
    if (bodyEnd === BodyEnd.NONE && this.#exchange === exchange) {
      this.#endResponse(exchange, undefined);
    }
    return at;
  }

  #startBody(exchange: ClientExchange, bodyEnd: BodyEnd, contentLength: number): void {
    this.#phase = IN_BODY;
    if (bodyEnd === BodyEnd.TUNNEL) {
      this.#phase = IN_TUNNEL;
      exchange.isTunnel = true;
      return;
    }
    // An upgrade that was refused has no body that could still come.
    if (exchange.head.upgrade) exchange.isRequestDone = true;
    if (bodyEnd === BodyEnd.LENGTH) this.#body.startLength(contentLength);
    else if (bodyEnd === BodyEnd.CHUNKED) this.#body.startChunked();
    else if (bodyEnd === BodyEnd.CLOSE) this.#body.startUntilClose();
  }

  #endResponse(exchange: ClientExchange, trailers: HeaderMap | undefined): void {
    exchange.isResponseDone = true;
    this.resumeResponse();
    exchange.response.end(trailers);
    if (this.#exchange !== exchange) return;
    if (exchange.isRequestDone) this.#finish(exchange);
    else if (!exchange.isTunnel && !this.#keepsAlive) {
      // The server will read no more; what still comes of the request goes nowhere.
      this.#forget(exchange);
      this.destroy();
    }
  }

  /** Request and response are complete. */
  #finish(exchange: ClientExchange): void {
    this.#forget(exchange);
    if (exchange.isTunnel) return;
    if (!this.#keepsAlive || this.#isClosing || this.#servesOnce || exchange.head.upgrade) {
      this.destroy();
      return;
    }
    this.#phase = IN_HEAD;
    // Else `onData` says so, once it knows that nothing follows the response.
    if (!this.#isReading) this.#owner?.onIdle(this);
  }

  #desynchronised(): void {
    const exchange = this.#exchange;
    if (exchange !== undefined) this.#forget(exchange);
    this.destroy(connectionError("http1_bad_response", "server"));
  }

  #forget(exchange: ClientExchange): void {
    if (this.#exchange === exchange) this.#exchange = undefined;
    exchange.detach();
  }

  /** The connection ended before a final response. */
  #failUnanswered(exchange: ClientExchange, cause: MeshError | undefined): void {
    const { head, flow, response } = exchange;
    const isStale = this.#requests > 1 && !this.#sawResponse && isRepeatable(head);
    if (isStale) {
      this.#forget(exchange);
      this.destroy();
      const next = this.#owner?.onStale?.(head, flow, response);
      if (next !== undefined) {
        exchange.moveTo(next);
        if (exchange.isRequestDone) next.end(undefined);
        return;
      }
    }
    const options = { ...causedBy(cause), retryable: isStale };
    const reason = connectionError("http1_no_response", "server", options);
    this.#forget(exchange);
    this.destroy(reason);
    response.abort(reason);
  }
}

function isRepeatable(head: RequestHead): boolean {
  return head.contentLength === 0 && !head.upgrade && IDEMPOTENT.has(head.method);
}

function causedBy(error: MeshError | undefined): { readonly cause?: unknown } {
  return error === undefined ? {} : { cause: error };
}
