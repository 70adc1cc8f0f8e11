import { isIP } from "node:net";
import type tls from "node:tls";
import { type Clock, systemClock } from "@heddle/base/clock";
import { MeshError } from "@heddle/base/errors";
import { type Leaf, parseLeaf } from "@heddle/wire/x509/leaf";
import { verifyServerIdentity, verifyUse } from "@heddle/wire/x509/verify";
import type { Credentials } from "./tls-credentials.ts";
import type { TlsInfo } from "./transport.ts";

/** How to be a client of TLS. */
export interface ClientTls {
  readonly credentials: Credentials;
  /** Sent as SNI. Left out if undefined, or if it is an IP. */
  readonly serverName: string | undefined;
  /** Normalised (`parseId`); the server must prove it. Undefined: any certificate of our anchors. */
  readonly serverId: string | undefined;
  readonly alpn?: readonly string[] | undefined;
  readonly clock?: Clock;
}

/** What `tls.connect` needs, beside an address. */
export function clientTlsOptions(client: ClientTls): tls.ConnectionOptions {
  const { serverName } = client;
  const isName = serverName !== undefined && isIP(serverName) === 0;
  return {
    secureContext: client.credentials.context,
    // The verdict on the chain is read from `authorized`, and becomes an error with a name.
    rejectUnauthorized: false,
    checkServerIdentity: () => undefined,
    ...(isName ? { servername: serverName } : {}),
    ...(client.alpn === undefined ? {} : { ALPNProtocols: [...client.alpn] }),
  };
}

/**
 * Judges the server after the handshake: the chain as OpenSSL saw it, then identity, purpose and
 * validity from the leaf.
 *
 * @throws MeshError `tls_untrusted`, and those of `verifyServerIdentity`.
 */
export function judgeServer(raw: tls.TLSSocket, client: ClientTls): TlsInfo {
  const certificate = raw.getPeerX509Certificate();
  if (!raw.authorized || certificate === undefined) {
    const cause = raw.authorizationError ?? "no certificate";
    throw new MeshError("tls_untrusted", "server", `Cannot trust server: ${cause}`);
  }
  const leaf = parseServerLeaf(certificate.raw);
  const wallMs = (client.clock ?? systemClock).wallMs();
  if (client.serverId === undefined) verifyUse(leaf, "server", wallMs);
  else verifyServerIdentity(leaf, client.serverId, wallMs);
  return {
    peerLeaf: certificate.raw,
    isAuthorized: true,
    alpn: raw.alpnProtocol || undefined,
    serverName: client.serverName,
  };
}

/** The parser cannot know whose certificate it reads. */
function parseServerLeaf(der: Uint8Array): Leaf {
  try {
    return parseLeaf(der);
  } catch (error) {
    if (!(error instanceof MeshError)) throw error;
    throw new MeshError(error.code, "server", error.message, { cause: error });
  }
}
