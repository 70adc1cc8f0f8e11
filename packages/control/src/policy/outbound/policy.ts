import type { GrpcMatch } from "@heddle/model/route/grpc-routes";
import type { HostMatch } from "@heddle/model/route/host";
import type { HttpMatch } from "@heddle/model/route/http-routes";
import type { SocketAddress } from "@heddle/model/socket-address";
import type {
  FailureAccrual,
  GrpcCondition,
  LoadBias,
  Retry,
  StatusRange,
  Timeouts,
} from "../annotations.ts";
import type { FilterSpec } from "../route-spec.ts";

export type ParentKind = "Service" | "EgressNetwork";

export type Meta =
  | { readonly kind: "default"; readonly name: string }
  | {
      readonly kind: "resource";
      readonly group: string;
      readonly resource: string;
      readonly namespace: string;
      readonly name: string;
      readonly port?: number;
    };

/** Where requests end up. */
export type BackendKind =
  | {
      readonly kind: "balancer";
      /** `name:port`, as the destination API takes it. */
      readonly path: string;
      readonly bias: LoadBias | undefined;
    }
  | { readonly kind: "forward"; readonly address: SocketAddress }
  /** Nowhere: whatever is sent there fails with this message. */
  | { readonly kind: "failing"; readonly problem: string };

export interface RouteBackend {
  readonly meta: Meta;
  readonly target: BackendKind;
  readonly filters: readonly FilterSpec[];
  readonly weight: number;
}

/** How a rule's requests are spread: not at all, to the first that is there, by weight. */
export type Distribution =
  | { readonly kind: "empty" }
  | { readonly kind: "first"; readonly backends: readonly RouteBackend[] }
  | { readonly kind: "random"; readonly backends: readonly RouteBackend[] };

export interface OutboundRule<M, C> {
  readonly matches: readonly M[];
  readonly filters: readonly FilterSpec[];
  /** Traffic that is not allowed at all. */
  readonly forbidden: boolean;
  readonly distribution: Distribution;
  readonly timeouts: Timeouts | undefined;
  readonly retry: Retry<C> | undefined;
  readonly allowL5dRequestHeaders: boolean;
}

export interface OutboundRoute<M, C> {
  readonly meta: Meta;
  /** Hosts, or names of TLS servers. */
  readonly hosts: readonly HostMatch[];
  readonly rules: readonly OutboundRule<M, C>[];
}

export type OutboundHttpRoute = OutboundRoute<HttpMatch, StatusRange>;
export type OutboundGrpcRoute = OutboundRoute<GrpcMatch, GrpcCondition>;
/** TLS that is passed through, and bytes: nothing to match but names, nothing to retry. */
export type OutboundStreamRoute = OutboundRoute<never, never>;

export type OutboundProtocol =
  | {
      readonly kind: "detect";
      readonly http: readonly OutboundHttpRoute[];
      readonly opaque: readonly OutboundStreamRoute[];
    }
  | { readonly kind: "http1" | "http2"; readonly routes: readonly OutboundHttpRoute[] }
  | { readonly kind: "grpc"; readonly routes: readonly OutboundGrpcRoute[] }
  | { readonly kind: "tls" | "opaque"; readonly routes: readonly OutboundStreamRoute[] };

/** What a client's proxy does with connections to one destination. */
export interface OutboundPolicy {
  readonly meta: Meta;
  readonly protocol: OutboundProtocol;
  readonly accrual: FailureAccrual | undefined;
}
