import type { Backings } from "./candidates.ts";
import type { DestinationConfig } from "./endpoint.ts";
import { Owners } from "./owners.ts";
import type { ProfileRules } from "./profile-rules.ts";
import type {
  NamedPort,
  NodeRecord,
  PodRecord,
  ServerRecord,
  ServiceRecord,
  SliceRecord,
  WorkloadRecord,
} from "./records.ts";

export interface ServiceProfileRecord {
  readonly namespace: string;
  /** `service.namespace.svc.domain`. */
  readonly name: string;
  readonly kind: string;
  /** Undefined if what it says is wrong. */
  readonly rules: ProfileRules | undefined;
}

/** From an IP address to the keys of all that have it, which is nearly always one. */
class IpIndex {
  readonly #keys = new Map<string, string | ReadonlySet<string>>();

  /** Ascending, so that ties are broken the same way everywhere. */
  get(ip: string): readonly string[] {
    return this.#at(ip).sort();
  }

  move(key: string, from: readonly string[], to: readonly string[]): void {
    for (const ip of from) {
      this.#set(
        ip,
        this.#at(ip).filter((one) => one !== key),
      );
    }
    for (const ip of to) this.#set(ip, [...this.#at(ip), key]);
  }

  #at(ip: string): string[] {
    const keys = this.#keys.get(ip);
    if (keys === undefined) return [];
    return typeof keys === "string" ? [keys] : [...keys];
  }

  #set(ip: string, keys: readonly string[]): void {
    const [only] = keys;
    if (only === undefined) this.#keys.delete(ip);
    else this.#keys.set(ip, keys.length === 1 ? only : new Set(keys));
  }
}

/** Who answers at an IP address and port. */
export type Resident =
  | { readonly type: "pod"; readonly pod: PodRecord; readonly isHostPort: boolean }
  | { readonly type: "workload"; readonly workload: WorkloadRecord }
  | { readonly type: "unknown" }
  /** More than one claims it. */
  | { readonly type: "ambiguous" };

/** All that is known of the cluster, and what can be looked up in it. Tells nobody of changes. */
export class World implements Backings {
  readonly config: DestinationConfig;
  readonly owners: Owners = new Owners();
  readonly services: Map<string, ServiceRecord> = new Map();
  readonly nodes: Map<string, NodeRecord> = new Map();
  readonly profiles: Map<string, ServiceProfileRecord> = new Map();
  readonly #slices = new Map<string, Map<string, SliceRecord>>();
  readonly #pods = new Map<string, PodRecord>();
  readonly #workloads = new Map<string, WorkloadRecord>();
  readonly #servers = new Map<string, Map<string, ServerRecord>>();
  readonly #serviceIps = new IpIndex();
  readonly #podIps = new IpIndex();
  readonly #hostIps = new IpIndex();
  readonly #workloadIps = new IpIndex();

  constructor(config: DestinationConfig) {
    this.config = config;
  }

  setService(key: string, after: ServiceRecord | undefined): ServiceRecord | undefined {
    const before = this.services.get(key);
    if (after === undefined) this.services.delete(key);
    else this.services.set(key, after);
    this.#serviceIps.move(key, before?.clusterIps ?? [], after?.clusterIps ?? []);
    return before;
  }

  setSlice(key: string, before: SliceRecord | undefined, after: SliceRecord | undefined): void {
    if (before !== undefined) {
      const serviceKey = `${before.namespace}/${before.service}`;
      const slices = this.#slices.get(serviceKey);
      slices?.delete(key);
      if (slices?.size === 0) this.#slices.delete(serviceKey);
    }
    if (after === undefined) return;
    const serviceKey = `${after.namespace}/${after.service}`;
    const slices = this.#slices.get(serviceKey);
    if (slices === undefined) this.#slices.set(serviceKey, new Map([[key, after]]));
    else slices.set(key, after);
  }

  setPod(key: string, after: PodRecord | undefined): PodRecord | undefined {
    const before = this.#pods.get(key);
    if (after === undefined) this.#pods.delete(key);
    else this.#pods.set(key, after);
    this.#podIps.move(key, before?.ips ?? [], after?.ips ?? []);
    this.#hostIps.move(key, before?.hostIps ?? [], after?.hostIps ?? []);
    return before;
  }

  setWorkload(key: string, after: WorkloadRecord | undefined): WorkloadRecord | undefined {
    const before = this.#workloads.get(key);
    if (after === undefined) this.#workloads.delete(key);
    else this.#workloads.set(key, after);
    this.#workloadIps.move(key, before?.ips ?? [], after?.ips ?? []);
    return before;
  }

  setServer(before: ServerRecord | undefined, after: ServerRecord | undefined): void {
    if (before !== undefined) this.#servers.get(before.namespace)?.delete(before.name);
    if (after === undefined) return;
    const servers = this.#servers.get(after.namespace);
    if (servers === undefined) this.#servers.set(after.namespace, new Map([[after.name, after]]));
    else servers.set(after.name, after);
  }

  /** In the order of their names, so that the same slices always give the same answer. */
  slicesOf(serviceKey: string): readonly SliceRecord[] {
    const slices = [...(this.#slices.get(serviceKey) ?? [])];
    return slices.sort(([a], [b]) => (a < b ? -1 : 1)).map(([, slice]) => slice);
  }

  pod(key: string): PodRecord | undefined {
    return this.#pods.get(key);
  }

  workload(key: string): WorkloadRecord | undefined {
    return this.#workloads.get(key);
  }

  zoneOf(nodeName: string | undefined): string | undefined {
    return nodeName === undefined ? undefined : this.nodes.get(nodeName)?.zone;
  }

  /** Services that have this cluster IP. */
  servicesAt(ip: string): readonly ServiceRecord[] {
    return this.#serviceIps.get(ip).map((key) => this.services.get(key)!);
  }

  /** The running pod, or else the machine, that has this address. */
  residentAt(ip: string, port: number): Resident {
    const pods = this.#podsOf(this.#podIps.get(ip)).filter((pod) => !pod.isHostNetwork);
    if (pods.length > 1) return { type: "ambiguous" };
    if (pods.length === 1) return { type: "pod", pod: pods[0]!, isHostPort: false };
    const onHost = this.#podsOf(this.#hostIps.get(ip)).filter((pod) =>
      pod.containerPorts.some(({ hostPort }) => hostPort === port),
    );
    if (onHost.length > 1) return { type: "ambiguous" };
    if (onHost.length === 1) return { type: "pod", pod: onHost[0]!, isHostPort: true };
    const workloads = this.#workloadIps
      .get(ip)
      .map((key) => this.#workloads.get(key)!)
      .filter(({ ports }) => ports.some((one) => one.port === port));
    if (workloads.length > 1) return { type: "ambiguous" };
    if (workloads.length === 1) return { type: "workload", workload: workloads[0]! };
    return { type: "unknown" };
  }

  /** By annotation or the default set, or because a Server says so. */
  isOpaque(backing: PodRecord | WorkloadRecord, port: number): boolean {
    if (backing.opaquePorts.has(port)) return true;
    for (const server of this.#servers.get(backing.namespace)?.values() ?? []) {
      if (!server.isOpaque || !isServersPort(server, backing, port)) continue;
      const isSelected =
        backing.type === "pod"
          ? server.selectsPod(backing.labels)
          : server.selectsWorkload(backing.labels);
      if (isSelected) return true;
    }
    return false;
  }

  /** The first ready pod with this hostname in the Service. */
  podByHostname(service: string, hostname: string): { pod: PodRecord; ip: string } | undefined {
    for (const slice of this.slicesOf(service)) {
      for (const { hostname: own, target, addresses } of slice.endpoints) {
        if (own !== hostname || target?.kind !== "Pod") continue;
        const pod = this.#pods.get(target.key);
        const ip = addresses[0];
        if (pod !== undefined && ip !== undefined) return { pod, ip };
      }
    }
    return undefined;
  }

  #podsOf(keys: readonly string[]): PodRecord[] {
    return keys.map((key) => this.#pods.get(key)!).filter((pod) => pod.isRunning);
  }
}

function isServersPort(
  server: ServerRecord,
  backing: PodRecord | WorkloadRecord,
  port: number,
): boolean {
  if (typeof server.port === "number") return server.port === port;
  const ports: readonly NamedPort[] =
    backing.type === "pod" ? backing.containerPorts : backing.ports;
  return ports.some((one) => one.name === server.port && one.port === port);
}
