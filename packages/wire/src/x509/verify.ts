import { MeshError } from "@heddle/base/errors";
import { hasIdentity, type Leaf } from "./leaf.ts";

/** Key purposes (RFC 5280 4.2.1.12). */
export const SERVER_AUTH = "1.3.6.1.5.5.7.3.1";
export const CLIENT_AUTH = "1.3.6.1.5.5.7.3.2";

/**
 * The server must prove `expectedId` (normalised) by any of its SANs, be for server authentication,
 * and be valid now.
 *
 * @throws MeshError `identity_mismatch`, `certificate_expired`, `certificate_purpose`.
 */
export function verifyServerIdentity(leaf: Leaf, expectedId: string, wallMs: number): void {
  verifyUse(leaf, "server", wallMs);
  if (hasIdentity(leaf, expectedId)) return;
  const found = leaf.sans.map((san) => san.value).join(", ") || "no name";
  const message = `Cannot accept ${found} as ${expectedId}: certificate does not match TLS identity`;
  throw new MeshError("identity_mismatch", "server", message);
}

/**
 * Whether a leaf may be used at this time by a peer in this role.
 *
 * @throws MeshError `certificate_expired`, `certificate_purpose`, on the side of `role`.
 */
export function verifyUse(leaf: Leaf, role: "server" | "client", wallMs: number): void {
  if (wallMs < leaf.notBeforeMs || wallMs > leaf.notAfterMs) {
    const state = wallMs < leaf.notBeforeMs ? "it is not valid yet" : "it has expired";
    throw new MeshError("certificate_expired", role, `Cannot accept certificate: ${state}`);
  }
  const purpose = role === "server" ? SERVER_AUTH : CLIENT_AUTH;
  if (leaf.extendedKeyUsage !== undefined && !leaf.extendedKeyUsage.includes(purpose)) {
    const message = `Cannot accept certificate: it is not for ${role} authentication`;
    throw new MeshError("certificate_purpose", role, message);
  }
}
