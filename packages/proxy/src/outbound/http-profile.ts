import { MeshError } from "@heddle/base/errors";
import { Counter } from "@heddle/base/metrics";
import type { Timer } from "@heddle/base/timer-wheel";
import {
  type BodySink,
  DISCARD,
  type Flow,
  type RequestHead,
  type ResponseHead,
  type ResponseSink,
} from "@heddle/net/http";
import { h2ReasonOf } from "@heddle/net/http2/errors";
import type { HeaderMap } from "@heddle/wire/http/headers";
import { type Distribution, FirstAvailable, RandomAvailable } from "../balance/distribution.ts";
import { DEFAULT_LOAD } from "../balance/load.ts";
import type { Profile, ProfileRoute } from "../discovery/profile.ts";
import {
  type Classifier,
  PENDING,
  ProfileClassifier,
  type ResponseClass,
} from "../http/classify.ts";
import { errorLabel, type HttpMetrics } from "../http/metrics.ts";
import { type AttemptService, callWithRetries, type RetryMetrics } from "../http/retry.ts";
import { RetryBudget } from "../http/retry-budget.ts";
import { ProfileRetryRules } from "../http/retry-rules.ts";
import { defaultMeta } from "../meta.ts";
import { recordOf } from "../record.ts";
import type { HttpParts, Router } from "./http.ts";
import type { HttpBackend } from "./http-backend.ts";
import { type Backend, newBackend } from "./policy.ts";

const REST: ProfileRoute = {
  matches: () => true,
  labels: {},
  classes: [],
  isRetryable: false,
  timeoutMs: undefined,
};

/**
 * Routes by a ServiceProfile: classes, retries within a budget and timeouts of its routes, over the
 * service itself or its weighted targets.
 *
 * @param path - `name:port` of the service.
 */
export function newProfileRouter(
  profile: Profile,
  path: string,
  parts: HttpParts,
  backendOf: (backend: Backend) => HttpBackend,
): Router {
  const { random, clock } = parts.runtime;
  const backendAt = (at: string): HttpBackend => {
    const dispatcher = { kind: "balance" as const, path: at, load: DEFAULT_LOAD };
    return backendOf(newBackend(defaultMeta("profile"), dispatcher));
  };
  const distribution =
    profile.targets.length === 0
      ? new FirstAvailable([backendAt(path)])
      : new RandomAvailable(
          profile.targets.map((target) => backendAt(target.path)),
          profile.targets.map((target) => target.weight),
          random,
        );
  const budget =
    profile.budget === undefined ? undefined : new RetryBudget(profile.budget, () => clock.nowMs());
  const routes = [...profile.routes, REST].map(
    (route) => new ProfileRouteService(route, path, distribution, budget, parts),
  );
  return (head, flow, response) => {
    // The last one takes everything.
    let index = 0;
    while (!routes[index]!.route.matches(head.method, head.path)) index++;
    return routes[index]!.call(head, flow, response);
  };
}

class ProfileRouteService {
  readonly route: ProfileRoute;
  readonly metrics: HttpMetrics;
  readonly parts: HttpParts;
  readonly #path: string;
  readonly #classifier: Classifier | undefined;
  readonly #attempts: ProfileAttempts;
  readonly #rules: ProfileRetryRules | undefined;

  constructor(
    route: ProfileRoute,
    path: string,
    distribution: Distribution<HttpBackend>,
    budget: RetryBudget | undefined,
    parts: HttpParts,
  ) {
    const labels: Record<string, string> = { direction: "outbound", dst: path };
    for (const [name, value] of Object.entries(route.labels)) labels[`rt_${name}`] = value;
    this.route = route;
    this.parts = parts;
    this.#path = path;
    this.metrics = parts.metrics.routes.bind(labels);
    this.#classifier =
      route.classes.length === 0 ? undefined : new ProfileClassifier(route.classes);
    this.#attempts = new ProfileAttempts(
      distribution,
      parts.metrics.actualRoutes.bind(labels),
      parts,
    );
    const { retryable } = parts.metrics;
    this.#rules =
      route.isRetryable && budget !== undefined
        ? new ProfileRetryRules(budget, retryable.with(labels), () =>
            retryable.with({ ...labels, skipped: "no_budget" }),
          )
        : undefined;
  }

  call(head: RequestHead, flow: Flow, response: ResponseSink): BodySink {
    const record = recordOf(head);
    if (this.#classifier !== undefined) record.classifier = this.#classifier;
    head.headers.set("l5d-dst-canonical", this.#path);
    const exchange = new ProfileExchange(this, head, response);
    const { timers } = this.parts.runtime;
    const isTooLong = this.#rules === undefined || head.contentLength > this.#rules.maxRequestBytes;
    exchange.request.inner =
      isTooLong || head.upgrade
        ? this.#attempts.call(head, flow, exchange)
        : callWithRetries(
            { inner: this.#attempts, rules: this.#rules!, metrics: UNCOUNTED, timers },
            head,
            flow,
            exchange,
          );
    return exchange.request;
  }
}

/** Profiles have families of their own for retries. */
const UNCOUNTED: RetryMetrics = {
  requests: new Counter(),
  successes: new Counter(),
  limitExceeded: new Counter(),
  overflow: new Counter(),
};

/** One attempt: measured on its own, to a backend that is ready. */
class ProfileAttempts implements AttemptService {
  readonly #distribution: Distribution<HttpBackend>;
  readonly #metrics: HttpMetrics;
  readonly #parts: HttpParts;

  constructor(distribution: Distribution<HttpBackend>, metrics: HttpMetrics, parts: HttpParts) {
    this.#distribution = distribution;
    this.#metrics = metrics;
    this.#parts = parts;
  }

  get isReady(): boolean {
    return this.#distribution.backends.some((backend) => backend.isReady);
  }

  call(head: RequestHead, flow: Flow, response: ResponseSink): BodySink {
    const backend = this.#distribution.pick();
    if (backend === undefined) {
      response.abort(new MeshError("load_shed", "server", "service unavailable"));
      return DISCARD;
    }
    const exchange = new MeasuredExchange(this.#metrics, head, this.#parts, response);
    exchange.request.inner = backend.call(head, flow, exchange);
    return exchange.request;
  }
}

/** Counts requests and answers of a route by what they classify as. */
class MeasuredExchange implements ResponseSink {
  readonly request: MeasuredRequest;
  readonly metrics: HttpMetrics;
  readonly response: ResponseSink;
  readonly #classifier: Classifier;
  readonly #parts: HttpParts;
  readonly #startedMs: number;
  #status = 0;
  #class: ResponseClass = PENDING;
  #isLatencyKnown = false;
  #isRequested = false;
  isDone = false;

  constructor(metrics: HttpMetrics, head: RequestHead, parts: HttpParts, response: ResponseSink) {
    this.request = new MeasuredRequest(this);
    this.metrics = metrics;
    this.response = response;
    this.#classifier = recordOf(head).classifier;
    this.#parts = parts;
    this.#startedMs = parts.runtime.clock.nowMs();
    if (head.contentLength === 0) this.requested();
  }

  requested(): void {
    if (this.#isRequested) return;
    this.#isRequested = true;
    this.metrics.requested();
  }

  informational(head: ResponseHead): void {
    this.response.informational?.(head);
  }

  head(head: ResponseHead, flow: Flow): void {
    this.#status = head.status;
    this.#class = this.#classifier.atHead(head.status, head.headers);
    this.response.head(head, flow);
  }

  data(bytes: Uint8Array, start: number, end: number): void {
    this.#latency();
    this.response.data(bytes, start, end);
  }

  end(trailers: HeaderMap | undefined): void {
    this.finish(trailers);
    this.response.end(trailers);
  }

  abort(reason: MeshError): void {
    if (!this.isDone) {
      this.isDone = true;
      this.metrics.failed(this.#status, errorLabel(reason.code, h2ReasonOf(reason)));
    }
    this.response.abort(reason);
  }

  finish(trailers: HeaderMap | undefined): void {
    if (this.isDone) return;
    this.isDone = true;
    if (this.#status === 0) return;
    const found =
      this.#class === PENDING ? this.#classifier.atEnd(this.#status, trailers) : this.#class;
    this.#latency();
    this.metrics.responded(this.#status, found);
  }

  #latency(): void {
    if (this.#isLatencyKnown) return;
    this.#isLatencyKnown = true;
    this.metrics.latency(this.#status, this.#parts.runtime.clock.nowMs() - this.#startedMs);
  }
}

class MeasuredRequest implements BodySink {
  readonly #exchange: MeasuredExchange;
  inner: BodySink = DISCARD;

  constructor(exchange: MeasuredExchange) {
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
    this.#exchange.finish(undefined);
    this.inner.abort(reason);
  }
}

/** Outside the retries: the route's metrics, and one timer until the head of the answer. */
class ProfileExchange implements ResponseSink {
  readonly request: ProfileRequest;
  readonly #measured: MeasuredExchange;
  readonly #timer: Timer | undefined;
  #isOver = false;

  constructor(service: ProfileRouteService, head: RequestHead, response: ResponseSink) {
    this.#measured = new MeasuredExchange(service.metrics, head, service.parts, response);
    this.request = new ProfileRequest(this, this.#measured);
    const { timeoutMs } = service.route;
    if (timeoutMs === undefined) {
      this.#timer = undefined;
    } else {
      this.#timer = service.parts.runtime.timers.timer(() => this.#expire(timeoutMs));
      this.#timer.arm(timeoutMs);
    }
  }

  informational(head: ResponseHead): void {
    this.#measured.informational(head);
  }

  head(head: ResponseHead, flow: Flow): void {
    if (this.#isOver) return;
    this.#timer?.disarm();
    this.#measured.head(head, flow);
  }

  data(bytes: Uint8Array, start: number, end: number): void {
    this.#measured.data(bytes, start, end);
  }

  end(trailers: HeaderMap | undefined): void {
    this.#measured.end(trailers);
  }

  abort(reason: MeshError): void {
    if (this.#isOver) return;
    this.#timer?.disarm();
    this.#measured.abort(reason);
  }

  cancelled(): void {
    this.#isOver = true;
    this.#timer?.disarm();
  }

  #expire(timeoutMs: number): void {
    this.#isOver = true;
    const message = `HTTP response timeout after ${timeoutMs}ms`;
    const error = new MeshError("profile_timeout", "server", message);
    this.request.inner.abort(error);
    this.#measured.abort(error);
  }
}

class ProfileRequest implements BodySink {
  readonly #exchange: ProfileExchange;
  readonly #measured: MeasuredExchange;
  inner: BodySink = DISCARD;

  constructor(exchange: ProfileExchange, measured: MeasuredExchange) {
    this.#exchange = exchange;
    this.#measured = measured;
  }

  data(bytes: Uint8Array, start: number, end: number): void {
    this.#measured.requested();
    this.inner.data(bytes, start, end);
  }

  end(trailers: HeaderMap | undefined): void {
    this.#measured.requested();
    this.inner.end(trailers);
  }

  abort(reason: MeshError): void {
    this.#exchange.cancelled();
    this.#measured.finish(undefined);
    this.inner.abort(reason);
  }
}
