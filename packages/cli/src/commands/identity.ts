import { MeshError, messageOf } from "@heddle/base/errors";
import type { KubeClient } from "@heddle/kube/client";
import { PODS, type Pod } from "@heddle/kube/types/core";
import { CLUSTER_OPTIONS, clusterClient } from "../cluster.ts";
import { type CliContext, type Command, UsageError } from "../command.ts";
import { parseCommandLine } from "../go-flags.ts";
import { certificateText } from "../identity/certificate-text.ts";
import { presentedCertificates } from "../identity/presented.ts";

const OPTIONS = {
  ...CLUSTER_OPTIONS,
  namespace: { type: "string", short: "n" },
  selector: { type: "string", short: "l" },
} as const;

export const identity: Command = {
  name: "identity",
  summary: "Show the certificates that proxies of pods present",
  usage:
    "identity [-n|--namespace NS] [--kubeconfig FILE] [--context NAME] (-l|--selector SELECTOR | POD…)",

  /** @returns 0 also where a pod has none to show, as Linkerd does. */
  async run(args, context) {
    const { values: flags, positionals } = parseCommandLine(args, OPTIONS);
    if (positionals.length === 0 && flags.selector === undefined) {
      throw new UsageError("name pods, or select them with -l");
    }
    using client = clusterClient(flags, context);
    const namespace = flags.namespace ?? client.cluster.namespace;
    const pods = await choosePods(client, namespace, flags.selector, positionals);
    if (pods.length === 0) {
      context.err("No certificate could be fetched: there are no such pods.");
      return 0;
    }
    for (const [index, pod] of pods.entries()) {
      context.out(`\nPOD ${pod.metadata.name} (${index + 1} of ${pods.length})\n`);
      if (!(await show(client, pod, context))) return 0;
    }
    return 0;
  },

  async complete(words, said, context) {
    const { resourceWords } = await import("../completion/from-cluster.ts");
    return resourceWords(["pod", words.at(-1) ?? ""], said, context);
  },
};

async function choosePods(
  client: KubeClient,
  namespace: string,
  labelSelector: string | undefined,
  names: readonly string[],
): Promise<readonly Pod[]> {
  if (labelSelector !== undefined) {
    return (await client.list(PODS, { namespace, labelSelector })).items;
  }
  return Promise.all(names.map((name) => client.get(PODS, { namespace, name })));
}

/** @returns false where there was an error, after which nothing more is shown. */
async function show(client: KubeClient, pod: Pod, context: CliContext): Promise<boolean> {
  try {
    const presented = await presentedCertificates(client, pod, context.stop);
    for (const certificate of presented.filter(({ ca }) => !ca)) {
      context.out(await certificateText(certificate.raw));
    }
    return true;
  } catch (error) {
    if (!(error instanceof MeshError)) throw error;
    context.err(messageOf(error));
    return false;
  }
}
