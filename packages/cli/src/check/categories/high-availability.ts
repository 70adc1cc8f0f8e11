import { type Category, failedFor, SKIPPED } from "../check.ts";
import { CHECKED_DEPLOYMENTS } from "../resources.ts";

const DEPLOYMENTS = ["linkerd-destination", "linkerd-identity", "linkerd-proxy-injector"];

export const HIGH_AVAILABILITY: Category = {
  name: "linkerd-ha-checks",
  checks: [
    {
      description: "multiple replicas of control plane pods",
      anchor: "l5d-control-plane-replicas",
      isWarning: true,
      isRetried: true,
      async run(mesh, signal) {
        if (!(await mesh.config(signal)).isHighlyAvailable) return SKIPPED;
        const namespace = mesh.options.controlNamespace;
        const { items } = await mesh.client.list(CHECKED_DEPLOYMENTS, { namespace, signal });
        const few: string[] = [];
        for (const name of DEPLOYMENTS) {
          const found = items.find(({ metadata }) => metadata.name === name);
          const available = found?.status?.availableReplicas ?? 0;
          if (available <= 1) few.push(`${name} (${available} available)`);
        }
        return failedFor("not enough replicas of these deployments", few);
      },
    },
  ],
};
