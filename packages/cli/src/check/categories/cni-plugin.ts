import { CONFIG_MAPS, SERVICE_ACCOUNTS } from "@heddle/kube/types/core";
import type { KubeObject, Resource } from "@heddle/kube/types/meta";
import { type Category, type Check, failed, PASSED, SKIPPED } from "../check.ts";
import { CLUSTER_ROLE_BINDINGS, CLUSTER_ROLES, DAEMON_SETS } from "../resources.ts";

const NAME = "linkerd-cni";

/** All of it is skipped where the init container sets pods up instead. */
export const CNI_PLUGIN: Category = {
  name: "linkerd-cni-plugin",
  checks: [
    exists(CONFIG_MAPS, "cm", "linkerd-cni-config"),
    exists(CLUSTER_ROLES, "cr", NAME),
    exists(CLUSTER_ROLE_BINDINGS, "crb", NAME),
    exists(SERVICE_ACCOUNTS, "sa", NAME),
    exists(DAEMON_SETS, "ds", NAME),
    {
      description: "cni plugin pod is running on all nodes",
      anchor: "cni-plugin-ready",
      isFatal: true,
      isRetried: true,
      showsWhy: true,
      async run(mesh, signal) {
        if (!(await mesh.usesCni(signal))) return SKIPPED;
        const ref = { name: NAME, namespace: mesh.options.cniNamespace };
        const { status } = await mesh.client.get(DAEMON_SETS, ref, { signal });
        const { desiredNumberScheduled: wanted = 0, numberReady: ready = 0 } = status ?? {};
        if (wanted === ready) return PASSED;
        return failed(`the plugin is ready on ${ready} of ${wanted} nodes`);
      },
    },
  ],
};

function exists(of: Resource<KubeObject>, short: string, name: string): Check {
  return {
    description: `cni plugin ${of.kind} exists`,
    anchor: `cni-plugin-${short}-exists`,
    isFatal: true,
    async run(mesh, signal) {
      if (!(await mesh.usesCni(signal))) return SKIPPED;
      const { cniNamespace } = mesh.options;
      const ref = of.isNamespaced ? { name, namespace: cniNamespace } : { name };
      const found = await mesh.client.find(of, ref, { signal });
      if (found !== undefined) return PASSED;
      const where = of.isNamespaced ? ` in namespace ${cniNamespace}` : "";
      return failed(
        `missing ${of.kind} ${name}${where}; run heddle install-cni | kubectl apply -f -`,
      );
    },
  };
}
