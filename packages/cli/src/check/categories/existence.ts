import { SERVICE_ACCOUNTS } from "@heddle/kube/types/core";
import { type Category, type Check, failed, failedFor, PASSED, SKIPPED } from "../check.ts";
import { componentOf, podName } from "../pods.ts";
import { CHECKED_REPLICA_SETS, type CheckedPod } from "../resources.ts";
import { NETWORK_CHECKS } from "./networks.ts";

const HEARTBEAT = "linkerd-heartbeat";
/** What a control plane consists of. */
const COMPONENTS = ["destination", "identity", "proxy-injector"];

const podsAreReady: Check = {
  description: "control plane pods are ready",
  anchor: "l5d-api-control-ready",
  isFatal: true,
  isRetried: true,
  showsWhy: true,
  async run(mesh, signal) {
    const pods = await mesh.controlPods(signal);
    const running = pods.filter(({ status }) => status?.phase === "Running");
    for (const component of COMPONENTS) {
      const of = running.filter((pod) => componentOf(pod) === component);
      if (of.length === 0) return failed(`no running pods for "linkerd-${component}"`);
      // One of several is enough: the others may be starting.
      const waiting = of.map(unreadyContainer);
      if (waiting.includes(undefined)) continue;
      return failed(`pod/${of[0]?.metadata.name} container ${waiting[0]} is not ready`);
    }
    return PASSED;
  },
};

/** Init containers are not counted, native sidecars among them, as in Linkerd. */
function unreadyContainer({ status }: CheckedPod): string | undefined {
  return status?.containerStatuses?.find(({ ready }) => ready !== true)?.name;
}

export const EXISTENCE: Category = {
  name: "linkerd-existence",
  checks: [
    {
      description: "'linkerd-config' config map exists",
      anchor: "l5d-existence-linkerd-config",
      isFatal: true,
      async run(mesh, signal) {
        await mesh.config(signal);
        return PASSED;
      },
    },
    {
      description: "heartbeat ServiceAccount exist",
      anchor: "l5d-existence-sa",
      isFatal: true,
      async run(mesh, signal) {
        if ((await mesh.config(signal)).isHeartbeatDisabled) return SKIPPED;
        const namespace = mesh.options.controlNamespace;
        const ref = { name: HEARTBEAT, namespace };
        const found = await mesh.client.find(SERVICE_ACCOUNTS, ref, { signal });
        return found === undefined ? failedFor("missing ServiceAccounts", [HEARTBEAT]) : PASSED;
      },
    },
    {
      description: "control plane replica sets are ready",
      anchor: "l5d-existence-replicasets",
      isFatal: true,
      isRetried: true,
      async run(mesh, signal) {
        const namespace = mesh.options.controlNamespace;
        const { items } = await mesh.client.list(CHECKED_REPLICA_SETS, { namespace, signal });
        const problems: string[] = [];
        for (const { metadata, status } of items) {
          for (const { type, status: is, reason, message } of status?.conditions ?? []) {
            if (type !== "ReplicaFailure" || is !== "True") continue;
            problems.push(`${metadata.name}: ${reason}: ${message}`);
          }
        }
        return failedFor("replica sets cannot make their pods", problems);
      },
    },
    {
      description: "no unschedulable pods",
      anchor: "l5d-existence-unschedulable-pods",
      isWarning: true,
      isRetried: true,
      async run(mesh, signal) {
        const problems: string[] = [];
        for (const pod of await mesh.controlPods(signal)) {
          const condition = pod.status?.conditions?.find(
            ({ reason }) => reason === "Unschedulable",
          );
          if (condition === undefined) continue;
          problems.push(`${podName(pod)}: ${condition.message ?? "Unschedulable"}`);
        }
        return failedFor("no node takes these pods", problems);
      },
    },
    podsAreReady,
    ...NETWORK_CHECKS,
  ],
};
