import type { ServiceProfile } from "@heddle/kube/types/linkerd";

/**
 * Has a Service's ServiceProfile, annotations and routes hold together, where one would void the
 * others (docs/reference/route-merge.md).
 */
export const ROUTE_MERGE = "config.heddle.dev/route-merge";

export function mergesRoutes(annotations: Readonly<Record<string, string>> | undefined): boolean {
  return annotations?.[ROUTE_MERGE] === "true";
}

/** Whether proxies go by such a profile, and no longer by routes and annotations. */
export function goesFirst(spec: ServiceProfile["spec"]): boolean {
  return (spec?.routes ?? []).length > 0 || (spec?.dstOverrides ?? []).length > 0;
}
