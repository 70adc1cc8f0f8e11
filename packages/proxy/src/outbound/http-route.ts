import type { Clock } from "@heddle/base/clock";
import type { MeshError } from "@heddle/base/errors";
import { parseDnsName } from "@heddle/model/dns-name";
import { hostEnd } from "@heddle/model/socket-address";
import {
  type BodySink,
  DISCARD,
  type Flow,
  type RequestHead,
  type ResponseHead,
  type ResponseSink,
} from "@heddle/net/http";
import type { HeaderMap } from "@heddle/wire/http/headers";
import { GRPC_CLASSIFIER, grpcStatus } from "../http/classify.ts";
import { FilterError } from "../http/errors.ts";
import { callWithRetries } from "../http/retry.ts";
import { withRetryHeaders, withTimeoutHeaders } from "../http/retry-policy.ts";
import { PolicyRetryRules } from "../http/retry-rules.ts";
import type { Meta } from "../meta.ts";
import { type RequestRecord, recordOf } from "../record.ts";
import type { Runtime } from "../runtime.ts";
import { AttemptService } from "./http-attempt.ts";
import type { HttpBackend } from "./http-backend.ts";
import {
  type HostMetrics,
  type OutboundMetrics,
  type RouteMetrics,
  routeErrorLabel,
} from "./metrics.ts";
import type { Backend, RoutePolicy } from "./policy.ts";

export interface RouteOptions {
  readonly kind: "http" | "grpc";
  readonly parent: Meta;
  readonly policy: RoutePolicy;
  readonly metrics: OutboundMetrics;
  readonly runtime: Runtime;
  readonly hostnameLabels: boolean;
  /** Backends are shared by all rules that name them. */
  readonly backendOf: (backend: Backend) => HttpBackend;
}

/** One rule of a route: what its requests may do, and how often, and where they go. */
export class HttpRouteService {
  readonly options: RouteOptions;
  readonly metrics: RouteMetrics;
  readonly #attempts: AttemptService;

  constructor(options: RouteOptions) {
    this.options = options;
    this.metrics = options.metrics.route(options.kind, options.parent, options.policy.meta);
    this.#attempts = new AttemptService(options, this.metrics);
  }

  /** Hot. @param prefixLength - Of the match that chose this rule. */
  call(
    head: RequestHead,
    prefixLength: number | undefined,
    flow: Flow,
    response: ResponseSink,
  ): BodySink {
    const { policy, parent, runtime, hostnameLabels } = this.options;
    const record = recordOf(head);
    record.parent = parent;
    record.route = policy.meta;
    record.prefixLength = prefixLength;
    if (this.options.kind === "grpc") record.classifier = GRPC_CLASSIFIER;
    const host = this.metrics.host(hostnameLabels ? dnsHostOf(head.authority) : "");
    let { timeouts, retry } = policy;
    if (policy.allowsL5dHeaders) {
      timeouts = withTimeoutHeaders(timeouts, head.headers);
      retry = withRetryHeaders(retry, head.headers);
    }
    const { requestMs, responseMs, idleMs } = timeouts;
    if (requestMs !== undefined) record.deadlineMs = runtime.clock.nowMs() + requestMs;
    if (responseMs !== undefined) record.responseTimeoutMs = responseMs;
    if (idleMs !== undefined) record.idleTimeoutMs = idleMs;
    const exchange = new RouteExchange(host, runtime.clock, record, response);
    const request = new RouteRequest(exchange);
    if (retry === undefined || head.upgrade) {
      request.inner = this.#attempts.call(head, flow, exchange);
      return request;
    }
    record.retry = retry;
    const { retries } = host;
    if (head.contentLength > retry.maxRequestBytes) {
      request.inner = this.#attempts.call(head, flow, exchange);
      return request;
    }
    const rules = new PolicyRetryRules(retry, runtime.random);
    const parts = { inner: this.#attempts, rules, metrics: retries, timers: runtime.timers };
    request.inner = callWithRetries(parts, head, flow, exchange);
    return request;
  }
}

/** Measures a request of a route, all its attempts together. */
class RouteExchange implements ResponseSink {
  readonly host: HostMetrics;
  readonly #clock: Clock;
  readonly #response: ResponseSink;
  readonly #startedMs: number;
  #status = 0;
  #grpcStatus = -1;
  #isDone = false;

  constructor(host: HostMetrics, clock: Clock, record: RequestRecord, response: ResponseSink) {
    this.host = host;
    this.#clock = clock;
    this.#response = response;
    this.#startedMs = record.startedMs;
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
    this.#response.data(bytes, start, end);
  }

  end(trailers: HeaderMap | undefined): void {
    if (trailers !== undefined) this.#grpcStatus = grpcStatus(trailers);
    this.#finish("");
    this.#response.end(trailers);
  }

  abort(reason: MeshError): void {
    if (reason instanceof FilterError) {
      this.#status = reason.status;
      this.#grpcStatus = reason.grpcStatus;
      this.#finish("");
    } else {
      this.#finish(routeErrorLabel(reason));
    }
    this.#response.abort(reason);
  }

  cancelled(): void {
    this.#finish("UNKNOWN");
  }

  #finish(error: string): void {
    if (this.#isDone) return;
    this.#isDone = true;
    this.host.ended(this.#status, this.#grpcStatus, error);
    this.host.duration.observe((this.#clock.nowMs() - this.#startedMs) / 1_000);
  }
}

class RouteRequest implements BodySink {
  readonly #exchange: RouteExchange;
  inner: BodySink = DISCARD;

  constructor(exchange: RouteExchange) {
    this.#exchange = exchange;
  }

  data(bytes: Uint8Array, start: number, end: number): void {
    this.#exchange.host.requestFrames.observe(end - start);
    this.inner.data(bytes, start, end);
  }

  end(trailers: HeaderMap | undefined): void {
    this.inner.end(trailers);
  }

  abort(reason: MeshError): void {
    this.#exchange.cancelled();
    this.inner.abort(reason);
  }
}

/** The host of an authority if it is a DNS name; else nothing. */
function dnsHostOf(authority: string): string {
  return parseDnsName(authority.slice(0, hostEnd(authority))) ?? "";
}
