import { copyRange } from "@heddle/base/bytes";
import { MeshError } from "@heddle/base/errors";
import {
  type BodySink,
  DISCARD,
  type Flow,
  type HttpService,
  type RequestHead,
  type ResponseSink,
} from "@heddle/net/http";
import type { HeaderMap } from "@heddle/wire/http/headers";
import type { Balancer } from "../balance/balancer.ts";
import { Waiter } from "../balance/queue.ts";
import type { Watch } from "../discovery/discovery.ts";
import type { EndpointInfo } from "../discovery/endpoint.ts";
import type { HttpEndpoint } from "./http-endpoint.ts";

/** Where requests of a route go: one backend, shared by all routes that name it. */
export interface HttpBackend extends HttpService {
  /** Whether it takes a request now, be it into its queue. */
  readonly isReady: boolean;
  /** What is known of its endpoints cannot be brought up to date now. */
  readonly isStale: boolean;
  close(): void;
}

/** A backend whose endpoints stand in a balancer: discovered, or one that is given. */
export class BalancedBackend implements HttpBackend {
  readonly #balancer: Balancer<EndpointInfo, HttpEndpoint>;
  readonly #watch: Watch | undefined;

  constructor(balancer: Balancer<EndpointInfo, HttpEndpoint>, watch: Watch | undefined) {
    this.#balancer = balancer;
    this.#watch = watch;
  }

  get isReady(): boolean {
    return this.#balancer.isReady;
  }

  get isStale(): boolean {
    return this.#watch?.isStale === true;
  }

  /** Hot: allocates only if the request has to wait. */
  call(head: RequestHead, flow: Flow, response: ResponseSink): BodySink {
    const endpoint = this.#balancer.pick();
    if (endpoint !== undefined) return endpoint.call(head, flow, response);
    const request = new QueuedRequest(head, flow, response);
    flow.pause();
    this.#balancer.submit(request);
    return request;
  }

  close(): void {
    this.#watch?.close();
    this.#balancer.close();
  }
}

/** A backend of which the controller does not say where it is. */
export class FailingBackend implements HttpBackend {
  readonly isReady = true;
  readonly isStale = false;
  readonly #message: string;

  constructor(message: string) {
    this.#message = message;
  }

  call(_head: RequestHead, _flow: Flow, response: ResponseSink): BodySink {
    response.abort(new MeshError("no_dispatcher", "control", this.#message));
    return DISCARD;
  }

  close(): void {}
}

const WAITING = 0;
const SENT = 1;
const OVER = 2;

/** A request that waits for an endpoint, with what of its body came before the sender paused. */
class QueuedRequest extends Waiter<HttpEndpoint> implements BodySink {
  readonly #head: RequestHead;
  readonly #flow: Flow;
  readonly #response: ResponseSink;
  #state: typeof WAITING | typeof SENT | typeof OVER = WAITING;
  #chunks: Uint8Array[] | undefined;
  #isEnded = false;
  #trailers: HeaderMap | undefined;
  #inner: BodySink = DISCARD;

  constructor(head: RequestHead, flow: Flow, response: ResponseSink) {
    super();
    this.#head = head;
    this.#flow = flow;
    this.#response = response;
  }

  override dispatch(endpoint: HttpEndpoint): void {
    this.#state = SENT;
    const inner = endpoint.call(this.#head, this.#flow, this.#response);
    this.#inner = inner;
    for (const chunk of this.#chunks ?? []) inner.data(chunk, 0, chunk.length);
    this.#chunks = undefined;
    if (this.#isEnded) inner.end(this.#trailers);
    else this.#flow.resume();
  }

  override fail(error: MeshError): void {
    this.#state = OVER;
    this.#chunks = undefined;
    this.#flow.resume();
    this.#response.abort(error);
  }

  data(bytes: Uint8Array, start: number, end: number): void {
    if (this.#state === SENT) this.#inner.data(bytes, start, end);
    else if (this.#state === WAITING) {
      this.#chunks ??= [];
      this.#chunks.push(copyRange(bytes, start, end));
    }
  }

  end(trailers: HeaderMap | undefined): void {
    if (this.#state === SENT) this.#inner.end(trailers);
    else {
      this.#isEnded = true;
      this.#trailers = trailers;
    }
  }

  abort(reason: MeshError): void {
    if (this.#state === SENT) this.#inner.abort(reason);
    else {
      this.#state = OVER;
      this.cancel();
    }
  }
}
