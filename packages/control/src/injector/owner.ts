import type { OwnerReference } from "@heddle/inject/pod";
import type { KubeClient } from "@heddle/kube/client";
import { JOBS, REPLICA_SETS } from "@heddle/kube/types/core";
import type { OwnerReference as KubeOwner } from "@heddle/kube/types/meta";

/** Whose pod it is. */
export interface Owner {
  /** Lower case: `deployment`. */
  readonly kind: string;
  readonly name: string;
  /** The object for events; undefined for a pod on its own. */
  readonly reference: OwnerReference | undefined;
}

/** What may stand above a ReplicaSet; of others the ReplicaSet itself is the owner. */
const REPLICA_SET_OWNERS: readonly string[] = ["Job", "StatefulSet", "DaemonSet", "Deployment"];

/** Finds the owner of a pod through its ReplicaSet or Job. `pod` owns what has no single owner. */
export async function findOwner(
  client: KubeClient,
  namespace: string,
  podName: string,
  owners: readonly OwnerReference[],
): Promise<Owner> {
  const direct = owners[0];
  if (direct === undefined || owners.length > 1) {
    return { kind: "pod", name: podName, reference: undefined };
  }
  const above = await ownersOf(client, namespace, direct);
  const parent = above[0];
  const isTold =
    above.length === 1 &&
    parent !== undefined &&
    (direct.kind === "Job" || REPLICA_SET_OWNERS.includes(parent.kind));
  const found = isTold ? parent : direct;
  return { kind: found.kind.toLowerCase(), name: found.name, reference: found };
}

async function ownersOf(
  client: KubeClient,
  namespace: string,
  { kind, name }: OwnerReference,
): Promise<readonly KubeOwner[]> {
  if (kind !== "Job" && kind !== "ReplicaSet") return [];
  const found = await client.find(kind === "Job" ? JOBS : REPLICA_SETS, { namespace, name });
  return found?.metadata.ownerReferences ?? [];
}
