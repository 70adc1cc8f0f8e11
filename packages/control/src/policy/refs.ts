import type { KubeObject } from "@heddle/kube/types/meta";

export const POLICY_GROUP = "policy.linkerd.io";
export const GATEWAY_GROUP = "gateway.networking.k8s.io";
/** Whose entries in a route's status are ours. */
export const CONTROLLER_NAME = "linkerd.io/policy-controller";

/** A group and a kind as references write them: no group is `core`, case does not count. */
export function refersTo(
  ref: { readonly group?: string | undefined; readonly kind?: string | undefined },
  group: string,
  kind: string,
): boolean {
  const named = ref.group === undefined || ref.group === "" ? "core" : ref.group.toLowerCase();
  return named === group.toLowerCase() && ref.kind?.toLowerCase() === kind.toLowerCase();
}

/** When something was made: what is older comes first and wins. */
export interface Aged {
  /** RFC 3339, which sorts as text; undefined for what was never stored. */
  readonly created: string | undefined;
  readonly name: string;
}

/** By age, what has one first; then by name. */
export function byAge(a: Aged, b: Aged): number {
  if (a.created !== b.created) {
    if (a.created === undefined) return 1;
    if (b.created === undefined) return -1;
    return a.created < b.created ? -1 : 1;
  }
  return byText(a.name, b.name);
}

export function byText(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

/** Name, namespace and age of an object from the store. */
export function identityOf(object: KubeObject): {
  readonly namespace: string;
  readonly name: string;
  readonly created: string | undefined;
} {
  const { namespace = "", name = "", creationTimestamp } = object.metadata;
  return { namespace, name, created: creationTimestamp };
}
