import { clusterClient, requireName } from "../cluster.ts";
import type { CliContext, Command } from "../command.ts";
import { checkOutput } from "../go-flags.ts";
import { chartSchema, chartValues } from "../helm/chart.ts";
import { checkSchema } from "../helm/schema.ts";
import { overlay, type Values } from "../helm/set-values.ts";
import { attempt, withHelmFlags } from "../helm/value-flags.ts";
import { parseFlags, VALUE_USAGE, type ValueFlags, withFlags } from "../install/flags.ts";
import { checkGatewayApi, findGatewayApi, gatewayDefault } from "../install/gateway-api.ts";
import {
  apiServerPorts,
  type ClusterReader,
  refuseDocker,
  refuseElsewhere,
  refuseInstalled,
  requireDefinitions,
} from "../install/installed.ts";
import { issuerValues } from "../install/issuer.ts";
import { controlPlaneObjects, definitionObjects, printObjects } from "../install/render.ts";
import { checkInstallValues } from "../install-values.ts";

export const install: Command = {
  name: "install",
  summary: "Print the manifests of the control plane, or of its resources",
  usage: `install ${VALUE_USAGE} [--ignore-cluster] [--cluster-domain D] [--identity-trust-domain D] [--identity-external-issuer] [--identity-external-ca] [--identity-issuer-certificate-file FILE --identity-issuer-key-file FILE --identity-trust-anchors-file FILE]`,

  async run(args, context) {
    const flags = parseFlags("install", args);
    const format = checkOutput(flags.output ?? "yaml", ["yaml", "json"]);
    const namespace = requireName(flags["linkerd-namespace"] ?? "linkerd", "--linkerd-namespace");
    const cluster = flags["ignore-cluster"] === true ? undefined : clusterClient(flags, context);
    if (cluster !== undefined) await refuseInstalled(cluster, namespace);
    if (flags.crds === true) {
      const values = await definitionValues(flags, cluster);
      printObjects(definitionObjects(values, namespace), format, context);
      context.err("These are the resources only. Next: heddle install");
      return 0;
    }
    if (cluster !== undefined) {
      await refuseElsewhere(cluster, namespace);
      await requireDefinitions(cluster, "install");
    }
    const values = await newControlPlane(flags, namespace, context, cluster);
    const objects = await controlPlaneObjects(values, namespace, context, cluster);
    printObjects(objects, format, context);
    return 0;
  },
};

/**
 * The values of the chart of resources.
 *
 * @throws MeshError `gateway_api` if they do not fit what the cluster has.
 */
export async function definitionValues(
  flags: ValueFlags,
  cluster: ClusterReader | undefined,
): Promise<Values> {
  const api = cluster === undefined ? undefined : await findGatewayApi(cluster);
  const base = chartValues("heddle-crds");
  const defaults = api === undefined ? {} : gatewayDefault(api);
  const values = await withHelmFlags(overlay(base, defaults), flags);
  attempt("use these values", () => checkSchema(values, chartSchema("heddle-crds")));
  if (api !== undefined) checkGatewayApi(api, values);
  return values;
}

/** The chart's values, then what the cluster says, then flags, then value flags, then what must be made. */
async function newControlPlane(
  flags: ValueFlags,
  namespace: string,
  context: CliContext,
  cluster: ClusterReader | undefined,
): Promise<Values> {
  const base = chartValues("heddle-control-plane");
  const ha = flags.ha === true ? chartValues("heddle-control-plane", "values-ha.yaml") : {};
  const ports = cluster === undefined ? {} : await apiServerPorts(cluster);
  const given = withFlags(overlay(overlay(base, ha), ports), flags, context);
  const values = await withHelmFlags(given, flags);
  const facts = attempt("use these values", () => {
    checkSchema(values, chartSchema("heddle-control-plane"));
    return checkInstallValues(values);
  });
  if (cluster !== undefined) await refuseDocker(cluster, facts.isInitRoot);
  const { clock } = context;
  return overlay(values, await issuerValues({ facts, namespace, cluster, clock }));
}
