import { MeshError } from "@heddle/base/errors";
import { dial } from "@heddle/net/dialer";
import type { Socket } from "@heddle/net/transport";
import { writeTransportHeader } from "@heddle/net/transport-header";
import { transportTarget } from "@heddle/wire/transport-header/target";
import {
  type SessionProtocol,
  TRANSPORT_PROTOCOL,
} from "@heddle/wire/transport-header/transport-header";
import type { EndpointFacts } from "../discovery/endpoint.ts";
import type { Runtime } from "../runtime.ts";
import type { OutboundConfig } from "./config.ts";

/**
 * Connects to an endpoint as discovery says: over mTLS to its proxy's own port with a transport
 * header, over mTLS to its port, or in plaintext. Never to loopback. One attempt.
 *
 * @param protocol - What will be spoken; undefined for opaque bytes.
 * @throws MeshError of `dial`.
 */
export async function dialEndpoint(
  facts: EndpointFacts,
  protocol: SessionProtocol | undefined,
  config: OutboundConfig,
  runtime: Runtime,
  signal: AbortSignal,
): Promise<Socket> {
  const { ip, tls, authority, opaqueTransportPort } = facts;
  if (runtime.mesh.isLoopback(ip)) {
    const message = `Cannot connect to ${ip}:${facts.port}: outbound never connects to loopback`;
    throw new MeshError("connect_refused", "server", message);
  }
  const { port, header } = transportTarget({
    port: facts.port,
    isMeshed: tls !== undefined,
    inboundPort: opaqueTransportPort,
    authority,
    protocol: facts.hint === "opaque" ? undefined : protocol,
  });
  const socket = await dial({
    address: { ip, port },
    localAddress: sourceFor(ip, runtime),
    timeoutMs: config.connectTimeoutMs,
    keepAliveMs: config.connect.keepAliveMs,
    userTimeoutMs: config.connect.userTimeoutMs,
    guard: runtime.guard,
    dialled: runtime.dialled,
    signal,
    ...(tls === undefined
      ? {}
      : {
          tls: {
            credentials: runtime.identity.credentials,
            serverName: tls.serverName,
            serverId: tls.id,
            clock: runtime.clock,
            ...(header === undefined ? {} : { alpn: [TRANSPORT_PROTOCOL] }),
          },
        }),
  });
  if (header !== undefined) writeTransportHeader(socket, header);
  return socket;
}

/** The source address is for peers of its own family only. */
export function sourceFor(ip: string, runtime: Runtime): string | undefined {
  const { sourceIp } = runtime;
  if (sourceIp === undefined || sourceIp.includes(":") !== ip.includes(":")) return undefined;
  return sourceIp;
}
