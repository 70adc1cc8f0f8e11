import {
  AUTHORIZATION_POLICIES,
  EGRESS_NETWORKS,
  HTTP_LOCAL_RATE_LIMIT_POLICIES,
  SERVERS,
} from "@heddle/kube/types/linkerd";
import { type KubeObject, type Resource, resource } from "@heddle/kube/types/meta";
import {
  GATEWAY_GRPC_ROUTES,
  GATEWAY_HTTP_ROUTES,
  POLICY_HTTP_ROUTES,
  type Route,
} from "@heddle/kube/types/routes";
import type { StatusKind } from "./status/keys.ts";

export const TLS_ROUTES: Resource<Route<unknown>> = resource(
  "gateway.networking.k8s.io/v1alpha2",
  "TLSRoute",
  "tlsroutes",
);
export const TCP_ROUTES: Resource<Route<unknown>> = resource(
  "gateway.networking.k8s.io/v1alpha2",
  "TCPRoute",
  "tcproutes",
);

/** Where the objects are whose status we keep. */
export const STATUS_RESOURCES: Readonly<Record<StatusKind, Resource<KubeObject>>> = {
  "policy-http": POLICY_HTTP_ROUTES,
  "gateway-http": GATEWAY_HTTP_ROUTES,
  grpc: GATEWAY_GRPC_ROUTES,
  tls: TLS_ROUTES,
  tcp: TCP_ROUTES,
  "rate-limit": HTTP_LOCAL_RATE_LIMIT_POLICIES,
  egress: EGRESS_NETWORKS,
  server: SERVERS,
  authorization: AUTHORIZATION_POLICIES,
};
