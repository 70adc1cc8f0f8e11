import type { MeshError } from "@heddle/base/errors";
import type { Counter, Family, Histogram, Registry } from "@heddle/base/metrics";
import { h2ReasonOf } from "@heddle/net/http2/errors";
import type { EndpointFacts } from "../discovery/endpoint.ts";
import { HttpFamilies, targetLabels } from "../http/metrics.ts";
import type { RetryMetrics } from "../http/retry.ts";
import { type Meta, portedLabels, routeLabels } from "../meta.ts";

type RouteKind = "http" | "grpc";

const REQUEST_SECONDS = [0.05, 0.5, 1, 10];
const RESPONSE_SECONDS = [0.025, 0.05, 0.1, 0.25, 0.5, 1, 10];
const FRAME_BYTES = [128, 1_024, 10_240];

const GRPC_NAMES: readonly string[] = [
  "OK",
  "CANCELLED",
  "UNKNOWN",
  "INVALID_ARGUMENT",
  "DEADLINE_EXCEEDED",
  "NOT_FOUND",
  "ALREADY_EXISTS",
  "PERMISSION_DENIED",
  "RESOURCE_EXHAUSTED",
  "FAILED_PRECONDITION",
  "ABORTED",
  "OUT_OF_RANGE",
  "UNIMPLEMENTED",
  "INTERNAL",
  "UNAVAILABLE",
  "DATA_LOSS",
  "UNAUTHENTICATED",
];

/** The families of one kind of route. */
class RouteFamilies {
  readonly duration: Family<Histogram>;
  readonly statuses: Family<Counter>;
  readonly requestFrames: Family<Histogram>;
  readonly retries: Readonly<Record<keyof RetryMetrics, Family<Counter>>>;
  readonly backendRequests: Family<Counter>;
  readonly backendDuration: Family<Histogram>;
  readonly backendStatuses: Family<Counter>;
  readonly responseFrames: Family<Histogram>;

  constructor(registry: Registry, kind: RouteKind) {
    const name = (suffix: string): string => `outbound_${kind}_route_${suffix}`;
    const seconds = { unit: "seconds" } as const;
    const bytes = { unit: "bytes" } as const;
    this.duration = registry.histogram(
      name("request_duration_seconds"),
      "The time between request initialization and response completion.",
      REQUEST_SECONDS,
      seconds,
    );
    this.statuses = registry.counter(
      name("request_statuses_total"),
      "Completed request-response streams.",
    );
    this.requestFrames = registry.histogram(
      name("request_frame_size_bytes"),
      "Sizes of request body frames.",
      FRAME_BYTES,
      bytes,
    );
    this.retries = {
      requests: registry.counter(name("retry_requests_total"), "Retry requests emitted."),
      successes: registry.counter(name("retry_successes_total"), "Successful retry requests."),
      limitExceeded: registry.counter(
        name("retry_limit_exceeded_total"),
        "Retryable requests not sent due to retry limits.",
      ),
      overflow: registry.counter(
        name("retry_overflow_total"),
        "Retryable requests not sent due to circuit breakers.",
      ),
    };
    this.backendRequests = registry.counter(
      name("backend_requests_total"),
      "The total number of requests dispatched to a backend.",
    );
    this.backendDuration = registry.histogram(
      name("backend_response_duration_seconds"),
      "The time between request completion and response completion.",
      RESPONSE_SECONDS,
      seconds,
    );
    this.backendStatuses = registry.counter(
      name("backend_response_statuses_total"),
      "Completed responses.",
    );
    this.responseFrames = registry.histogram(
      name("backend_response_frame_size_bytes"),
      "Sizes of response body frames.",
      FRAME_BYTES,
      bytes,
    );
  }
}

/** All families of the outbound side; made once. */
export class OutboundMetrics {
  readonly registry: Registry;
  readonly endpoints: HttpFamilies;
  readonly routes: HttpFamilies;
  readonly actualRoutes: HttpFamilies;
  readonly retryable: Family<Counter>;
  readonly protocols: Family<Counter>;
  readonly detections: Family<Counter>;
  readonly detectionSeconds: Family<Histogram>;
  readonly tcpOpens: Family<Counter>;
  readonly tcpCloses: Family<Counter>;
  readonly tlsOpens: Family<Counter>;
  readonly tlsCloses: Family<Counter>;
  readonly httpErrors: Family<Counter>;
  readonly tcpErrors: Family<Counter>;
  readonly transferCost: Family<Counter>;
  readonly #kinds: Readonly<Record<RouteKind, RouteFamilies>>;

  constructor(registry: Registry) {
    const legacy = { legacy: true };
    this.registry = registry;
    this.endpoints = new HttpFamilies(registry, "");
    this.routes = new HttpFamilies(registry, "route_");
    this.actualRoutes = new HttpFamilies(registry, "route_actual_");
    this.retryable = registry.counter(
      "route_retryable_total",
      "Total count of retryable HTTP responses.",
      legacy,
    );
    this.protocols = registry.counter(
      "outbound_tcp_protocol_connections_total",
      "Outbound TCP connections by protocol configuration.",
    );
    this.detections = registry.counter(
      "outbound_tcp_detect_http_results_total",
      "Results of HTTP protocol detection.",
    );
    this.detectionSeconds = registry.histogram(
      "outbound_tcp_detect_http_duration_seconds",
      "Time taken for protocol detection.",
      [0.001, 0.1],
      { unit: "seconds" },
    );
    this.tcpOpens = registry.counter(
      "outbound_tcp_route_open_total",
      "The total number of transport connections proxied.",
    );
    this.tcpCloses = registry.counter(
      "outbound_tcp_route_close_total",
      "The total number of proxied connections closed.",
    );
    this.tlsOpens = registry.counter(
      "outbound_tls_route_open_total",
      "The total number of transport connections proxied.",
    );
    this.tlsCloses = registry.counter(
      "outbound_tls_route_close_total",
      "The total number of proxied connections closed.",
    );
    this.httpErrors = registry.counter(
      "outbound_http_errors_total",
      "The total number of outbound HTTP requests that could not be processed due to a proxy error.",
      legacy,
    );
    this.tcpErrors = registry.counter(
      "outbound_tcp_errors_total",
      "The total number of outbound TCP connections that could not be processed due to a proxy error.",
      legacy,
    );
    this.transferCost = registry.counter(
      "outbound_tcp_transfer_cost_bytes_total",
      "The total amount of data transferred in and out of this proxy, by cost zone.",
      { unit: "bytes" },
    );
    this.#kinds = {
      http: new RouteFamilies(registry, "http"),
      grpc: new RouteFamilies(registry, "grpc"),
    };
  }

  route(kind: RouteKind, parent: Meta, route: Meta): RouteMetrics {
    return new RouteMetrics(this.#kinds[kind], kind, parent, route);
  }
}

/** The series of one route, found once; those by host or status as they come. */
export class RouteMetrics {
  readonly kind: RouteKind;
  readonly #families: RouteFamilies;
  readonly #labels: Record<string, string>;
  readonly #hosts = new Map<string, HostMetrics>();

  constructor(families: RouteFamilies, kind: RouteKind, parent: Meta, route: Meta) {
    this.kind = kind;
    this.#families = families;
    this.#labels = { ...portedLabels("parent", parent), ...routeLabels(route) };
  }

  /** Hot. @param hostname - Empty unless hosts are told apart. */
  host(hostname: string): HostMetrics {
    const known = this.#hosts.get(hostname);
    if (known !== undefined) return known;
    const made = new HostMetrics(this.#families, this.kind, { ...this.#labels, hostname });
    this.#hosts.set(hostname, made);
    return made;
  }

  backend(backend: Meta): BackendMetrics {
    const labels = { ...this.#labels, ...portedLabels("backend", backend) };
    return new BackendMetrics(this.#families, this.kind, labels);
  }
}

export class HostMetrics {
  readonly duration: Histogram;
  readonly requestFrames: Histogram;
  readonly #families: RouteFamilies;
  readonly #labels: Record<string, string>;
  readonly #statuses: StatusCounters;
  #retries: RetryMetrics | undefined;

  constructor(families: RouteFamilies, kind: RouteKind, labels: Record<string, string>) {
    this.#families = families;
    this.#labels = labels;
    this.duration = families.duration.with(labels);
    this.requestFrames = families.requestFrames.with(labels);
    this.#statuses = new StatusCounters(families.statuses, kind, labels);
  }

  /** Appear, all four at 0, with the first request that may be retried. */
  get retries(): RetryMetrics {
    const { requests, successes, limitExceeded, overflow } = this.#families.retries;
    this.#retries ??= {
      requests: requests.with(this.#labels),
      successes: successes.with(this.#labels),
      limitExceeded: limitExceeded.with(this.#labels),
      overflow: overflow.with(this.#labels),
    };
    return this.#retries;
  }

  /** Hot. */
  ended(status: number, grpcStatus: number, error: string): void {
    this.#statuses.inc(status, grpcStatus, error);
  }
}

export class BackendMetrics {
  readonly requests: Counter;
  readonly duration: Histogram;
  readonly responseFrames: Histogram;
  readonly #statuses: StatusCounters;

  constructor(families: RouteFamilies, kind: RouteKind, labels: Record<string, string>) {
    this.requests = families.backendRequests.with(labels);
    this.duration = families.backendDuration.with(labels);
    this.responseFrames = families.responseFrames.with(labels);
    this.#statuses = new StatusCounters(families.backendStatuses, kind, labels);
  }

  /** Hot. */
  ended(status: number, grpcStatus: number, error: string): void {
    this.#statuses.inc(status, grpcStatus, error);
  }
}

/** Counters by status and error, found once per status. */
class StatusCounters {
  readonly #family: Family<Counter>;
  readonly #kind: RouteKind;
  readonly #labels: Record<string, string>;
  /** Without errors. */
  readonly #byStatus = new Map<number, Counter>();

  constructor(family: Family<Counter>, kind: RouteKind, labels: Record<string, string>) {
    this.#family = family;
    this.#kind = kind;
    this.#labels = labels;
  }

  inc(status: number, grpcStatus: number, error: string): void {
    const key = this.#kind === "http" ? status : grpcStatus;
    const known = error === "" ? this.#byStatus.get(key) : undefined;
    if (known !== undefined) {
      known.inc();
      return;
    }
    const label =
      this.#kind === "http"
        ? { http_status: status === 0 ? "" : String(status) }
        : { grpc_status: status === 0 ? "" : (GRPC_NAMES[grpcStatus] ?? "UNKNOWN") };
    const counter = this.#family.with({ ...this.#labels, ...label, error });
    if (error === "") this.#byStatus.set(key, counter);
    counter.inc();
  }
}

const ERROR_LABELS: Readonly<Record<string, string>> = {
  fail_fast: "FAIL_FAST",
  load_shed: "LOAD_SHED",
  request_timeout: "REQUEST_TIMEOUT",
  response_headers_timeout: "RESPONSE_HEADERS_TIMEOUT",
  response_stream_timeout: "RESPONSE_STREAM_TIMEOUT",
  idle_timeout: "IDLE_TIMEOUT",
  h2_goaway: "GO_AWAY",
  connection_reset: "IO",
  connection_closed: "IO",
  connection_lost: "IO",
  io_error: "IO",
};

/** The `error` label of route and backend families. */
export function routeErrorLabel(error: MeshError): string {
  const reason = h2ReasonOf(error);
  if (error.code === "h2_reset" && reason !== undefined) {
    if (reason === 8) return "CANCEL";
    if (reason === 7) return "REFUSED";
    return reason === 11 ? "ENHANCE_YOUR_CALM" : "RESET";
  }
  return ERROR_LABELS[error.code] ?? "UNKNOWN";
}

/** Labels of requests to an endpoint, in the order in which they are printed. */
export function endpointLabels(
  facts: EndpointFacts,
  logical: string | undefined,
): Record<string, string> {
  const labels: Record<string, string> = {
    direction: "outbound",
    ...(logical === undefined ? {} : { authority: logical }),
    ...targetLabels(facts.ip, facts.port),
    ...tlsLabels(facts),
  };
  for (const [name, value] of Object.entries(facts.labels)) labels[`dst_${name}`] = value;
  return labels;
}

function tlsLabels(facts: EndpointFacts): Record<string, string> {
  if (facts.tls !== undefined) return { tls: "true", server_id: facts.tls.id };
  return { tls: "no_identity", no_tls_reason: "not_provided_by_service_discovery" };
}
