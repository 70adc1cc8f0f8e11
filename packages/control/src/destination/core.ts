import { refusal } from "../refusal.ts";
import { type Authority, type ContextToken, parseServiceName } from "./authority.ts";
import type { Candidate } from "./candidates.ts";
import {
  type DestinationConfig,
  type EndpointAddress,
  podEndpoint,
  podLabels,
  rawEndpoint,
  workloadEndpoint,
  workloadLabels,
} from "./endpoint.ts";
import type { EndpointView } from "./endpoint-view.ts";
import { PortPublisher } from "./port-publisher.ts";
import { type Profile, ProfileView } from "./profile.ts";
import { NO_RULES, type ProfileRules } from "./profile-rules.ts";
import {
  keyOfRecord,
  type MiddleOwnerRecord,
  type NodeRecord,
  type PodRecord,
  type ServerRecord,
  type ServiceRecord,
  type SliceRecord,
  type WorkloadRecord,
} from "./records.ts";
import { type Resident, type ServiceProfileRecord, World } from "./world.ts";

/** What the index asks of whoever runs it. */
export interface IndexHooks {
  /** A meshed pod cannot be used since its sidecar's ports are unknown. */
  readonly onUnusable?: (candidate: Candidate) => void;
}

/** A profile view, and which changes concern it. */
interface Watched {
  readonly view: ProfileView;
  /** Cluster IP that was asked for, if any: the view ends when it comes to mean something else. */
  readonly ip: string | undefined;
  readonly namespaces: ReadonlySet<string>;
  /** `namespace/name` of the Service; undefined for endpoint profiles by IP. */
  readonly service: string | undefined;
  readonly type: "service" | "endpoint";
}

/**
 * Answers `Get` and `GetProfile` from what it is fed. Knows neither Kubernetes nor gRPC: keys are
 * `namespace/name`, answers are views that tell their listeners of every change.
 */
export class DestinationIndex {
  readonly config: DestinationConfig;
  readonly #world: World;
  readonly #hooks: IndexHooks;
  /** By Service, then by port. */
  readonly #publishers = new Map<string, Map<number, PortPublisher>>();
  readonly #profiles = new Map<string, Watched>();
  readonly #slices = new Map<string, SliceRecord>();
  readonly #servers = new Map<string, ServerRecord>();

  constructor(config: DestinationConfig, hooks: IndexHooks = {}) {
    this.config = config;
    this.#world = new World(config);
    this.#hooks = hooks;
  }

  // --- Events. `after` is undefined when the object is gone. ---

  setService(key: string, after: ServiceRecord | undefined): void {
    const before = this.#world.setService(key, after);
    for (const publisher of this.#publishers.get(key)?.values() ?? []) publisher.refresh();
    const moved = difference(before?.clusterIps ?? [], after?.clusterIps ?? []);
    for (const { view, ip, service } of this.#profiles.values()) {
      if (ip !== undefined && moved.has(ip)) view.end();
      else if (service === key) view.refresh();
    }
  }

  setSlice(key: string, after: SliceRecord | undefined): void {
    const before = this.#slices.get(key);
    if (after === undefined) this.#slices.delete(key);
    else this.#slices.set(key, after);
    this.#world.setSlice(key, before, after);
    const touched = new Set([serviceKeyOf(before), serviceKeyOf(after)]);
    for (const service of touched) {
      if (service === undefined) continue;
      for (const publisher of this.#publishers.get(service)?.values() ?? []) publisher.refresh();
      this.#refreshProfiles((one) => one.type === "endpoint" && one.service === service);
    }
  }

  setPod(key: string, after: PodRecord | undefined): void {
    const before = this.#world.setPod(key, after);
    const namespace = (after ?? before)?.namespace;
    this.#refreshReferrers(namespace, "Pod", key);
    const ips = new Set([...(before?.ips ?? []), ...(after?.ips ?? [])]);
    for (const ip of [...(before?.hostIps ?? []), ...(after?.hostIps ?? [])]) ips.add(ip);
    this.#refreshEndpointProfiles(namespace, ips);
  }

  setWorkload(key: string, after: WorkloadRecord | undefined): void {
    const before = this.#world.setWorkload(key, after);
    const namespace = (after ?? before)?.namespace;
    this.#refreshReferrers(namespace, "ExternalWorkload", key);
    this.#refreshEndpointProfiles(
      namespace,
      new Set([...(before?.ips ?? []), ...(after?.ips ?? [])]),
    );
  }

  setServer(key: string, after: ServerRecord | undefined): void {
    const before = this.#servers.get(key);
    if (after === undefined) this.#servers.delete(key);
    else this.#servers.set(key, after);
    this.#world.setServer(before, after);
    const namespace = (after ?? before)?.namespace;
    // Only opaque ones matter here, and most are not.
    if (namespace === undefined || !(before?.isOpaque || after?.isOpaque)) return;
    for (const publisher of this.#publishersIn(namespace)) publisher.refresh();
    this.#refreshProfiles((one) => one.type === "endpoint");
  }

  setServiceProfile(key: string, after: ServiceProfileRecord | undefined): void {
    if (after === undefined) this.#world.profiles.delete(key);
    else this.#world.profiles.set(key, after);
    const namespace = key.slice(0, key.indexOf("/"));
    this.#refreshProfiles((one) => one.type === "service" && one.namespaces.has(namespace));
  }

  setNode(name: string, after: NodeRecord | undefined): void {
    const before = this.#world.nodes.get(name);
    if (after === undefined) this.#world.nodes.delete(name);
    else this.#world.nodes.set(name, after);
    if (before?.zone === after?.zone) return;
    for (const ports of this.#publishers.values()) {
      for (const publisher of ports.values()) publisher.refreshNode(name);
    }
  }

  setMiddleOwner(record: MiddleOwnerRecord, isGone = false): void {
    // Of one that is gone the pods go next; until then their labels stay as they are.
    if (isGone) {
      this.#world.owners.delete(record);
      return;
    }
    this.#world.owners.set(record);
    for (const publisher of this.#publishersIn(record.namespace)) publisher.refreshOwners();
    this.#refreshProfiles((one) => one.type === "endpoint");
  }

  // --- Questions ---

  /**
   * The endpoints behind a name.
   *
   * @throws MeshError `invalid_argument`, `not_found` or `failed_precondition` (refusal.ts).
   */
  endpoints(authority: Authority, path: string, token: ContextToken): EndpointView {
    if (authority.isIp) {
      const state = `IP addresses are not supported by Get: ${authority.host}`;
      throw refusal("invalid_argument", `Invalid authority: ${path}: ${state}`);
    }
    const name = parseServiceName(authority.host, this.config.clusterDomain);
    if (name === undefined) throw refusal("invalid_argument", `Invalid authority: ${path}`);
    const key = keyOfRecord(name);
    const service = this.#world.services.get(key);
    if (service === undefined) {
      throw refusal("not_found", `Service ${name.name}.${name.namespace} not found`);
    }
    if (service.isExternalName) throw refusal("invalid_argument", `Invalid authority: ${path}`);
    if (service.remoteCluster !== undefined) throw remoteRefusal(service);
    return this.#publisher(key, service, authority.port).view({
      hostname: name.hostname,
      nodeName: token.nodeName,
    });
  }

  /**
   * What is known of an address.
   *
   * @throws MeshError `invalid_argument`, `not_found`, `failed_precondition` or `unknown`.
   */
  profile(authority: Authority, path: string, token: ContextToken): ProfileView {
    const { host, port } = authority;
    if (authority.isIp) {
      const services = this.#world.servicesAt(host);
      if (services.length > 1) {
        throw refusal("failed_precondition", `Cannot find Service: several have IP ${host}`);
      }
      const service = services[0];
      if (service === undefined) return this.#addressProfile(host, port);
      const name = `${service.name}.${service.namespace}.svc.${this.config.clusterDomain}`;
      return this.#serviceProfile(service, { name, port, ip: host, path }, token);
    }
    const name = parseServiceName(host, this.config.clusterDomain);
    if (name === undefined) throw refusal("invalid_argument", `Invalid authority: ${path}`);
    if (name.hostname !== undefined) return this.#hostnameProfile(name, name.hostname, port);
    const service = this.#world.services.get(keyOfRecord(name));
    if (service === undefined) {
      throw refusal("unknown", `service "${name.name}" in namespace "${name.namespace}" not found`);
    }
    return this.#serviceProfile(service, { name: host, port, ip: undefined, path }, token);
  }

  // --- Views ---

  #publisher(key: string, service: ServiceRecord, port: number): PortPublisher {
    let ports = this.#publishers.get(key);
    if (ports === undefined) {
      ports = new Map();
      this.#publishers.set(key, ports);
    }
    const known = ports.get(port);
    if (known !== undefined) return known;
    const all = ports;
    const publisher = new PortPublisher(this.#world, service, port, {
      onUnused: () => {
        all.delete(port);
        if (all.size === 0) this.#publishers.delete(key);
      },
      onUnusable: (candidate) => this.#hooks.onUnusable?.(candidate),
    });
    ports.set(port, publisher);
    return publisher;
  }

  #serviceProfile(
    service: ServiceRecord,
    asked: { name: string; port: number; ip: string | undefined; path: string },
    token: ContextToken,
  ): ProfileView {
    const { name, port, ip } = asked;
    const hasPort = service.ports.some((one) => one.port === port);
    if (service.isExternalName && hasPort) {
      throw refusal("invalid_argument", `Invalid authority: ${asked.path}`);
    }
    const key = keyOfRecord(service);
    const { namespace } = service;
    const namespaces = new Set([token.namespace ?? namespace, namespace]);
    const resource = `${service.name}.${namespace}.svc.${this.config.clusterDomain}`;
    /** Rules that were right once outlive a change that makes them wrong. */
    let lastGood: ProfileRules = NO_RULES;
    return this.#watched(["service", name, port, ip, token.namespace], {
      ip,
      namespaces,
      service: key,
      type: "service",
      compute: () => {
        const current = this.#world.services.get(key);
        if (current === undefined) return undefined;
        if (!current.ports.some((one) => one.port === port)) return { type: "empty" };
        const found = [...namespaces]
          .map((one) => this.#world.profiles.get(`${one}/${resource}`))
          .find((one) => one !== undefined);
        if (found === undefined) lastGood = NO_RULES;
        else if (found.rules !== undefined) lastGood = found.rules;
        return serviceProfile(current, name, port, found, lastGood);
      },
    });
  }

  #addressProfile(ip: string, port: number): ProfileView {
    if (this.#world.residentAt(ip, port).type === "ambiguous") {
      throw refusal("failed_precondition", `Cannot find endpoint: several have ${ip}:${port}`);
    }
    return this.#watched(["address", ip, port], {
      ip,
      namespaces: new Set(),
      service: undefined,
      type: "endpoint",
      compute: () => {
        const resident = this.#world.residentAt(ip, port);
        // Two at once is a state between two others: what was said last stays.
        if (resident.type === "ambiguous") return undefined;
        return this.#residentProfile(resident, { ip, port });
      },
    });
  }

  #hostnameProfile(
    service: { readonly namespace: string; readonly name: string },
    hostname: string,
    port: number,
  ): ProfileView {
    const key = keyOfRecord(service);
    const unknown = (): never => {
      throw refusal("not_found", `no endpoint of ${key} has the hostname ${hostname}`);
    };
    if (this.#world.podByHostname(key, hostname) === undefined) unknown();
    return this.#watched(["hostname", key, hostname, port], {
      ip: undefined,
      namespaces: new Set([service.namespace]),
      service: key,
      type: "endpoint",
      compute: () => {
        const found = this.#world.podByHostname(key, hostname);
        if (found === undefined) return undefined;
        const { pod, ip } = found;
        const resident: Resident = pod.isRunning
          ? { type: "pod", pod, isHostPort: false }
          : { type: "unknown" };
        return this.#residentProfile(resident, { ip, port });
      },
    });
  }

  #residentProfile(resident: Resident, address: EndpointAddress): Profile {
    const world = this.#world;
    const { config } = world;
    if (resident.type === "pod") {
      const { pod, isHostPort } = resident;
      const isOpaque = world.isOpaque(pod, address.port);
      const labels = podLabels(pod, world.owners.ownerOf(pod)).set("namespace", pod.namespace);
      const canTunnel = !isHostPort;
      const endpoint = podEndpoint(config, pod, address, isOpaque, labels, canTunnel);
      // A sidecar that we cannot speak to: as if it were not meshed.
      return { type: "endpoint", isOpaque, endpoint: endpoint ?? rawEndpoint(config, address) };
    }
    if (resident.type === "workload") {
      const { workload } = resident;
      const isOpaque = world.isOpaque(workload, address.port);
      const labels = workloadLabels(workload).set("namespace", workload.namespace);
      const endpoint = workloadEndpoint(config, workload, address, isOpaque, labels);
      return { type: "endpoint", isOpaque, endpoint };
    }
    const isOpaque = config.defaultOpaquePorts.has(address.port);
    return { type: "endpoint", isOpaque, endpoint: rawEndpoint(config, address) };
  }

  #watched(
    parts: readonly unknown[],
    options: Omit<Watched, "view"> & { readonly compute: () => Profile | undefined },
  ): ProfileView {
    const key = JSON.stringify(parts);
    const known = this.#profiles.get(key);
    if (known !== undefined) return known.view;
    const { compute, ...rest } = options;
    const view = new ProfileView(compute, () => {
      if (this.#profiles.get(key)?.view === view) this.#profiles.delete(key);
    });
    this.#profiles.set(key, { ...rest, view });
    return view;
  }

  // --- Who is concerned ---

  #publishersIn(namespace: string): PortPublisher[] {
    const found: PortPublisher[] = [];
    for (const [key, ports] of this.#publishers) {
      if (key.startsWith(`${namespace}/`)) found.push(...ports.values());
    }
    return found;
  }

  #refreshReferrers(
    namespace: string | undefined,
    kind: "Pod" | "ExternalWorkload",
    key: string,
  ): void {
    if (namespace === undefined) return;
    for (const publisher of this.#publishersIn(namespace)) {
      if (publisher.refersTo(kind, key)) publisher.refresh();
    }
  }

  #refreshEndpointProfiles(namespace: string | undefined, ips: ReadonlySet<string>): void {
    this.#refreshProfiles(
      ({ type, ip, service, namespaces }) =>
        type === "endpoint" &&
        ((ip !== undefined && ips.has(ip)) ||
          (service !== undefined && namespace !== undefined && namespaces.has(namespace))),
    );
  }

  #refreshProfiles(concerns: (one: Watched) => boolean): void {
    for (const one of this.#profiles.values()) if (concerns(one)) one.view.refresh();
  }
}

function serviceProfile(
  service: ServiceRecord,
  name: string,
  port: number,
  found: ServiceProfileRecord | undefined,
  rules: ProfileRules,
): Profile {
  const { namespace, name: serviceName } = service;
  return {
    type: "service",
    name,
    isOpaque: service.opaquePorts.has(port),
    service: { namespace, name: serviceName, port },
    profile:
      found === undefined
        ? undefined
        : { kind: found.kind, namespace: found.namespace, name: found.name },
    // A profile with neither leaves proxies to the policy API.
    routes: service.mergesRoutes ? [] : rules.routes,
    budget: rules.budget,
    overrides: (service.mergesRoutes ? [] : rules.overrides).map(({ authority, weight }) => ({
      authority: /:\d+$/.test(authority) ? authority : `${authority}:${port}`,
      weight,
    })),
  };
}

function remoteRefusal(service: ServiceRecord): Error {
  if (service.remoteService === undefined) {
    const state = "it names a remote cluster but no remote service";
    const name = `${service.name}.${service.namespace}`;
    return refusal("failed_precondition", `Cannot discover ${name}: ${state}`);
  }
  return refusal("not_found", `Remote cluster not found: ${service.remoteCluster}`);
}

function serviceKeyOf(slice: SliceRecord | undefined): string | undefined {
  return slice === undefined ? undefined : `${slice.namespace}/${slice.service}`;
}

function difference(before: readonly string[], after: readonly string[]): Set<string> {
  return new Set([
    ...before.filter((one) => !after.includes(one)),
    ...after.filter((one) => !before.includes(one)),
  ]);
}
