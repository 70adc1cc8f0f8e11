/** HTTPRoute of both groups and GRPCRoute: one shape each, whichever group they come from. */
import type { Condition, KubeObject, Resource } from "./meta.ts";
import { resource } from "./meta.ts";

export interface ParentRef {
  readonly group?: string;
  readonly kind?: string;
  readonly namespace?: string;
  readonly name: string;
  readonly sectionName?: string;
  readonly port?: number;
}

export interface HeaderValue {
  readonly name: string;
  readonly value: string;
}

export interface HeaderModifier {
  readonly add?: readonly HeaderValue[];
  readonly set?: readonly HeaderValue[];
  readonly remove?: readonly string[];
}

export interface RequestRedirect {
  readonly scheme?: string;
  readonly hostname?: string;
  readonly port?: number;
  readonly statusCode?: number;
  readonly path?: {
    readonly type: "ReplaceFullPath" | "ReplacePrefixMatch";
    readonly replaceFullPath?: string;
    readonly replacePrefixMatch?: string;
  };
}

export interface RouteFilter {
  readonly type: string;
  readonly requestHeaderModifier?: HeaderModifier;
  readonly responseHeaderModifier?: HeaderModifier;
  readonly requestRedirect?: RequestRedirect;
}

export interface BackendRef {
  readonly group?: string;
  readonly kind?: string;
  readonly namespace?: string;
  readonly name: string;
  readonly port?: number;
  readonly weight?: number;
  readonly filters?: readonly RouteFilter[];
}

export interface ValueMatch {
  readonly type?: "Exact" | "RegularExpression";
  readonly name: string;
  readonly value: string;
}

export interface HttpMatch {
  readonly path?: {
    readonly type?: "Exact" | "PathPrefix" | "RegularExpression";
    readonly value?: string;
  };
  readonly headers?: readonly ValueMatch[];
  readonly queryParams?: readonly ValueMatch[];
  readonly method?: string;
}

export interface GrpcMatch {
  readonly method?: {
    readonly type?: "Exact" | "RegularExpression";
    readonly service?: string;
    readonly method?: string;
  };
  readonly headers?: readonly ValueMatch[];
}

export interface RouteTimeouts {
  readonly request?: string;
  readonly backendRequest?: string;
}

export interface RouteRule<M> {
  readonly name?: string;
  readonly matches?: readonly M[];
  readonly filters?: readonly RouteFilter[];
  readonly backendRefs?: readonly BackendRef[];
  readonly timeouts?: RouteTimeouts;
}

export interface RouteParentStatus {
  readonly parentRef: ParentRef;
  readonly controllerName: string;
  readonly conditions?: readonly Condition[];
}

export interface Route<M> extends KubeObject {
  readonly spec: {
    readonly parentRefs?: readonly ParentRef[];
    readonly hostnames?: readonly string[];
    readonly rules?: readonly RouteRule<M>[];
  };
  readonly status?: { readonly parents?: readonly RouteParentStatus[] };
}

export type HttpRoute = Route<HttpMatch>;
export type GrpcRoute = Route<GrpcMatch>;

export const POLICY_HTTP_ROUTES: Resource<HttpRoute> = resource(
  "policy.linkerd.io/v1beta3",
  "HTTPRoute",
  "httproutes",
);
export const GATEWAY_HTTP_ROUTES: Resource<HttpRoute> = resource(
  "gateway.networking.k8s.io/v1",
  "HTTPRoute",
  "httproutes",
);
export const GATEWAY_GRPC_ROUTES: Resource<GrpcRoute> = resource(
  "gateway.networking.k8s.io/v1",
  "GRPCRoute",
  "grpcroutes",
);
