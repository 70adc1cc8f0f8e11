import type {
  AddrSet,
  Update,
  WeightedAddr,
  WeightedAddrSet,
} from "@heddle/api/gen/destination_pb";
import type { IPAddress, TcpAddress } from "@heddle/api/gen/net_pb";
import { MeshError } from "@heddle/base/errors";
import { parseDnsName } from "@heddle/model/dns-name";
import { formatIp, type IpAddress, ipv4, ipv6 } from "@heddle/model/network";
import { splitAuthority } from "@heddle/model/socket-address";
import { uriId } from "@heddle/wire/x509/id";
import type { Discovered, EndpointUpdate } from "../balance/balancer.ts";

/** `google.protobuf.Duration`, as it is decoded. */
export interface WireDuration {
  readonly seconds: bigint;
  readonly nanos: number;
}

export interface EndpointTls {
  /** What the endpoint's certificate must say. */
  readonly id: string;
  /** SNI. */
  readonly serverName: string;
}

export interface EndpointHttp2 {
  readonly isAdaptive: boolean;
  readonly streamWindowBytes: number | undefined;
  readonly connectionWindowBytes: number | undefined;
  readonly keepAliveIntervalMs: number | undefined;
  readonly keepAliveTimeoutMs: number | undefined;
  readonly keepAliveWhileIdle: boolean;
  readonly maxFrameBytes: number | undefined;
  readonly maxSendBufferBytes: number | undefined;
}

export type Zone = "local" | "remote" | "unknown";

/** One address that discovery gave, and how to speak with it. */
export interface EndpointFacts {
  readonly ip: string;
  readonly port: number;
  readonly weight: number;
  /** Those of the set and its own, sorted; printed with `dst_` before them. */
  readonly labels: Readonly<Record<string, string>>;
  readonly zone: Zone;
  /** Undefined: plaintext. */
  readonly tls: EndpointTls | undefined;
  /** `h2`: HTTP/1 goes as orig-proto; `opaque`: the peer must not look into the bytes. */
  readonly hint: "h2" | "opaque" | undefined;
  /** The peer's inbound port, where a transport header says which port is meant. */
  readonly opaqueTransportPort: number | undefined;
  /** `name[:port]`: what requests are said to ask for instead, for gateways. */
  readonly authority: string | undefined;
  readonly http2: EndpointHttp2 | undefined;
}

/** An endpoint as balancers compare it: the same address with the same facts is the same. */
export class EndpointInfo implements Discovered {
  readonly key: string;
  readonly facts: EndpointFacts;
  readonly #canonical: string;

  constructor(facts: EndpointFacts) {
    this.key = formatSocket(facts.ip, facts.port);
    this.facts = facts;
    this.#canonical = JSON.stringify(facts);
  }

  equals(other: EndpointInfo): boolean {
    return this.#canonical === other.#canonical;
  }

  /** For comparing what contains it. */
  toJSON(): unknown {
    return this.facts;
  }
}

/** An endpoint of which nothing is known but its address: plaintext, as it is. */
export function plainEndpoint(ip: string, port: number): EndpointInfo {
  return new EndpointInfo({
    ip,
    port,
    weight: 1,
    labels: {},
    zone: "unknown",
    tls: undefined,
    hint: undefined,
    opaqueTransportPort: undefined,
    authority: undefined,
    http2: undefined,
  });
}

export function formatSocket(ip: string, port: number): string {
  return ip.includes(":") ? `[${ip}]:${port}` : `${ip}:${port}`;
}

/**
 * What an update means to a balancer; undefined: nothing.
 *
 * @param isFirst - Of its stream: what is added then is all there is.
 */
export function parseUpdate(
  update: Update,
  isFirst: boolean,
): EndpointUpdate<EndpointInfo> | undefined {
  switch (update.update.case) {
    case "add": {
      const endpoints = parseSet(update.update.value);
      if (endpoints.length === 0) return undefined;
      return { kind: isFirst ? "reset" : "add", endpoints };
    }
    case "remove": {
      const keys = parseAddresses(update.update.value);
      return isFirst || keys.length === 0 ? undefined : { kind: "remove", keys };
    }
    case "noEndpoints":
      if (update.update.value.exists) return { kind: "reset", endpoints: [] };
      return { kind: "does_not_exist" };
    default:
      return undefined;
  }
}

function parseSet(set: WeightedAddrSet): EndpointInfo[] {
  const endpoints: EndpointInfo[] = [];
  for (const address of set.addrs) {
    const endpoint = parseWeightedAddr(address, set.metricLabels);
    if (endpoint !== undefined) endpoints.push(endpoint);
  }
  return endpoints;
}

function parseAddresses(set: AddrSet): string[] {
  const keys: string[] = [];
  for (const address of set.addrs) {
    const parsed = parseTcpAddress(address);
    if (parsed !== undefined) keys.push(formatSocket(parsed.ip, parsed.port));
  }
  return keys;
}

/** Undefined without an address. */
export function parseWeightedAddr(
  from: WeightedAddr,
  setLabels: Readonly<Record<string, string>> = {},
): EndpointInfo | undefined {
  const address = from.addr === undefined ? undefined : parseTcpAddress(from.addr);
  if (address === undefined) return undefined;
  const transport = from.protocolHint?.opaqueTransport?.inboundPort ?? 0;
  const hint = from.protocolHint?.protocol.case;
  return new EndpointInfo({
    ip: address.ip,
    port: address.port,
    weight: from.weight,
    labels: sortedLabels({ ...setLabels, ...from.metricLabels }),
    zone: zoneOf(from.metricLabels["zone_locality"]),
    tls: parseTls(from),
    hint: hint === undefined ? undefined : hint,
    // 65535 itself is refused, as by Linkerd.
    opaqueTransportPort: transport > 0 && transport < 65_535 ? transport : undefined,
    authority: parseOverride(from.authorityOverride?.authorityOverride),
    http2: parseHttp2(from),
  });
}

function parseTls(from: WeightedAddr): EndpointTls | undefined {
  const identity = from.tlsIdentity;
  if (identity === undefined) return undefined;
  const given = identity.serverName?.name;
  const serverName = given === undefined ? undefined : strictDnsName(given);
  switch (identity.strategy.case) {
    case "dnsLikeIdentity": {
      const id = strictDnsName(identity.strategy.value.name);
      if (id === undefined || (given !== undefined && serverName === undefined)) return undefined;
      return { id, serverName: serverName ?? id };
    }
    case "uriLikeIdentity": {
      const { uri } = identity.strategy.value;
      const id = uriId(uri);
      if (serverName === undefined || id === undefined) return undefined;
      return { id, serverName };
    }
    default:
      return undefined;
  }
}

function strictDnsName(text: string): string | undefined {
  return text.endsWith(".") ? undefined : parseDnsName(text);
}

/** An override that is no name, with or without a port, is ignored. */
function parseOverride(text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  const host = splitAuthority(text)?.host;
  return host === undefined || parseDnsName(host) === undefined ? undefined : text;
}

function parseHttp2(from: WeightedAddr): EndpointHttp2 | undefined {
  const params = from.http2;
  if (params === undefined) return undefined;
  const { flowControl, keepAlive, internals } = params;
  const isAdaptive = flowControl?.adaptiveFlowControl === true;
  const stream = positive(flowControl?.initialStreamWindowSize);
  const connection = positive(flowControl?.initialConnectionWindowSize);
  const isFixed = !isAdaptive && stream !== undefined && connection !== undefined;
  const intervalMs = keepAlive?.interval === undefined ? undefined : durationMs(keepAlive.interval);
  const timeoutMs = keepAlive?.timeout === undefined ? undefined : durationMs(keepAlive.timeout);
  const keepsAlive = intervalMs !== undefined && timeoutMs !== undefined;
  return {
    isAdaptive,
    streamWindowBytes: isFixed ? stream : undefined,
    connectionWindowBytes: isFixed ? connection : undefined,
    keepAliveIntervalMs: keepsAlive ? intervalMs : undefined,
    keepAliveTimeoutMs: keepsAlive ? timeoutMs : undefined,
    keepAliveWhileIdle: keepAlive?.whileIdle === true,
    maxFrameBytes: positive(internals?.maxFrameSize),
    maxSendBufferBytes: positive(internals?.maxSendBufSize),
  };
}

function positive(value: number | undefined): number | undefined {
  return value === undefined || value === 0 ? undefined : value;
}

function zoneOf(label: string | undefined): Zone {
  const value = label?.toLowerCase();
  return value === "local" || value === "remote" ? value : "unknown";
}

function sortedLabels(labels: Readonly<Record<string, string>>): Record<string, string> {
  const sorted: Record<string, string> = {};
  for (const name of Object.keys(labels).sort()) sorted[name] = labels[name]!;
  return sorted;
}

export function parseTcpAddress(
  address: TcpAddress,
): { readonly ip: string; readonly port: number } | undefined {
  const ip = address.ip === undefined ? undefined : parseIpAddress(address.ip);
  return ip === undefined ? undefined : { ip: formatIp(ip), port: address.port & 0xffff };
}

export function parseIpAddress(address: IPAddress): IpAddress | undefined {
  switch (address.ip.case) {
    case "ipv4":
      return ipv4(address.ip.value);
    case "ipv6":
      return ipv6(address.ip.value.first, address.ip.value.last);
    default:
      return undefined;
  }
}

/** Undefined if it is negative or out of range. */
export function durationMs(duration: WireDuration): number | undefined {
  const ms = Number(duration.seconds) * 1_000 + duration.nanos / 1_000_000;
  return ms >= 0 && ms <= Number.MAX_SAFE_INTEGER ? ms : undefined;
}

export function discoveryError(path: string, cause: unknown): MeshError {
  const message = `Cannot resolve ${path}: the controller refuses it`;
  return new MeshError("discovery_failed", "control", message, { cause });
}
