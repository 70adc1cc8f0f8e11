import type { MeshError } from "@heddle/base/errors";
import type { HeaderMap } from "@heddle/wire/http/headers";
import { Body, HAS_CLOSE, HAS_DATE, HAS_LENGTH } from "@heddle/wire/http1/head-writer";
import {
  type BodySink,
  DISCARD,
  type Flow,
  NO_FLOW,
  type RequestHead,
  type ResponseHead,
  type ResponseSink,
} from "../http.ts";
import { connectionError } from "./errors.ts";
import type { Outbox } from "./outbox.ts";
import type { Http1Runtime } from "./runtime.ts";

/** What an exchange asks of its connection. */
export interface ExchangeOwner {
  readonly runtime: Http1Runtime;
  readonly outbox: Outbox;
  /** False if this response shall be the connection's last. */
  readonly mayGoOn: boolean;
  pauseRequest(): void;
  resumeRequest(): void;
  /** There is output: send it at the turn's end, or at once if there is much. */
  sendSoon(): void;
  /** The final head is written. `isTunnel`: bytes both ways from now on. */
  answered(exchange: ServerExchange, isTunnel: boolean): void;
  /** The response is complete. */
  responded(exchange: ServerExchange): void;
  /** The connection is of no use any more. `isService`: the service said so, and knows. */
  fail(reason: MeshError, isService: boolean): void;
}

/** Stands where the service's sink will be, until `call` returns. */
export const PENDING: BodySink = { data: () => {}, end: () => {}, abort: () => {} };

const CONTINUE = Buffer.from("HTTP/1.1 100 Continue\r\n\r\n");

/** How the response body is being written. */
const NO_BODY = 0;
const LENGTH = 1;
const CHUNKED = 2;
/** Until the connection ends, or as a tunnel. */
const RAW = 3;

/**
 * One request and its answer on a server connection. An object of its own, so that whoever calls
 * late cannot touch the connection's next exchange: after `detach` everything is ignored.
 */
export class ServerExchange implements ResponseSink, Flow {
  /** Where the request's body goes. */
  sink: BodySink = PENDING;
  isRequestDone = false;
  isResponseDone = false;
  isHeadSent = false;
  isTunnel = false;
  /** Whether the connection serves another request after this one. */
  keepsAlive: boolean;
  /** The client waits for a 100 before it sends the body. */
  awaitsContinue: boolean;
  readonly minor: 0 | 1;
  readonly #head: RequestHead;
  #owner: ExchangeOwner | undefined;
  #flow: Flow = NO_FLOW;
  #isFlowPaused = false;
  #mode = NO_BODY;
  #remaining = 0;

  constructor(
    owner: ExchangeOwner,
    head: RequestHead,
    keepsAlive: boolean,
    awaitsContinue: boolean,
  ) {
    this.#owner = owner;
    this.#head = head;
    this.minor = head.version === "1.0" ? 0 : 1;
    this.keepsAlive = keepsAlive;
    this.awaitsContinue = awaitsContinue;
  }

  get isDetached(): boolean {
    return this.#owner === undefined;
  }

  /** Nothing that comes later has an effect. */
  detach(): void {
    this.#owner = undefined;
  }

  pause(): void {
    if (!this.isRequestDone) this.#owner?.pauseRequest();
  }

  resume(): void {
    if (!this.isRequestDone) this.#owner?.resumeRequest();
  }

  /** Tells a waiting client to go on. As long as nobody wants the body, it is not asked for. */
  sendContinue(): void {
    const owner = this.#owner;
    if (!this.awaitsContinue || owner === undefined || this.isHeadSent) return;
    this.awaitsContinue = false;
    owner.outbox.buffer.append(CONTINUE, 0, CONTINUE.length);
    owner.sendSoon();
  }

  informational(head: ResponseHead): void {
    const owner = this.#owner;
    if (owner === undefined || this.isHeadSent || this.minor === 0) return;
    if (head.status === 100) {
      this.sendContinue();
      return;
    }
    if (head.status < 100 || head.status > 199 || head.status === 101) return;
    const { buffer } = owner.outbox;
    const { writer } = owner.runtime;
    writer.statusLine(buffer, head.status, 1);
    writer.fields(buffer, head.headers, Body.UNDECLARED, false);
    writer.endHead(buffer);
    owner.sendSoon();
  }

  head(head: ResponseHead, flow: Flow): void {
    const owner = this.#owner;
    if (owner === undefined || this.isHeadSent) return;
    const isTunnel = this.#isTunnel(head.status);
    if (head.status < 200 && !isTunnel) {
      this.abort(connectionError("http1_bad_response", "server"));
      return;
    }
    const start = owner.outbox.buffer.end;
    try {
      this.#writeHead(owner, head, isTunnel);
    } catch (error) {
      // Nothing of it has gone out, since output waits for at least the head's end.
      owner.outbox.buffer.end = start;
      this.abort(error as MeshError);
      return;
    }
    this.isHeadSent = true;
    this.isTunnel = isTunnel;
    this.#flow = flow;
    owner.sendSoon();
    owner.answered(this, isTunnel);
    if (owner.outbox.isBlocked) this.#pauseFlow();
  }

  /** Hot. */
  data(bytes: Uint8Array, start: number, end: number): void {
    const owner = this.#owner;
    if (owner === undefined || start === end || this.isResponseDone) return;
    const { outbox } = owner;
    switch (this.#mode) {
      case LENGTH:
        this.#remaining -= end - start;
        if (this.#remaining < 0) {
          owner.fail(connectionError("http1_body_mismatch", "server"), false);
          return;
        }
        outbox.buffer.append(bytes, start, end);
        break;
      case CHUNKED:
        owner.runtime.writer.chunk(outbox.buffer, bytes, start, end);
        break;
      case RAW:
        outbox.buffer.append(bytes, start, end);
        break;
      default:
        // Of an answer to HEAD, or of a 204 or 304: it has no body, whatever the service says.
        return;
    }
    owner.sendSoon();
    if (outbox.isBlocked) this.#pauseFlow();
  }

  end(trailers: HeaderMap | undefined): void {
    const owner = this.#owner;
    if (owner === undefined || this.isResponseDone) return;
    if (!this.isHeadSent || (this.#mode === LENGTH && this.#remaining > 0)) {
      owner.fail(connectionError("http1_body_mismatch", "server"), false);
      return;
    }
    if (this.#mode === CHUNKED && !this.#writeLastChunk(owner, trailers)) return;
    this.isResponseDone = true;
    owner.responded(this);
  }

  /** Before the head this is answered with a bare status: some layer forgot to. */
  abort(reason: MeshError): void {
    const owner = this.#owner;
    if (owner === undefined || this.isResponseDone) return;
    if (this.isHeadSent) {
      owner.fail(reason, true);
      return;
    }
    this.writeBare(reason.side === "server" ? 502 : 500);
    this.sink = DISCARD;
    this.isResponseDone = true;
    owner.answered(this, false);
    owner.responded(this);
  }

  /** An answer with no body, after which the connection ends. */
  writeBare(status: number): void {
    const owner = this.#owner;
    if (owner === undefined) return;
    this.isHeadSent = true;
    this.keepsAlive = false;
    writeBareResponse(owner.outbox, owner.runtime, status, this.minor);
  }

  /** The socket takes bytes again. */
  drained(): void {
    if (!this.#isFlowPaused) return;
    this.#isFlowPaused = false;
    this.#flow.resume();
  }

  #pauseFlow(): void {
    if (this.#isFlowPaused) return;
    this.#isFlowPaused = true;
    this.#flow.pause();
  }

  #isTunnel(status: number): boolean {
    if (!this.#head.upgrade) return false;
    return this.#head.method === "CONNECT" ? status >= 200 && status < 300 : status === 101;
  }

  #writeHead(owner: ExchangeOwner, head: ResponseHead, isTunnel: boolean): void {
    const { writer } = owner.runtime;
    const { buffer } = owner.outbox;
    // A response of HTTP/1.0 stays one, and a client of HTTP/1.0 gets nothing newer.
    const minor = head.version === "1.0" ? 0 : this.minor;
    const body = this.#bodyOf(head, minor, isTunnel);
    const isUpgrade = isTunnel && head.status === 101;
    writer.statusLine(buffer, head.status, minor);
    const met = writer.fields(buffer, head.headers, body, isUpgrade);
    if (body >= 0 && (met & HAS_LENGTH) === 0) writer.contentLength(buffer, body);
    if (body === Body.CHUNKED) writer.chunkedCoding(buffer);
    if ((met & HAS_DATE) === 0) {
      const date = owner.runtime.dateLine();
      buffer.append(date, 0, date.length);
    }
    if (!isTunnel) {
      if ((met & HAS_CLOSE) !== 0 || this.awaitsContinue || !owner.mayGoOn) this.keepsAlive = false;
      if (!this.keepsAlive && this.minor === 1) writer.field(buffer, "connection", "close");
      if (this.keepsAlive && minor === 0) writer.field(buffer, "connection", "keep-alive");
    }
    writer.endHead(buffer);
  }

  /** Decides how the body is framed, and what `fields` does with a declared length. */
  #bodyOf(head: ResponseHead, minor: 0 | 1, isTunnel: boolean): number {
    const { status } = head;
    this.#mode = isTunnel ? RAW : NO_BODY;
    if (isTunnel || status === 204) return Body.UNDECLARED;
    if (this.#head.method === "HEAD" || status === 304) return Body.AS_DECLARED;
    if (head.contentLength >= 0) {
      this.#mode = LENGTH;
      this.#remaining = head.contentLength;
      return head.contentLength;
    }
    if (minor === 1) {
      this.#mode = CHUNKED;
      return Body.CHUNKED;
    }
    this.#mode = RAW;
    this.keepsAlive = false;
    return Body.UNDECLARED;
  }

  #writeLastChunk(owner: ExchangeOwner, trailers: HeaderMap | undefined): boolean {
    const { buffer } = owner.outbox;
    const start = buffer.end;
    try {
      owner.runtime.writer.lastChunk(buffer, trailers);
      return true;
    } catch (error) {
      // Trailers that cannot be written: the client must not take the body for complete.
      buffer.end = start;
      owner.fail(error as MeshError, false);
      return false;
    }
  }
}

/** A status, no body, and the end of the connection. */
export function writeBareResponse(
  outbox: Outbox,
  runtime: Http1Runtime,
  status: number,
  minor: 0 | 1,
): void {
  const { writer } = runtime;
  const { buffer } = outbox;
  writer.statusLine(buffer, status, minor);
  writer.contentLength(buffer, 0);
  const date = runtime.dateLine();
  buffer.append(date, 0, date.length);
  writer.field(buffer, "connection", "close");
  writer.endHead(buffer);
}
