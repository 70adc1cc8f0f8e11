import type { MetadataSchema } from "@heddle/api/gen/meta_pb";
import {
  type Backend_BalanceP2cSchema,
  type BackendSchema,
  type ExponentialBackoffSchema,
  type FailureAccrualSchema,
  type GrpcRoute_FilterSchema,
  type GrpcRoute_RetrySchema,
  type GrpcRoute_RouteBackendSchema,
  GrpcRouteSchema,
  ProxyProtocol_GrpcSchema as GrpcSchema,
  ProxyProtocol_Http1Schema as Http1Schema,
  ProxyProtocol_Http2Schema as Http2Schema,
  type HttpRoute_FilterSchema,
  type HttpRoute_RetrySchema,
  type HttpRoute_RouteBackendSchema,
  HttpRouteSchema,
  type OpaqueRouteSchema,
  OutboundPolicySchema,
  type ProxyProtocolSchema,
  type TlsRouteSchema,
} from "@heddle/api/gen/outbound_pb";
import { type EncodedMessage, encodeEntry, withEntries } from "@heddle/net/grpc/encoded-message";
import type {
  Backoff,
  FailureAccrual,
  GrpcCondition,
  Retry,
  StatusRange,
  Timeouts,
} from "../annotations.ts";
import {
  duration,
  encode,
  grpcMatchMessage,
  headersMessage,
  hostMessage,
  httpMatchMessage,
  type Init,
  ipMessage,
  optionalDuration,
  redirectMessage,
} from "../message.ts";
import type { FilterSpec } from "../route-spec.ts";
import { EntryCache } from "./entry-cache.ts";
import type {
  BackendKind,
  Distribution,
  Meta,
  OutboundGrpcRoute,
  OutboundHttpRoute,
  OutboundPolicy,
  OutboundStreamRoute,
  RouteBackend,
} from "./policy.ts";

const DETECT_TIMEOUT_MS = 10_000;
const QUEUE = { capacity: 100, failfastTimeout: duration(3_000) };
const RETRY_MAX_REQUEST_BYTES = 65_536;
const RETRY_BACKOFF: Backoff = { minMs: 25, maxMs: 250, jitter: 1 };
const DEFAULT_RTT_MS = 30;
const EWMA_DECAY_MS = 10_000;
const NOT_ALLOWED = "traffic not allowed";
/** PERMISSION_DENIED. */
const GRPC_NOT_ALLOWED = 7;
/** For requests to a backend that cannot be; gRPC routes carry it too, as upstream does. */
const FAILING_STATUS = 500;

/** Of so many routes each one is looked up before it is encoded. */
const MANY_ROUTES = 100;
/** Of routes, in each of the messages that hold them. */
const ROUTES_FIELD = 1;

/** @param cache - Of whoever encodes again and again, for policies of very many routes. */
export function encodePolicy(policy: OutboundPolicy, cache?: EntryCache): EncodedMessage {
  return encode(OutboundPolicySchema, {
    protocol: protocolMessage(policy, cache ?? new EntryCache()),
    metadata: metaMessage(policy.meta),
  });
}

function protocolMessage(
  { protocol, accrual }: OutboundPolicy,
  cache: EntryCache,
): Init<typeof ProxyProtocolSchema> {
  const failureAccrual = accrual === undefined ? undefined : accrualMessage(accrual);
  switch (protocol.kind) {
    case "detect": {
      const http = { failureAccrual };
      const { routes, entries } = httpRoutes(protocol.http, cache);
      return {
        kind: {
          case: "detect",
          value: {
            timeout: duration(DETECT_TIMEOUT_MS),
            opaque: { routes: protocol.opaque.map(opaqueRoute) },
            http1: withEntries(Http1Schema, { ...http, routes }, ROUTES_FIELD, entries),
            http2: withEntries(Http2Schema, { ...http, routes }, ROUTES_FIELD, entries),
          },
        },
      };
    }
    case "http1": {
      const { routes, entries } = httpRoutes(protocol.routes, cache);
      const value = withEntries(Http1Schema, { routes, failureAccrual }, ROUTES_FIELD, entries);
      return { kind: { case: "http1", value } };
    }
    case "http2": {
      const { routes, entries } = httpRoutes(protocol.routes, cache);
      const value = withEntries(Http2Schema, { routes, failureAccrual }, ROUTES_FIELD, entries);
      return { kind: { case: "http2", value } };
    }
    case "grpc": {
      const { routes, entries } = manyOrFew(protocol.routes, GrpcRouteSchema, grpcRoute, cache);
      const value = withEntries(GrpcSchema, { routes, failureAccrual }, ROUTES_FIELD, entries);
      return { kind: { case: "grpc", value } };
    }
    case "tls":
      return { kind: { case: "tls", value: { routes: protocol.routes.map(tlsRoute) } } };
    case "opaque":
      return { kind: { case: "opaque", value: { routes: protocol.routes.map(opaqueRoute) } } };
  }
}

function httpRoutes(
  routes: readonly OutboundHttpRoute[],
  cache: EntryCache,
): RoutesOf<typeof HttpRouteSchema> {
  return manyOrFew(routes, HttpRouteSchema, httpRoute, cache);
}

/** Few routes as messages, or many as bytes. */
interface RoutesOf<S extends Parameters<typeof encodeEntry>[0]> {
  readonly routes: Init<S>[];
  readonly entries: readonly Uint8Array[];
}

function manyOrFew<R, S extends Parameters<typeof encodeEntry>[0]>(
  routes: readonly R[],
  schema: S,
  messageOf: (route: R) => Init<S>,
  cache: EntryCache,
): RoutesOf<S> {
  if (routes.length < MANY_ROUTES) return { routes: routes.map(messageOf), entries: [] };
  const entries = routes.map((route) =>
    cache.entry(schema.typeName + JSON.stringify(route), () =>
      encodeEntry(schema, messageOf(route)),
    ),
  );
  return { routes: [], entries };
}

function httpRoute(route: OutboundHttpRoute): Init<typeof HttpRouteSchema> {
  return {
    metadata: metaMessage(route.meta),
    hosts: route.hosts.map(hostMessage),
    rules: route.rules.map((rule) => ({
      matches: rule.matches.map(httpMatchMessage),
      filters: [
        ...rule.filters.map(httpFilter),
        ...(rule.forbidden ? [httpFailure(403, NOT_ALLOWED)] : []),
      ],
      backends: distribution(rule.distribution, httpBackend),
      requestTimeout: optionalDuration(rule.timeouts?.requestMs),
      timeouts: timeoutsMessage(rule.timeouts),
      retry: rule.retry === undefined ? undefined : httpRetry(rule.retry),
      allowL5dRequestHeaders: rule.allowL5dRequestHeaders,
    })),
  };
}

function grpcRoute(route: OutboundGrpcRoute): Init<typeof GrpcRouteSchema> {
  return {
    metadata: metaMessage(route.meta),
    hosts: route.hosts.map(hostMessage),
    rules: route.rules.map((rule) => ({
      matches: rule.matches.map(grpcMatchMessage),
      filters: [
        ...rule.filters.flatMap(grpcFilters),
        ...(rule.forbidden ? [grpcFailure(GRPC_NOT_ALLOWED, NOT_ALLOWED)] : []),
      ],
      backends: distribution(rule.distribution, grpcBackend),
      requestTimeout: optionalDuration(rule.timeouts?.requestMs),
      timeouts: timeoutsMessage(rule.timeouts),
      retry: rule.retry === undefined ? undefined : grpcRetry(rule.retry),
      allowL5dRequestHeaders: rule.allowL5dRequestHeaders,
    })),
  };
}

function opaqueRoute(route: OutboundStreamRoute): Init<typeof OpaqueRouteSchema> {
  return { metadata: metaMessage(route.meta), rules: streamRules(route) };
}

function tlsRoute(route: OutboundStreamRoute): Init<typeof TlsRouteSchema> {
  return {
    metadata: metaMessage(route.meta),
    snis: route.hosts.map(hostMessage),
    rules: streamRules(route),
  };
}

/** Opaque and TLS routes have the same rules, under two names. */
function streamRules(route: OutboundStreamRoute): {
  filters: StreamFilter[];
  backends: DistributionMessage<StreamBackend>;
}[] {
  return route.rules.map((rule) => ({
    filters: rule.forbidden ? [{ kind: { case: "forbidden", value: {} } }] : [],
    backends: distribution(rule.distribution, streamBackend),
  }));
}

interface StreamFilter {
  kind:
    | { case: "forbidden"; value: Record<string, never> }
    | { case: "invalid"; value: { message: string } };
}

interface StreamBackend {
  backend: Init<typeof BackendSchema>;
  filters: StreamFilter[];
}

interface DistributionMessage<B> {
  kind:
    | { case: "empty"; value: Record<string, never> }
    | { case: "firstAvailable"; value: { backends: B[] } }
    | { case: "randomAvailable"; value: { backends: { backend: B; weight: number }[] } };
}

function distribution<B>(
  of: Distribution,
  backendOf: (backend: RouteBackend) => B,
): DistributionMessage<B> {
  switch (of.kind) {
    case "empty":
      return { kind: { case: "empty", value: {} } };
    case "first":
      return { kind: { case: "firstAvailable", value: { backends: of.backends.map(backendOf) } } };
    case "random": {
      const backends = of.backends.map((backend) => ({
        backend: backendOf(backend),
        weight: backend.weight,
      }));
      return { kind: { case: "randomAvailable", value: { backends } } };
    }
  }
}

function httpBackend(backend: RouteBackend): Init<typeof HttpRoute_RouteBackendSchema> {
  const filters = backend.filters.map(httpFilter);
  if (backend.target.kind === "failing") {
    filters.push(httpFailure(FAILING_STATUS, backend.target.problem));
  }
  return { backend: backendMessage(backend), filters };
}

function grpcBackend(backend: RouteBackend): Init<typeof GrpcRoute_RouteBackendSchema> {
  const filters = backend.filters.flatMap(grpcFilters);
  if (backend.target.kind === "failing") {
    filters.push(grpcFailure(FAILING_STATUS, backend.target.problem));
  }
  return { backend: backendMessage(backend), filters };
}

function streamBackend(backend: RouteBackend): StreamBackend {
  const { target } = backend;
  const filters: StreamFilter[] =
    target.kind === "failing"
      ? [{ kind: { case: "invalid", value: { message: target.problem } } }]
      : [];
  return { backend: backendMessage(backend), filters };
}

function backendMessage({ meta, target, weight }: RouteBackend): Init<typeof BackendSchema> {
  const kind = targetMessage(target, weight);
  const common = { metadata: metaMessage(meta), queue: QUEUE };
  return kind === undefined ? common : { ...common, kind };
}

function targetMessage(
  target: BackendKind,
  weight: number,
): NonNullable<Init<typeof BackendSchema>["kind"]> | undefined {
  switch (target.kind) {
    case "failing":
      return undefined;
    case "forward": {
      const { ip, port } = target.address;
      return { case: "forward", value: { addr: { ip: ipMessage(ip), port }, weight } };
    }
    case "balancer": {
      const discovery = { kind: { case: "dst", value: { path: target.path } } } as const;
      return { case: "balancer", value: { discovery, load: loadMessage(target.bias) } };
    }
  }
}

type Load = NonNullable<Init<typeof Backend_BalanceP2cSchema>["load"]>;

function loadMessage(bias: (BackendKind & { kind: "balancer" })["bias"]): Load {
  const defaultRtt = duration(DEFAULT_RTT_MS);
  const decay = duration(EWMA_DECAY_MS);
  if (bias === undefined) return { case: "peakEwma", value: { defaultRtt, decay } };
  return {
    case: "penaltyPeakEwma",
    value: {
      defaultRtt,
      decay,
      penalty: duration(bias.penaltyMs),
      maxRetryAfter: duration(bias.maxRetryAfterMs),
      penaltyDecay: duration(EWMA_DECAY_MS),
    },
  };
}

function httpFilter(filter: FilterSpec): Init<typeof HttpRoute_FilterSchema> {
  switch (filter.kind) {
    case "request-headers":
      return { kind: { case: "requestHeaderModifier", value: headersMessage(filter.headers) } };
    case "response-headers": {
      return { kind: { case: "responseHeaderModifier", value: headersMessage(filter.headers) } };
    }
    case "redirect":
      return { kind: { case: "redirect", value: redirectMessage(filter.redirect) } };
    case "failure":
      return httpFailure(filter.status, filter.message);
  }
}

function httpFailure(status: number, message: string): Init<typeof HttpRoute_FilterSchema> {
  return { kind: { case: "failureInjector", value: { status, message } } };
}

/** gRPC routes know this one filter; a filter without kind would spoil the whole policy. */
function grpcFilters(filter: FilterSpec): Init<typeof GrpcRoute_FilterSchema>[] {
  if (filter.kind !== "request-headers") return [];
  return [{ kind: { case: "requestHeaderModifier", value: headersMessage(filter.headers) } }];
}

function grpcFailure(code: number, message: string): Init<typeof GrpcRoute_FilterSchema> {
  return { kind: { case: "failureInjector", value: { code, message } } };
}

function timeoutsMessage(
  timeouts: Timeouts | undefined,
): NonNullable<Init<typeof HttpRouteSchema>["rules"]>[number]["timeouts"] {
  if (timeouts === undefined) return undefined;
  return {
    request: optionalDuration(timeouts.requestMs),
    response: optionalDuration(timeouts.responseMs),
    idle: optionalDuration(timeouts.idleMs),
  };
}

function httpRetry(retry: Retry<StatusRange>): Init<typeof HttpRoute_RetrySchema> {
  const statusRanges = retry.conditions.map(({ start, end }) => ({ start, end }));
  return { ...retryCommon(retry), conditions: { statusRanges } };
}

function grpcRetry(retry: Retry<GrpcCondition>): Init<typeof GrpcRoute_RetrySchema> {
  const has = (condition: GrpcCondition): boolean => retry.conditions.includes(condition);
  return {
    ...retryCommon(retry),
    conditions: {
      cancelled: has("cancelled"),
      // Misspelt in the API.
      deadineExceeded: has("deadline-exceeded"),
      internal: has("internal"),
      resourceExhausted: has("resource-exhausted"),
      unavailable: has("unavailable"),
    },
  };
}

function retryCommon(retry: Retry<unknown>): {
  maxRetries: number;
  maxRequestBytes: number;
  timeout: ReturnType<typeof duration> | undefined;
  backoff: Init<typeof ExponentialBackoffSchema>;
} {
  return {
    maxRetries: retry.limit,
    maxRequestBytes: RETRY_MAX_REQUEST_BYTES,
    timeout: optionalDuration(retry.timeoutMs),
    backoff: backoffMessage(RETRY_BACKOFF, false),
  };
}

function backoffMessage(
  { minMs, maxMs, jitter }: Backoff,
  respectRetryAfterHint: boolean,
): Init<typeof ExponentialBackoffSchema> {
  return {
    minBackoff: duration(minMs),
    maxBackoff: duration(maxMs),
    jitterRatio: jitter,
    respectRetryAfterHint,
  };
}

function accrualMessage(accrual: FailureAccrual): Init<typeof FailureAccrualSchema> {
  if (accrual.kind === "consecutive") {
    const { maxFailures } = accrual;
    const backoff = backoffMessage(accrual.backoff, false);
    return { kind: { case: "consecutiveFailures", value: { maxFailures, backoff } } };
  }
  return {
    kind: {
      case: "unified",
      value: {
        successRateThreshold: accrual.successRateThreshold,
        decay: duration(accrual.windowMs),
        minRequests: accrual.minRequests,
        maxConsecutiveFailures: accrual.maxFailures,
        backoff: backoffMessage(accrual.backoff, accrual.honorRetryAfter),
      },
    },
  };
}

function metaMessage(meta: Meta): Init<typeof MetadataSchema> {
  if (meta.kind === "default") return { kind: { case: "default", value: meta.name } };
  const { group, resource: kind, namespace, name, port = 0 } = meta;
  return { kind: { case: "resource", value: { group, kind, namespace, name, port } } };
}
