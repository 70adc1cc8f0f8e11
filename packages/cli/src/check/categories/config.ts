import { NAMESPACES, SERVICE_ACCOUNTS } from "@heddle/kube/types/core";
import type { KubeObject, Resource } from "@heddle/kube/types/meta";
import { MUTATING_WEBHOOKS, VALIDATING_WEBHOOKS } from "@heddle/kube/types/webhooks";
import { type Category, type Check, failed, failedFor, PASSED } from "../check.ts";
import {
  CHECKED_NODES,
  CLUSTER_ROLE_BINDINGS,
  CLUSTER_ROLES,
  CONTROL_PLANE_NS,
} from "../resources.ts";
import { DEFINITIONS_EXIST } from "./definitions.ts";

/** The CNI plugin's roles carry the same label, and are checked where it is used. */
const OURS = `${CONTROL_PLANE_NS},!linkerd.io/cni-resource`;

const ACCOUNTS = ["linkerd-destination", "linkerd-identity", "linkerd-proxy-injector"];

export const CONFIG: Category = {
  name: "linkerd-config",
  checks: [
    {
      description: "control plane Namespace exists",
      anchor: "l5d-existence-ns",
      isFatal: true,
      async run(mesh, signal) {
        const { controlNamespace: name } = mesh.options;
        const found = await mesh.client.find(NAMESPACES, { name }, { signal });
        return found === undefined ? failed(`the namespace "${name}" is missing`) : PASSED;
      },
    },
    exist(CLUSTER_ROLES, "ClusterRoles", "l5d-existence-cr", roleNames),
    exist(CLUSTER_ROLE_BINDINGS, "ClusterRoleBindings", "l5d-existence-crb", roleNames),
    exist(SERVICE_ACCOUNTS, "ServiceAccounts", "l5d-existence-sa", () => ACCOUNTS),
    DEFINITIONS_EXIST,
    exist(MUTATING_WEBHOOKS, "MutatingWebhookConfigurations", "l5d-existence-mwc", () => [
      "linkerd-proxy-injector-webhook-config",
    ]),
    exist(VALIDATING_WEBHOOKS, "ValidatingWebhookConfigurations", "l5d-existence-vwc", () => [
      "linkerd-sp-validator-webhook-config",
    ]),
    {
      description: "proxy-init container runs as root user if docker container runtime is used",
      anchor: "l5d-proxy-init-run-as-root",
      async run(mesh, signal) {
        const { runsInitAsRoot } = await mesh.config(signal);
        if (runsInitAsRoot) return PASSED;
        const { items } = await mesh.client.list(CHECKED_NODES, { signal });
        const docker = items.filter(({ status }) =>
          status?.nodeInfo?.containerRuntimeVersion?.startsWith("docker:"),
        );
        return failedFor(
          "set proxyInit.runAsRoot to true: these nodes run Docker, where linkerd-init needs root",
          docker.map(({ metadata }) => metadata.name ?? ""),
        );
      },
    },
  ],
};

function roleNames(namespace: string): readonly string[] {
  return ["identity", "proxy-injector"].map((role) => `linkerd-${namespace}-${role}`);
}

/** Objects of one kind that every installation has. */
function exist(
  of: Resource<KubeObject>,
  kinds: string,
  anchor: string,
  names: (controlNamespace: string) => readonly string[],
): Check {
  return {
    description: `control plane ${kinds} exist`,
    anchor,
    isFatal: true,
    async run(mesh, signal) {
      const { controlNamespace } = mesh.options;
      const { items } = await mesh.client.list(of, {
        ...(of.isNamespaced ? { namespace: controlNamespace } : {}),
        labelSelector: OURS,
        signal,
      });
      const found = new Set(items.map(({ metadata }) => metadata.name));
      const missing = names(controlNamespace).filter((name) => !found.has(name));
      return failedFor(`missing ${kinds}`, missing);
    },
  };
}
