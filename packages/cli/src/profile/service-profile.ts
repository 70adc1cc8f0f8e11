import type { ServiceProfile } from "@heddle/kube/types/linkerd";

/** A route of a ServiceProfile. */
export type ProfileRoute = NonNullable<NonNullable<ServiceProfile["spec"]>["routes"]>[number];

/** Whose profile it is. */
export interface ProfileTarget {
  readonly service: string;
  readonly namespace: string;
  readonly clusterDomain: string;
}

/** The ServiceProfile of a Service with these routes. */
export function serviceProfile(
  target: ProfileTarget,
  routes: readonly ProfileRoute[],
): ServiceProfile {
  return {
    apiVersion: "linkerd.io/v1alpha2",
    kind: "ServiceProfile",
    metadata: { name: profileName(target), namespace: target.namespace },
    spec: { routes },
  };
}

/** A profile's name is its Service's name in the cluster's DNS. */
export function profileName({ service, namespace, clusterDomain }: ProfileTarget): string {
  return `${service}.${namespace}.svc.${clusterDomain}`;
}

/** Text that a pattern takes as it is. */
export function escapePattern(text: string): string {
  return text.replace(/[\\.+*?()|[\]{}^$]/g, "\\$&");
}
