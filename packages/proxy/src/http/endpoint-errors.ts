import type { MeshError } from "@heddle/base/errors";
import type { Log } from "@heddle/base/log";
import type {
  BodySink,
  Flow,
  HttpService,
  RequestHead,
  ResponseHead,
  ResponseSink,
} from "@heddle/net/http";
import { h2ReasonOf } from "@heddle/net/http2/errors";
import type { HeaderMap } from "@heddle/wire/http/headers";
import { type RequestRecord, recordOf } from "../record.ts";
import { isEndpointError, respondToError } from "./errors.ts";

export interface EndpointErrorOptions {
  readonly log: Log;
  /** Whether the client may read why: `l5d-proxy-error`. */
  readonly tellsWhy: (record: RequestRecord) => boolean;
  /**
   * Whether `l5d-proxy-connection: close` of the endpoint's proxy closes the client's connection:
   * the endpoint was reached as it is, over mTLS, without a choice of another.
   */
  readonly isClosable: boolean;
  /** Whether answers come from another proxy, whose headers to proxies end here. */
  readonly isRemote: boolean;
}

/**
 * Close to the endpoint: failures to reach it become answers, so that its metrics, its breaker and
 * retries see them; what its proxy says to ours is heard and taken away.
 */
export class EndpointErrors implements HttpService {
  readonly #inner: HttpService;
  readonly options: EndpointErrorOptions;

  constructor(inner: HttpService, options: EndpointErrorOptions) {
    this.#inner = inner;
    this.options = options;
  }

  /** Hot. */
  call(head: RequestHead, flow: Flow, response: ResponseSink): BodySink {
    return this.#inner.call(head, flow, new EndpointAnswer(this.options, head, response));
  }
}

class EndpointAnswer implements ResponseSink {
  readonly #options: EndpointErrorOptions;
  readonly #request: RequestHead;
  readonly #record: RequestRecord;
  readonly #version: RequestHead["version"];
  readonly #response: ResponseSink;
  #hasHead = false;

  constructor(options: EndpointErrorOptions, request: RequestHead, response: ResponseSink) {
    this.#options = options;
    this.#request = request;
    this.#record = recordOf(request);
    // An upgrade to HTTP/2 below changes the head; answers have the version asked for.
    this.#version = request.version;
    this.#response = response;
  }

  informational(head: ResponseHead): void {
    this.#response.informational?.(head);
  }

  head(head: ResponseHead, flow: Flow): void {
    this.#hasHead = true;
    if (this.#options.isRemote) this.#hearProxy(head.headers);
    this.#response.head(head, flow);
  }

  data(bytes: Uint8Array, start: number, end: number): void {
    this.#response.data(bytes, start, end);
  }

  end(trailers: HeaderMap | undefined): void {
    this.#response.end(trailers);
  }

  abort(reason: MeshError): void {
    const isReset = h2ReasonOf(reason) !== undefined && reason.code === "h2_reset";
    if (this.#hasHead || isReset || !isEndpointError(reason)) {
      this.#response.abort(reason);
      return;
    }
    const { log, tellsWhy } = this.#options;
    if (log.debug) log.debug("endpoint failed", { code: reason.code, error: reason });
    const record = this.#record;
    this.#request.version = this.#version;
    respondToError(reason, this.#request, record, this.#response, tellsWhy(record));
  }

  #hearProxy(headers: HeaderMap): void {
    const { log, isClosable } = this.#options;
    const error = headers.get("l5d-proxy-error");
    if (error !== undefined) {
      headers.delete("l5d-proxy-error");
      this.#record.reason = error;
      if (log.debug) log.debug("Remote proxy error", { error });
    }
    const connection = headers.get("l5d-proxy-connection");
    if (connection !== undefined) {
      headers.delete("l5d-proxy-connection");
      if (isClosable && connection === "close") this.#record.closesConnection = true;
    }
  }
}
