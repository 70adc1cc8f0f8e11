import type { KubeClient } from "@heddle/kube/client";
import { EXTERNAL_WORKLOADS } from "@heddle/kube/types/linkerd";
import {
  authorizationsOf,
  policyObjects,
  type Selectable,
  selectableMachine,
  selectablePod,
} from "../authz/authorizations.ts";
import { CLUSTER_OPTIONS, clusterClient } from "../cluster.ts";
import { type Command, UsageError } from "../command.ts";
import { parseCommandLine } from "../go-flags.ts";
import { podsOf } from "../pods-of.ts";
import { parseResource, type ResourceName } from "../resource-name.ts";
import { renderTable } from "../table.ts";

const OPTIONS = { ...CLUSTER_OPTIONS, namespace: { type: "string", short: "n" } } as const;
const HEADER = ["ROUTE", "SERVER", "AUTHORIZATION_POLICY", "SERVER_AUTHORIZATION"] as const;

export const authz: Command = {
  name: "authz",
  summary: "Show which policies authorize whom for a resource's pods, or a machine",
  usage: "authz [-n|--namespace NS] [--kubeconfig FILE] [--context NAME] TYPE/NAME",

  async run(args, context) {
    const { values: flags, positionals } = parseCommandLine(args, OPTIONS);
    const resource = parseResource(positionals);
    using client = clusterClient(flags, context);
    const namespace = flags.namespace ?? client.cluster.namespace;
    const { workloads, at } = await workloadsOf(client, namespace, resource);
    const rows = authorizationsOf(workloads, await policyObjects(client, at));
    const cells = rows.map(({ route, server, authorizationPolicy, serverAuthorization }) => [
      route,
      server,
      authorizationPolicy,
      serverAuthorization,
    ]);
    context.out(renderTable(HEADER, cells).join("\n"));
    return 0;
  },

  async complete(words, said, context) {
    const { resourceWords } = await import("../completion/from-cluster.ts");
    return resourceWords(words, said, context);
  },
};

/** What of the resource Servers may select, and the namespace that it is in. */
async function workloadsOf(
  client: KubeClient,
  namespace: string,
  resource: ResourceName,
): Promise<{ readonly workloads: readonly Selectable[]; readonly at: string }> {
  const { kind, name } = resource;
  if (kind.name === "externalworkload") {
    if (name === undefined) throw new UsageError("name the machine, such as ew/my-machine");
    const machine = await client.get(EXTERNAL_WORKLOADS, { namespace, name });
    return { workloads: [selectableMachine(machine)], at: namespace };
  }
  const pods = await podsOf(client, namespace, resource);
  return {
    workloads: pods.map(selectablePod),
    at: pods[0]?.metadata.namespace ?? namespace,
  };
}
