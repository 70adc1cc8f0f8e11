import type {
  Backend_BalanceP2c,
  ExponentialBackoff,
  FailureAccrual,
  GrpcRoute_Filter,
  GrpcRoute_Retry,
  GrpcRoute_Rule,
  HttpRoute_Filter,
  HttpRoute_Retry,
  HttpRoute_Rule,
  OpaqueRoute,
  OpaqueRoute_Filter,
  OpaqueRoute_Rule,
  ProxyProtocol,
  ProxyProtocol_Detect,
  ProxyProtocol_Opaque,
  TlsRoute,
  Backend as WireBackend,
  GrpcRoute as WireGrpcRoute,
  HttpRoute as WireHttpRoute,
  OutboundPolicy as WirePolicy,
} from "@heddle/api/gen/outbound_pb";
import { parseDnsName } from "@heddle/model/dns-name";
import { type GrpcRoute, GrpcRoutes } from "@heddle/model/route/grpc-routes";
import { type HttpRoute, HttpRoutes } from "@heddle/model/route/http-routes";
import { parsePort } from "@heddle/model/socket-address";
import type { AccrualConfig, BackoffConfig } from "../balance/breaker.ts";
import type { LoadConfig } from "../balance/load.ts";
import type { RetryPolicy } from "../http/retry-policy.ts";
import {
  type Backend,
  type Dispatcher,
  type DistributionPolicy,
  type Filter,
  type HttpPolicy,
  newBackend,
  type OpaquePolicy,
  type OutboundPolicy,
  type OutboundProtocol,
  type RouteBackend,
  type RoutePolicy,
  type TcpFilter,
  type TcpRoute,
} from "../outbound/policy.ts";
import { parseWeightedAddr } from "./endpoint.ts";
import {
  optionalMs,
  parseGrpcMatch,
  parseHeaderModifier,
  parseHost,
  parseHttpMatch,
  parseInjectedCode,
  parseInjectedStatus,
  parseMeta,
  parseRatio,
  parseRedirect,
  parseTimeouts,
  requiredMs,
  within,
} from "./wire-routes.ts";

/**
 * An outbound policy from the wire. @throws SyntaxError that says which field makes it invalid;
 * whoever calls puts `invalidPolicy` in its place.
 */
export function parseOutboundPolicy(from: WirePolicy): OutboundPolicy {
  const parent = parseMeta(from.metadata, "missing metadata");
  const protocol = within("invalid ProxyProtocol", () => parseProtocol(from.protocol));
  return { parent, protocol };
}

function parseProtocol(from: ProxyProtocol | undefined): OutboundProtocol {
  const kind = from?.kind;
  switch (kind?.case) {
    case "detect":
      return parseDetect(kind.value);
    case "opaque":
      return { kind: "opaque", opaque: parseOpaque(kind.value) };
    case "http1":
      return { kind: "http1", http: parseHttp(kind.value.routes, kind.value.failureAccrual) };
    case "http2":
      return { kind: "http2", http: parseHttp(kind.value.routes, kind.value.failureAccrual) };
    case "grpc":
      return { kind: "grpc", http: parseGrpc(kind.value.routes, kind.value.failureAccrual) };
    case "tls": {
      const routes = kind.value.routes.map((route) => ({
        snis: route.snis.map(parseHost),
        value: parseTcpRoute(route, "TLS"),
      }));
      return { kind: "tls", routes };
    }
    default:
      throw new SyntaxError("missing protocol");
  }
}

function parseDetect(from: ProxyProtocol_Detect): OutboundProtocol {
  requiredMs(from.timeout, "Detect missing protocol detection timeout");
  if (from.opaque === undefined) throw new SyntaxError("Detect missing opaque configuration");
  if (from.http1 === undefined) throw new SyntaxError("Detect missing HTTP/1 configuration");
  if (from.http2 === undefined) throw new SyntaxError("Detect missing HTTP/2 configuration");
  return {
    kind: "detect",
    http1: parseHttp(from.http1.routes, from.http1.failureAccrual),
    http2: parseHttp(from.http2.routes, from.http2.failureAccrual),
    opaque: parseOpaque(from.opaque),
  };
}

function parseHttp(
  routes: readonly WireHttpRoute[],
  accrual: FailureAccrual | undefined,
): HttpPolicy {
  const parsed = routes.map((route) => within("invalid HTTP route", () => parseHttpRoute(route)));
  // Compiled here once for its errors; whoever serves compiles again when the policy changes.
  within("invalid HTTP route", () => new HttpRoutes(parsed));
  return { routes: { kind: "http", routes: parsed }, accrual: parseAccrual(accrual) };
}

function parseGrpc(
  routes: readonly WireGrpcRoute[],
  accrual: FailureAccrual | undefined,
): HttpPolicy {
  const parsed = routes.map((route) => within("invalid gRPC route", () => parseGrpcRoute(route)));
  within("invalid gRPC route", () => new GrpcRoutes(parsed));
  return { routes: { kind: "grpc", routes: parsed }, accrual: parseAccrual(accrual) };
}

function parseHttpRoute(from: WireHttpRoute): HttpRoute<RoutePolicy> {
  const meta = within("invalid route metadata", () => parseMeta(from.metadata, "missing metadata"));
  const hosts = from.hosts.map(parseHost);
  const rules = from.rules.map((rule: HttpRoute_Rule) => ({
    matches: rule.matches.map(parseHttpMatch),
    value: {
      meta,
      filters: rule.filters.map(parseHttpFilter),
      distribution: parseDistribution(rule.backends, parseHttpFilter),
      timeouts: parseTimeouts(rule.timeouts, rule.requestTimeout),
      retry: parseHttpRetry(rule.retry),
      allowsL5dHeaders: rule.allowL5dRequestHeaders,
    },
  }));
  return { hosts, rules };
}

function parseGrpcRoute(from: WireGrpcRoute): GrpcRoute<RoutePolicy> {
  const meta = within("invalid route metadata", () => parseMeta(from.metadata, "missing metadata"));
  const hosts = from.hosts.map(parseHost);
  const rules = from.rules.map((rule: GrpcRoute_Rule) => ({
    matches: rule.matches.map(parseGrpcMatch),
    value: {
      meta,
      filters: rule.filters.map(parseGrpcFilter),
      distribution: parseDistribution(rule.backends, parseGrpcFilter),
      timeouts: parseTimeouts(rule.timeouts, rule.requestTimeout),
      retry: parseGrpcRetry(rule.retry),
      allowsL5dHeaders: rule.allowL5dRequestHeaders,
    },
  }));
  return { hosts, rules };
}

function parseHttpFilter(from: HttpRoute_Filter): Filter {
  switch (from.kind.case) {
    case "failureInjector": {
      const { message, ratio } = from.kind.value;
      const status = parseInjectedStatus(from.kind.value);
      return { kind: "fail_http", status, message, ratio: parseRatio(ratio) };
    }
    case "requestHeaderModifier":
      return { kind: "request_headers", modifier: parseHeaderModifier(from.kind.value) };
    case "responseHeaderModifier":
      return { kind: "response_headers", modifier: parseHeaderModifier(from.kind.value) };
    case "redirect":
      return { kind: "redirect", redirect: parseRedirect(from.kind.value) };
    default:
      throw new SyntaxError("missing filter kind");
  }
}

function parseGrpcFilter(from: GrpcRoute_Filter): Filter {
  switch (from.kind.case) {
    case "failureInjector": {
      const { message, ratio } = from.kind.value;
      const code = parseInjectedCode(from.kind.value);
      return { kind: "fail_grpc", code, message, ratio: parseRatio(ratio) };
    }
    case "requestHeaderModifier":
      return { kind: "request_headers", modifier: parseHeaderModifier(from.kind.value) };
    default:
      throw new SyntaxError("missing filter kind");
  }
}

/** The distributions of HTTP, gRPC, opaque and TLS routes have one shape. */
interface WireDistribution<F> {
  readonly kind:
    | { readonly case: "empty"; readonly value: unknown }
    | {
        readonly case: "firstAvailable";
        readonly value: { readonly backends: readonly WireRouteBackend<F>[] };
      }
    | {
        readonly case: "randomAvailable";
        readonly value: {
          readonly backends: readonly {
            readonly backend?: WireRouteBackend<F> | undefined;
            readonly weight: number;
          }[];
        };
      }
    | { readonly case: undefined; readonly value?: undefined };
}

interface WireRouteBackend<F> {
  readonly backend?: WireBackend | undefined;
  readonly filters: readonly F[];
}

function parseDistribution<W, F>(
  from: WireDistribution<W> | undefined,
  parseFilter: (filter: W) => F,
): DistributionPolicy<F> {
  const kind = from?.kind;
  switch (kind?.case) {
    case "empty":
      return { kind: "empty" };
    case "firstAvailable": {
      const { backends } = kind.value;
      if (backends.length === 0) {
        throw new SyntaxError("a FirstAvailable distribution may not be empty");
      }
      const parsed = backends.map((backend) => parseRouteBackend(backend, parseFilter));
      return { kind: "first_available", backends: parsed };
    }
    case "randomAvailable": {
      const { backends } = kind.value;
      if (backends.length === 0) {
        throw new SyntaxError("a RandomAvailable distribution may not be empty");
      }
      const parsed = backends.map(({ backend }) => parseRouteBackend(backend, parseFilter));
      // With one backend its weight means nothing.
      if (parsed.length === 1) return { kind: "first_available", backends: parsed };
      const weights = backends.map(({ weight }) => weight);
      return { kind: "random_available", backends: parsed, weights };
    }
    default:
      throw new SyntaxError("missing distribution");
  }
}

function parseRouteBackend<W, F>(
  from: WireRouteBackend<W> | undefined,
  parseFilter: (filter: W) => F,
): RouteBackend<F> {
  if (from?.backend === undefined) throw new SyntaxError("missing backend");
  const wire = from.backend;
  const backend = within("invalid backend", () => parseBackend(wire));
  return { backend, filters: from.filters.map(parseFilter) };
}

function parseBackend(from: WireBackend): Backend {
  const meta = parseMeta(from.metadata, "missing backend metadata");
  if (from.queue === undefined) throw new SyntaxError("missing queue");
  const failFastMs = requiredMs(from.queue.failfastTimeout, "missing queue failfast timeout");
  const dispatcher = parseDispatcher(from, meta.namespace, meta.kind, meta.name);
  return newBackend(meta, dispatcher, [from.queue.capacity, failFastMs]);
}

function parseDispatcher(
  from: WireBackend,
  namespace: string,
  kind: string,
  name: string,
): Dispatcher {
  switch (from.kind.case) {
    case "forward": {
      const endpoint = parseWeightedAddr(from.kind.value);
      if (endpoint === undefined) throw new SyntaxError("invalid forward endpoint");
      return { kind: "forward", endpoint };
    }
    case "balancer":
      return parseBalancer(from.kind.value);
    default: {
      const message = `backend for ${kind} ${namespace === "" ? name : `${namespace}/${name}`} has no dispatcher`;
      return { kind: "fail", message };
    }
  }
}

function parseBalancer(from: Backend_BalanceP2c): Dispatcher {
  if (from.discovery === undefined) throw new SyntaxError("missing balancer discovery");
  if (from.discovery.kind.case !== "dst") throw new SyntaxError("missing discovery kind");
  const { path } = from.discovery.kind.value;
  return { kind: "balance", path: parseDstPath(path), load: parseLoad(from.load) };
}

/** `name:port`, with the name as it is sent in Get: in lower case and without a trailing dot. */
export function parseDstPath(path: string): string {
  const colon = path.lastIndexOf(":");
  const name = parseDnsName(path.slice(0, Math.max(0, colon)));
  const port = parsePort(path.slice(colon + 1));
  if (name === undefined || port === undefined) {
    throw new SyntaxError(`invalid discovery path "${path}"`);
  }
  return `${name}:${port}`;
}

function parseLoad(from: Backend_BalanceP2c["load"]): LoadConfig {
  switch (from.case) {
    case "peakEwma":
      return {
        kind: "peak_ewma",
        defaultRttMs: requiredMs(from.value.defaultRtt, "missing peak EWMA default RTT"),
        decayMs: requiredMs(from.value.decay, "missing peak EWMA decay"),
      };
    case "penaltyPeakEwma":
      return {
        kind: "penalty_peak_ewma",
        defaultRttMs: optionalMs(from.value.defaultRtt) ?? 30,
        decayMs: optionalMs(from.value.decay) ?? 10_000,
        penaltyMs: optionalMs(from.value.penalty) ?? 5_000,
        maxRetryAfterMs: optionalMs(from.value.maxRetryAfter) ?? 300_000,
      };
    default:
      throw new SyntaxError("missing balancer load");
  }
}

function parseAccrual(from: FailureAccrual | undefined): AccrualConfig | undefined {
  if (from === undefined) return undefined;
  switch (from.kind.case) {
    case "consecutiveFailures": {
      const { maxFailures, backoff } = from.kind.value;
      return { kind: "consecutive", maxFailures, backoff: requiredBackoff(backoff) };
    }
    case "unified": {
      const wire = from.kind.value;
      const rate = wire.successRateThreshold;
      if (!(rate >= 0 && rate <= 1)) throw new SyntaxError("invalid success rate threshold");
      if (wire.minRequests > 1_000_000) throw new SyntaxError("min_requests is too large");
      const threshold = Math.round(rate * 10_000) / 10_000;
      const windowMs = optionalMs(wire.decay) ?? 10_000;
      if (threshold > 0 && windowMs < 10) throw new SyntaxError("success rate window is too short");
      return {
        kind: "unified",
        maxConsecutiveFailures: wire.maxConsecutiveFailures,
        successRateThreshold: threshold,
        windowMs,
        minRequests: wire.minRequests,
        backoff: requiredBackoff(wire.backoff),
      };
    }
    default:
      throw new SyntaxError("missing failure accrual kind");
  }
}

function requiredBackoff(from: ExponentialBackoff | undefined): BackoffConfig {
  if (from === undefined) throw new SyntaxError("missing backoff");
  return parseBackoff(from);
}

function parseBackoff(from: ExponentialBackoff): BackoffConfig {
  const minMs = requiredMs(from.minBackoff, "missing minimum backoff");
  const maxMs = requiredMs(from.maxBackoff, "missing maximum backoff");
  if (maxMs === 0 || maxMs < minMs) throw new SyntaxError("invalid maximum backoff");
  const jitter = from.jitterRatio;
  if (!(jitter >= 0 && jitter <= 100)) throw new SyntaxError("invalid backoff jitter");
  return { minMs, maxMs, jitter };
}

function parseHttpRetry(from: HttpRoute_Retry | undefined): RetryPolicy | undefined {
  if (from === undefined) return undefined;
  if (from.conditions === undefined) throw new SyntaxError("missing retry conditions");
  const statuses = from.conditions.statusRanges.map(({ start, end }) => {
    if (start < 1 || start > end || end > 599) throw new SyntaxError("invalid status range");
    return { low: start, high: end };
  });
  return { ...parseRetry(from), statuses, grpcCodes: 0 };
}

function parseGrpcRetry(from: GrpcRoute_Retry | undefined): RetryPolicy | undefined {
  if (from === undefined) return undefined;
  const conditions = from.conditions;
  if (conditions === undefined) throw new SyntaxError("missing retry conditions");
  let grpcCodes = 0;
  if (conditions.cancelled) grpcCodes |= 1 << 1;
  if (conditions.deadineExceeded) grpcCodes |= 1 << 4;
  if (conditions.resourceExhausted) grpcCodes |= 1 << 8;
  if (conditions.internal) grpcCodes |= 1 << 13;
  if (conditions.unavailable) grpcCodes |= 1 << 14;
  return { ...parseRetry(from), statuses: [], grpcCodes };
}

function parseRetry(
  from: HttpRoute_Retry | GrpcRoute_Retry,
): Pick<RetryPolicy, "maxRetries" | "maxRequestBytes" | "timeoutMs" | "backoff"> {
  if (from.maxRetries > 0xffff) throw new SyntaxError("max_retries is too large");
  return {
    maxRetries: from.maxRetries,
    maxRequestBytes: from.maxRequestBytes,
    timeoutMs: optionalMs(from.timeout),
    backoff: from.backoff === undefined ? undefined : parseBackoff(from.backoff),
  };
}

function parseOpaque(from: ProxyProtocol_Opaque): OpaquePolicy {
  const [route, ...more] = from.routes;
  if (more.length > 0) throw new SyntaxError("an opaque policy must have at most one route");
  return { route: route === undefined ? undefined : parseTcpRoute(route, "opaque") };
}

function parseTcpRoute(from: OpaqueRoute | TlsRoute, what: "opaque" | "TLS"): TcpRoute {
  return within(`invalid ${what} route`, () => {
    const meta = within("invalid route metadata", () =>
      parseMeta(from.metadata, "missing metadata"),
    );
    const rules = from.rules as readonly Pick<OpaqueRoute_Rule, "backends" | "filters">[];
    const [rule, ...more] = rules;
    if (rule === undefined || more.length > 0) {
      const count = rules.length;
      throw new SyntaxError(`must have exactly one rule, but ${count} were provided`);
    }
    return {
      meta,
      filters: rule.filters.map(parseTcpFilter),
      distribution: parseDistribution(rule.backends, parseTcpFilter),
    };
  });
}

function parseTcpFilter(from: Pick<OpaqueRoute_Filter, "kind">): TcpFilter {
  switch (from.kind.case) {
    case "forbidden":
      return { kind: "forbidden" };
    case "invalid":
      return { kind: "invalid", message: from.kind.value.message };
    default:
      throw new SyntaxError("missing filter kind");
  }
}
