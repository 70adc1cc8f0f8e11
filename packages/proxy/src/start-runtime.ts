import { type Clock, systemClock } from "@heddle/base/clock";
import type { Log } from "@heddle/base/log";
import { Registry } from "@heddle/base/metrics";
import { TimerWheel } from "@heddle/base/timer-wheel";
import { Dialled } from "@heddle/net/dialled";
import { LoggingGuard } from "@heddle/net/guard";
import { Http1Runtime } from "@heddle/net/http1/runtime";
import { Http2Runtime } from "@heddle/net/http2/runtime";
import { SystemDns } from "@heddle/net/resolve";
import type { Credentials } from "@heddle/net/tls-credentials";
import { Turn } from "@heddle/net/turn";
import type { ProxyConfig } from "./config.ts";
import { ControlDiscovery } from "./discovery/client.ts";
import type { ControlParts } from "./discovery/control-channel.ts";
import { CertifiedIdentity } from "./identity/certify.ts";
import type { IdentityConfig } from "./identity/config.ts";
import type { Identity } from "./identity/identity.ts";
import { WorkloadIdentity } from "./identity/workload-api.ts";
import { RecordPool } from "./record.ts";
import type { Runtime } from "./runtime.ts";

/** Of one process; ends with its parts. */
export interface RunningRuntime extends Runtime, AsyncDisposable {}

/**
 * The owner of identity, discovery and metrics, and everything else that serving code shares. Asks
 * for a certificate at once; nothing waits for it here.
 *
 * @throws MeshError `no_trust_anchors`.
 */
export function startRuntime(
  config: ProxyConfig,
  log: Log,
  clock: Clock = systemClock,
): RunningRuntime {
  const metrics = new Registry();
  const guard = new LoggingGuard(
    log,
    metrics.counter("heddle_bugs_total", "Connections that were destroyed by a bug.").with(),
  );
  const random = Math.random;
  const nowMs = (): number => clock.nowMs();
  const turn = new Turn({ guard, nowMs });
  const timers = new TimerWheel(nowMs);
  const http1 = new Http1Runtime({ turn, timers, wallMs: () => clock.wallMs() });
  const http2 = new Http2Runtime({ turn, timers });
  const dns = new SystemDns();
  const controlLog = log.child("control");
  const newParts = (credentials: Credentials): ControlParts => ({
    credentials,
    dns,
    http2,
    mesh: config.mesh,
    clock,
    random,
    log: controlLog,
    sourceIp: config.sourceIp,
    local: {
      timeoutMs: config.inbound.connectTimeoutMs,
      backoff: config.inbound.connectBackoff,
      sockets: config.inbound.connect,
    },
    remote: {
      timeoutMs: config.outbound.connectTimeoutMs,
      backoff: config.outbound.connectBackoff,
      sockets: config.outbound.connect,
    },
  });
  const shared = { clock, log: log.child("identity"), metrics, http2, random };
  const identity = newIdentity(config.identity, newParts, shared);
  const discovery = new ControlDiscovery(config.discovery, newParts(identity.credentials));
  return {
    clock: { nowMs: turn.nowMs, wallMs: () => clock.wallMs() },
    timers,
    random,
    log,
    guard,
    metrics,
    identity,
    discovery,
    dialled: new Dialled(),
    mesh: config.mesh,
    records: new RecordPool(),
    http1,
    http2,
    sourceIp: config.sourceIp,
    ownIps: config.inbound.ips ?? new Set(),
    async [Symbol.asyncDispose]() {
      await discovery.close();
      await identity[Symbol.asyncDispose]();
      dns.close();
      timers.stop();
    },
  };
}

function newIdentity(
  config: IdentityConfig,
  newParts: (credentials: Credentials) => ControlParts,
  shared: ConstructorParameters<typeof WorkloadIdentity>[1],
): Identity {
  const { source } = config;
  if (source.kind === "workload_api") return new WorkloadIdentity({ ...config, source }, shared);
  return new CertifiedIdentity({ ...config, source }, (held) => newParts(held.credentials), shared);
}
