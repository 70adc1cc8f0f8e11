import { parseArgs } from "node:util";
import { MeshError } from "@heddle/base/errors";
import { CLUSTER_OPTIONS, clusterClient, requireName } from "../cluster.ts";
import type { Command } from "../command.ts";
import { checkOutput } from "../go-flags.ts";
import { extensionNamespaces, listed, meshedPods } from "../install/data-plane.ts";
import type { ClusterReader } from "../install/installed.ts";
import { ownedClusterWide } from "../install/owned.ts";
import { printObjects } from "../install/render.ts";

export const uninstall: Command = {
  name: "uninstall",
  summary: "Print what is to be deleted to take the control plane away",
  usage: "uninstall [-f|--force] [-o yaml|json] [-L NAMESPACE] | kubectl delete -f -",

  async run(args, context) {
    const { values: flags } = parseArgs({
      args: [...args],
      options: {
        ...CLUSTER_OPTIONS,
        force: { type: "boolean", short: "f", default: false },
        output: { type: "string", short: "o", default: "yaml" },
      },
    });
    const format = checkOutput(flags.output ?? "yaml", ["yaml", "json"]);
    const namespace = requireName(flags["linkerd-namespace"], "--linkerd-namespace");
    const cluster = clusterClient(flags, context);
    if (!flags.force) await refuseInUse(cluster, namespace);
    const objects = await ownedClusterWide(cluster);
    if (objects.length === 0) context.err("Nothing to delete was found");
    else printObjects(objects, format, context);
    return 0;
  },
};

/** @throws MeshError `in_use` if somebody would be left without a control plane. */
async function refuseInUse(cluster: ClusterReader, namespace: string): Promise<void> {
  const extensions = await extensionNamespaces(cluster);
  if (extensions.length > 0) {
    const names = extensions.map((name) => `\t* ${name}`).join("\n");
    throw refusal(`these extensions are installed:\n${names}\nUninstall them first`);
  }
  const pods = await meshedPods(cluster, namespace);
  if (pods.length === 0) return;
  throw refusal(
    `these pods have a proxy of this mesh:\n${listed(pods)}\nTake it out first (heddle uninject)`,
  );
}

function refusal(state: string): MeshError {
  return new MeshError("in_use", "client", `Cannot uninstall: ${state}, or go on with --force`);
}
