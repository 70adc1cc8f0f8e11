import type { Env } from "@heddle/base/env";
import { type DiscoveryConfig, loadDiscovery } from "./discovery/config.ts";
import { boolean, duration, type HostPort, ipSet, socketAddress, tlsId } from "./env-values.ts";
import { type IdentityConfig, loadIdentity } from "./identity/config.ts";
import { type InboundConfig, loadInbound } from "./inbound/config.ts";
import { type LoopbackMesh, loadLoopbackMesh } from "./loopback-mesh.ts";
import { loadOutbound, type OutboundConfig } from "./outbound/config.ts";

export interface ProxyConfig {
  readonly mesh: LoopbackMesh;
  readonly outbound: OutboundConfig;
  readonly inbound: InboundConfig;
  readonly discovery: DiscoveryConfig;
  readonly identity: IdentityConfig;
  readonly adminListen: HostPort;
  readonly tapListen: HostPort;
  /** The only client that may tap; undefined: no tap server. */
  readonly tapClient: string | undefined;
  readonly shutdownEndpoint: boolean;
  readonly shutdownGraceMs: number;
  readonly metricsIdleMs: number;
  /** What connections to peers are made from; undefined: the kernel's choice. */
  readonly sourceIp: string | undefined;
}

/**
 * Everything from the environment; problems are gathered in `env`, so call `env.check` before use.
 * Unknown variables are tolerated: charts set some that no proxy reads.
 */
export function loadProxy(env: Env): ProxyConfig {
  const mesh = loadLoopbackMesh(env);
  const inbound = loadInbound(env);
  const outbound = loadOutbound(env);
  return {
    mesh,
    outbound,
    inbound,
    discovery: loadDiscovery(env, mesh),
    identity: loadIdentity(env, mesh),
    adminListen: env.read("LINKERD2_PROXY_ADMIN_LISTEN_ADDR", socketAddress, {
      host: "127.0.0.1",
      port: 4191,
    }),
    tapListen: env.read("LINKERD2_PROXY_CONTROL_LISTEN_ADDR", socketAddress, {
      host: "0.0.0.0",
      port: 4190,
    }),
    tapClient: env.read("LINKERD2_PROXY_TAP_SVC_NAME", tlsId, undefined),
    shutdownEndpoint: env.read("LINKERD2_PROXY_SHUTDOWN_ENDPOINT_ENABLED", boolean, false),
    shutdownGraceMs: env.read("LINKERD2_PROXY_SHUTDOWN_GRACE_PERIOD", duration, 120_000),
    metricsIdleMs: env.read("LINKERD2_PROXY_METRICS_RETAIN_IDLE", duration, 600_000),
    sourceIp: env.read(
      "HEDDLE_PROXY_SOURCE_IP",
      (text) => [...ipSet(text)][0],
      meshAddress(mesh, inbound, outbound),
    ),
  };
}

/** In a loopback mesh each process has its own address: the one it listens on. */
function meshAddress(
  mesh: LoopbackMesh,
  inbound: InboundConfig,
  outbound: OutboundConfig,
): string | undefined {
  if (mesh.has(inbound.listen.host)) return inbound.listen.host;
  return outbound.listen.find(({ host }) => mesh.has(host))?.host;
}
