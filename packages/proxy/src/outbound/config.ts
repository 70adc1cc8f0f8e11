import type { Env } from "@heddle/base/env";
import type { DnsSuffixes } from "@heddle/model/dns-name";
import { parseDnsName } from "@heddle/model/dns-name";
import {
  boolean,
  duration,
  type HostPort,
  hostPort,
  integer,
  NetworkSet,
  networks,
  socketAddress,
  socketAddresses,
  suffixes,
  u32,
} from "../env-values.ts";
import { type Http2ServerConfig, loadHttp2Server } from "../http/config.ts";
import { type BackoffConfig, loadBackoff, loadSockets, type SocketConfig } from "../tcp/config.ts";

/** A port that the proxy listens on for one service: `HEDDLE_PROXY_OUTBOUND_LISTENERS`. */
export interface DeclaredListener {
  readonly listen: HostPort;
  /** A DNS name and a port; discovered by authority. */
  readonly service: HostPort;
}

export interface OutboundConfig {
  readonly listen: readonly HostPort[];
  readonly declared: readonly DeclaredListener[];
  /** Where explicit proxying (absolute-form and CONNECT) is served, if at all. */
  readonly httpProxy: HostPort | undefined;
  readonly accept: SocketConfig;
  readonly connect: SocketConfig;
  readonly connectTimeoutMs: number;
  readonly connectBackoff: BackoffConfig;
  readonly detectTimeoutMs: number;
  /** A discovered target and its stacks are forgotten after this long without a connection. */
  readonly discoveryIdleMs: number;
  readonly tcpQueueCapacity: number;
  readonly tcpFailFastMs: number;
  readonly httpQueueCapacity: number;
  readonly httpFailFastMs: number;
  readonly maxInFlight: number;
  readonly maxIdleConnections: number;
  readonly poolIdleMs: number;
  readonly http2Server: Http2ServerConfig;
  readonly streamWindowBytes: number;
  readonly connectionWindowBytes: number;
  readonly isIngress: boolean;
  /** Whether `l5d-proxy-error` and its like are kept from the application. */
  readonly hidesErrors: boolean;
  readonly hostnameLabels: boolean;
  readonly profileSuffixes: DnsSuffixes;
  readonly profileNetworks: NetworkSet;
}

export function loadOutbound(env: Env): OutboundConfig {
  const name = (suffix: string): string => `LINKERD2_PROXY_OUTBOUND_${suffix}`;
  const single = env.read(name("LISTEN_ADDR"), socketAddress, { host: "127.0.0.1", port: 4140 });
  const isIngress = env.read("LINKERD2_PROXY_INGRESS_MODE", boolean, false);
  return {
    listen: env.read(name("LISTEN_ADDRS"), socketAddresses, [single]),
    declared: env.read("HEDDLE_PROXY_OUTBOUND_LISTENERS", declaredListeners, []),
    httpProxy: env.read("HEDDLE_PROXY_OUTBOUND_HTTP_PROXY_ADDR", socketAddress, undefined),
    accept: loadSockets(env, name("ACCEPT"), name("TCP_LISTEN_BACKLOG")),
    connect: loadSockets(env, name("CONNECT")),
    connectTimeoutMs: env.read(name("CONNECT_TIMEOUT"), duration, 1_000),
    connectBackoff: loadBackoff(env, name("CONNECT"), { minMs: 100, maxMs: 60_000, jitter: 0.1 }),
    detectTimeoutMs: env.read(name("DETECT_TIMEOUT"), duration, 10_000),
    discoveryIdleMs: env.read(name("DISCOVERY_IDLE_TIMEOUT"), duration, 5_000),
    tcpQueueCapacity: env.read(name("TCP_QUEUE_CAPACITY"), integer, 10_000),
    tcpFailFastMs: env.read(name("TCP_FAILFAST_TIMEOUT"), duration, 3_000),
    httpQueueCapacity: env.read(name("HTTP_QUEUE_CAPACITY"), integer, 10_000),
    httpFailFastMs: env.read(name("HTTP_FAILFAST_TIMEOUT"), duration, 3_000),
    maxInFlight: env.read(name("MAX_IN_FLIGHT"), integer, 100_000),
    maxIdleConnections: env.read(name("MAX_IDLE_CONNS_PER_ENDPOINT"), integer, 10_000),
    poolIdleMs: env.read(name("HTTP1_CONNECTION_POOL_IDLE_TIMEOUT"), duration, 3_000),
    http2Server: loadHttp2Server(env, name("SERVER_HTTP2")),
    streamWindowBytes: env.read("LINKERD2_PROXY_HTTP2_INITIAL_STREAM_WINDOW_SIZE", u32, 65_535),
    connectionWindowBytes: env.read(
      "LINKERD2_PROXY_HTTP2_INITIAL_CONNECTION_WINDOW_SIZE",
      u32,
      1_048_576,
    ),
    isIngress,
    hidesErrors: env.read(name("DISABLE_INFORMATIONAL_HEADERS"), boolean, isIngress),
    hostnameLabels: env.read(name("METRICS_HOSTNAME_LABELS"), boolean, false),
    profileSuffixes: env.read(
      "LINKERD2_PROXY_DESTINATION_PROFILE_SUFFIXES",
      suffixes,
      suffixes("svc.cluster.local."),
    ),
    profileNetworks: env.read(
      "LINKERD2_PROXY_DESTINATION_PROFILE_NETWORKS",
      networks,
      new NetworkSet([]),
    ),
  };
}

/** `127.0.0.1:8080=web.shop.svc.cluster.local:80`, with commas between. */
function declaredListeners(text: string): DeclaredListener[] {
  const found: DeclaredListener[] = [];
  for (const part of text.split(",")) {
    const entry = part.trim();
    if (entry === "") continue;
    const at = entry.indexOf("=");
    if (at < 0) throw new SyntaxError(`"${entry}" is not ADDRESS:PORT=NAME:PORT`);
    const listen = socketAddress(entry.slice(0, at));
    const service = hostPort(entry.slice(at + 1));
    const host = parseDnsName(service.host);
    if (host === undefined) throw new SyntaxError(`"${service.host}" is no DNS name`);
    found.push({ listen, service: { host, port: service.port } });
  }
  return found;
}
