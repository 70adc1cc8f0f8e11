import { dial } from "@heddle/net/dialer";
import type { Credentials } from "@heddle/net/tls-credentials";
import type { Socket, SocketAddress } from "@heddle/net/transport";
import { TRANSPORT_PROTOCOL } from "@heddle/wire/transport-header/transport-header";
import { TEST_ID } from "./world.ts";

/** Who meshed clients of tests are. */
export const PEER_ID = "peer.default.serviceaccount.identity.linkerd.cluster.local";

/** A connection as another proxy makes it: mutual TLS to `TEST_ID`, `isDirect` for the inbound port. */
export async function dialMeshed(
  credentials: Credentials,
  address: SocketAddress,
  isDirect = false,
): Promise<Socket> {
  const alpn = isDirect ? { alpn: [TRANSPORT_PROTOCOL] } : {};
  const tls = { credentials, serverName: TEST_ID, serverId: TEST_ID, ...alpn };
  return await dial({ address, timeoutMs: 5_000, tls });
}
