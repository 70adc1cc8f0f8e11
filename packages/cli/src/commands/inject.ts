import { MeshError } from "@heddle/base/errors";
import { injectManifest } from "@heddle/inject/manifest";
import { defaultValues, type Values } from "@heddle/inject/values";
import {
  CLUSTER_OPTIONS,
  type ClusterValues,
  clusterClient,
  controlNamespace,
} from "../cluster.ts";
import { clusterValues } from "../cluster-values.ts";
import type { CliContext, Command } from "../command.ts";
import { parseCommandLine } from "../go-flags.ts";
import {
  overridesOf,
  PROXY_OPTIONS,
  PROXY_USAGE,
  REGISTRY_VARIABLE,
} from "../inject/proxy-flags.ts";
import { InjectReport } from "../inject/report.ts";
import { manifestTarget, transformManifests } from "../manifests.ts";
import { clientVersion } from "./version.ts";

const OPTIONS = {
  ...CLUSTER_OPTIONS,
  ...PROXY_OPTIONS,
  manual: { type: "boolean", default: false },
  "ignore-cluster": { type: "boolean", default: false },
  output: { type: "string", short: "o", default: "yaml" },
} as const;

export const inject: Command = {
  name: "inject",
  summary: "Annotate manifests, so that their pods get the sidecar, or write it out",
  usage: `inject [--manual] [--ignore-cluster] [--verbose] [-o yaml|json] [--kubeconfig FILE] [--context NAME] [-L|--linkerd-namespace NS] ${PROXY_USAGE} FILE|FOLDER|HTTPS-URL|-`,

  async run(args, context) {
    const { values: flags, positionals } = parseCommandLine(args, OPTIONS);
    const target = manifestTarget(positionals, flags.output);
    const version = clientVersion();
    const namespace = controlNamespace(flags, context);
    const base = flags["ignore-cluster"]
      ? defaultValues(version)
      : await valuesOf(flags, namespace, version, context);
    const settings = {
      values: base,
      overrides: overridesOf(flags, base, context.env(REGISTRY_VARIABLE)),
      manual: flags.manual
        ? { controlNamespace: namespace, createdBy: `linkerd/cli ${version}` }
        : undefined,
    };
    const report = new InjectReport(context.hasColor);
    return transformManifests(
      {
        ...target,
        transform: (given, name) => {
          const injected = injectManifest(given, settings);
          report.note(name, injected);
          return injected;
        },
        remarks: () => report.lines(flags.verbose),
      },
      context,
    );
  },
};

async function valuesOf(
  flags: ClusterValues,
  namespace: string,
  version: string,
  context: CliContext,
): Promise<Values> {
  try {
    using client = clusterClient(flags, context);
    return await clusterValues(client, namespace, version);
  } catch (cause) {
    if (!(cause instanceof MeshError)) throw cause;
    const message =
      "Cannot ask the cluster how its mesh injects; --ignore-cluster takes the chart's defaults";
    throw new MeshError("no_cluster", "control", message, { cause });
  }
}
