import type { MeshError } from "@heddle/base/errors";
import { MeshError as Failure } from "@heddle/base/errors";
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
import type { PoolEndpoint } from "../balance/balancer.ts";
import { type AccrualConfig, type Breaker, NO_BREAKER, newBreaker } from "../balance/breaker.ts";
import { Gate } from "../balance/gate.ts";
import { type LoadConfig, type LoadEstimator, newLoadEstimator } from "../balance/load.ts";
import { penaltyOf, retryAfterMs } from "../balance/retry-after.ts";
import type { EndpointFacts } from "../discovery/endpoint.ts";
import { grpcStatusOf, isSuccess, PENDING, type ResponseClass } from "../http/classify.ts";
import { errorLabel, type HttpMetrics } from "../http/metrics.ts";
import { type RequestRecord, recordOf } from "../record.ts";
import type { Runtime } from "../runtime.ts";
import type { EndpointClient } from "./http-client.ts";

export interface HttpEndpointOptions {
  readonly key: string;
  readonly facts: EndpointFacts;
  readonly load: LoadConfig;
  readonly accrual: AccrualConfig | undefined;
  readonly metrics: HttpMetrics;
  readonly runtime: Runtime;
  /** @param changed - To be called when the client's `isReady` may have changed. */
  readonly newClient: (changed: () => void) => EndpointClient;
  /** What stands between the measuring of requests and their client. */
  readonly newStack: (client: EndpointClient) => HttpService;
  readonly changed: (endpoint: HttpEndpoint) => void;
}

/** One endpoint of an HTTP backend: its client, its load, its breaker and its metrics. */
export class HttpEndpoint implements PoolEndpoint, HttpService {
  readonly key: string;
  readonly load: LoadEstimator;
  readonly runtime: Runtime;
  readonly metrics: HttpMetrics;
  readonly breaker: Breaker;
  readonly #gate: Gate;
  readonly #client: EndpointClient;
  readonly #stack: HttpService;
  readonly #override: string | undefined;
  /** What `l5d-require-id` is compared with. */
  readonly #tlsId: string | undefined;

  constructor(options: HttpEndpointOptions) {
    const { runtime, accrual } = options;
    const changed = (): void => options.changed(this);
    this.key = options.key;
    this.runtime = runtime;
    this.metrics = options.metrics;
    this.#override = options.facts.authority;
    this.#tlsId = options.facts.tls?.id;
    this.load = newLoadEstimator(options.load, runtime.clock.nowMs());
    this.#gate = new Gate(changed);
    this.breaker =
      accrual === undefined
        ? NO_BREAKER
        : newBreaker(accrual, {
            gate: this.#gate,
            timers: runtime.timers,
            nowMs: () => runtime.clock.nowMs(),
            random: runtime.random,
          });
    this.#client = options.newClient(changed);
    this.#stack = options.newStack(this.#client);
  }

  get isReady(): boolean {
    return this.#gate.isOpen && this.#client.isReady;
  }

  /** Hot: two objects. */
  call(head: RequestHead, flow: Flow, response: ResponseSink): BodySink {
    this.#gate.take();
    const record = recordOf(head);
    record.endpoint = this.key;
    record.attempts++;
    const exchange = new EndpointExchange(this, head, record, response);
    const mismatch = this.#prepare(head);
    if (mismatch !== undefined) {
      exchange.abort(mismatch);
      return DISCARD;
    }
    const request = new EndpointRequest(exchange);
    request.inner = this.#stack.call(head, flow, exchange);
    return request;
  }

  close(): void {
    this.breaker.close();
    this.#client.close();
  }

  /** Headers that are for us, and what gateways shall be asked for. */
  #prepare(head: RequestHead): MeshError | undefined {
    const { headers } = head;
    if (this.#override !== undefined) {
      headers.delete("host");
      headers.delete("l5d-dst-canonical");
      head.authority = this.#override;
      if (head.version !== "2") headers.append("host", this.#override);
    }
    const required = headers.get("l5d-require-id");
    if (required === undefined) return undefined;
    headers.delete("l5d-require-id");
    if (required === this.#tlsId) return undefined;
    const message = `Cannot send request: required id ${required}; found ${this.#tlsId ?? "none"}`;
    return new Failure("identity_required", "server", message);
  }
}

/** Measures one request to an endpoint. */
class EndpointExchange implements ResponseSink {
  readonly #endpoint: HttpEndpoint;
  readonly #response: ResponseSink;
  readonly #classifier: RequestRecord["classifier"];
  readonly #startedMs: number;
  #status = 0;
  #class: ResponseClass = PENDING;
  /** The balancer counts it no more: first data came, or the end. */
  #isUnloaded = false;
  #isLatencyKnown = false;
  #isDone = false;
  #isRequested = false;

  constructor(
    endpoint: HttpEndpoint,
    head: RequestHead,
    record: RequestRecord,
    response: ResponseSink,
  ) {
    this.#endpoint = endpoint;
    this.#response = response;
    this.#classifier = record.classifier;
    this.#startedMs = endpoint.runtime.clock.nowMs();
    endpoint.load.started();
    if (head.contentLength === 0) this.requested();
  }

  /** The request has shown its first body, or had none. */
  requested(): void {
    if (this.#isRequested) return;
    this.#isRequested = true;
    this.#endpoint.metrics.requested();
  }

  informational(head: ResponseHead): void {
    this.#response.informational?.(head);
  }

  head(head: ResponseHead, flow: Flow): void {
    const { load, runtime } = this.#endpoint;
    this.#status = head.status;
    this.#class = this.#classifier.atHead(head.status, head.headers);
    if (load.penalizes && penaltyOf(head.status, head.headers) !== undefined) {
      this.#isUnloaded = true;
      const hint = retryAfterMs(head.status, head.headers, runtime.clock.wallMs());
      load.penalized(hint, runtime.clock.nowMs());
    } else if (head.contentLength === 0) {
      this.#unload(runtime.clock.nowMs());
    }
    this.#response.head(head, flow);
  }

  data(bytes: Uint8Array, start: number, end: number): void {
    if (!this.#isLatencyKnown) this.#firstData();
    this.#response.data(bytes, start, end);
  }

  end(trailers: HeaderMap | undefined): void {
    this.#finish(trailers);
    this.#response.end(trailers);
  }

  abort(reason: MeshError): void {
    if (!this.#isDone) {
      this.#isDone = true;
      const { metrics, breaker } = this.#endpoint;
      metrics.failed(this.#status, errorLabel(reason.code, h2ReasonOf(reason)));
      this.#firstData();
      breaker.observe(false, false);
    }
    this.#response.abort(reason);
  }

  /** The client wants no more of it: as far as can be told it went as its head said. */
  cancelled(): void {
    if (this.#isDone) return;
    if (this.#status === 0) {
      this.#isDone = true;
      this.#unload(this.#endpoint.runtime.clock.nowMs());
    } else {
      this.#finish(undefined);
    }
  }

  #finish(trailers: HeaderMap | undefined): void {
    if (this.#isDone) return;
    this.#isDone = true;
    const { metrics, breaker } = this.#endpoint;
    const found =
      this.#class === PENDING ? this.#classifier.atEnd(this.#status, trailers) : this.#class;
    if (!this.#isLatencyKnown) this.#firstData();
    metrics.responded(this.#status, found);
    breaker.observe(isSuccess(found), this.#status === 429 || grpcStatusOf(found) === 8);
  }

  #firstData(): void {
    const nowMs = this.#endpoint.runtime.clock.nowMs();
    this.#isLatencyKnown = true;
    if (this.#status !== 0) {
      this.#endpoint.metrics.latency(this.#status, nowMs - this.#startedMs);
    }
    this.#unload(nowMs);
  }

  #unload(nowMs: number): void {
    if (this.#isUnloaded) return;
    this.#isUnloaded = true;
    this.#endpoint.load.finished(nowMs - this.#startedMs, nowMs);
  }
}

class EndpointRequest implements BodySink {
  readonly #exchange: EndpointExchange;
  inner: BodySink = DISCARD;

  constructor(exchange: EndpointExchange) {
    this.#exchange = exchange;
  }

  data(bytes: Uint8Array, start: number, end: number): void {
    this.#exchange.requested();
    this.inner.data(bytes, start, end);
  }

  end(trailers: HeaderMap | undefined): void {
    this.#exchange.requested();
    this.inner.end(trailers);
  }

  abort(reason: MeshError): void {
    this.#exchange.cancelled();
    this.inner.abort(reason);
  }
}
