import type { SessionProtocol, TransportHeader } from "./transport-header.ts";

/** What discovery says of an endpoint, as far as it decides how to connect. */
export interface TransportEndpoint {
  /** The endpoint's own port. */
  readonly port: number;
  /** Whether it proves an identity in TLS. */
  readonly isMeshed: boolean;
  /** `opaque_transport.inbound_port`: its proxy's own port. */
  readonly inboundPort: number | undefined;
  /** `authority_override`, `host[:port]`: it is a gateway to somebody else. */
  readonly authority: string | undefined;
  /** What will be spoken; undefined for opaque streams and for TLS that is not ours. */
  readonly protocol: SessionProtocol | undefined;
}

/** Which port to connect to, and what to say there. With a header, the ALPN protocol is offered. */
export function transportTarget(endpoint: TransportEndpoint): {
  readonly port: number;
  readonly header: TransportHeader | undefined;
} {
  const { port, isMeshed, inboundPort, authority, protocol } = endpoint;
  if (!isMeshed || (inboundPort === undefined && authority === undefined)) {
    return { port, header: undefined };
  }
  const override = authority === undefined ? undefined : splitAuthority(authority);
  const header = { port: override?.port ?? port, name: override?.host, protocol };
  return { port: inboundPort ?? port, header };
}

function splitAuthority(authority: string): { host: string; port: number | undefined } {
  const match = /^(.*):(\d{1,5})$/.exec(authority);
  if (match === null) return { host: authority, port: undefined };
  return { host: match[1]!, port: Number(match[2]) };
}
