import type { BodySink, Flow, HttpService, RequestHead, ResponseSink } from "@heddle/net/http";

const CLIENT_ID = "l5d-client-id";

/** Tells the application who calls, as TLS proved it; nobody else's word for it passes. */
export class ClientIdHeader implements HttpService {
  readonly #inner: HttpService;
  readonly #tlsId: string | undefined;

  constructor(inner: HttpService, tlsId: string | undefined) {
    this.#inner = inner;
    this.#tlsId = tlsId;
  }

  /** Hot. */
  call(head: RequestHead, flow: Flow, response: ResponseSink): BodySink {
    if (this.#tlsId === undefined) head.headers.delete(CLIENT_ID);
    else head.headers.set(CLIENT_ID, this.#tlsId);
    return this.#inner.call(head, flow, response);
  }
}
