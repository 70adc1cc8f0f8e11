/**
 * Has a Service's ServiceProfile, annotations and routes hold together, where one would void the
 * others (docs/reference/route-merge.md).
 */
export const ROUTE_MERGE = "config.heddle.dev/route-merge";

export function mergesRoutes(annotations: Readonly<Record<string, string>> | undefined): boolean {
  return annotations?.[ROUTE_MERGE] === "true";
}
