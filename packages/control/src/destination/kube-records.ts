import { Interner } from "@heddle/base/interner";
import { matchesSelector } from "@heddle/kube/selector";
import type {
  Container,
  EndpointSlice,
  Node,
  OwnedObject,
  Pod,
  Service,
} from "@heddle/kube/types/core";
import type { ExternalWorkload, Server, ServiceProfile } from "@heddle/kube/types/linkerd";
import type { KubeObject } from "@heddle/kube/types/meta";
import { mergesRoutes } from "../route-merge.ts";
import { type PortSet, parsePortSet } from "./port-set.ts";
import { parseProfileRules } from "./profile-rules.ts";
import type {
  MiddleOwnerRecord,
  NodeRecord,
  OwnerRecord,
  PodRecord,
  ServerRecord,
  ServiceRecord,
  SliceEndpointRecord,
  SliceRecord,
  WorkloadRecord,
} from "./records.ts";
import type { ServiceProfileRecord } from "./world.ts";

const OPAQUE_PORTS = "config.linkerd.io/opaque-ports";
const SKIP_INBOUND_PORTS = "config.linkerd.io/skip-inbound-ports";
const PROXY_CONTAINER = "linkerd-proxy";
const PROXY_PORT_NAME = "linkerd-proxy";
const DEFAULT_INBOUND_PORT = 4143;
const ZONE_LABEL = "topology.kubernetes.io/zone";

export function serviceRecord(service: Service, defaults: PortSet): ServiceRecord {
  const { spec } = service;
  const ports = (spec?.ports ?? []).map(({ name, port }) => ({ name: name ?? "", port }));
  const ips = [spec?.clusterIP, ...(spec?.clusterIPs ?? [])];
  const labels = service.metadata.labels ?? {};
  return {
    ...nameOf(service),
    isExternalName: spec?.type === "ExternalName",
    clusterIps: [...new Set(ips.filter(isAddress))],
    ports,
    isTrafficLocal: spec?.internalTrafficPolicy === "Local",
    opaquePorts: opaquePorts(service, defaults, ports),
    mergesRoutes: mergesRoutes(service.metadata.annotations),
    remoteCluster: labels["multicluster.linkerd.io/remote-discovery"],
    remoteService: labels["multicluster.linkerd.io/remote-service"],
  };
}

/** Undefined if the slice belongs to no Service, or its addresses are names. */
export function sliceRecord(slice: EndpointSlice): SliceRecord | undefined {
  const { labels = {}, annotations = {}, ownerReferences = [] } = slice.metadata;
  const owner = ownerReferences.find(({ kind }) => kind === "Service")?.name;
  const service = labels["kubernetes.io/service-name"] ?? owner;
  if (service === undefined || service === "" || slice.addressType === "FQDN") return undefined;
  return {
    ...nameOf(slice),
    service,
    family: slice.addressType === "IPv6" ? 6 : 4,
    ports: slice.ports?.flatMap(({ name, port }) =>
      typeof port === "number" ? [{ name: name ?? "", port }] : [],
    ),
    endpoints: (slice.endpoints ?? []).map((one) => endpointRecord(slice, one)),
    mirror: {
      cluster: labels["mirror.linkerd.io/cluster-name"],
      remoteName: annotations["mirror.linkerd.io/remote-svc-fq-name"],
      gatewayIdentity: annotations["mirror.linkerd.io/remote-gateway-identity"],
    },
  };
}

function endpointRecord(
  slice: EndpointSlice,
  endpoint: NonNullable<EndpointSlice["endpoints"]>[number],
): SliceEndpointRecord {
  const { addresses, conditions, hostname, zone, hints, targetRef } = endpoint;
  const kind = targetRef?.kind;
  const isKnown = kind === "Pod" || kind === "ExternalWorkload";
  const namespace = targetRef?.namespace ?? slice.metadata.namespace ?? "";
  return {
    addresses: addresses ?? [],
    isReady: conditions?.ready !== false,
    hostname: hostname ?? undefined,
    zone: zone ?? undefined,
    forZones: hints?.forZones?.map(({ name }) => name) ?? NO_ZONES,
    target: isKnown ? { kind, key: `${namespace}/${targetRef?.name ?? ""}` } : undefined,
  };
}

// What pods of one workload, or of one node, have in common.
const labelSets = new Interner<PodRecord["labels"]>();
const addressLists = new Interner<readonly string[]>();
const portLists = new Interner<PodRecord["containerPorts"]>();
const proxies = new Interner<NonNullable<PodRecord["proxy"]>>();
const NO_ZONES: readonly string[] = [];

export function podRecord(pod: Pod, defaults: PortSet): PodRecord {
  const { spec, status, metadata } = pod;
  // Init containers that never end serve as any other does.
  const containers = [
    ...(spec?.containers ?? []),
    ...(spec?.initContainers ?? []).filter(({ restartPolicy }) => restartPolicy === "Always"),
  ];
  const containerPorts = containers.flatMap(({ ports = [] }) =>
    ports.map(({ name, containerPort, hostPort }) => ({ name, port: containerPort, hostPort })),
  );
  return {
    type: "pod",
    ...nameOf(pod),
    labels: labelSets.of(metadata.labels ?? {}),
    ips: uniqueIps(status?.podIP, status?.podIPs),
    hostIps: addressLists.of(uniqueIps(status?.hostIP, status?.hostIPs)),
    isHostNetwork: spec?.hostNetwork === true,
    nodeName: spec?.nodeName,
    isRunning: status?.phase === "Running" && metadata.deletionTimestamp === undefined,
    serviceAccount: spec?.serviceAccountName || "default",
    owner: soleOwner(pod),
    opaquePorts: opaquePorts(pod, defaults, containerPorts),
    skippedInboundPorts: parsePortSet(metadata.annotations?.[SKIP_INBOUND_PORTS] ?? ""),
    containerPorts: portLists.of(containerPorts),
    proxy: proxyPorts([...(spec?.containers ?? []), ...(spec?.initContainers ?? [])]),
  };
}

export function workloadRecord(workload: ExternalWorkload, defaults: PortSet): WorkloadRecord {
  const { spec, metadata } = workload;
  const ports = (spec.ports ?? []).map(({ name, port }) => ({ name, port }));
  return {
    type: "workload",
    ...nameOf(workload),
    labels: metadata.labels ?? {},
    ips: uniqueIps(undefined, spec.workloadIPs),
    ports,
    opaquePorts: opaquePorts(workload, defaults, ports),
    identity: spec.meshTLS?.identity ?? "",
    serverName: spec.meshTLS?.serverName ?? "",
    owner: soleOwner(workload),
    inboundPort: ports.find(({ name }) => name === PROXY_PORT_NAME)?.port ?? DEFAULT_INBOUND_PORT,
  };
}

export function serverRecord(server: Server): ServerRecord {
  const { podSelector, externalWorkloadSelector, port, proxyProtocol } = server.spec;
  return {
    ...nameOf(server),
    isOpaque: proxyProtocol === "opaque",
    selectsPod: (labels) => matchesSelector(podSelector, labels),
    selectsWorkload: (labels) => matchesSelector(externalWorkloadSelector, labels),
    port,
  };
}

/** @param onProblem - Hears what is wrong with a profile; its rules are undefined then. */
export function serviceProfileRecord(
  profile: ServiceProfile,
  onProblem: (problem: string) => void,
): ServiceProfileRecord {
  const common = { ...nameOf(profile), kind: profile.kind ?? "ServiceProfile" };
  try {
    return { ...common, rules: parseProfileRules(profile.spec) };
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    onProblem(error.message);
    return { ...common, rules: undefined };
  }
}

export function nodeRecord(node: Node): NodeRecord {
  return { name: node.metadata.name ?? "", zone: node.metadata.labels?.[ZONE_LABEL] };
}

export function middleOwnerRecord(
  kind: MiddleOwnerRecord["kind"],
  object: OwnedObject,
): MiddleOwnerRecord {
  return { kind, ...nameOf(object), owner: soleOwner(object) };
}

function nameOf(object: KubeObject): { readonly namespace: string; readonly name: string } {
  return { namespace: object.metadata.namespace ?? "", name: object.metadata.name ?? "" };
}

/** Several owners say nothing: which of them would metrics name? */
function soleOwner(object: KubeObject): OwnerRecord | undefined {
  const owners = object.metadata.ownerReferences ?? [];
  const owner = owners[0];
  if (owner === undefined || owners.length > 1) return undefined;
  const slash = owner.apiVersion.indexOf("/");
  const group = slash < 0 ? "" : owner.apiVersion.slice(0, slash);
  return { kind: owner.kind, name: owner.name, group };
}

/** An empty annotation means no opaque ports, not the default ones. */
function opaquePorts(
  object: KubeObject,
  defaults: PortSet,
  named: readonly { readonly name: string | undefined; readonly port: number }[],
): PortSet {
  const text = object.metadata.annotations?.[OPAQUE_PORTS];
  if (text === undefined) return defaults;
  const names = new Map<string, number[]>();
  for (const { name, port } of named) {
    if (name !== undefined && name !== "") names.set(name, [...(names.get(name) ?? []), port]);
  }
  return parsePortSet(text, names);
}

function uniqueIps(
  first: string | undefined,
  rest: readonly { readonly ip?: string }[] | undefined,
): string[] {
  return [...new Set([first, ...(rest ?? []).map(({ ip }) => ip)].filter(isAddress))];
}

function isAddress(ip: string | undefined): ip is string {
  return ip !== undefined && ip !== "" && ip !== "None";
}

function proxyPorts(containers: readonly Container[]): PodRecord["proxy"] {
  const proxy = containers.find(({ name }) => name === PROXY_CONTAINER);
  const port = (variable: string): number | undefined => {
    const value = proxy?.env?.find(({ name }) => name === variable)?.value;
    const digits = /:(\d{1,5})$/.exec(value ?? "")?.[1];
    return digits === undefined ? undefined : Number(digits);
  };
  const inboundPort = port("LINKERD2_PROXY_INBOUND_LISTEN_ADDR");
  const adminPort = port("LINKERD2_PROXY_ADMIN_LISTEN_ADDR");
  const controlPort = port("LINKERD2_PROXY_CONTROL_LISTEN_ADDR");
  if (inboundPort === undefined || adminPort === undefined || controlPort === undefined) {
    return undefined;
  }
  return proxies.of({ inboundPort, adminPort, controlPort });
}
