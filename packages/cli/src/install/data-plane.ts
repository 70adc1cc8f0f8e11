import { NAMESPACES, PODS, type Pod } from "@heddle/kube/types/core";
import type { ClusterReader } from "./installed.ts";
import { issuerProblem } from "./issuer.ts";

const ANCHORS = "LINKERD2_PROXY_IDENTITY_TRUST_ANCHORS";
const MAX_SHOWN = 30;

/** Namespaces of extensions, by name. */
export async function extensionNamespaces(cluster: ClusterReader): Promise<readonly string[]> {
  const { items } = await cluster.list(NAMESPACES, { labelSelector: "linkerd.io/extension" });
  return items.map(({ metadata }) => metadata.name ?? "").sort();
}

/** Pods with a proxy, but for the control plane's own and those of extensions. */
export async function meshedPods(
  cluster: ClusterReader,
  controlNamespace: string,
): Promise<readonly Pod[]> {
  const extensions = new Set(await extensionNamespaces(cluster));
  const labelSelector = `linkerd.io/control-plane-ns=${controlNamespace}`;
  const { items } = await cluster.list(PODS, { labelSelector });
  return items.filter(({ metadata }) => {
    const namespace = metadata.namespace ?? "";
    return namespace !== controlNamespace && !extensions.has(namespace);
  });
}

/** `namespace/name` of each, a line each, and how many more there are. */
export function listed(pods: readonly Pod[]): string {
  const names = pods.map(({ metadata }) => `\t* ${metadata.namespace}/${metadata.name}`).sort();
  const more = names.length - MAX_SHOWN;
  return [...names.slice(0, MAX_SHOWN), ...(more > 0 ? [`\t* … and ${more} more`] : [])].join("\n");
}

/** Those whose proxies would trust nobody that this issuer certifies. */
export async function podsWithoutTrust(
  pods: readonly Pod[],
  issuer: { readonly certificate: string; readonly key: string },
  nowMs: number,
): Promise<readonly Pod[]> {
  const verdicts = new Map<string, boolean>();
  const without: Pod[] = [];
  for (const pod of pods) {
    const anchors = anchorsOf(pod);
    // A proxy without anchors of its own was not injected by a release that we know.
    if (anchors === undefined) continue;
    let isTrusting = verdicts.get(anchors);
    if (isTrusting === undefined) {
      isTrusting = await isTrusted(anchors, issuer, nowMs);
      verdicts.set(anchors, isTrusting);
    }
    if (!isTrusting) without.push(pod);
  }
  return without;
}

async function isTrusted(
  anchors: string,
  issuer: { readonly certificate: string; readonly key: string },
  nowMs: number,
): Promise<boolean> {
  try {
    return (await issuerProblem(issuer, anchors, nowMs)) === undefined;
  } catch (error) {
    // Anchors that hold no certificate trust nobody; a bad issuer was refused before.
    if (error instanceof SyntaxError || (error as { code?: unknown }).code !== undefined) {
      return false;
    }
    throw error;
  }
}

function anchorsOf({ spec }: Pod): string | undefined {
  const proxy = [...(spec?.initContainers ?? []), ...(spec?.containers ?? [])].find(
    ({ name }) => name === "linkerd-proxy",
  );
  return proxy?.env?.find(({ name }) => name === ANCHORS)?.value;
}
