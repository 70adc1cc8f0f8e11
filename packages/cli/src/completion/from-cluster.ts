import { NAMESPACES } from "@heddle/kube/types/core";
import { clusterClient } from "../cluster.ts";
import type { CliContext } from "../command.ts";
import { KINDS, parseKind } from "../resource-name.ts";
import type { SaidFlags } from "./candidates.ts";

/** Somebody waits with a finger on the tab key. */
const TIMEOUT_MS = 2_000;

/** Of the cluster that has been named so far; none if it does not answer. */
export async function namespaceNames(
  said: SaidFlags,
  context: CliContext,
): Promise<readonly string[]> {
  return namesOf(said, context, async (client, signal) => {
    const { items } = await client.list(NAMESPACES, { metadataOnly: true, signal });
    return items.map(({ metadata }) => metadata.name ?? "");
  });
}

/**
 * For a resource argument: kinds, and once there is one, the names of that kind.
 *
 * @param words - `deploy`, `deploy NAME` or `deploy/NAME`, the last one unfinished.
 */
export async function resourceWords(
  words: readonly string[],
  said: SaidFlags,
  context: CliContext,
): Promise<readonly string[]> {
  const current = words.at(-1) ?? "";
  const [kindText, isJoined] = current.includes("/")
    ? [current.slice(0, current.indexOf("/")), true]
    : [words.length > 1 ? words[0]! : undefined, false];
  if (kindText === undefined) return KINDS.map(({ name }) => name);
  const kind = parseKind(kindText);
  const { resource } = kind ?? {};
  if (resource === undefined) return [];
  const names = await namesOf(said, context, async (client, signal) => {
    const namespace = said.namespace ?? client.cluster.namespace;
    const { items } = await client.list(resource, { namespace, metadataOnly: true, signal });
    return items.map(({ metadata }) => metadata.name ?? "");
  });
  return isJoined ? names.map((name) => `${kindText}/${name}`) : names;
}

async function namesOf(
  said: SaidFlags,
  context: CliContext,
  ask: (
    client: ReturnType<typeof clusterClient>,
    signal: AbortSignal,
  ) => Promise<readonly string[]>,
): Promise<readonly string[]> {
  try {
    using client = clusterClient(said, context);
    return await ask(client, AbortSignal.timeout(TIMEOUT_MS));
  } catch {
    // A shell that completes has no place for an error; the command itself will say it.
    return [];
  }
}
