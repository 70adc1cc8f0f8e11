import { parseArgs } from "node:util";
import { MeshError } from "@heddle/base/errors";
import { CLUSTER_OPTIONS, clusterClient, requireName } from "../cluster.ts";
import type { Command } from "../command.ts";
import { checkOutput } from "../go-flags.ts";
import { chartValues } from "../helm/chart.ts";
import { overlay } from "../helm/set-values.ts";
import { findControlPlane, installerOf, isOurs } from "../install/installed.ts";
import { identityOf, type Named, ownedByReleases } from "../install/owned.ts";
import { controlPlaneObjects, definitionObjects, printObjects } from "../install/render.ts";
import { storedValues } from "./upgrade.ts";

export const prune: Command = {
  name: "prune",
  summary: "Print what earlier releases have left, to be deleted",
  usage: "prune [-o yaml|json] [-L NAMESPACE] | kubectl delete -f -",

  async run(args, context) {
    const { values: flags } = parseArgs({
      args: [...args],
      options: {
        ...CLUSTER_OPTIONS,
        output: { type: "string", short: "o", default: "yaml" },
      },
    });
    const format = checkOutput(flags.output ?? "yaml", ["yaml", "json"]);
    const namespace = requireName(flags["linkerd-namespace"], "--linkerd-namespace");
    const cluster = clusterClient(flags, context);
    const config = await findControlPlane(cluster, namespace);
    if (config !== undefined && !isOurs(config)) {
      const message = `Cannot prune: this control plane is another's (by ${installerOf(config)}), whose remains are not ours to tell`;
      throw new MeshError("not_ours", "client", message);
    }
    const values = overlay(
      chartValues("heddle-control-plane"),
      await storedValues(cluster, namespace),
    );
    const wanted = [
      ...(await controlPlaneObjects(values, namespace, context, cluster)),
      ...definitionObjects(chartValues("heddle-crds"), namespace),
    ] as Named[];
    const names = new Set(wanted.map(identityOf));
    const left = (await ownedByReleases(cluster)).filter(
      (object) => !names.has(identityOf(object)) && !isRouteKind(object),
    );
    if (left.length > 0) printObjects(left, format, context);
    return 0;
  },
};

/** With a kind of the Gateway API everybody's routes would go, whoever installed it. */
function isRouteKind({ kind, metadata }: Named): boolean {
  return (
    kind === "CustomResourceDefinition" && metadata.name.endsWith(".gateway.networking.k8s.io")
  );
}
