/** What the destination index is fed with: of each object only what an answer depends on. */
import type { PortSet } from "./port-set.ts";

type Labels = Readonly<Record<string, string>>;

export interface ServiceRecord {
  readonly namespace: string;
  readonly name: string;
  readonly isExternalName: boolean;
  /** Empty for headless Services. */
  readonly clusterIps: readonly string[];
  readonly ports: readonly { readonly name: string; readonly port: number }[];
  readonly isTrafficLocal: boolean;
  /** By annotation; the cluster's default set without one. */
  readonly opaquePorts: PortSet;
  /** Whether the policy API says what its ServiceProfile says, merged with its routes. */
  readonly mergesRoutes: boolean;
  /** The cluster that really has the Service, by label. */
  readonly remoteCluster: string | undefined;
  readonly remoteService: string | undefined;
}

export interface TargetRecord {
  readonly kind: "Pod" | "ExternalWorkload";
  /** `namespace/name`. */
  readonly key: string;
}

export interface SliceEndpointRecord {
  readonly addresses: readonly string[];
  readonly isReady: boolean;
  readonly hostname: string | undefined;
  readonly zone: string | undefined;
  /** Empty if the endpoint has no hint. */
  readonly forZones: readonly string[];
  readonly target: TargetRecord | undefined;
}

export interface SliceRecord {
  readonly namespace: string;
  readonly name: string;
  readonly service: string;
  readonly family: 4 | 6;
  /** Undefined if the slice says nothing of ports, and so has no addresses. */
  readonly ports: readonly { readonly name: string; readonly port: number }[] | undefined;
  readonly endpoints: readonly SliceEndpointRecord[];
  /** Of Services mirrored from another cluster. */
  readonly mirror: {
    readonly cluster: string | undefined;
    /** `service.namespace.svc.domain` over there. */
    readonly remoteName: string | undefined;
    readonly gatewayIdentity: string | undefined;
  };
}

/** The sole owner of an object; undefined for none and for several. */
export interface OwnerRecord {
  readonly kind: string;
  readonly name: string;
  readonly group: string;
}

/** A ReplicaSet or a Job: what stands between a pod and what people call its owner. */
export interface MiddleOwnerRecord {
  readonly kind: "ReplicaSet" | "Job";
  readonly namespace: string;
  readonly name: string;
  readonly owner: OwnerRecord | undefined;
}

export interface NamedPort {
  readonly name: string | undefined;
  readonly port: number;
}

export interface PodRecord {
  readonly type: "pod";
  readonly namespace: string;
  readonly name: string;
  readonly labels: Labels;
  readonly ips: readonly string[];
  readonly hostIps: readonly string[];
  readonly isHostNetwork: boolean;
  readonly nodeName: string | undefined;
  /** Phase Running, and not being deleted. */
  readonly isRunning: boolean;
  readonly serviceAccount: string;
  readonly owner: OwnerRecord | undefined;
  readonly opaquePorts: PortSet;
  readonly skippedInboundPorts: PortSet;
  readonly containerPorts: readonly (NamedPort & { readonly hostPort: number | undefined })[];
  /** The sidecar's own ports; undefined if its environment does not tell them all. */
  readonly proxy:
    | { readonly inboundPort: number; readonly adminPort: number; readonly controlPort: number }
    | undefined;
}

export interface WorkloadRecord {
  readonly type: "workload";
  readonly namespace: string;
  readonly name: string;
  readonly labels: Labels;
  readonly ips: readonly string[];
  readonly ports: readonly NamedPort[];
  readonly opaquePorts: PortSet;
  readonly identity: string;
  readonly serverName: string;
  readonly owner: OwnerRecord | undefined;
  /** Where its proxy takes connections with a transport header. */
  readonly inboundPort: number;
}

export interface ServerRecord {
  readonly namespace: string;
  readonly name: string;
  readonly isOpaque: boolean;
  readonly selectsPod: (labels: Labels) => boolean;
  readonly selectsWorkload: (labels: Labels) => boolean;
  /** A number, or the name of a port of whatever is selected. */
  readonly port: number | string;
}

export interface NodeRecord {
  readonly name: string;
  readonly zone: string | undefined;
}

export function keyOfRecord(record: { readonly namespace: string; readonly name: string }): string {
  return `${record.namespace}/${record.name}`;
}
