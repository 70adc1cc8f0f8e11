import { MeshError, messageOf } from "@heddle/base/errors";
import { type ConfigMap, SECRETS } from "@heddle/kube/types/core";
import { clusterClient, requireName } from "../cluster.ts";
import type { CliContext, Command } from "../command.ts";
import { checkOutput } from "../go-flags.ts";
import { chartSchema, chartValues } from "../helm/chart.ts";
import { checkSchema } from "../helm/schema.ts";
import { overlay, type Values } from "../helm/set-values.ts";
import { attempt, withHelmFlags } from "../helm/value-flags.ts";
import { listed, meshedPods, podsWithoutTrust } from "../install/data-plane.ts";
import { parseFlags, VALUE_USAGE, type ValueFlags, withFlags } from "../install/flags.ts";
import {
  type ClusterReader,
  findControlPlane,
  installerOf,
  isOurs,
  refuseDocker,
  requireDefinitions,
} from "../install/installed.ts";
import { checkIssuer, issuerValues, refuseExternalFiles } from "../install/issuer.ts";
import { ManifestReader } from "../install/manifest-reader.ts";
import { OVERRIDES, readOverrides } from "../install/overrides.ts";
import { controlPlaneObjects, definitionObjects, printObjects } from "../install/render.ts";
import { checkInstallValues, type InstallFacts } from "../install-values.ts";
import { readSource } from "../manifests.ts";
import { definitionValues } from "./install.ts";

const HELP = "https://linkerd.io/upgrade/#troubleshooting";

export const upgrade: Command = {
  name: "upgrade",
  summary: "Print the manifests of an installed control plane anew, with its values and issuer",
  usage: `upgrade ${VALUE_USAGE} [--force] [--from-manifests FILE|-|URL] [--take-over]`,

  async run(args, context) {
    const flags = parseFlags("upgrade", args);
    const format = checkOutput(flags.output ?? "yaml", ["yaml", "json"]);
    const namespace = requireName(flags["linkerd-namespace"] ?? "linkerd", "--linkerd-namespace");
    try {
      printObjects(await upgraded(flags, namespace, context), format, context);
      return 0;
    } catch (error) {
      if (!(error instanceof MeshError)) throw error;
      context.err(`× ${messageOf(error)}\n  see ${HELP}`);
      return 1;
    }
  },
};

async function upgraded(
  flags: ValueFlags,
  namespace: string,
  context: CliContext,
): Promise<readonly object[]> {
  const source = flags["from-manifests"];
  const cluster: ClusterReader =
    source === undefined
      ? clusterClient(flags, context)
      : new ManifestReader(await readSource(source));
  const config = await findControlPlane(cluster, namespace);
  const isTakeOver = config !== undefined && !isOurs(config);
  if (isTakeOver) requireTakeOver(config, flags);
  if (flags.crds === true)
    return definitionObjects(await definitionValues(flags, cluster), namespace);
  if (config === undefined) {
    const message = `Cannot upgrade: namespace ${namespace} has no control plane (no ConfigMap linkerd-config); run heddle install`;
    throw new MeshError("not_installed", "client", message);
  }
  await requireDefinitions(cluster, "upgrade");
  const stored = await storedValues(cluster, namespace);
  const values = await changedValues(isTakeOver ? withoutReleases(stored) : stored, flags, context);
  const facts = attempt("use these values", () => {
    checkSchema(values, chartSchema("heddle-control-plane"));
    return checkInstallValues(values);
  });
  await checkTrust(facts, { flags, namespace, context, cluster });
  await refuseDocker(cluster, facts.isInitRoot);
  if (flags["identity-trust-anchors-file"] !== undefined) {
    context.err(
      "‼ The trust anchors change: proxies that run keep theirs until their pods are started anew",
    );
  }
  const issuer = await issuerValues({ facts, namespace, cluster, clock: context.clock });
  return controlPlaneObjects(overlay(values, issuer), namespace, context, cluster);
}

function requireTakeOver(config: ConfigMap, flags: ValueFlags): void {
  if (flags["take-over"] === true) return;
  const message = `Cannot upgrade: this control plane is another's (by ${installerOf(config)}); heddle upgrade --take-over replaces it, and keeps anchors, issuer, resources and proxies (docs/migrate-from-linkerd.md)`;
  throw new MeshError("not_ours", "client", message);
}

/** @throws MeshError `no_overrides` if the control plane was not installed by command. */
export async function storedValues(cluster: ClusterReader, namespace: string): Promise<Values> {
  const secret = await cluster.find(SECRETS, { name: OVERRIDES, namespace });
  if (secret !== undefined) return readOverrides(secret);
  const message = `Cannot find Secret ${namespace}/${OVERRIDES}: this control plane was not installed by command; if Helm installed it, go on with Helm`;
  throw new MeshError("no_overrides", "client", message);
}

/** The chart's values, those that were stored, then flags. */
async function changedValues(
  stored: Values,
  flags: ValueFlags,
  context: CliContext,
): Promise<Values> {
  const base = chartValues("heddle-control-plane");
  const ha = flags.ha === true ? chartValues("heddle-control-plane", "values-ha.yaml") : {};
  const before = overlay(overlay(base, ha), stored);
  return withHelmFlags(withFlags(before, flags, context), flags);
}

/** Versions and images of the release that we replace say nothing about ours. */
function withoutReleases(stored: Values): Values {
  const { cliVersion, linkerdVersion, controllerImage, controllerImageVersion, ...rest } = stored;
  const values = structuredClone(rest);
  for (const part of [values["proxy"], values["debugContainer"]]) {
    const image = (part as { image?: Values } | undefined)?.image;
    if (image !== undefined) delete image["version"];
  }
  return values;
}

/** Nothing is printed that would part the proxies that run from those to come. */
async function checkTrust(
  facts: InstallFacts,
  options: {
    readonly flags: ValueFlags;
    readonly namespace: string;
    readonly context: CliContext;
    readonly cluster: ClusterReader;
  },
): Promise<void> {
  const { flags, namespace, context, cluster } = options;
  refuseExternalFiles(facts);
  if (facts.scheme === "kubernetes.io/tls") return;
  const nowMs = context.clock.wallMs();
  const { anchors, certificate, key } = facts.given;
  if (anchors === "" && certificate === "" && key === "") {
    const message = `Cannot upgrade: Secret ${namespace}/${OVERRIDES} holds no issuer; give --identity-trust-anchors-file, --identity-issuer-certificate-file and --identity-issuer-key-file`;
    throw new MeshError("bad_issuer", "client", message);
  }
  if (!facts.isExternalCa) await checkIssuer(facts.given, nowMs);
  if (flags.force === true) return;
  const pods = await meshedPods(cluster, namespace);
  const without = await podsWithoutTrust(pods, facts.given, nowMs);
  if (without.length === 0) return;
  const message = `Cannot upgrade: these pods' proxies do not trust the issuer:\n${listed(without)}\nStart them anew with the new anchors first, or go on with --force`;
  throw new MeshError("untrusting_pods", "client", message);
}
