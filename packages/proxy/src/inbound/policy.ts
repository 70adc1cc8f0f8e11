import type { Authorization } from "@heddle/model/authorization";
import type { RateLimiter } from "@heddle/model/rate-limit";
import type { FailureRatio, HeaderModifier, Redirect } from "@heddle/model/route/filters";
import type { GrpcRoutes } from "@heddle/model/route/grpc-routes";
import { HttpRoutes } from "@heddle/model/route/http-routes";
import { defaultMeta, type Meta } from "../meta.ts";

/** What an inbound port expects and whom it admits, at one moment. Immutable but for limiters. */
export interface InboundPolicy {
  readonly server: Meta;
  readonly protocol: InboundProtocol;
  readonly detectTimeoutMs: number;
  /** Of connections that are forwarded as they are; HTTP looks at its route's. */
  readonly authorizations: readonly Authorization<Meta>[];
  /** Undefined: the protocol has no HTTP. */
  readonly routes: InboundRoutes | undefined;
  readonly rateLimit: { readonly meta: Meta; readonly limiter: RateLimiter } | undefined;
}

export type InboundProtocol = "detect" | "http1" | "http2" | "grpc" | "opaque" | "tls";

/** Metrics tell HTTP and gRPC apart by which kind of route was matched. */
export type InboundRoutes =
  | { readonly kind: "http"; readonly routes: HttpRoutes<InboundRule> }
  | { readonly kind: "grpc"; readonly routes: GrpcRoutes<InboundRule> };

export interface InboundRule {
  readonly meta: Meta;
  /** The route's own, then the Server's. */
  readonly authorizations: readonly Authorization<Meta>[];
  readonly filters: readonly InboundFilter[];
}

export type InboundFilter =
  | { readonly kind: "request_headers"; readonly modifier: HeaderModifier }
  | { readonly kind: "redirect"; readonly redirect: Redirect }
  /** As in Linkerd, injected failures answer 500 on this side, not what they ask for. */
  | { readonly kind: "fail"; readonly message: string; readonly ratio: FailureRatio }
  | { readonly kind: "internal_error"; readonly message: string };

/** Whether connections that are not HTTP may pass at all. */
export function forwardsBytes(policy: InboundPolicy): boolean {
  const { protocol } = policy;
  return protocol === "detect" || protocol === "opaque" || protocol === "tls";
}

/** One route for every request. */
export function catchAll(rule: InboundRule): InboundRoutes {
  const rules = [{ matches: [], value: rule }];
  return { kind: "http", routes: new HttpRoutes([{ hosts: [], rules }]) };
}

/** What holds for a message that makes no sense: nobody is admitted, and the cause is told. */
export function invalidPolicy(detectTimeoutMs: number, message: string): InboundPolicy {
  const filters = [{ kind: "internal_error", message } as const];
  return {
    server: defaultMeta("invalid"),
    protocol: "detect",
    detectTimeoutMs,
    authorizations: [],
    routes: catchAll({ meta: defaultMeta("invalid"), authorizations: [], filters }),
    rateLimit: undefined,
  };
}
