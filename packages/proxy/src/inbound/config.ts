import type { Env } from "@heddle/base/env";
import type { DnsSuffixes } from "@heddle/model/dns-name";
import {
  duration,
  type HostPort,
  integer,
  ipSet,
  NetworkSet,
  networks,
  oneOf,
  portSet,
  socketAddress,
  suffixes,
} from "../env-values.ts";
import { type Http2ServerConfig, loadHttp2Server } from "../http/config.ts";
import { type BackoffConfig, loadBackoff, loadSockets, type SocketConfig } from "../tcp/config.ts";

export type DefaultPolicy =
  | "deny"
  | "all-authenticated"
  | "all-unauthenticated"
  | "cluster-authenticated"
  | "cluster-unauthenticated"
  | "audit";

export interface InboundConfig {
  readonly listen: HostPort;
  /** Original destinations must be among these; undefined: any. */
  readonly ips: ReadonlySet<string> | undefined;
  /** Where inbound forwards; undefined: to the original destination. */
  readonly appIp: string | undefined;
  readonly accept: SocketConfig;
  readonly connect: SocketConfig;
  readonly connectTimeoutMs: number;
  readonly connectBackoff: BackoffConfig;
  readonly detectTimeoutMs: number;
  readonly discoveryIdleMs: number;
  readonly httpQueueCapacity: number;
  readonly httpFailFastMs: number;
  readonly maxInFlight: number;
  readonly maxIdleConnections: number;
  readonly poolIdleMs: number;
  readonly http2Server: Http2ServerConfig;
  /** Ports whose policies are watched from the start, for good. */
  readonly ports: ReadonlySet<number>;
  /** Ports that are opaque until the controller says otherwise. */
  readonly opaquePorts: ReadonlySet<number>;
  readonly gatewaySuffixes: DnsSuffixes | undefined;
  readonly defaultPolicy: DefaultPolicy;
  readonly clusterNetworks: NetworkSet;
  readonly profileSuffixes: DnsSuffixes;
  readonly profileTimeoutMs: number;
  readonly authorityLabels: boolean;
  readonly accessLog: "apache" | "json" | undefined;
}

const DEFAULT_POLICIES: readonly DefaultPolicy[] = [
  "deny",
  "all-authenticated",
  "all-unauthenticated",
  "cluster-authenticated",
  "cluster-unauthenticated",
  "audit",
];

export function loadInbound(env: Env): InboundConfig {
  const name = (suffix: string): string => `LINKERD2_PROXY_INBOUND_${suffix}`;
  const clusterNetworks = env.read(
    "LINKERD2_PROXY_POLICY_CLUSTER_NETWORKS",
    networks,
    new NetworkSet([]),
  );
  const policyName = name("DEFAULT_POLICY");
  const defaultPolicy = env.read<DefaultPolicy, DefaultPolicy>(
    policyName,
    oneOf(...DEFAULT_POLICIES),
    "all-unauthenticated",
  );
  const needsNetworks = defaultPolicy.startsWith("cluster-") || defaultPolicy === "audit";
  if (needsNetworks && clusterNetworks.networks.length === 0) {
    env.fail(`${policyName}="${defaultPolicy}" needs LINKERD2_PROXY_POLICY_CLUSTER_NETWORKS`);
  }
  return {
    listen: env.read(name("LISTEN_ADDR"), socketAddress, { host: "0.0.0.0", port: 4143 }),
    ips: env.read(name("IPS"), ipSet, undefined),
    appIp: env.read("HEDDLE_PROXY_INBOUND_APP_IP", singleIp, undefined),
    accept: loadSockets(env, name("ACCEPT"), name("TCP_LISTEN_BACKLOG")),
    connect: loadSockets(env, name("CONNECT")),
    connectTimeoutMs: env.read(name("CONNECT_TIMEOUT"), duration, 300),
    connectBackoff: loadBackoff(env, name("CONNECT"), { minMs: 100, maxMs: 10_000, jitter: 0.1 }),
    detectTimeoutMs: env.read(name("DETECT_TIMEOUT"), duration, 10_000),
    discoveryIdleMs: env.read(name("DISCOVERY_IDLE_TIMEOUT"), duration, 90_000),
    httpQueueCapacity: env.read(name("HTTP_QUEUE_CAPACITY"), integer, 10_000),
    httpFailFastMs: env.read(name("HTTP_FAILFAST_TIMEOUT"), duration, 1_000),
    maxInFlight: env.read(name("MAX_IN_FLIGHT"), integer, 100_000),
    maxIdleConnections: env.read("LINKERD2_PROXY_MAX_IDLE_CONNS_PER_ENDPOINT", integer, 10_000),
    poolIdleMs: env.read(name("HTTP1_CONNECTION_POOL_IDLE_TIMEOUT"), duration, 3_000),
    http2Server: loadHttp2Server(env, name("SERVER_HTTP2")),
    ports: env.read(name("PORTS"), portSet, new Set<number>()),
    opaquePorts: env.read(name("PORTS_DISABLE_PROTOCOL_DETECTION"), portSet, new Set<number>()),
    gatewaySuffixes: env.read(name("GATEWAY_SUFFIXES"), suffixes, undefined),
    defaultPolicy,
    clusterNetworks,
    profileSuffixes: env.read(
      "LINKERD2_PROXY_DESTINATION_PROFILE_SUFFIXES",
      suffixes,
      suffixes("svc.cluster.local."),
    ),
    profileTimeoutMs: env.read("LINKERD2_PROXY_DESTINATION_PROFILE_INITIAL_TIMEOUT", duration, 500),
    authorityLabels: env.read(name("METRICS_AUTHORITY_LABELS"), unsafeOrNone, false),
    accessLog: env.read("LINKERD2_PROXY_ACCESS_LOG", accessLogFormat, undefined),
  };
}

function singleIp(text: string): string {
  const [ip, ...more] = ipSet(text);
  if (more.length > 0) throw new SyntaxError("expected one IP address");
  return ip!;
}

function unsafeOrNone(text: string): boolean {
  if (text !== "" && text !== "unsafe") throw new SyntaxError('expected "unsafe" or nothing');
  return text === "unsafe";
}

/** An unknown format disables the log and stops nothing, as in Linkerd. */
function accessLogFormat(text: string): "apache" | "json" | undefined {
  return text === "apache" || text === "json" ? text : undefined;
}
