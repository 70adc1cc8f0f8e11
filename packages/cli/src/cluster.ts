import { MeshError } from "@heddle/base/errors";
import { KubeClient } from "@heddle/kube/client";
import { findCluster } from "@heddle/kube/kubeconfig";
import type { CliContext } from "./command.ts";

/** Options that every command with an API server takes; spread them into its `parseArgs`. */
export const CLUSTER_OPTIONS = {
  kubeconfig: { type: "string" },
  context: { type: "string" },
  "linkerd-namespace": { type: "string", short: "L", default: "linkerd" },
} as const;

export interface ClusterValues {
  readonly kubeconfig?: string | undefined;
  readonly context?: string | undefined;
}

/** A client for the API server that the flags, `KUBECONFIG` or the home directory name. */
export function clusterClient(values: ClusterValues, context: CliContext): KubeClient {
  return new KubeClient({
    cluster: findCluster(context.env, {
      ...(values.kubeconfig === undefined ? {} : { path: values.kubeconfig }),
      ...(values.context === undefined ? {} : { context: values.context }),
    }),
    userAgent: "heddle-cli",
  });
}

/** A name as Kubernetes takes it (RFC 1123 label). */
export function requireName(text: string | undefined, what: string): string {
  if (text !== undefined && /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/.test(text)) return text;
  const state = text === undefined ? "it is missing" : `"${text}" is not a lower-case DNS label`;
  throw new MeshError("bad_name", "client", `Cannot use ${what}: ${state}`);
}
