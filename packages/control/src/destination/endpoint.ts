import { serviceAccountId } from "@heddle/model/identity";
import type { PortSet } from "./port-set.ts";
import type { PodRecord, WorkloadRecord } from "./records.ts";

/** Settings of the whole control plane that shape every endpoint. */
export interface DestinationConfig {
  readonly controlNamespace: string;
  readonly clusterDomain: string;
  /** Empty: nothing gets an identity. */
  readonly trustDomain: string;
  readonly defaultOpaquePorts: PortSet;
  readonly isH2UpgradeOn: boolean;
  /** Every meshed endpoint is reached through its proxy's inbound port. */
  readonly isTransportHeaderOn: boolean;
  readonly isIpv6On: boolean;
  /** Experimental in Linkerd: ten times the weight for endpoints of the client's zone. */
  readonly hasZoneWeights: boolean;
}

export type EndpointIdentity =
  | { readonly type: "dns"; readonly name: string; readonly serverName: string | undefined }
  | { readonly type: "uri"; readonly uri: string; readonly serverName: string };

/** An address and everything that a proxy must know to use it. */
export interface Endpoint {
  readonly ip: string;
  readonly port: number;
  readonly weight: number;
  /** Sorted by name. */
  readonly labels: readonly (readonly [string, string])[];
  readonly identity: EndpointIdentity | undefined;
  /** Undefined for peers outside the mesh. */
  readonly hint:
    | {
        readonly protocol: "h2" | "opaque" | "unknown";
        /** Set where connections go to the proxy's inbound port, with a transport header. */
        readonly transportPort: number | undefined;
      }
    | undefined;
  readonly authorityOverride: string | undefined;
  /** Carries the configured HTTP/2 client parameters. */
  readonly hasHttp2Params: boolean;
}

/** Where an endpoint stands with respect to whoever asked. */
export interface Locality {
  readonly zone: string | undefined;
  readonly clientZone: string | undefined;
}

export interface EndpointAddress {
  readonly ip: string;
  readonly port: number;
}

/** Who a pod belongs to, as metrics name it: `["deployment", "web"]`. */
export type OwnerLabel = readonly [kind: string, name: string];

export const WEIGHT = 10_000;
const CONTROL_NAMESPACE_LABEL = "linkerd.io/control-plane-ns";
const TEMPLATE_HASH_LABEL = "pod-template-hash";

/**
 * A pod as an endpoint.
 *
 * @param isOpaque - By annotation, by the default set, or by a Server.
 * @param canTunnel - False for addresses at which the proxy's own port cannot be reached.
 * @returns undefined if the pod is meshed but its sidecar's ports are unknown.
 */
export function podEndpoint(
  config: DestinationConfig,
  pod: PodRecord,
  address: EndpointAddress,
  isOpaque: boolean,
  labels: ReadonlyMap<string, string>,
  canTunnel = true,
): Endpoint | undefined {
  const mesh = pod.labels[CONTROL_NAMESPACE_LABEL] ?? "";
  const isMeshed = mesh !== "" && !pod.skippedInboundPorts.has(address.port);
  let hint: Endpoint["hint"];
  if (isMeshed) {
    if (pod.proxy === undefined) return undefined;
    const { inboundPort, adminPort, controlPort } = pod.proxy;
    const isProxysOwn = address.port === adminPort || address.port === controlPort;
    const isTunnelled = (config.isTransportHeaderOn || isOpaque) && !isProxysOwn && canTunnel;
    hint = {
      protocol: isOpaque ? "opaque" : config.isH2UpgradeOn ? "h2" : "unknown",
      transportPort: isTunnelled ? inboundPort : undefined,
    };
  }
  const isOurs = isMeshed && config.trustDomain !== "" && mesh === config.controlNamespace;
  const { serviceAccount, namespace } = pod;
  const name = serviceAccountId(serviceAccount, namespace, mesh, config.trustDomain);
  return {
    ...address,
    weight: WEIGHT,
    labels: sorted(labels),
    identity: isOurs ? { type: "dns", name, serverName: name } : undefined,
    hint,
    authorityOverride: undefined,
    hasHttp2Params: isMeshed,
  };
}

/** A machine as an endpoint. It counts as meshed always: nothing else can register it. */
export function workloadEndpoint(
  config: DestinationConfig,
  workload: WorkloadRecord,
  address: EndpointAddress,
  isOpaque: boolean,
  labels: ReadonlyMap<string, string>,
): Endpoint {
  const { identity: uri, serverName, inboundPort } = workload;
  const isTunnelled = config.isTransportHeaderOn || isOpaque;
  return {
    ...address,
    weight: WEIGHT,
    labels: sorted(labels),
    identity: { type: "uri", uri, serverName },
    hint: {
      protocol: isOpaque ? "opaque" : "h2",
      transportPort: isTunnelled ? inboundPort : undefined,
    },
    authorityOverride: undefined,
    hasHttp2Params: true,
  };
}

/** An address of which only its slice knows: outside the mesh, or another cluster's gateway. */
export function rawEndpoint(
  config: DestinationConfig,
  address: EndpointAddress,
  mirror: {
    readonly gatewayIdentity: string | undefined;
    readonly authorityOverride: string | undefined;
  } = { gatewayIdentity: undefined, authorityOverride: undefined },
): Endpoint {
  const { gatewayIdentity, authorityOverride } = mirror;
  const isMeshed = gatewayIdentity !== undefined && gatewayIdentity !== "";
  const protocol = config.isH2UpgradeOn ? "h2" : "unknown";
  return {
    ...address,
    weight: WEIGHT,
    labels: [],
    identity: isMeshed ? { type: "dns", name: gatewayIdentity, serverName: undefined } : undefined,
    hint: isMeshed && protocol === "h2" ? { protocol, transportPort: undefined } : undefined,
    authorityOverride,
    hasHttp2Params: isMeshed,
  };
}

export function podLabels(pod: PodRecord, owner: OwnerLabel): Map<string, string> {
  const labels = new Map([
    ["pod", pod.name],
    ["serviceaccount", pod.serviceAccount],
  ]);
  setOwner(labels, owner);
  const mesh = pod.labels[CONTROL_NAMESPACE_LABEL] ?? "";
  if (mesh !== "") labels.set("control_plane_ns", mesh);
  const hash = pod.labels[TEMPLATE_HASH_LABEL] ?? "";
  if (hash !== "") labels.set("pod_template_hash", hash);
  return labels;
}

export function workloadLabels(workload: WorkloadRecord): Map<string, string> {
  const labels = new Map([["external_workload", workload.name]]);
  const { owner } = workload;
  if (owner !== undefined) setOwner(labels, [owner.kind.toLowerCase(), owner.name]);
  return labels;
}

/** Adds what only balanced endpoints carry. */
export function withLocality(labels: Map<string, string>, locality: Locality): Map<string, string> {
  const { zone = "", clientZone = "" } = locality;
  const isKnown = zone !== "" && clientZone !== "";
  labels.set("zone", zone);
  labels.set("zone_locality", isKnown ? (zone === clientZone ? "local" : "remote") : "unknown");
  return labels;
}

/** Equal text exactly if a proxy could not tell the two apart. */
export function fingerprint(endpoint: Endpoint): string {
  const { ip, port, weight, labels, identity, hint, authorityOverride, hasHttp2Params } = endpoint;
  return JSON.stringify([
    ip,
    port,
    weight,
    labels,
    identity === undefined
      ? null
      : [
          identity.type === "dns" ? identity.name : identity.uri,
          identity.type,
          identity.serverName,
        ],
    hint === undefined ? null : [hint.protocol, hint.transportPort],
    authorityOverride,
    hasHttp2Params,
  ]);
}

/** As maps are keyed by; IPv6 addresses are unambiguous since the port comes last. */
export function addressKey(address: EndpointAddress): string {
  return `${address.ip}|${address.port}`;
}

function setOwner(labels: Map<string, string>, [kind, name]: OwnerLabel): void {
  labels.set(kind === "job" ? "k8s_job" : kind, name);
}

function sorted(labels: ReadonlyMap<string, string>): (readonly [string, string])[] {
  return [...labels].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
}
