import { hasReason } from "@heddle/kube/errors";
import {
  CONFIG_MAPS,
  CUSTOM_RESOURCE_DEFINITIONS,
  DEPLOYMENTS,
  NAMESPACES,
  SECRETS,
  SERVICE_ACCOUNTS,
  SERVICES,
} from "@heddle/kube/types/core";
import { apiVersionOf, type KubeObject, type Resource, resource } from "@heddle/kube/types/meta";
import { MUTATING_WEBHOOKS, VALIDATING_WEBHOOKS } from "@heddle/kube/types/webhooks";
import type { ClusterReader } from "./installed.ts";

const RBAC = "rbac.authorization.k8s.io/v1";

/** What belongs to nobody's namespace, or to several, and the namespaces themselves. */
const CLUSTER_WIDE: readonly Resource<KubeObject>[] = [
  resource(RBAC, "ClusterRole", "clusterroles", "Cluster"),
  resource(RBAC, "ClusterRoleBinding", "clusterrolebindings", "Cluster"),
  resource(RBAC, "Role", "roles"),
  resource(RBAC, "RoleBinding", "rolebindings"),
  CUSTOM_RESOURCE_DEFINITIONS,
  resource("apiregistration.k8s.io/v1", "APIService", "apiservices", "Cluster"),
  MUTATING_WEBHOOKS,
  VALIDATING_WEBHOOKS,
  NAMESPACES,
];

/** What else a chart of the control plane has had. What controllers make of it is not here. */
const NAMESPACED: readonly Resource<KubeObject>[] = [
  SERVICE_ACCOUNTS,
  CONFIG_MAPS,
  SECRETS,
  SERVICES,
  DEPLOYMENTS,
  resource("batch/v1", "CronJob", "cronjobs"),
  resource("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets"),
  resource("monitoring.coreos.com/v1", "PodMonitor", "podmonitors"),
];

/** As `kubectl delete` needs an object, and no more. */
export interface Named {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
}

/** What uninstalling takes away; the namespace takes along what is in it. */
export function ownedClusterWide(cluster: ClusterReader): Promise<readonly Named[]> {
  return listOwned(cluster, CLUSTER_WIDE);
}

/** Everything that a release of ours or of Linkerd's may have left. */
export function ownedByReleases(cluster: ClusterReader): Promise<readonly Named[]> {
  return listOwned(cluster, [...CLUSTER_WIDE, ...NAMESPACED]);
}

/** One name for one object, whatever version it is told in. */
export function identityOf({ apiVersion, kind, metadata }: Named): string {
  const group = apiVersion.includes("/") ? apiVersion.split("/")[0] : "";
  return `${group}/${kind}/${metadata.namespace ?? ""}/${metadata.name}`;
}

async function listOwned(
  cluster: ClusterReader,
  kinds: readonly Resource<KubeObject>[],
): Promise<readonly Named[]> {
  // The CNI plugin is installed and taken away by itself.
  const labelSelector = "linkerd.io/control-plane-ns,!linkerd.io/cni-resource";
  const found: Named[] = [];
  for (const kind of kinds) {
    for (const { metadata } of await listIfServed(cluster, kind, labelSelector)) {
      const { name = "", namespace } = metadata;
      found.push({
        apiVersion: apiVersionOf(kind),
        kind: kind.kind,
        metadata: namespace === undefined ? { name } : { name, namespace },
      });
    }
  }
  return found;
}

/** Not every cluster knows every kind. */
async function listIfServed(
  cluster: ClusterReader,
  kind: Resource<KubeObject>,
  labelSelector: string,
): Promise<readonly KubeObject[]> {
  try {
    return (await cluster.list(kind, { labelSelector })).items;
  } catch (error) {
    if (hasReason(error, "NotFound")) return [];
    throw error;
  }
}
