import type { OwnerLabel } from "./endpoint.ts";
import type { MiddleOwnerRecord, PodRecord } from "./records.ts";

/** What ReplicaSets may belong to; of others the ReplicaSet itself is the owner. */
const REPLICA_SET_OWNERS: ReadonlySet<string> = new Set(["apps/Deployment", "argoproj.io/Rollout"]);

/** Finds whom a pod belongs to, through its ReplicaSet or Job. */
export class Owners {
  readonly #middle = new Map<string, MiddleOwnerRecord>();

  set(record: MiddleOwnerRecord): void {
    this.#middle.set(keyOfMiddle(record), record);
  }

  delete(record: MiddleOwnerRecord): void {
    this.#middle.delete(keyOfMiddle(record));
  }

  ownerOf(pod: PodRecord): OwnerLabel {
    const { owner, namespace } = pod;
    if (owner === undefined) return ["pod", pod.name];
    if (owner.kind === "ReplicaSet") {
      const set = this.#middle.get(keyOfMiddle({ kind: "ReplicaSet", namespace, ...named(owner) }));
      if (set === undefined) return deploymentOf(pod, owner.name) ?? ["replicaset", owner.name];
      const above = set.owner;
      if (above === undefined || !REPLICA_SET_OWNERS.has(`${above.group}/${above.kind}`)) {
        return ["replicaset", owner.name];
      }
      return [above.kind.toLowerCase(), above.name];
    }
    if (owner.kind === "Job") {
      const above = this.#middle.get(
        keyOfMiddle({ kind: "Job", namespace, ...named(owner) }),
      )?.owner;
      return above === undefined ? ["job", owner.name] : [above.kind.toLowerCase(), above.name];
    }
    return [owner.kind.toLowerCase(), owner.name];
  }
}

/**
 * A Deployment names its ReplicaSets after itself and the hash that their pods are labelled with.
 * So its pods are known by their right name even before the ReplicaSet is.
 */
function deploymentOf(pod: PodRecord, replicaSet: string): OwnerLabel | undefined {
  const hash = pod.labels["pod-template-hash"];
  if (hash === undefined || hash === "" || !replicaSet.endsWith(`-${hash}`)) return undefined;
  return ["deployment", replicaSet.slice(0, -hash.length - 1)];
}

function named(owner: { readonly name: string }): { name: string } {
  return { name: owner.name };
}

function keyOfMiddle(of: Pick<MiddleOwnerRecord, "kind" | "namespace" | "name">): string {
  return `${of.kind}/${of.namespace}/${of.name}`;
}
