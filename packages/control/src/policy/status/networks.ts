import type { EgressNetwork } from "@heddle/kube/types/linkerd";
import type { IpNetwork, NetworkMatch } from "@heddle/model/network";
import { networksOf } from "../inbound/authentication.ts";
import { identityOf } from "../refs.ts";
import { Entries } from "../store.ts";
import { accepted, conditionsChange, notAccepted } from "./conditions.ts";
import type { StatusChange } from "./keys.ts";

/** What the statuses of EgressNetworks should be. */
export class NetworkStatuses {
  readonly #clusterNetworks: readonly IpNetwork[];
  readonly #networks = new Entries<EgressNetwork>();

  constructor(clusterNetworks: readonly IpNetwork[]) {
    this.#clusterNetworks = clusterNetworks;
  }

  set(network: EgressNetwork): void {
    const { namespace, name } = identityOf(network);
    this.#networks.set(namespace, name, network);
  }

  delete(namespace: string, name: string): void {
    this.#networks.delete(namespace, name);
  }

  all(): IterableIterator<EgressNetwork> {
    return this.#networks.all();
  }

  change(namespace: string, name: string, now: string): StatusChange | undefined {
    const network = this.#networks.get(namespace, name);
    if (network === undefined) return undefined;
    const wanted = this.#overlaps(network)
      ? notAccepted("EgressReasonNetworkOverlap", "networks overlap with clusterNetworks")
      : accepted();
    return conditionsChange(network, network.status?.conditions, [wanted], now);
  }

  #overlaps(network: EgressNetwork): boolean {
    let blocks: NetworkMatch[];
    try {
      blocks = networksOf(network.spec.networks ?? []);
    } catch {
      // What does not parse governs nothing, and so overlaps nothing; outbound reports it.
      return false;
    }
    return blocks.some(({ network: block, except }) =>
      this.#clusterNetworks.some((cluster) => {
        const intersects = block.covers(cluster) || cluster.covers(block);
        return intersects && !except.some((hole) => hole.covers(cluster));
      }),
    );
  }
}
