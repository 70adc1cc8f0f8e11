import { MeshError } from "@heddle/base/errors";
import { KubeClient } from "@heddle/kube/client";
import { findCluster, type Impersonation } from "@heddle/kube/kubeconfig";
import { type CliContext, UsageError } from "./command.ts";

/**
 * Options that every command takes which Linkerd has too; spread them into its `parseArgs`. What one
 * has no use for, such as the controllers' own address, is taken all the same.
 */
export const CLUSTER_OPTIONS = {
  kubeconfig: { type: "string" },
  context: { type: "string" },
  as: { type: "string" },
  "as-group": { type: "string", multiple: true },
  "api-addr": { type: "string" },
  "cni-namespace": { type: "string", default: "linkerd-cni" },
  verbose: { type: "boolean", default: false },
  "linkerd-namespace": { type: "string", short: "L", default: "linkerd" },
} as const;

export interface ClusterValues {
  readonly kubeconfig?: string | undefined;
  readonly context?: string | undefined;
  readonly as?: string | undefined;
  readonly "as-group"?: readonly string[] | undefined;
}

/** A client for the API server that the flags, `KUBECONFIG` or the home directory name. */
export function clusterClient(values: ClusterValues, context: CliContext): KubeClient {
  const impersonate = impersonation(values);
  const cluster = findCluster(context.env, {
    ...(values.kubeconfig === undefined ? {} : { path: values.kubeconfig }),
    ...(values.context === undefined ? {} : { context: values.context }),
  });
  return new KubeClient({
    cluster: { ...cluster, impersonate },
    userAgent: "heddle-cli",
  });
}

function impersonation(values: ClusterValues): Impersonation | undefined {
  const groups = values["as-group"] ?? [];
  if (values.as !== undefined) return { user: values.as, groups };
  if (groups.length === 0) return undefined;
  throw new UsageError("--as-group needs --as: whose groups they are");
}

/** Where the control plane is: `LINKERD_NAMESPACE`, unless the flag says something of its own. */
export function controlNamespace(
  values: { readonly "linkerd-namespace": string },
  context: CliContext,
): string {
  const said = values["linkerd-namespace"];
  const variable = context.env("LINKERD_NAMESPACE") ?? "";
  const name =
    said === CLUSTER_OPTIONS["linkerd-namespace"].default && variable !== "" ? variable : said;
  if (/^[a-zA-Z0-9-]+$/.test(name)) return name;
  const message = `Cannot use --linkerd-namespace: "${name}" has more than letters, digits and hyphens`;
  throw new MeshError("bad_name", "client", message);
}

/** The namespace that the kubeconfig's context names; `default` where there is none. */
export function currentNamespace(values: ClusterValues, context: CliContext): string {
  try {
    using client = clusterClient(values, context);
    return client.cluster.namespace;
  } catch (error) {
    if (!(error instanceof MeshError)) throw error;
    // Whoever needs the cluster will hear of it; a name needs none.
    return "default";
  }
}

/** A name as Kubernetes takes it (RFC 1123 label). */
export function requireName(text: string | undefined, what: string): string {
  if (text !== undefined && /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/.test(text)) return text;
  const state = text === undefined ? "it is missing" : `"${text}" is not a lower-case DNS label`;
  throw new MeshError("bad_name", "client", `Cannot use ${what}: ${state}`);
}
