import { EXTENSIONS_METADATA, SPIFFE_TRUST_DOMAINS } from "@heddle/api/extensions";
import { Backoff } from "@heddle/base/backoff";
import type { Clock } from "@heddle/base/clock";
import { MeshError } from "@heddle/base/errors";
import type { Log } from "@heddle/base/log";
import { dial } from "@heddle/net/dialer";
import { GrpcChannel } from "@heddle/net/grpc/channel";
import { GrpcClient } from "@heddle/net/grpc/client";
import type { Http2Runtime } from "@heddle/net/http2/runtime";
import { type DnsClient, resolveName } from "@heddle/net/resolve";
import type { Credentials } from "@heddle/net/tls-credentials";
import { HeaderMap } from "@heddle/wire/http/headers";
import type { LoopbackMesh } from "../loopback-mesh.ts";
import type { BackoffConfig, SocketConfig } from "../tcp/config.ts";
import type { ControlAddress } from "./config.ts";

/** What connections to the control plane need of the rest. */
export interface ControlParts {
  readonly credentials: Credentials;
  readonly dns: DnsClient;
  readonly http2: Http2Runtime;
  readonly mesh: LoopbackMesh;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Log;
  readonly sourceIp: string | undefined;
  /** For control planes on loopback, and for others. */
  readonly local: ControlConnect;
  readonly remote: ControlConnect;
}

export interface ControlConnect {
  readonly timeoutMs: number;
  readonly backoff: BackoffConfig;
  readonly sockets: SocketConfig;
}

export interface ControlClient {
  readonly client: GrpcClient;
  readonly channel: GrpcChannel;
}

/**
 * A client of one service of the control plane: over TLS to its name, with our certificate once we
 * have one, or in plaintext on loopback. Each attempt to connect resolves the name again.
 *
 * @param failFastMs - How long calls wait for a connection before they fail; Infinity: for ever.
 */
export function newControlClient(
  to: ControlAddress,
  parts: ControlParts,
  failFastMs: number,
): ControlClient {
  const { address, tlsName } = to;
  const connect = tlsName === undefined ? parts.local : parts.remote;
  const { minMs, maxMs, jitter } = connect.backoff;
  const channel = new GrpcChannel({
    dial: async (signal) => {
      const { addresses } = await resolveName(address.host, address.port, parts.dns);
      const at = addresses[Math.floor(parts.random() * addresses.length)];
      if (at === undefined) {
        const message = `Cannot resolve ${address.host}: it has no addresses`;
        throw new MeshError("resolve_failed", "control", message, { retryable: true });
      }
      const { sourceIp } = parts;
      const isSameFamily = sourceIp?.includes(":") === at.ip.includes(":");
      const isRemote = sourceIp !== undefined && !parts.mesh.isLoopback(at.ip);
      return await dial({
        address: at,
        timeoutMs: connect.timeoutMs,
        keepAliveMs: connect.sockets.keepAliveMs,
        userTimeoutMs: connect.sockets.userTimeoutMs,
        signal,
        localAddress: isRemote && isSameFamily ? sourceIp : undefined,
        ...(tlsName === undefined
          ? {}
          : {
              tls: {
                credentials: parts.credentials,
                serverName: tlsName,
                serverId: tlsName,
                clock: parts.clock,
              },
            }),
      });
    },
    backoff: new Backoff(minMs, maxMs, jitter, parts.random),
    http2: { runtime: parts.http2 },
    failFastMs,
    maxWaitingCalls: 100_000,
    side: "control",
    onState: (state, cause) => {
      if (state === "backoff") {
        const host = `${address.host}:${address.port}`;
        parts.log.warn("control plane cannot be reached", { host, error: cause?.message ?? "" });
      }
    },
  });
  const authority =
    address.port === 80 ? address.host : `${bracketed(address.host)}:${address.port}`;
  const metadata = HeaderMap.of({ [EXTENSIONS_METADATA]: SPIFFE_TRUST_DOMAINS });
  return { channel, client: new GrpcClient(channel, { authority, side: "control", metadata }) };
}

function bracketed(host: string): string {
  return host.includes(":") ? `[${host}]` : host;
}
