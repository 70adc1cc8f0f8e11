import { clientIdentity, parseLeaf } from "@heddle/wire/x509/leaf";
import type { Socket } from "./transport.ts";

/**
 * Who is at the other end, as its certificate proves it: normalised, undefined without one that our
 * anchors vouch for. Cold: once per connection.
 */
export function peerIdentity(socket: Socket): string | undefined {
  const { tls } = socket;
  if (tls?.peerLeaf === undefined || !tls.isAuthorized) return undefined;
  return clientIdentity(parseLeaf(tls.peerLeaf));
}
