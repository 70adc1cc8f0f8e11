import { MeshError } from "@heddle/base/errors";
import type { KubeClient } from "@heddle/kube/client";
import {
  CONFIG_MAPS,
  type ConfigMap,
  CUSTOM_RESOURCE_DEFINITIONS,
  type CustomResourceDefinition,
  NODES,
  SERVICES,
} from "@heddle/kube/types/core";
import type { KubeObject } from "@heddle/kube/types/meta";
import { chartObjects } from "../helm/chart.ts";
import type { Values } from "../helm/set-values.ts";

/** What these commands ask a cluster; manifests can stand in for one. */
export type ClusterReader = Pick<KubeClient, "find" | "list">;

/** The ConfigMap that tells which control plane a namespace has, if it has one. */
export async function findControlPlane(
  cluster: ClusterReader,
  namespace: string,
): Promise<ConfigMap | undefined> {
  try {
    return await cluster.find(CONFIG_MAPS, { name: "linkerd-config", namespace });
  } catch (cause) {
    const message =
      "Cannot look at the cluster: its API does not answer; --ignore-cluster renders without one";
    throw new MeshError("no_cluster", "control", message, { cause });
  }
}

/** `linkerd/cli edge-26.8.3`, or `heddle/helm 0.1.0`: who installed an object. */
export function installerOf(object: KubeObject): string {
  return object.metadata.annotations?.["linkerd.io/created-by"] ?? "somebody unknown";
}

export function isOurs(object: KubeObject): boolean {
  return installerOf(object).startsWith("heddle/");
}

/** @throws MeshError `already_installed`, which says how to go on. */
export async function refuseInstalled(cluster: ClusterReader, namespace: string): Promise<void> {
  const config = await findControlPlane(cluster, namespace);
  if (config === undefined) return;
  const who = installerOf(config);
  const next = isOurs(config)
    ? "change it with heddle upgrade (or with Helm, if that installed it)"
    : "take it over with heddle upgrade --take-over, as docs/migrate-from-linkerd.md tells";
  const message = `Cannot install into namespace ${namespace}: a control plane of this mesh is there (ConfigMap linkerd-config, by ${who}); ${next}`;
  throw new MeshError("already_installed", "client", message);
}

/**
 * Two control planes may share a cluster, but not webhooks and cluster roles of one name.
 *
 * @throws MeshError `already_installed`
 */
export async function refuseElsewhere(cluster: ClusterReader, namespace: string): Promise<void> {
  const labelSelector = "linkerd.io/control-plane-component=controller";
  const { items } = await cluster.list(CONFIG_MAPS, { labelSelector });
  const other = items.find(
    ({ metadata }) => metadata.name === "linkerd-config" && metadata.namespace !== namespace,
  );
  if (other === undefined) return;
  const message = `Cannot install into namespace ${namespace}: namespace ${other.metadata.namespace} holds a control plane already (by ${installerOf(other)}), and webhooks and cluster roles have the same names; name that namespace with -L, or uninstall it`;
  throw new MeshError("already_installed", "client", message);
}

/** Every kind of ours must be there in the version that we store. */
export async function requireDefinitions(
  cluster: ClusterReader,
  command: "install" | "upgrade",
): Promise<void> {
  const options = { namespace: "linkerd", service: "CLI", values: {} } as const;
  const wanted = chartObjects("heddle-crds", options) as CustomResourceDefinition[];
  for (const { metadata, spec } of wanted) {
    const name = metadata.name ?? "";
    const found = await cluster.find(CUSTOM_RESOURCE_DEFINITIONS, { name });
    const version = spec.versions.at(-1)!.name;
    if (found?.spec.versions.some((one) => one.name === version) === true) continue;
    const state = found === undefined ? "is missing" : `has no version ${version}`;
    const message = `Cannot ${command}: ${name} ${state}; run heddle ${command} --crds | kubectl apply -f - first`;
    throw new MeshError("no_crds", "client", message);
  }
}

interface NodeInfo extends KubeObject {
  readonly status?: { readonly nodeInfo?: { readonly containerRuntimeVersion?: string } };
}

/** Docker lets linkerd-init change no rules unless it is root. */
export async function refuseDocker(cluster: ClusterReader, isRoot: boolean): Promise<void> {
  if (isRoot) return;
  const { items } = await cluster.list<NodeInfo>(NODES);
  const node = items.find(({ status }) =>
    status?.nodeInfo?.containerRuntimeVersion?.startsWith("docker:"),
  );
  if (node === undefined) return;
  const message = `Cannot install: node ${node.metadata.name} runs its containers by Docker, where linkerd-init must be root; add --set proxyInit.runAsRoot=true`;
  throw new MeshError("docker_runtime", "client", message);
}

/** The ports of the API server, each followed by what it leads to, for linkerd-init to leave alone. */
export async function apiServerPorts(cluster: ClusterReader): Promise<Values> {
  const service = await cluster.find(SERVICES, { namespace: "default", name: "kubernetes" });
  const ports = (service?.spec?.ports ?? []).flatMap(({ port, targetPort }) =>
    typeof targetPort === "number" ? [port, targetPort] : [port],
  );
  return ports.length === 0 ? {} : { proxyInit: { kubeAPIServerPorts: ports.join(",") } };
}
