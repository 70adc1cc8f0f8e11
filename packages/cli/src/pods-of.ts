import type { KubeClient } from "@heddle/kube/client";
import { matchesLabels } from "@heddle/kube/selector";
import { JOBS, PODS, type Pod, REPLICA_SETS, SERVICES } from "@heddle/kube/types/core";
import type { KubeObject, Resource } from "@heddle/kube/types/meta";
import { UsageError } from "./command.ts";
import type { ResourceName } from "./resource-name.ts";

/** Between a kind and its pods stands another kind, whose objects it owns. */
const BETWEEN: Readonly<Record<string, Resource<KubeObject>>> = {
  deployment: REPLICA_SETS,
  cronjob: JOBS,
};
const OWNERS: readonly string[] = [
  "deployment",
  "cronjob",
  "daemonset",
  "job",
  "replicationcontroller",
  "replicaset",
  "statefulset",
];

/**
 * The pods of a resource: itself, those that it owns, those that a Service selects, or those of a
 * namespace.
 *
 * @throws UsageError for a kind that has no pods, or one without a name; MeshError `kube_not_found`.
 */
export async function podsOf(
  client: KubeClient,
  namespace: string,
  { kind, name }: ResourceName,
): Promise<readonly Pod[]> {
  if (kind.name === "namespace") return listPods(client, name ?? namespace);
  if (kind.name === "pod" && name === undefined) return listPods(client, namespace);
  const isKnown = OWNERS.includes(kind.name) || ["pod", "service"].includes(kind.name);
  if (!isKnown) throw new UsageError(`a ${kind.name} has no pods`);
  if (name === undefined) throw new UsageError(`name the ${kind.name}, such as ${kind.name}/web`);
  if (kind.name === "pod") return [await client.get(PODS, { namespace, name })];
  if (kind.name === "service") {
    const { spec } = await client.get(SERVICES, { namespace, name });
    const { selector = {} } = spec ?? {};
    if (Object.keys(selector).length === 0) return [];
    const pods = await listPods(client, namespace);
    return pods.filter(({ metadata }) => matchesLabels(selector, metadata.labels ?? {}));
  }
  const owner = await client.get(kind.resource!, { namespace, name });
  let owners = new Set([owner.metadata.uid ?? ""]);
  const between = BETWEEN[kind.name];
  if (between !== undefined) {
    const { items } = await client.list(between, { namespace });
    const owned = items.filter((object) => isOwned(object, owners));
    owners = new Set(owned.map(({ metadata }) => metadata.uid ?? ""));
  }
  return (await listPods(client, namespace)).filter((pod) => isOwned(pod, owners));
}

async function listPods(client: KubeClient, namespace: string): Promise<readonly Pod[]> {
  return (await client.list(PODS, { namespace })).items;
}

function isOwned({ metadata }: KubeObject, owners: ReadonlySet<string>): boolean {
  return (metadata.ownerReferences ?? []).some(({ uid }) => owners.has(uid));
}
