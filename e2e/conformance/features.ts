/** What every mesh of the profiles MESH-HTTP and MESH-GRPC must have. */
export const CORE: readonly string[] = ["Mesh", "HTTPRoute", "GRPCRoute"];

/** What our proxies have beyond that. */
export const EXTENDED: readonly string[] = [
  "HTTPRoute303RedirectStatusCode",
  "HTTPRoute307RedirectStatusCode",
  "HTTPRoute308RedirectStatusCode",
  "HTTPRouteParentRefPort",
  "HTTPRouteResponseHeaderModification",
  "MeshClusterIPMatching",
  "MeshConsumerRoute",
  "MeshHTTPRouteBackendRequestHeaderModification",
  "MeshHTTPRouteNamedRouteRule",
  "MeshHTTPRouteQueryParamMatching",
  "MeshHTTPRouteRedirectPath",
  "MeshHTTPRouteRedirectPort",
  "MeshHTTPRouteSchemeRedirect",
];
