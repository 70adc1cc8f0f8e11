import { parseArgs } from "node:util";
import { authorizationsOf, policyObjects } from "../authz/authorizations.ts";
import { CLUSTER_OPTIONS, clusterClient } from "../cluster.ts";
import type { Command } from "../command.ts";
import { goArgs } from "../go-flags.ts";
import { podsOf } from "../pods-of.ts";
import { parseResource } from "../resource-name.ts";
import { renderTable } from "../table.ts";

const OPTIONS = { ...CLUSTER_OPTIONS, namespace: { type: "string", short: "n" } } as const;
const HEADER = ["ROUTE", "SERVER", "AUTHORIZATION_POLICY", "SERVER_AUTHORIZATION"] as const;

export const authz: Command = {
  name: "authz",
  summary: "Show which policies authorize whom for the pods of a resource",
  usage: "authz [-n|--namespace NS] [--kubeconfig FILE] [--context NAME] TYPE/NAME",

  async run(args, context) {
    const { values: flags, positionals } = parseArgs({
      args: goArgs(args, OPTIONS),
      allowPositionals: true,
      allowNegative: true,
      options: OPTIONS,
    });
    const resource = parseResource(positionals);
    using client = clusterClient(flags, context);
    const namespace = flags.namespace ?? client.cluster.namespace;
    const pods = await podsOf(client, namespace, resource);
    const at = pods[0]?.metadata.namespace ?? namespace;
    const rows = authorizationsOf(pods, await policyObjects(client, at));
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
