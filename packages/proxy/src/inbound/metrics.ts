import type { Counter, Family, Histogram, Registry } from "@heddle/base/metrics";
import { HttpFamilies, type HttpMetrics, targetLabels } from "../http/metrics.ts";
import type { Meta } from "../meta.ts";

type RouteKind = "http" | "grpc";

/** What a connection's TLS was, as labels print it: `proxy-metrics` 2.2. */
export type TlsLabels = Readonly<Record<string, string>>;

/** The families of one kind of matched route. */
class RouteFamilies {
  readonly requests: Family<Counter>;
  readonly requestSeconds: Family<Histogram>;
  readonly responseSeconds: Family<Histogram>;
  readonly requestFrames: Family<Histogram>;
  readonly responseFrames: Family<Histogram>;
  readonly statuses: Family<Counter>;

  constructor(registry: Registry, kind: RouteKind) {
    const name = (suffix: string): string => `inbound_${kind}_${suffix}`;
    const seconds = { unit: "seconds" } as const;
    const bytes = { unit: "bytes" } as const;
    const frames = [128, 1_024, 10_240];
    this.requests = registry.counter(name("requests_total"), "The total number of requests.");
    this.requestSeconds = registry.histogram(
      name("request_duration_seconds"),
      "The time between request initialization and response completion.",
      [0.025, 0.05, 0.1, 0.25, 0.5, 1, 10],
      seconds,
    );
    this.responseSeconds = registry.histogram(
      name("response_duration_seconds"),
      "The time between request completion and response completion.",
      [0.05, 0.5, 1, 10],
      seconds,
    );
    this.requestFrames = registry.histogram(
      name("request_frame_size_bytes"),
      "Sizes of request body frames.",
      frames,
      bytes,
    );
    this.responseFrames = registry.histogram(
      name("response_frame_size_bytes"),
      "Sizes of response body frames.",
      frames,
      bytes,
    );
    this.statuses = registry.counter(name("statuses_total"), "Completed responses by status.");
  }
}

/** All families of the inbound side; made once. */
export class InboundMetrics {
  readonly endpoints: HttpFamilies;
  readonly httpAllow: Family<Counter>;
  readonly httpDeny: Family<Counter>;
  readonly routeNotFound: Family<Counter>;
  readonly rateLimited: Family<Counter>;
  readonly tcpAllow: Family<Counter>;
  readonly tcpDeny: Family<Counter>;
  readonly tcpTerminate: Family<Counter>;
  readonly httpErrors: Family<Counter>;
  readonly tcpErrors: Family<Counter>;
  readonly detections: Family<Counter>;
  readonly detectionSeconds: Family<Histogram>;
  readonly transportHeaders: Family<Counter>;
  readonly #kinds: Readonly<Record<RouteKind, RouteFamilies>>;
  readonly #targets = new Map<string, TargetMetrics>();
  /** Whether requests are counted by their authority, which their clients choose. */
  readonly hasAuthorities: boolean;

  constructor(registry: Registry, hasAuthorities = false) {
    this.hasAuthorities = hasAuthorities;
    const legacy = (name: string, help: string): Family<Counter> =>
      registry.counter(name, help, { legacy: true });
    this.endpoints = new HttpFamilies(registry, "");
    this.httpAllow = legacy(
      "inbound_http_authz_allow_total",
      "The total number of inbound HTTP requests that were authorized",
    );
    this.httpDeny = legacy(
      "inbound_http_authz_deny_total",
      "The total number of inbound HTTP requests that could not be processed due to being denied by policy.",
    );
    this.routeNotFound = legacy(
      "inbound_http_route_not_found_total",
      "The total number of inbound HTTP requests that could not be associated with a route",
    );
    this.rateLimited = legacy(
      "inbound_http_local_ratelimit_total",
      "The total number of inbound HTTP requests that were rate-limited",
    );
    this.tcpAllow = legacy(
      "inbound_tcp_authz_allow_total",
      "The total number of inbound TCP connections that were authorized",
    );
    this.tcpDeny = legacy(
      "inbound_tcp_authz_deny_total",
      "The total number of inbound TCP connections that were denied",
    );
    this.tcpTerminate = legacy(
      "inbound_tcp_authz_terminate_total",
      "The total number of inbound TCP connections that were terminated due to an authorization change",
    );
    this.httpErrors = legacy(
      "inbound_http_errors_total",
      "The total number of inbound HTTP requests that could not be processed due to a proxy error.",
    );
    this.tcpErrors = legacy(
      "inbound_tcp_errors_total",
      "The total number of inbound TCP connections that could not be processed due to a proxy error.",
    );
    this.detections = registry.counter(
      "inbound_tcp_detect_http_results_total",
      "Results of HTTP protocol detection.",
    );
    this.detectionSeconds = registry.histogram(
      "inbound_tcp_detect_http_duration_seconds",
      "Time taken for protocol detection.",
      [0.001, 0.1],
      { unit: "seconds" },
    );
    this.transportHeaders = registry.counter(
      "inbound_tcp_transport_header_connections_total",
      "TCP connections with transport headers.",
    );
    this.#kinds = {
      http: new RouteFamilies(registry, "http"),
      grpc: new RouteFamilies(registry, "grpc"),
    };
  }

  /** The series of connections to one address over one kind of TLS; shared by all such. */
  target(ip: string, port: number, tls: TlsLabels): TargetMetrics {
    const key = `${ip} ${port} ${JSON.stringify(tls)}`;
    const known = this.#targets.get(key);
    if (known !== undefined) return known;
    const made = new TargetMetrics(this, ip, port, tls);
    this.#targets.set(key, made);
    return made;
  }

  kind(kind: RouteKind): RouteFamilies {
    return this.#kinds[kind];
  }
}

export function serverLabels(server: Meta, port: number): Record<string, string> {
  return {
    srv_group: server.group,
    srv_kind: server.kind,
    srv_name: server.name,
    srv_port: String(port),
  };
}

function routeLabels(route: Meta): Record<string, string> {
  return { route_group: route.group, route_kind: route.kind, route_name: route.name };
}

function authzLabels(authz: Meta): Record<string, string> {
  return { authz_group: authz.group, authz_kind: authz.kind, authz_name: authz.name };
}

/** The series of requests that were admitted to one route by one authorization. */
export interface AdmittedMetrics {
  /** Of `endpoint`, in order. */
  readonly labels: Readonly<Record<string, string>>;
  readonly allowed: Counter;
  readonly endpoint: HttpMetrics;
  readonly requests: Counter;
  readonly requestSeconds: Histogram;
  readonly responseSeconds: Histogram;
  readonly requestFrames: Histogram;
  readonly responseFrames: Histogram;
  /** Hot. @param status - As the route's kind prints it; empty if unknown. */
  ended(status: string): void;
}

/** Clients choose authorities. Beyond so many on one route, requests are counted without theirs. */
const MAX_AUTHORITIES = 1_000;

/** Metrics of one target; those by route and authorization are found once per pair. */
export class TargetMetrics {
  readonly #families: InboundMetrics;
  readonly #hasAuthorities: boolean;
  readonly #port: number;
  readonly #target: Record<string, string>;
  readonly #tls: TlsLabels;
  readonly #admitted = new WeakMap<Meta, WeakMap<Meta, WeakMap<Meta, AdmittedMetrics>>>();
  readonly #named = new WeakMap<AdmittedMetrics, Map<string, AdmittedMetrics>>();

  constructor(families: InboundMetrics, ip: string, port: number, tls: TlsLabels) {
    this.#families = families;
    this.#hasAuthorities = families.hasAuthorities;
    this.#port = port;
    this.#target = targetLabels(ip, port);
    this.#tls = tls;
  }

  /**
   * Hot: three look-ups by identity.
   *
   * @param authority - Of the request; a label if that is switched on.
   */
  admitted(
    kind: RouteKind,
    server: Meta,
    route: Meta,
    authz: Meta,
    authority: string,
  ): AdmittedMetrics {
    const admitted = this.#admittedTo(kind, server, route, authz);
    return this.#hasAuthorities ? this.#namedAs(authority, admitted) : admitted;
  }

  #admittedTo(kind: RouteKind, server: Meta, route: Meta, authz: Meta): AdmittedMetrics {
    let byRoute = this.#admitted.get(server);
    if (byRoute === undefined) {
      byRoute = new WeakMap();
      this.#admitted.set(server, byRoute);
    }
    let byAuthz = byRoute.get(route);
    if (byAuthz === undefined) {
      byAuthz = new WeakMap();
      byRoute.set(route, byAuthz);
    }
    const known = byAuthz.get(authz);
    if (known !== undefined) return known;
    const made = this.#bind(kind, server, route, authz);
    byAuthz.set(authz, made);
    return made;
  }

  #namedAs(authority: string, admitted: AdmittedMetrics): AdmittedMetrics {
    let names = this.#named.get(admitted);
    if (names === undefined) {
      names = new Map();
      this.#named.set(admitted, names);
    }
    const known = names.get(authority);
    if (known !== undefined) return known;
    if (names.size >= MAX_AUTHORITIES) return admitted;
    const { direction, ...labels } = admitted.labels;
    const endpoint = this.#families.endpoints.bind({ direction: direction!, authority, ...labels });
    const made = { ...admitted, endpoint };
    names.set(authority, made);
    return made;
  }

  denied(server: Meta, route: Meta): void {
    this.#families.httpDeny
      .with({ ...this.#target, ...this.#srv(server), ...routeLabels(route), ...this.#tls })
      .inc();
  }

  notFound(server: Meta): void {
    this.#families.routeNotFound
      .with({ ...this.#target, ...this.#srv(server), ...this.#tls })
      .inc();
  }

  rateLimited(server: Meta, limit: Meta, scope: "total" | "identity"): void {
    const names =
      limit.name === ""
        ? {}
        : {
            ratelimit_group: limit.group,
            ratelimit_kind: limit.kind,
            ratelimit_name: limit.name,
          };
    const labels = { ...this.#target, ...this.#srv(server), ...names, ratelimit_scope: scope };
    this.#families.rateLimited.with({ ...labels, ...this.#tls }).inc();
  }

  httpError(server: Meta, error: string): void {
    this.#families.httpErrors.with({ error, ...this.#target, ...this.#srv(server) }).inc();
  }

  tcpAllowed(server: Meta, authz: Meta): void {
    const labels = { ...this.#target, ...this.#srv(server), ...authzLabels(authz), ...this.#tls };
    this.#families.tcpAllow.with(labels).inc();
  }

  tcpDenied(server: Meta): void {
    this.#families.tcpDeny.with({ ...this.#target, ...this.#srv(server), ...this.#tls }).inc();
  }

  tcpTerminated(server: Meta): void {
    this.#families.tcpTerminate.with({ ...this.#target, ...this.#srv(server), ...this.#tls }).inc();
  }

  #srv(server: Meta): Record<string, string> {
    return serverLabels(server, this.#port);
  }

  #bind(kind: RouteKind, server: Meta, route: Meta, authz: Meta): AdmittedMetrics {
    const families = this.#families;
    const route_ = families.kind(kind);
    const own = { ...this.#srv(server), ...routeLabels(route), ...authzLabels(authz) };
    const parent = {
      parent_group: server.group,
      parent_kind: server.kind,
      parent_name: server.name,
      parent_port: String(this.#port),
      ...routeLabels(route),
    };
    const statuses = new Map<string, Counter>();
    const labels = { direction: "inbound", ...this.#target, ...this.#tls, ...own };
    return {
      labels,
      allowed: families.httpAllow.with({ ...this.#target, ...own, ...this.#tls }),
      endpoint: families.endpoints.bind(labels),
      requests: route_.requests.with(parent),
      requestSeconds: route_.requestSeconds.with(parent),
      responseSeconds: route_.responseSeconds.with(parent),
      requestFrames: route_.requestFrames.with(parent),
      responseFrames: route_.responseFrames.with(parent),
      ended: (status) => {
        let counter = statuses.get(status);
        if (counter === undefined) {
          counter = route_.statuses.with({ ...parent, status });
          statuses.set(status, counter);
        }
        counter.inc();
      },
    };
  }
}

/** The `error` label of `inbound_*_errors_total`. */
export function inboundErrorLabel(code: string): string {
  switch (code) {
    case "load_shed":
      return "loadshed";
    case "fail_fast":
      return "failfast";
    case "tls_detect_timeout":
      return "tls detection timeout";
    case "gateway_loop":
      return "gateway loop";
    case "bad_gateway_domain":
      return "gateway domain invalid";
    default:
      return /^(connect|connection|http1|h2|tls)_|^io_error$/.test(code) ? "i/o" : "unexpected";
  }
}
