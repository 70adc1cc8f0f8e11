/** What every mesh of the profiles MESH-HTTP and MESH-GRPC must have. */
export const CORE: readonly string[] = ["Mesh", "HTTPRoute", "GRPCRoute"];

/**
 * What our proxies have beyond that. Left out are:
 * - MeshHTTPRouteRewritePath: Linkerd's proxies have no such filter, and ours have what they have.
 * - HTTPRoute303-, 307- and 308RedirectStatusCode: the codes can be had, but the suite asks for
 *   redirects that lead back to the request's own URL. Linkerd's proxies pass over those, as do ours.
 */
export const EXTENDED: readonly string[] = [
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
