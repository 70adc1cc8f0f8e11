import { type Category, failedFor, SKIPPED } from "../check.ts";
import { CHECKED_DEPLOYMENTS, COMPONENT, CREATED_BY } from "../resources.ts";

/** What two of cannot be in one cluster: definitions, webhooks and their leases are shared. */
const COMPONENTS = ["destination", "identity", "proxy-injector"];

/**
 * Of our own, and told only where it fails, so that what others read of the output stays as
 * Linkerd's.
 */
export const OTHER_CONTROL_PLANE: Category = {
  name: "heddle-control-plane",
  checks: [
    {
      description: "no other control plane serves this cluster",
      anchor: "heddle-other-control-plane",
      async run(mesh, signal) {
        const { controlNamespace, isPreInstall } = mesh.options;
        const labelSelector = `${COMPONENT} in (${COMPONENTS.join(",")})`;
        const { items } = await mesh.client.list(CHECKED_DEPLOYMENTS, { labelSelector, signal });
        const found = items.map(({ metadata }) => ({
          name: `${metadata.namespace}/${metadata.name}`,
          isElsewhere: isPreInstall || metadata.namespace !== controlNamespace,
          // `linkerd/helm edge-26.6.3`: the part before the slash made it.
          maker: (metadata.annotations?.[CREATED_BY] ?? "").split("/")[0] || "unknown",
        }));
        const makers = new Set(found.filter((one) => !one.isElsewhere).map(({ maker }) => maker));
        const others = found.filter(({ isElsewhere }) => isElsewhere || makers.size > 1);
        const verdict = failedFor(
          "controllers of one mesh would undo each other's work; docs/migrate-from-linkerd.md says how to take over. Running are",
          others.map(({ name, maker }) => `${name} (${maker})`).sort(),
        );
        return verdict.kind === "passed" ? SKIPPED : verdict;
      },
    },
  ],
};
