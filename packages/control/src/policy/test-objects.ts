import type { KubeObject } from "@heddle/kube/types/meta";

/** For tests only: objects as the API would hold them. */
export function object<T extends KubeObject>(
  name: string,
  fields: Omit<T, "metadata">,
  metadata: Partial<KubeObject["metadata"]> = {},
): T {
  return {
    metadata: { name, namespace: "ns", creationTimestamp: "2026-01-01T00:00:00Z", ...metadata },
    ...fields,
  } as unknown as T;
}

/** A status by which our controller has accepted a route on these parents. */
export function acceptedBy(
  ...parents: readonly { kind: string; name: string; port?: number; group?: string }[]
): { parents: object[] } {
  return {
    parents: parents.map((parentRef) => ({
      controllerName: "linkerd.io/policy-controller",
      parentRef: { group: "policy.linkerd.io", namespace: "ns", ...parentRef },
      conditions: [{ type: "Accepted", status: "True", reason: "Accepted" }],
    })),
  };
}
