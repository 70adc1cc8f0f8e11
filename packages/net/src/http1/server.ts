import type { MeshError } from "@heddle/base/errors";
import type { Timer } from "@heddle/base/timer-wheel";
import type { HeaderMap } from "@heddle/wire/http/headers";
import { BodyReader } from "@heddle/wire/http1/body-reader";
import { isHttp1Error, statusOfHttp1Error } from "@heddle/wire/http1/errors";
import { stripHopByHop } from "@heddle/wire/http1/hop-by-hop";
import {
  DEFAULT_HEAD_LIMITS,
  type HeadLimits,
  RequestParser,
} from "@heddle/wire/http1/request-parser";
import { DISCARD, type HttpService, type RequestHead } from "../http.ts";
import type { Socket, SocketHandler } from "../transport.ts";
import type { TurnEnd } from "../turn.ts";
import { connectionError } from "./errors.ts";
import { Outbox } from "./outbox.ts";
import { DEFAULT_RUNTIME, type Http1Runtime } from "./runtime.ts";
import {
  type ExchangeOwner,
  PENDING,
  ServerExchange,
  writeBareResponse,
} from "./server-exchange.ts";

export interface Http1ServerOptions {
  readonly runtime?: Http1Runtime;
  readonly limits?: HeadLimits;
  /** How long a connection may wait for a request's head to be complete. Default: forever. */
  readonly idleTimeoutMs?: number;
  /**
   * Whether a client that ends its side still gets its answer. Default: yes. If not, its FIN
   * cancels the request.
   */
  readonly halfClose?: boolean;
  /** Bytes were refused, and answered with the status that belongs to the error's code. */
  readonly onRefused?: (error: MeshError) => void;
  /** Once, last. Without an error if the connection ended in good order. */
  readonly onClose?: (error: MeshError | undefined) => void;
}

/** One served connection. */
export interface Http1ServerConnection extends AsyncDisposable {
  readonly isClosed: boolean;
  /**
   * Lets the exchange under way finish, with `connection: close` if its head is not sent, and then
   * ends the connection; after `graceMs` destroys it. Tunnels are waited for. Resolves when closed.
   */
  close(graceMs: number): Promise<void>;
  destroy(reason?: MeshError): void;
}

/**
 * Serves HTTP/1.0 and HTTP/1.1 on one connection: keep-alive, pipelining (the next request is read
 * when the response before it is complete), 100-continue, upgrades and CONNECT as tunnels.
 * What goes to `service` has lost its hop-by-hop fields, unless it is an upgrade.
 */
export function serveHttp1(
  socket: Socket,
  service: HttpService,
  options: Http1ServerOptions = {},
): Http1ServerConnection {
  const connection = new ServerConnection(socket, service, options);
  socket.setHandler(connection);
  return connection;
}

const IN_HEAD = 0;
const IN_BODY = 1;
/** The request is complete, its response is not. */
const AWAITING = 2;
/** An upgrade or CONNECT that is not answered: what arrives may be either of two things. */
const UNDECIDED = 3;
const IN_TUNNEL = 4;
/** Our side is ended: what still comes is thrown away, so that the client can read our answer. */
const LINGERING = 5;
const CLOSED = 6;

const LINGER_MS = 2_000;
const LINGER_BYTES = 262_144;

class ServerConnection implements Http1ServerConnection, SocketHandler, ExchangeOwner, TurnEnd {
  readonly runtime: Http1Runtime;
  readonly outbox: Outbox;
  readonly #socket: Socket;
  readonly #service: HttpService;
  readonly #options: Http1ServerOptions;
  readonly #parser: RequestParser;
  readonly #body: BodyReader;
  readonly #closed: Promise<void>;
  #resolveClosed!: () => void;
  #exchange: ServerExchange | undefined;
  #phase = IN_HEAD;
  /** Arrived and not yet read: pipelined requests, or what follows an undecided upgrade. */
  #backlog: Uint8Array | undefined;
  #isConsuming = false;
  #isRequestPaused = false;
  #isSocketPaused = false;
  #isTurnEndAsked = false;
  #sawEnd = false;
  #isClosing = false;
  #lingeredBytes = 0;
  #reason: MeshError | undefined;
  /** Idle, lingering or grace: one at a time. */
  #timer: Timer | undefined;
  #onTimer: () => void = () => {};

  constructor(socket: Socket, service: HttpService, options: Http1ServerOptions) {
    this.#socket = socket;
    this.#service = service;
    this.#options = options;
    this.runtime = options.runtime ?? DEFAULT_RUNTIME;
    this.outbox = new Outbox(socket, this.runtime.slabs);
    this.#parser = new RequestParser(this.runtime.tables, options.limits ?? DEFAULT_HEAD_LIMITS);
    this.#body = new BodyReader("client", this.runtime.tables);
    this.#closed = new Promise((resolve) => {
      this.#resolveClosed = resolve;
    });
    this.#armIdle();
  }

  get isClosed(): boolean {
    return this.#phase === CLOSED;
  }

  get mayGoOn(): boolean {
    return !this.#isClosing && (!this.#sawEnd || this.#backlog !== undefined);
  }

  close(graceMs: number): Promise<void> {
    if (this.#phase >= LINGERING || this.#isClosing) return this.#closed;
    this.#isClosing = true;
    const isIdle = this.#exchange === undefined && this.#parser.isIdle && !this.#backlog;
    if (isIdle && this.#phase === IN_HEAD) this.#endConnection();
    else this.#arm(graceMs, () => this.destroy());
    return this.#closed;
  }

  destroy(reason?: MeshError): void {
    if (this.#phase === CLOSED) return;
    this.#phase = LINGERING;
    this.#body.stop();
    this.#backlog = undefined;
    this.#reason ??= reason;
    this.#socket.destroy(reason);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close(0);
  }

  /** Hot. */
  onData(bytes: Uint8Array, start: number, end: number): void {
    if (this.#backlog !== undefined) {
      this.#keep(bytes, start, end);
      return;
    }
    const at = this.#consume(bytes, start, end);
    if (at < end) this.#keep(bytes, at, end);
  }

  onDrain(): void {
    this.outbox.drained();
    if (this.outbox.isBlocked) return;
    if (this.#phase === LINGERING) this.#armLinger();
    else this.#exchange?.drained();
  }

  onEnd(): void {
    this.#sawEnd = true;
    const exchange = this.#exchange;
    if (exchange === undefined) {
      // Between requests, or within a head that nobody can answer.
      if (this.#phase === IN_HEAD && this.#backlog === undefined) this.#endConnection();
    } else if (this.#phase === IN_BODY) {
      this.#drop(connectionError("http1_request_truncated", "client"));
    } else if (this.#phase === IN_TUNNEL) {
      this.#endRequest(exchange, undefined);
    } else if (this.#options.halfClose === false) {
      this.#drop(connectionError("http1_client_gone", "client"));
    }
  }

  onClose(error: MeshError | undefined): void {
    this.#phase = CLOSED;
    this.#timer?.disarm();
    this.#body.stop();
    this.#backlog = undefined;
    this.outbox.shut();
    const exchange = this.#exchange;
    this.#exchange = undefined;
    if (exchange !== undefined) {
      exchange.detach();
      const cause = error === undefined ? {} : { cause: error };
      exchange.sink.abort(this.#reason ?? connectionError("http1_client_gone", "client", cause));
    }
    this.#resolveClosed();
    this.#options.onClose?.(error ?? this.#reason);
  }

  turnEnd(): void {
    this.#isTurnEndAsked = false;
    if (this.#phase === CLOSED) return;
    if (this.#backlog !== undefined && this.#canConsume()) this.#consumeBacklog();
    this.outbox.flush();
  }

  /** `BodyOutput`: of the request body. Hot. */
  data(bytes: Uint8Array, start: number, end: number): void {
    this.#exchange?.sink.data(bytes, start, end);
  }

  /** `BodyOutput`: the request body is complete. */
  end(trailers: HeaderMap | undefined): void {
    const exchange = this.#exchange;
    if (exchange === undefined) return;
    this.#phase = AWAITING;
    this.#endRequest(exchange, trailers);
  }

  pauseRequest(): void {
    this.#isRequestPaused = true;
  }

  resumeRequest(): void {
    this.#isRequestPaused = false;
    this.#exchange?.sendContinue();
    this.#updateReading();
  }

  sendSoon(): void {
    if (this.outbox.isFull) this.outbox.flush();
    else this.#askTurnEnd();
  }

  answered(exchange: ServerExchange, isTunnel: boolean): void {
    if (this.#phase !== UNDECIDED) return;
    this.#phase = isTunnel ? IN_TUNNEL : AWAITING;
    this.#updateReading();
    // Within `call` there is no sink yet: `#begin` goes on from here.
    if (exchange.sink !== PENDING) this.#decided(exchange);
  }

  responded(exchange: ServerExchange): void {
    if (exchange.isTunnel) {
      this.outbox.end();
      if (exchange.isRequestDone) this.#finish(exchange);
      return;
    }
    if (!exchange.keepsAlive) this.outbox.end();
    else if (!this.#isConsuming) this.outbox.flush();
    if (exchange.isRequestDone) this.#finish(exchange);
    else if (exchange.sink !== PENDING) this.#respondedEarly(exchange);
  }

  fail(reason: MeshError, isService: boolean): void {
    this.outbox.flush();
    if (isService && this.#exchange !== undefined) this.#exchange.sink = DISCARD;
    this.#drop(reason);
  }

  /** Reads on, as far as the state allows. Hot. */
  #consume(bytes: Uint8Array, start: number, end: number): number {
    let at = start;
    this.#isConsuming = true;
    try {
      while (at < end && this.#canConsume()) {
        if (this.#phase === IN_HEAD) {
          at = this.#parser.read(bytes, at, end);
          if (this.#parser.isDone) this.#begin();
        } else if (this.#phase === IN_BODY) {
          // A client that sends its body without waiting needs no 100 any more.
          this.#exchange!.awaitsContinue = false;
          at = this.#body.read(bytes, at, end, this);
        } else if (this.#phase === IN_TUNNEL) {
          this.data(bytes, at, end);
          at = end;
        } else {
          this.#linger(end - at);
          at = end;
        }
      }
    } catch (error) {
      if (!isHttp1Error(error)) throw error;
      this.#refuse(error);
      at = end;
    } finally {
      this.#isConsuming = false;
    }
    // Responses to pipelined requests go out together.
    if (this.#exchange === undefined) this.outbox.flush();
    return at;
  }

  #canConsume(): boolean {
    switch (this.#phase) {
      case AWAITING:
      case UNDECIDED:
        return false;
      case IN_BODY:
      case IN_TUNNEL:
        return !this.#isRequestPaused;
      default:
        return true;
    }
  }

  /** A head is complete. Hot. */
  #begin(): void {
    const parser = this.#parser;
    const { target, headers, contentLength, isUpgrade } = parser;
    if (parser.hasHopByHop && !isUpgrade) stripHopByHop(headers);
    const head: RequestHead = {
      method: parser.method,
      scheme: target.scheme,
      authority: target.authority,
      path: target.path,
      version: parser.minor === 0 ? "1.0" : "1.1",
      headers,
      absoluteForm: target.form === "absolute",
      upgrade: isUpgrade,
      contentLength,
    };
    const exchange = new ServerExchange(this, head, parser.isKeepAlive, parser.expectsContinue);
    parser.reset();
    this.#timer?.disarm();
    this.#exchange = exchange;
    this.#isRequestPaused = false;
    this.#startBody(isUpgrade, contentLength);
    const sink = this.#service.call(head, exchange, exchange);
    if (exchange.sink === PENDING) exchange.sink = sink;
    if (exchange.isDetached) {
      exchange.sink.abort(this.#reason ?? connectionError("http1_client_gone", "client"));
      return;
    }
    if (isUpgrade) {
      if (exchange.isHeadSent) this.#decided(exchange);
    } else if (contentLength === 0) {
      this.#endRequest(exchange, undefined);
    } else if (exchange.isResponseDone) {
      this.#respondedEarly(exchange);
    } else if (!this.#isRequestPaused) {
      exchange.sendContinue();
    }
  }

  #startBody(isUpgrade: boolean, contentLength: number): void {
    if (isUpgrade) {
      this.#phase = UNDECIDED;
    } else if (contentLength === 0) {
      this.#phase = AWAITING;
    } else {
      this.#phase = IN_BODY;
      if (contentLength > 0) this.#body.startLength(contentLength);
      else this.#body.startChunked();
    }
  }

  /** An upgrade or CONNECT is answered, and its sink is known. */
  #decided(exchange: ServerExchange): void {
    if (exchange.isTunnel) {
      if (this.#sawEnd) this.#endRequest(exchange, undefined);
    } else if (!exchange.isRequestDone) {
      this.#endRequest(exchange, undefined);
    }
  }

  #endRequest(exchange: ServerExchange, trailers: HeaderMap | undefined): void {
    exchange.isRequestDone = true;
    exchange.sink.end(trailers);
    if (exchange.isResponseDone && !exchange.isDetached) this.#finish(exchange);
  }

  /** Request and response are complete. */
  #finish(exchange: ServerExchange): void {
    exchange.detach();
    this.#exchange = undefined;
    if (exchange.isTunnel || this.#phase >= LINGERING) return;
    if (!exchange.keepsAlive || !this.mayGoOn) {
      this.#endConnection();
      return;
    }
    this.#phase = IN_HEAD;
    this.#isRequestPaused = false;
    if (this.#backlog === undefined) this.#armIdle();
    this.#updateReading();
  }

  /** The answer is complete, the request is not: unless somebody wants its rest, it ends here. */
  #respondedEarly(exchange: ServerExchange): void {
    if (this.#phase !== IN_BODY) return;
    if (!exchange.awaitsContinue && exchange.sink !== DISCARD) return;
    exchange.detach();
    this.#exchange = undefined;
    exchange.sink.abort(connectionError("http1_request_unwanted", "server"));
    this.#endConnection();
  }

  /** Bytes that are no request: a bare status, and the end. */
  #refuse(error: MeshError): void {
    const exchange = this.#exchange;
    this.#options.onRefused?.(error);
    if (exchange?.isHeadSent === true) {
      this.fail(error, false);
      return;
    }
    this.#exchange = undefined;
    exchange?.detach();
    exchange?.sink.abort(error);
    const minor = exchange === undefined ? this.#parser.minor : exchange.minor;
    writeBareResponse(this.outbox, this.runtime, statusOfHttp1Error(error.code), minor);
    this.#endConnection();
  }

  /** Ends the exchange and the connection at once: what was answered is cut short. */
  #drop(reason: MeshError): void {
    const exchange = this.#exchange;
    this.#exchange = undefined;
    exchange?.detach();
    this.destroy(reason);
    exchange?.sink.abort(reason);
  }

  /** Sends what is left and ends our side. What the client still sends is read and thrown away. */
  #endConnection(): void {
    if (this.#phase >= LINGERING) return;
    this.#phase = LINGERING;
    this.#body.stop();
    this.#backlog = undefined;
    this.outbox.end();
    this.#updateReading();
    if (!this.outbox.isBlocked) this.#armLinger();
  }

  #armLinger(): void {
    this.#arm(LINGER_MS, () => this.destroy());
  }

  #linger(count: number): void {
    this.#lingeredBytes += count;
    if (this.#lingeredBytes > LINGER_BYTES) this.destroy();
  }

  #keep(bytes: Uint8Array, start: number, end: number): void {
    const kept = this.#backlog ?? new Uint8Array(0);
    const all = new Uint8Array(kept.length + end - start);
    all.set(kept);
    all.set(bytes.subarray(start, end), kept.length);
    this.#backlog = all;
    this.#updateReading();
  }

  #consumeBacklog(): void {
    const bytes = this.#backlog!;
    this.#backlog = undefined;
    const at = this.#consume(bytes, 0, bytes.length);
    if (at < bytes.length && this.#phase < LINGERING) this.#backlog = bytes.subarray(at);
    this.#updateReading();
  }

  /** Not reading means not noticing that the client has gone, so it is the exception. */
  #updateReading(): void {
    if (this.#backlog !== undefined && this.#canConsume()) this.#askTurnEnd();
    // A paused request stops the socket only once there is something that nobody takes.
    const isWanted = this.#backlog === undefined;
    if (isWanted !== this.#isSocketPaused) return;
    this.#isSocketPaused = !isWanted;
    if (isWanted) this.#socket.resume();
    else this.#socket.pause();
  }

  #askTurnEnd(): void {
    if (this.#isTurnEndAsked) return;
    this.#isTurnEndAsked = true;
    this.runtime.turn.atEnd(this);
  }

  #armIdle(): void {
    const { idleTimeoutMs } = this.#options;
    if (idleTimeoutMs === undefined || idleTimeoutMs === 0 || this.#isClosing) return;
    this.#arm(idleTimeoutMs, () => this.#endConnection());
  }

  #arm(delayMs: number, onFire: () => void): void {
    this.#onTimer = onFire;
    this.#timer ??= this.runtime.timers.timer(() => this.#onTimer());
    this.#timer.arm(delayMs);
  }
}
