import { MeshError } from "@heddle/base/errors";
import { SERVICES } from "@heddle/kube/types/core";
import { type IpNetwork, parseIp, parseNetwork, parseNetworks } from "@heddle/model/network";
import { type Check, failedFor, SKIPPED } from "../check.ts";
import type { CheckedMesh } from "../checked-mesh.ts";
import { podName } from "../pods.ts";
import { CHECKED_NODES, CHECKED_PODS } from "../resources.ts";

/** Proxies ask for the profiles of addresses within clusterNetworks only. */
export const NETWORK_CHECKS: readonly Check[] = [
  {
    description: "cluster networks contains all node podCIDRs",
    anchor: "l5d-cluster-networks-cidr",
    async run(mesh, signal) {
      const networks = await clusterNetworks(mesh, signal);
      const { items } = await mesh.client.list(CHECKED_NODES, { signal });
      const ranges = items.filter(({ spec }) => (spec?.podCIDR ?? "") !== "");
      if (ranges.length === 0) return SKIPPED;
      const outside = ranges.filter(({ spec }) => !covers(networks, spec?.podCIDR ?? ""));
      return failedFor(
        "clusterNetworks leaves out these nodes' podCIDRs",
        outside.map(({ metadata, spec }) => `${metadata.name} (${spec?.podCIDR})`),
      );
    },
  },
  {
    description: "cluster networks contains all pods",
    anchor: "l5d-cluster-networks-pods",
    async run(mesh, signal) {
      const networks = await clusterNetworks(mesh, signal);
      const { items } = await mesh.client.list(CHECKED_PODS, { signal });
      const outside: string[] = [];
      for (const pod of items) {
        const ip = pod.status?.podIP ?? "";
        if (pod.spec?.hostNetwork === true || ip === "" || holds(networks, ip)) continue;
        outside.push(`${podName(pod)} (${ip})`);
      }
      return failedFor("clusterNetworks leaves out these pods", outside);
    },
  },
  {
    description: "cluster networks contains all services",
    anchor: "l5d-cluster-networks-pods",
    async run(mesh, signal) {
      const networks = await clusterNetworks(mesh, signal);
      const { items } = await mesh.client.list(SERVICES, { signal });
      const outside: string[] = [];
      for (const { metadata, spec } of items) {
        const ip = spec?.clusterIP ?? "";
        if (ip === "" || ip === "None" || holds(networks, ip)) continue;
        outside.push(`${metadata.namespace}/${metadata.name} (${ip})`);
      }
      return failedFor("clusterNetworks leaves out these services", outside);
    },
  },
];

async function clusterNetworks(
  mesh: CheckedMesh,
  signal: AbortSignal,
): Promise<readonly IpNetwork[]> {
  const { clusterNetworks: text } = await mesh.config(signal);
  try {
    return parseNetworks(text);
  } catch (cause) {
    const message = `Cannot read clusterNetworks "${text}" of linkerd-config`;
    throw new MeshError("bad_values", "control", message, { cause });
  }
}

function holds(networks: readonly IpNetwork[], text: string): boolean {
  const ip = parseIp(text);
  return ip !== undefined && networks.some((network) => network.contains(ip));
}

/** A range that is none is in no network, which names it. */
function covers(networks: readonly IpNetwork[], text: string): boolean {
  let range: IpNetwork;
  try {
    range = parseNetwork(text);
  } catch {
    // The caller's list shows it as it is.
    return false;
  }
  return networks.some((network) => network.covers(range));
}
