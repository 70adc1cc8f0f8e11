import type { NetworkMatch } from "@heddle/model/network";
import type { GrpcMatch } from "@heddle/model/route/grpc-routes";
import type { HostMatch } from "@heddle/model/route/host";
import type { HttpMatch } from "@heddle/model/route/http-routes";
import type { FilterSpec } from "../route-spec.ts";
import type { DefaultPolicy } from "./default-policy.ts";

export type ServerProtocol = "detect" | "http1" | "http2" | "grpc" | "opaque" | "tls";

/** What clients must prove. A suffix is its labels in natural order; `[]` is any identity. */
export type ClientAuthentication =
  | { readonly kind: "unauthenticated" }
  | { readonly kind: "tls" }
  | {
      readonly kind: "identities";
      readonly names: readonly string[];
      readonly suffixes: readonly (readonly string[])[];
    };

export type AuthorizationRef =
  | { readonly kind: "default"; readonly name: DefaultPolicy | "probe" }
  | { readonly kind: "authorizationpolicy" | "serverauthorization"; readonly name: string };

export interface AuthorizationRule {
  readonly ref: AuthorizationRef;
  readonly networks: readonly NetworkMatch[];
  readonly authentication: ClientAuthentication;
}

export type RouteRef =
  | { readonly kind: "default"; readonly name: "default" | "probe" }
  | {
      readonly kind: "resource";
      readonly group: string;
      readonly routeKind: string;
      readonly name: string;
    };

/** @typeParam M - HTTP or gRPC matches. */
export interface ServerRoute<M> {
  readonly ref: RouteRef;
  readonly hosts: readonly HostMatch[];
  readonly authorizations: readonly AuthorizationRule[];
  readonly rules: readonly {
    readonly matches: readonly M[];
    readonly filters: readonly FilterSpec[];
  }[];
}

export interface RateLimit {
  readonly name: string;
  readonly total: number | undefined;
  readonly identity: number | undefined;
  readonly overrides: readonly {
    readonly perSecond: number;
    readonly identities: readonly string[];
  }[];
}

/** The policy of one port of one workload. */
export interface InboundServer {
  readonly ref:
    | { readonly kind: "default"; readonly name: DefaultPolicy }
    | { readonly kind: "server"; readonly name: string };
  readonly protocol: ServerProtocol;
  readonly authorizations: readonly AuthorizationRule[];
  readonly httpRoutes: readonly ServerRoute<HttpMatch>[];
  readonly grpcRoutes: readonly ServerRoute<GrpcMatch>[];
  readonly rateLimit: RateLimit | undefined;
}
