import type { Env } from "@heddle/base/env";
import { duration, float, u32 } from "../env-values.ts";

/** Options of the sockets of one side; undefined: the kernel's. Keepalive itself is always on. */
export interface SocketConfig {
  /** TCP_KEEPIDLE. */
  readonly keepAliveMs: number | undefined;
  /** TCP_USER_TIMEOUT. */
  readonly userTimeoutMs: number | undefined;
  readonly backlog: number | undefined;
}

export interface BackoffConfig {
  readonly minMs: number;
  readonly maxMs: number;
  /** Ratio. */
  readonly jitter: number;
}

/** @param base - `LINKERD2_PROXY_OUTBOUND_CONNECT` and its like. */
export function loadSockets(env: Env, base: string, backlogName?: string): SocketConfig {
  return {
    keepAliveMs: env.read(`${base}_KEEPALIVE`, duration, undefined),
    userTimeoutMs: env.read(`${base}_USER_TIMEOUT`, duration, undefined),
    backlog: backlogName === undefined ? undefined : env.read(backlogName, u32, undefined),
  };
}

/** Minimum and maximum are set together or not at all; jitter is 0 if only they are set. */
export function loadBackoff(env: Env, base: string, fallback: BackoffConfig): BackoffConfig {
  const name = (suffix: string): string => `${base}_EXP_BACKOFF_${suffix}`;
  const minMs = env.read(name("MIN"), duration, undefined);
  const maxMs = env.read(name("MAX"), duration, undefined);
  const jitter = env.read(name("JITTER"), float, undefined);
  if (minMs === undefined && maxMs === undefined) {
    if (jitter !== undefined) env.fail(`${name("JITTER")} is set without ${name("MIN")}`);
    return fallback;
  }
  if (minMs === undefined || maxMs === undefined) {
    env.fail(`${name("MIN")} and ${name("MAX")} must be set together`);
    return fallback;
  }
  if (minMs > maxMs) env.fail(`${name("MIN")} is above ${name("MAX")}`);
  if (maxMs === 0) env.fail(`${name("MAX")} is zero`);
  if (jitter !== undefined && (jitter < 0 || jitter > 100)) {
    env.fail(`${name("JITTER")} is not in 0 to 100`);
  }
  return { minMs, maxMs, jitter: jitter ?? 0 };
}
