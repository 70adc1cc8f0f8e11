import { isIP } from "node:net";
import type { Env } from "@heddle/base/env";
import { dnsName, durationOrNone, type HostPort, hostPort, string } from "../env-values.ts";
import type { LoopbackMesh } from "../loopback-mesh.ts";

/** A service of the control plane. */
export interface ControlAddress {
  readonly address: HostPort;
  /** Its identity and server name; undefined: on loopback, in plaintext. */
  readonly tlsName: string | undefined;
}

export interface StreamLimits {
  readonly initialMs: number | undefined;
  readonly idleMs: number | undefined;
  readonly lifetimeMs: number | undefined;
}

export interface DiscoveryConfig {
  readonly destination: ControlAddress;
  readonly policy: ControlAddress;
  /** Sent with Get and GetProfile, as it is. */
  readonly contextToken: string;
  /** Sent with policy requests, as it is. */
  readonly workload: string;
  readonly limits: StreamLimits;
}

export function loadDiscovery(env: Env, mesh: LoopbackMesh): DiscoveryConfig {
  return {
    destination: loadControlAddress(env, "LINKERD2_PROXY_DESTINATION_SVC", mesh),
    policy: loadControlAddress(env, "LINKERD2_PROXY_POLICY_SVC", mesh),
    contextToken: env.read("LINKERD2_PROXY_DESTINATION_CONTEXT", string, ""),
    workload: env.require("LINKERD2_PROXY_POLICY_WORKLOAD", string, ""),
    limits: loadStreamLimits(env),
  };
}

/** Plaintext only to loopback addresses that are no part of a loopback mesh, and to `localhost.`. */
export function loadControlAddress(env: Env, base: string, mesh: LoopbackMesh): ControlAddress {
  const none = { host: "localhost.", port: 0 };
  const address = env.require(`${base}_ADDR`, hostPort, none);
  const tlsName = env.read(`${base}_NAME`, dnsName, undefined);
  const isLocal =
    isIP(address.host) === 0
      ? address.host.toLowerCase() === "localhost."
      : mesh.isLoopback(address.host);
  if (isLocal) return { address, tlsName: undefined };
  if (tlsName === undefined) env.fail(`${base}_ADDR and ${base}_NAME must be set together`);
  return { address, tlsName };
}

function loadStreamLimits(env: Env): StreamLimits {
  const name = (suffix: string): string => `LINKERD2_PROXY_CONTROL_STREAM_${suffix}`;
  const initialMs = env.read(name("INITIAL_TIMEOUT"), durationOrNone, undefined);
  const idleMs = env.read(name("IDLE_TIMEOUT"), durationOrNone, undefined);
  const lifetimeMs = env.read(name("LIFETIME"), durationOrNone, undefined);
  const inOrder = (low: number | undefined, high: number | undefined): boolean =>
    low === undefined || high === undefined || low <= high;
  if (!inOrder(initialMs, idleMs)) env.fail(`${name("INITIAL_TIMEOUT")} exceeds the idle timeout`);
  if (!inOrder(idleMs, lifetimeMs)) env.fail(`${name("IDLE_TIMEOUT")} exceeds the lifetime`);
  if (!inOrder(initialMs, lifetimeMs)) {
    env.fail(`${name("INITIAL_TIMEOUT")} exceeds the lifetime`);
  }
  return { initialMs, idleMs, lifetimeMs };
}
