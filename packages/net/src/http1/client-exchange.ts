import type { MeshError } from "@heddle/base/errors";
import type { HeaderMap } from "@heddle/wire/http/headers";
import { Body, HAS_HOST, HAS_LENGTH } from "@heddle/wire/http1/head-writer";
import type { BodySink, Flow, RequestHead, ResponseSink } from "../http.ts";
import { connectionError } from "./errors.ts";
import type { Outbox } from "./outbox.ts";
import type { Http1Runtime } from "./runtime.ts";

/** What an exchange asks of its connection. */
export interface ClientOwner {
  readonly runtime: Http1Runtime;
  readonly outbox: Outbox;
  sendSoon(): void;
  pauseResponse(): void;
  resumeResponse(): void;
  /** The request is complete. */
  requested(exchange: ClientExchange): void;
  /** The caller is not interested any more. */
  cancel(exchange: ClientExchange): void;
  /** The caller broke the rules: the connection cannot go on. */
  fail(reason: MeshError): void;
}

const NO_BODY = 0;
const LENGTH = 1;
const CHUNKED = 2;
const RAW = 3;

/**
 * One request and its answer on a client connection: the sink of the request's body, and the flow
 * of the response's. After `detach` everything is ignored, so that a caller who is late cannot
 * touch the connection's next exchange.
 */
export class ClientExchange implements BodySink, Flow {
  readonly head: RequestHead;
  readonly response: ResponseSink;
  /** Of the request body: what is paused while the socket takes nothing. */
  readonly flow: Flow;
  isRequestDone = false;
  isResponseDone = false;
  isTunnel = false;
  #owner: ClientOwner | undefined;
  /** The same request, sent again on another connection. */
  #next: BodySink | undefined;
  #isFlowPaused = false;
  #mode = NO_BODY;
  #remaining = 0;

  constructor(owner: ClientOwner, head: RequestHead, flow: Flow, response: ResponseSink) {
    this.#owner = owner;
    this.head = head;
    this.flow = flow;
    this.response = response;
  }

  get isDetached(): boolean {
    return this.#owner === undefined;
  }

  /** Nothing that comes later has an effect. A request body that still comes is thrown away. */
  detach(): void {
    this.#owner = undefined;
    this.drained();
  }

  /** Goes on as `next`, for whoever holds this as the request's sink. */
  moveTo(next: BodySink): void {
    this.#next = next;
  }

  pause(): void {
    if (!this.isResponseDone) this.#owner?.pauseResponse();
  }

  resume(): void {
    if (!this.isResponseDone) this.#owner?.resumeResponse();
  }

  /**
   * Writes the request's head. Hot.
   *
   * @throws MeshError `http1_unwritable`; the outbox is as before then.
   */
  writeHead(): void {
    const owner = this.#owner!;
    const { buffer } = owner.outbox;
    const start = buffer.end;
    try {
      this.#writeHead(owner);
    } catch (error) {
      buffer.end = start;
      throw error;
    }
  }

  /** Hot. */
  data(bytes: Uint8Array, start: number, end: number): void {
    const owner = this.#owner;
    if (owner === undefined) {
      this.#next?.data(bytes, start, end);
      return;
    }
    if (start === end || this.isRequestDone) return;
    const { outbox } = owner;
    if (this.#mode === CHUNKED) {
      owner.runtime.writer.chunk(outbox.buffer, bytes, start, end);
    } else if (this.#mode === RAW && this.isTunnel) {
      outbox.buffer.append(bytes, start, end);
    } else {
      this.#remaining -= end - start;
      if (this.#remaining < 0) {
        owner.fail(connectionError("http1_body_mismatch", "client"));
        return;
      }
      outbox.buffer.append(bytes, start, end);
    }
    owner.sendSoon();
    if (outbox.isBlocked) this.#pauseFlow();
  }

  end(trailers: HeaderMap | undefined): void {
    const owner = this.#owner;
    if (owner === undefined) {
      this.#next?.end(trailers);
      return;
    }
    if (this.isRequestDone) return;
    if (this.#mode === LENGTH && this.#remaining > 0) {
      owner.fail(connectionError("http1_body_mismatch", "client"));
      return;
    }
    if (this.#mode === CHUNKED && !this.#writeLastChunk(owner, trailers)) return;
    this.isRequestDone = true;
    owner.requested(this);
  }

  abort(reason: MeshError): void {
    if (this.#owner === undefined) this.#next?.abort(reason);
    else this.#owner.cancel(this);
  }

  /** The socket takes bytes again. */
  drained(): void {
    if (!this.#isFlowPaused) return;
    this.#isFlowPaused = false;
    this.flow.resume();
  }

  #pauseFlow(): void {
    if (this.#isFlowPaused) return;
    this.#isFlowPaused = true;
    this.flow.pause();
  }

  #writeHead(owner: ClientOwner): void {
    const { head } = this;
    const { writer } = owner.runtime;
    const { buffer } = owner.outbox;
    const isConnect = head.method === "CONNECT";
    const body = this.#bodyOf(head);
    // A body of unknown length has no form in HTTP/1.0.
    const minor = head.version === "1.0" && body !== Body.CHUNKED ? 0 : 1;
    const isAbsolute = head.absoluteForm && !isConnect && head.authority !== "";
    const prefix = isAbsolute ? `${head.scheme || "http"}://${head.authority}` : "";
    writer.requestLine(buffer, head.method, prefix, isConnect ? head.authority : head.path, minor);
    const met = writer.fields(buffer, head.headers, body, head.upgrade && !isConnect);
    if ((met & HAS_HOST) === 0 && head.authority !== "" && minor === 1 && !isConnect) {
      writer.field(buffer, "host", head.authority);
    }
    // A request without a body says nothing about its length, unless its sender did.
    if (body > 0 && (met & HAS_LENGTH) === 0) writer.contentLength(buffer, body);
    if (body === Body.CHUNKED) writer.chunkedCoding(buffer);
    writer.endHead(buffer);
  }

  #bodyOf(head: RequestHead): number {
    if (head.upgrade) {
      this.#mode = RAW;
      return Body.UNDECLARED;
    }
    if (head.contentLength < 0) {
      this.#mode = CHUNKED;
      return Body.CHUNKED;
    }
    this.#mode = LENGTH;
    this.#remaining = head.contentLength;
    return head.contentLength;
  }

  #writeLastChunk(owner: ClientOwner, trailers: HeaderMap | undefined): boolean {
    const { buffer } = owner.outbox;
    const start = buffer.end;
    try {
      owner.runtime.writer.lastChunk(buffer, trailers);
      return true;
    } catch (error) {
      buffer.end = start;
      owner.fail(error as MeshError);
      return false;
    }
  }
}
