import type { FailureRatio, HeaderModifier, Redirect } from "@heddle/model/route/filters";
import type { GrpcRoute } from "@heddle/model/route/grpc-routes";
import type { HttpRoute } from "@heddle/model/route/http-routes";
import type { SniRoute } from "@heddle/model/route/sni";
import type { AccrualConfig } from "../balance/breaker.ts";
import { DEFAULT_LOAD, type LoadConfig } from "../balance/load.ts";
import { type EndpointInfo, plainEndpoint } from "../discovery/endpoint.ts";
import { NO_TIMEOUTS, type RetryPolicy, type RouteTimeouts } from "../http/retry-policy.ts";
import { defaultMeta, type Meta } from "../meta.ts";

/** What the controller says of one target. Plain data but for compiled filters. */
export interface OutboundPolicy {
  readonly parent: Meta;
  readonly protocol: OutboundProtocol;
}

export type OutboundProtocol =
  | {
      readonly kind: "detect";
      readonly http1: HttpPolicy;
      readonly http2: HttpPolicy;
      readonly opaque: OpaquePolicy;
    }
  | { readonly kind: "http1"; readonly http: HttpPolicy }
  | { readonly kind: "http2"; readonly http: HttpPolicy }
  | { readonly kind: "grpc"; readonly http: HttpPolicy }
  | { readonly kind: "opaque"; readonly opaque: OpaquePolicy }
  | { readonly kind: "tls"; readonly routes: readonly SniRoute<TcpRoute>[] };

/** Routes of HTTP requests: by HTTP or by gRPC rules. */
export interface HttpPolicy {
  readonly routes:
    | { readonly kind: "http"; readonly routes: readonly HttpRoute<RoutePolicy>[] }
    | { readonly kind: "grpc"; readonly routes: readonly GrpcRoute<RoutePolicy>[] };
  readonly accrual: AccrualConfig | undefined;
}

/** A rule of a route. */
export interface RoutePolicy {
  readonly meta: Meta;
  readonly filters: readonly Filter[];
  readonly distribution: DistributionPolicy<Filter>;
  readonly timeouts: RouteTimeouts;
  readonly retry: RetryPolicy | undefined;
  readonly allowsL5dHeaders: boolean;
}

export type Filter =
  | { readonly kind: "request_headers"; readonly modifier: HeaderModifier }
  | { readonly kind: "response_headers"; readonly modifier: HeaderModifier }
  | { readonly kind: "redirect"; readonly redirect: Redirect }
  | {
      readonly kind: "fail_http";
      readonly status: number;
      readonly message: string;
      readonly ratio: FailureRatio;
    }
  | {
      readonly kind: "fail_grpc";
      readonly code: number;
      readonly message: string;
      readonly ratio: FailureRatio;
    }
  | { readonly kind: "invalid"; readonly message: string };

/** Of opaque and TLS routes. */
export type TcpFilter =
  | { readonly kind: "forbidden" }
  | { readonly kind: "invalid"; readonly message: string };

export type DistributionPolicy<F> =
  | { readonly kind: "empty" }
  | { readonly kind: "first_available"; readonly backends: readonly RouteBackend<F>[] }
  | {
      readonly kind: "random_available";
      readonly backends: readonly RouteBackend<F>[];
      readonly weights: readonly number[];
    };

export interface RouteBackend<F> {
  readonly backend: Backend;
  readonly filters: readonly F[];
}

/** Equal keys: the same backend, whose balancer and connections are kept. */
export interface Backend {
  readonly key: string;
  readonly meta: Meta;
  readonly dispatcher: Dispatcher;
}

export type Dispatcher =
  | { readonly kind: "forward"; readonly endpoint: EndpointInfo }
  | { readonly kind: "balance"; readonly path: string; readonly load: LoadConfig }
  | { readonly kind: "fail"; readonly message: string };

export interface OpaquePolicy {
  /** Undefined: connections find no route. */
  readonly route: TcpRoute | undefined;
}

export interface TcpRoute {
  readonly meta: Meta;
  readonly filters: readonly TcpFilter[];
  readonly distribution: DistributionPolicy<TcpFilter>;
}

/** The backend's identity: all that its connections depend on. */
export function newBackend(meta: Meta, dispatcher: Dispatcher, queue: unknown = null): Backend {
  const named = [meta.group, meta.kind, meta.namespace, meta.name, meta.section, meta.port];
  return { key: JSON.stringify([named, dispatcher, queue]), meta, dispatcher };
}

/** One route that sends everything to one backend. */
export function simplePolicy(parent: Meta, backend: Backend): OutboundPolicy {
  const distribution = { kind: "first_available" as const, backends: [{ backend, filters: [] }] };
  const http: HttpPolicy = {
    routes: {
      kind: "http",
      routes: [
        {
          hosts: [],
          rules: [{ matches: [], value: newRoute(defaultMeta("default"), distribution) }],
        },
      ],
    },
    accrual: undefined,
  };
  const route: TcpRoute = { meta: defaultMeta("default"), filters: [], distribution };
  return { parent, protocol: { kind: "detect", http1: http, http2: http, opaque: { route } } };
}

function newRoute(meta: Meta, distribution: DistributionPolicy<Filter>): RoutePolicy {
  return {
    meta,
    filters: [],
    distribution,
    timeouts: NO_TIMEOUTS,
    retry: undefined,
    allowsL5dHeaders: false,
  };
}

/** For targets that the controller has no policy for: to the endpoint it knows, or as it is. */
export function forwardPolicy(
  name: "endpoint" | "fallback",
  endpoint: EndpointInfo,
): OutboundPolicy {
  const meta = defaultMeta(name);
  return simplePolicy(meta, newBackend(meta, { kind: "forward", endpoint }));
}

export function fallbackPolicy(ip: string, port: number): OutboundPolicy {
  return forwardPolicy("fallback", plainEndpoint(ip, port));
}

/** An opaque route over a profile's targets, by weight. */
export function targetsRoute(
  targets: readonly { readonly path: string; readonly weight: number }[],
): TcpRoute {
  const meta = defaultMeta("profile");
  const backends = targets.map(({ path }) => {
    const dispatcher = { kind: "balance" as const, path, load: DEFAULT_LOAD };
    return { backend: newBackend(meta, dispatcher), filters: [] };
  });
  const weights = targets.map(({ weight }) => weight);
  return { meta, filters: [], distribution: { kind: "random_available", backends, weights } };
}

/** What an unreadable policy becomes: every request is an error, every connection fails. */
export function invalidPolicy(message: string): OutboundPolicy {
  const meta = defaultMeta("invalid");
  const filters = [{ kind: "invalid" as const, message }];
  const http: HttpPolicy = {
    routes: {
      kind: "http",
      routes: [
        {
          hosts: [],
          rules: [{ matches: [], value: { ...newRoute(meta, { kind: "empty" }), filters } }],
        },
      ],
    },
    accrual: undefined,
  };
  const route: TcpRoute = { meta, filters, distribution: { kind: "empty" } };
  return {
    parent: meta,
    protocol: { kind: "detect", http1: http, http2: http, opaque: { route } },
  };
}
