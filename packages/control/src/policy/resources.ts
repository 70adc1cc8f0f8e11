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

/**
 * A kind in all versions that clusters may serve it in, best first: what we ask for, then that of
 * Gateway APIs that are older, and of newer ones, which need not keep `v1alpha2` of routes that are
 * stable by now. The fields that we read are the same in all of them.
 */
export function versionsOf<T extends KubeObject>(of: Resource<T>): readonly Resource<T>[] {
  if (of.group !== GATEWAY_HTTP_ROUTES.group) return [of];
  const others = OTHER_VERSIONS[of.plural] ?? [];
  return [of, ...others.map((version) => ({ ...of, version }))];
}

const OTHER_VERSIONS: Readonly<Record<string, readonly string[]>> = {
  httproutes: ["v1beta1"],
  grpcroutes: ["v1alpha2"],
  tlsroutes: ["v1alpha3", "v1"],
  tcproutes: ["v1"],
};

/** Where the objects are whose status we keep, in the versions that we like best. */
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
