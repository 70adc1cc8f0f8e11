import { parseArgs } from "node:util";
import { MeshError } from "@heddle/base/errors";
import type { KubeClient } from "@heddle/kube/client";
import { CONFIG_MAPS, PODS, type Pod } from "@heddle/kube/types/core";
import manifest from "../../package.json" with { type: "json" };
import { CLUSTER_OPTIONS, clusterClient, controlNamespace } from "../cluster.ts";
import type { CliContext, Command } from "../command.ts";
import { goArgs } from "../go-flags.ts";

const TIMEOUT_MS = 5_000;
const UNAVAILABLE = "unavailable";
const PROXY = "linkerd-proxy";
const VERSION_ANNOTATION = "linkerd.io/proxy-version";

const OPTIONS = {
  ...CLUSTER_OPTIONS,
  client: { type: "boolean", default: false },
  short: { type: "boolean", default: false },
  proxy: { type: "boolean", default: false },
  namespace: { type: "string", short: "n" },
} as const;

type Flags = ReturnType<typeof parseArgs<{ options: typeof OPTIONS }>>["values"];

export const version: Command = {
  name: "version",
  summary: "Show the versions of client, control plane and proxies",
  usage:
    "version [--client] [--short] [--proxy] [-n|--namespace NS] [--kubeconfig FILE] [--context NAME] [-L|--linkerd-namespace NS]",

  /** @returns 0 also where nobody answers: the client's version is what one has then. */
  async run(args, context) {
    const { values: flags } = parseArgs({
      args: goArgs(args, OPTIONS),
      allowNegative: true,
      options: OPTIONS,
    });
    context.out(flags.short ? clientVersion() : `Client version: ${clientVersion()}`);
    if (flags.client) return 0;
    const server = await ask(flags, context, serverVersion);
    context.out(flags.short ? (server ?? UNAVAILABLE) : `Server version: ${server ?? UNAVAILABLE}`);
    if (!flags.proxy) return 0;
    const proxies = await ask(flags, context, proxyVersions);
    for (const line of proxyLines(proxies ?? new Map(), flags.short)) context.out(line);
    return 0;
  },
};

/** The one version of all packages. */
export function clientVersion(): string {
  return manifest.version;
}

/** What a cluster says within a bounded time; undefined where there is none, or no answer. */
async function ask<T>(
  flags: Flags,
  context: CliContext,
  question: (
    client: KubeClient,
    flags: Flags,
    signal: AbortSignal,
    context: CliContext,
  ) => Promise<T>,
): Promise<T | undefined> {
  const signal = AbortSignal.any([context.stop, AbortSignal.timeout(TIMEOUT_MS)]);
  try {
    using client = clusterClient(flags, context);
    return await question(client, flags, signal, context);
  } catch (error) {
    if (error instanceof MeshError || signal.aborted) return undefined;
    throw error;
  }
}

async function serverVersion(
  client: KubeClient,
  flags: Flags,
  signal: AbortSignal,
  context: CliContext,
): Promise<string | undefined> {
  const ref = { namespace: controlNamespace(flags, context), name: "linkerd-config" };
  const { data } = await client.get(CONFIG_MAPS, ref, { signal });
  const { parse } = await import("yaml");
  const values: unknown = parse(data?.["values"] ?? "", { maxAliasCount: 100 });
  const found = (values as { readonly linkerdVersion?: unknown } | null)?.linkerdVersion;
  return typeof found === "string" && found !== "" ? found : undefined;
}

async function proxyVersions(
  client: KubeClient,
  flags: Flags,
  signal: AbortSignal,
  context: CliContext,
): Promise<ReadonlyMap<string, number>> {
  const labelSelector = `linkerd.io/control-plane-ns=${controlNamespace(flags, context)}`;
  const { namespace } = flags;
  const { items } = await client.list(PODS, { namespace, labelSelector, signal });
  const counts = new Map<string, number>();
  for (const pod of items) {
    const found = proxyVersionOf(pod);
    if (found !== undefined) counts.set(found, (counts.get(found) ?? 0) + 1);
  }
  return new Map([...counts].sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** The tag of the proxy's image; where a digest names it, what the injector noted. */
function proxyVersionOf({ metadata, spec }: Pod): string | undefined {
  const containers = [...(spec?.initContainers ?? []), ...(spec?.containers ?? [])];
  const image = containers.find(({ name }) => name === PROXY)?.image;
  if (image === undefined) return undefined;
  const noted = metadata.annotations?.[VERSION_ANNOTATION];
  const tag = /:([^:/@]+)$/.exec(image)?.[1];
  return image.includes("@") ? noted : (tag ?? noted);
}

function proxyLines(versions: ReadonlyMap<string, number>, isShort: boolean): readonly string[] {
  if (isShort) return versions.size === 0 ? [UNAVAILABLE] : [...versions.keys()];
  if (versions.size === 0) return [`Proxy versions: ${UNAVAILABLE}`];
  return ["Proxy versions:", ...[...versions].map(([name, count]) => `\t${name} (${count} pods)`)];
}
