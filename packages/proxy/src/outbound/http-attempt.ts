import type { Clock } from "@heddle/base/clock";
import { MeshError } from "@heddle/base/errors";
import {
  type BodySink,
  DISCARD,
  type Flow,
  type RequestHead,
  type ResponseHead,
  type ResponseSink,
} from "@heddle/net/http";
import type { HeaderMap } from "@heddle/wire/http/headers";
import { type Distribution, FirstAvailable, RandomAvailable } from "../balance/distribution.ts";
import { grpcStatus } from "../http/classify.ts";
import type { AttemptService as Attempts } from "../http/retry.ts";
import { recordOf } from "../record.ts";
import type { HttpBackend } from "./http-backend.ts";
import { applyFilters, ModifiedResponse, responseModifiers } from "./http-filters.ts";
import type { RouteOptions } from "./http-route.ts";
import { type BackendMetrics, type RouteMetrics, routeErrorLabel } from "./metrics.ts";
import type { Filter, RouteBackend } from "./policy.ts";

/** One attempt at a request of a route: filters, the choice of a backend, and its filters. */
export class AttemptService implements Attempts {
  readonly #options: RouteOptions;
  readonly #distribution: Distribution<BoundBackend>;
  readonly #modifiers: ReturnType<typeof responseModifiers>;

  constructor(options: RouteOptions, metrics: RouteMetrics) {
    this.#options = options;
    this.#distribution = newDistribution(options, metrics);
    this.#modifiers = responseModifiers(options.policy.filters);
  }

  get isReady(): boolean {
    return this.#distribution.backends.some((backend) => backend.isReady);
  }

  /** Hot. */
  call(head: RequestHead, flow: Flow, response: ResponseSink): BodySink {
    const { policy, runtime } = this.#options;
    const { prefixLength } = recordOf(head);
    const sink =
      this.#modifiers === undefined ? response : new ModifiedResponse(response, this.#modifiers);
    const error =
      policy.filters.length === 0
        ? undefined
        : applyFilters(policy.filters, head, prefixLength, runtime.random);
    if (error !== undefined) {
      response.abort(error);
      return DISCARD;
    }
    const backend = this.#distribution.pick();
    if (backend === undefined) {
      response.abort(new MeshError("load_shed", "server", "service unavailable"));
      return DISCARD;
    }
    return backend.call(head, prefixLength, flow, sink);
  }
}

/** A backend as one rule uses it. */
class BoundBackend {
  readonly #of: RouteBackend<Filter>;
  readonly #backend: HttpBackend;
  readonly #metrics: BackendMetrics;
  readonly #options: RouteOptions;
  readonly #modifiers: ReturnType<typeof responseModifiers>;

  constructor(of: RouteBackend<Filter>, options: RouteOptions, metrics: RouteMetrics) {
    this.#of = of;
    this.#options = options;
    this.#backend = options.backendOf(of.backend);
    this.#metrics = metrics.backend(of.backend.meta);
    this.#modifiers = responseModifiers(of.filters);
  }

  get isReady(): boolean {
    return this.#backend.isReady;
  }

  /** Hot. */
  call(
    head: RequestHead,
    prefixLength: number | undefined,
    flow: Flow,
    response: ResponseSink,
  ): BodySink {
    const { filters, backend } = this.#of;
    const { random, clock } = this.#options.runtime;
    recordOf(head).backend = backend.meta;
    if (filters.length > 0) {
      const error = applyFilters(filters, head, prefixLength, random);
      if (error !== undefined) {
        response.abort(error);
        return DISCARD;
      }
    }
    const sink =
      this.#modifiers === undefined ? response : new ModifiedResponse(response, this.#modifiers);
    this.#metrics.requests.inc();
    const exchange = new BackendExchange(this.#metrics, clock, sink);
    if (head.contentLength === 0) exchange.flushed();
    const request = new BackendRequest(exchange);
    request.inner = this.#backend.call(head, flow, exchange);
    return request;
  }
}

function newDistribution(options: RouteOptions, metrics: RouteMetrics): Distribution<BoundBackend> {
  const { distribution } = options.policy;
  if (distribution.kind === "empty") return new FirstAvailable([]);
  const backends = distribution.backends.map((of) => new BoundBackend(of, options, metrics));
  if (distribution.kind === "first_available") return new FirstAvailable(backends);
  return new RandomAvailable(backends, distribution.weights, options.runtime.random);
}

/** Measures one attempt at a backend. */
class BackendExchange implements ResponseSink {
  readonly #metrics: BackendMetrics;
  readonly #clock: Clock;
  readonly #response: ResponseSink;
  #flushedMs = 0;
  #status = 0;
  #grpcStatus = -1;
  #isDone = false;

  constructor(metrics: BackendMetrics, clock: Clock, response: ResponseSink) {
    this.#metrics = metrics;
    this.#clock = clock;
    this.#response = response;
  }

  /** The request is through. */
  flushed(): void {
    if (this.#flushedMs === 0) this.#flushedMs = this.#clock.nowMs();
  }

  informational(head: ResponseHead): void {
    this.#response.informational?.(head);
  }

  head(head: ResponseHead, flow: Flow): void {
    this.#status = head.status;
    this.#grpcStatus = grpcStatus(head.headers);
    this.#response.head(head, flow);
  }

  data(bytes: Uint8Array, start: number, end: number): void {
    this.#metrics.responseFrames.observe(end - start);
    this.#response.data(bytes, start, end);
  }

  end(trailers: HeaderMap | undefined): void {
    if (trailers !== undefined) this.#grpcStatus = grpcStatus(trailers);
    this.#finish("");
    this.#response.end(trailers);
  }

  abort(reason: MeshError): void {
    this.#finish(routeErrorLabel(reason));
    this.#response.abort(reason);
  }

  cancelled(): void {
    this.#finish("UNKNOWN");
  }

  #finish(error: string): void {
    if (this.#isDone) return;
    this.#isDone = true;
    const nowMs = this.#clock.nowMs();
    const sinceMs = this.#flushedMs === 0 ? 0 : nowMs - this.#flushedMs;
    this.#metrics.ended(this.#status, this.#grpcStatus, error);
    this.#metrics.duration.observe(sinceMs / 1_000);
  }
}

class BackendRequest implements BodySink {
  readonly #exchange: BackendExchange;
  inner: BodySink = DISCARD;

  constructor(exchange: BackendExchange) {
    this.#exchange = exchange;
  }

  data(bytes: Uint8Array, start: number, end: number): void {
    this.inner.data(bytes, start, end);
  }

  end(trailers: HeaderMap | undefined): void {
    this.#exchange.flushed();
    this.inner.end(trailers);
  }

  abort(reason: MeshError): void {
    this.#exchange.cancelled();
    this.inner.abort(reason);
  }
}
