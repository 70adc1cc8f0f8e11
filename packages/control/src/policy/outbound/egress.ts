import type { EgressNetwork } from "@heddle/kube/types/linkerd";
import type { IpAddress, IpNetwork, NetworkMatch } from "@heddle/model/network";
import { ALL_NETWORKS, NetworkMatch as Match } from "@heddle/model/network";
import {
  type OnBadAnnotation,
  parseTrafficSettings,
  type TrafficSettings,
} from "../annotations.ts";
import { networksOf } from "../inbound/authentication.ts";
import { type Aged, byAge, byText, identityOf } from "../refs.ts";

export interface OutboundEgress extends Aged {
  readonly namespace: string;
  readonly networks: readonly NetworkMatch[];
  readonly isAllowed: boolean;
  readonly settings: TrafficSettings;
}

/** @param clusterNetworks - What a network without `networks` leaves out. */
export function outboundEgressOf(
  network: EgressNetwork,
  clusterNetworks: readonly IpNetwork[],
  onBad: OnBadAnnotation,
): OutboundEgress {
  const { trafficPolicy, networks } = network.spec;
  return {
    ...identityOf(network),
    networks: networks === undefined ? outside(clusterNetworks) : networksOf(networks),
    isAllowed: trafficPolicy === "Allow",
    settings: parseTrafficSettings(network.metadata.annotations ?? {}, onBad),
  };
}

function outside(clusterNetworks: readonly IpNetwork[]): NetworkMatch[] {
  return ALL_NETWORKS.map(
    ({ network }) =>
      new Match(
        network,
        clusterNetworks.filter((block) => block.ip.version === network.ip.version),
      ),
  );
}

/**
 * Which network governs traffic to an address: the one with the smallest block around it; of equal
 * ones the oldest, then the first by namespace and name.
 */
export function selectEgress(
  candidates: Iterable<OutboundEgress>,
  ip: IpAddress,
): OutboundEgress | undefined {
  let best: { readonly egress: OutboundEgress; readonly size: bigint } | undefined;
  for (const egress of candidates) {
    const size = smallestBlock(egress, ip);
    if (size === undefined) continue;
    if (
      best === undefined ||
      size < best.size ||
      (size === best.size && isBefore(egress, best.egress))
    ) {
      best = { egress, size };
    }
  }
  return best?.egress;
}

function isBefore(a: OutboundEgress, b: OutboundEgress): boolean {
  if (a.created !== b.created) return byAge(a, b) < 0;
  return (byText(a.namespace, b.namespace) || byText(a.name, b.name)) < 0;
}

function smallestBlock(egress: OutboundEgress, ip: IpAddress): bigint | undefined {
  let smallest: bigint | undefined;
  for (const match of egress.networks) {
    if (!match.contains(ip)) continue;
    let size = hosts(match.network);
    for (const except of match.except) size -= hosts(except);
    if (smallest === undefined || size < smallest) smallest = size;
  }
  return smallest;
}

/** Addresses that hosts may have: of an IPv4 block neither the first nor the last. */
function hosts(network: IpNetwork): bigint {
  const bits = (network.ip.version === 4 ? 32 : 128) - network.prefixLength;
  const all = 1n << BigInt(bits);
  return network.ip.version === 4 && bits > 1 ? all - 2n : all;
}
