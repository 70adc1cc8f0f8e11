import type { MeshError } from "@heddle/base/errors";
import { MeshError as Failure } from "@heddle/base/errors";
import type {
  BodySink,
  Flow,
  HttpService,
  HttpVersion,
  RequestHead,
  ResponseHead,
  ResponseSink,
} from "@heddle/net/http";
import type { HeaderMap } from "@heddle/wire/http/headers";
import { recordOf } from "../record.ts";

/** Says what an HTTP/1 message was before it went over HTTP/2 between proxies. */
export const ORIG_PROTO = "l5d-orig-proto";

/** Sends HTTP/1 requests over HTTP/2, and gives their answers back as HTTP/1. */
export class OrigProtoUpgrade implements HttpService {
  readonly #http2: HttpService;

  constructor(http2: HttpService) {
    this.#http2 = http2;
  }

  /** Hot for HTTP/1; HTTP/2 passes. */
  call(head: RequestHead, flow: Flow, response: ResponseSink): BodySink {
    const { version } = head;
    if (version === "2") return this.#http2.call(head, flow, response);
    const form = head.absoluteForm ? "; absolute-form" : "";
    head.headers.set(ORIG_PROTO, `HTTP/${version}${form}`);
    head.headers.delete("transfer-encoding");
    head.version = "2";
    head.scheme = "http";
    return this.#http2.call(head, flow, new UpgradedResponse(response, version));
  }
}

class UpgradedResponse implements ResponseSink {
  readonly #response: ResponseSink;
  readonly #version: HttpVersion;

  constructor(response: ResponseSink, version: HttpVersion) {
    this.#response = response;
    this.#version = version;
  }

  informational(head: ResponseHead): void {
    head.version = this.#version;
    this.#response.informational?.(head);
  }

  head(head: ResponseHead, flow: Flow): void {
    const original = head.headers.get(ORIG_PROTO);
    if (original !== undefined) head.headers.delete(ORIG_PROTO);
    head.version =
      original === "HTTP/1.1" ? "1.1" : original === "HTTP/1.0" ? "1.0" : this.#version;
    this.#response.head(head, flow);
  }

  data(bytes: Uint8Array, start: number, end: number): void {
    this.#response.data(bytes, start, end);
  }

  end(trailers: HeaderMap | undefined): void {
    this.#response.end(trailers);
  }

  /** HTTP/2's own codes mean nothing to an HTTP/1 client. */
  abort(reason: MeshError): void {
    const wrapped = reason.code.startsWith("h2_")
      ? new Failure(
          "orig_proto_reset",
          reason.side,
          "upgraded connection failed with HTTP/2 reset",
          {
            cause: reason,
            retryable: reason.retryable,
          },
        )
      : reason;
    this.#response.abort(wrapped);
  }
}

/** Gives requests that came over HTTP/2 back their HTTP/1 form, and their answers the way back. */
export class OrigProtoDowngrade implements HttpService {
  readonly #inner: HttpService;

  constructor(inner: HttpService) {
    this.#inner = inner;
  }

  /** Hot. */
  call(head: RequestHead, flow: Flow, response: ResponseSink): BodySink {
    if (head.version !== "2") return this.#inner.call(head, flow, response);
    const original = head.headers.get(ORIG_PROTO);
    if (original === undefined) return this.#inner.call(head, flow, response);
    head.headers.delete(ORIG_PROTO);
    if (original.startsWith("HTTP/1.1")) head.version = "1.1";
    else if (original.startsWith("HTTP/1.0")) head.version = "1.0";
    else return this.#inner.call(head, flow, response);
    head.absoluteForm = original.startsWith("absolute-form", 10);
    recordOf(head).isOrigProto = true;
    return this.#inner.call(head, flow, new DowngradedResponse(response));
  }
}

class DowngradedResponse implements ResponseSink {
  readonly #response: ResponseSink;

  constructor(response: ResponseSink) {
    this.#response = response;
  }

  informational(head: ResponseHead): void {
    head.version = "2";
    this.#response.informational?.(head);
  }

  head(head: ResponseHead, flow: Flow): void {
    if (head.version !== "2") {
      head.headers.set(ORIG_PROTO, `HTTP/${head.version}`);
      head.headers.delete("transfer-encoding");
      head.version = "2";
    }
    this.#response.head(head, flow);
  }

  data(bytes: Uint8Array, start: number, end: number): void {
    this.#response.data(bytes, start, end);
  }

  end(trailers: HeaderMap | undefined): void {
    this.#response.end(trailers);
  }

  abort(reason: MeshError): void {
    this.#response.abort(reason);
  }
}
