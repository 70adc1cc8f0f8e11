import { type Candidate, candidatesOf } from "./candidates.ts";
import {
  type Endpoint,
  podEndpoint,
  podLabels,
  rawEndpoint,
  withLocality,
  workloadEndpoint,
  workloadLabels,
} from "./endpoint.ts";
import { EndpointView, type SetLabels } from "./endpoint-view.ts";
import { filterCandidates } from "./filter.ts";
import type { ServiceRecord, SliceRecord } from "./records.ts";
import type { World } from "./world.ts";

export interface ClientKey {
  readonly hostname: string | undefined;
  readonly nodeName: string | undefined;
}

interface Filtered {
  readonly client: ClientKey;
  readonly view: EndpointView;
  /** Of the client's node, when the view was last computed. */
  zone: string | undefined;
  epoch: number;
}

/** Finds the addresses of one port of a Service once, and filters them for each kind of client. */
export class PortPublisher {
  readonly #world: World;
  readonly #namespace: string;
  readonly #name: string;
  readonly #port: number;
  readonly #onUnused: () => void;
  readonly #onUnusable: (candidate: Candidate) => void;
  readonly #views = new Map<string, Filtered>();
  #service: ServiceRecord | undefined;
  #slices: readonly SliceRecord[] = [];
  #candidates: readonly Candidate[] = [];

  constructor(
    world: World,
    service: { readonly namespace: string; readonly name: string },
    port: number,
    hooks: {
      readonly onUnused: () => void;
      /** A meshed pod cannot be used since its sidecar's ports are unknown. */
      readonly onUnusable: (candidate: Candidate) => void;
    },
  ) {
    this.#world = world;
    this.#namespace = service.namespace;
    this.#name = service.name;
    this.#port = port;
    this.#onUnused = hooks.onUnused;
    this.#onUnusable = hooks.onUnusable;
    this.refresh();
  }

  get viewCount(): number {
    return this.#views.size;
  }

  /** The view of such clients, made if there is none. It lives until its last listener leaves. */
  view(client: ClientKey): EndpointView {
    const key = JSON.stringify([client.hostname, client.nodeName]);
    const known = this.#views.get(key);
    if (known !== undefined) return known.view;
    const view = new EndpointView({
      translate: (candidate) => this.#translate(candidate, filtered),
      onUnused: () => {
        this.#views.delete(key);
        if (this.#views.size === 0) this.#onUnused();
      },
    });
    const filtered: Filtered = { client, view, zone: undefined, epoch: 0 };
    this.#views.set(key, filtered);
    this.#refreshView(filtered);
    return view;
  }

  /** Whether any of its addresses belongs to this pod or machine, known or not. */
  refersTo(kind: "Pod" | "ExternalWorkload", key: string): boolean {
    return this.#slices.some(({ endpoints }) =>
      endpoints.some(({ target }) => target?.kind === kind && target.key === key),
    );
  }

  /** The Service, its slices, or what they refer to have changed. */
  refresh(): void {
    const serviceKey = `${this.#namespace}/${this.#name}`;
    this.#service = this.#world.services.get(serviceKey);
    this.#slices = this.#world.slicesOf(serviceKey);
    this.#candidates = candidatesOf(this.#service, this.#port, this.#slices, this.#world);
    for (const filtered of this.#views.values()) this.#refreshView(filtered);
  }

  /** A node's zone has changed. */
  refreshNode(nodeName: string): void {
    for (const filtered of this.#views.values()) {
      if (filtered.client.nodeName === nodeName) this.#refreshView(filtered);
    }
  }

  /** Who owns the pods has changed: everything is translated anew. */
  refreshOwners(): void {
    for (const filtered of this.#views.values()) {
      filtered.epoch++;
      this.#refreshView(filtered);
    }
  }

  #refreshView(filtered: Filtered): void {
    const { client, view } = filtered;
    const zone = this.#world.zoneOf(client.nodeName);
    if (zone !== filtered.zone) filtered.epoch++;
    filtered.zone = zone;
    const kept = filterCandidates(
      this.#candidates,
      { ...client, clientZone: zone },
      this.#service?.isTrafficLocal === true,
      this.#world.config.isIpv6On,
    );
    view.set(kept, this.#labels(), filtered.epoch);
  }

  #labels(): SetLabels {
    const labels: [string, string][] = [
      ["namespace", this.#namespace],
      ["service", this.#name],
    ];
    const mirror = this.#slices.find(({ mirror: { cluster } }) => cluster !== undefined)?.mirror;
    if (mirror?.cluster === undefined) return labels;
    labels.push(["target_cluster", mirror.cluster]);
    const [service, namespace] = mirror.remoteName?.split(".") ?? [];
    if (service !== undefined) labels.push(["target_service", service]);
    if (namespace !== undefined) labels.push(["target_service_namespace", namespace]);
    return labels;
  }

  #translate(candidate: Candidate, filtered: Filtered): Endpoint | undefined {
    const { config, owners } = this.#world;
    const { backing, ip, port, isOpaque, zone } = candidate;
    const locality = { zone, clientZone: filtered.zone };
    let endpoint: Endpoint | undefined;
    if (backing === undefined) {
      endpoint = rawEndpoint(config, { ip, port }, candidate);
    } else if (backing.type === "workload") {
      const labels = withLocality(workloadLabels(backing), locality);
      endpoint = workloadEndpoint(config, backing, { ip, port }, isOpaque, labels);
    } else {
      const labels = withLocality(podLabels(backing, owners.ownerOf(backing)), locality);
      endpoint = podEndpoint(config, backing, { ip, port }, isOpaque, labels);
      if (endpoint === undefined) this.#onUnusable(candidate);
    }
    const isNear = zone !== undefined && zone === filtered.zone;
    if (endpoint === undefined || !config.hasZoneWeights || !isNear) return endpoint;
    return { ...endpoint, weight: endpoint.weight * 10 };
  }
}
