import { ALL_NETWORKS, type NetworkMatch } from "@heddle/model/network";
import type { GrpcMatch } from "@heddle/model/route/grpc-routes";
import type { HttpMatch } from "@heddle/model/route/http-routes";
import { ANY_IDENTITY } from "./authentication.ts";
import type { DefaultPolicy } from "./default-policy.ts";
import type { AuthorizationRule, ServerRoute } from "./server.ts";

/** Whom a default policy admits: nobody, or one rule named after it. */
export function defaultAuthorizations(
  policy: DefaultPolicy,
  clusterNetworks: readonly NetworkMatch[],
): AuthorizationRule[] {
  if (policy === "deny") return [];
  const isCluster = policy === "cluster-authenticated" || policy === "cluster-unauthenticated";
  const isAuthenticated = policy === "all-authenticated" || policy === "cluster-authenticated";
  return [
    {
      ref: { kind: "default", name: policy },
      networks: isCluster ? clusterNetworks : ALL_NETWORKS,
      authentication: isAuthenticated ? ANY_IDENTITY : { kind: "unauthenticated" },
    },
  ];
}

/** Where no route is attached: everything goes, and probes need no authorization. */
export function defaultHttpRoutes(
  probePaths: ReadonlySet<string> | undefined,
  probeNetworks: readonly NetworkMatch[],
): ServerRoute<HttpMatch>[] {
  const everything: ServerRoute<HttpMatch> = {
    ref: { kind: "default", name: "default" },
    hosts: [],
    authorizations: [],
    rules: [{ matches: [{ path: { kind: "prefix", prefix: "/" } }], filters: [] }],
  };
  if (probePaths === undefined || probeNetworks.length === 0) return [everything];
  const matches = [...probePaths]
    .sort()
    .map((path): HttpMatch => ({ path: { kind: "exact", path }, method: "GET" }));
  const probes: ServerRoute<HttpMatch> = {
    ref: { kind: "default", name: "probe" },
    hosts: [],
    authorizations: [
      {
        ref: { kind: "default", name: "probe" },
        networks: probeNetworks,
        authentication: { kind: "unauthenticated" },
      },
    ],
    rules: [{ matches, filters: [] }],
  };
  return [everything, probes];
}

export function defaultGrpcRoutes(): ServerRoute<GrpcMatch>[] {
  return [
    {
      ref: { kind: "default", name: "default" },
      hosts: [],
      authorizations: [],
      rules: [{ matches: [{ service: "", method: "", headers: [] }], filters: [] }],
    },
  ];
}
