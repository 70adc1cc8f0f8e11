import { createPrivateKey, X509Certificate } from "node:crypto";
import { MeshError } from "@heddle/base/errors";
import type { CredentialMaterial } from "@heddle/net/tls-credentials";
import { hasIdentity, type Leaf, parseLeaf } from "@heddle/wire/x509/leaf";

/** A certificate with its chain and its key, as an authority or a Workload API gives it. */
export interface Issued {
  /** DER, the leaf first. */
  readonly chain: readonly Uint8Array[];
  /** PKCS#8, DER. */
  readonly key: Uint8Array;
}

/** Chains are never longer. */
const MAX_DEPTH = 8;

/** The certificates of a PEM bundle. */
export function parseAnchors(pem: string): X509Certificate[] {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? [];
  const anchors: X509Certificate[] = [];
  for (const block of blocks) anchors.push(new X509Certificate(block));
  return anchors;
}

/**
 * Judges what was issued before it is used: it must chain to our anchors, be valid now, say `id`,
 * and belong to its key.
 *
 * @throws MeshError `bad_identity`, with the cause in words.
 */
export function judgeIssued(
  issued: Issued,
  anchors: readonly X509Certificate[],
  id: string,
  wallMs: number,
): { readonly leaf: Leaf; readonly material: Omit<CredentialMaterial, "anchors"> } {
  const [first, ...rest] = issued.chain.map(parseCertificate);
  if (first === undefined) throw refused("there is no certificate");
  const leaf = parseLeaf(first.raw);
  verifyChain(first, rest, anchors, wallMs);
  if (wallMs < leaf.notBeforeMs) throw refused("certificate not valid yet");
  if (wallMs > leaf.notAfterMs) throw refused("certificate expired");
  if (!hasIdentity(leaf, id)) throw refused("certificate does not match TLS identity");
  const key = parseKey(issued.key);
  if (!first.checkPrivateKey(key)) throw refused("keys may not be consistent: KeyMismatch");
  return {
    leaf,
    material: {
      certificate: [first, ...rest].map((certificate) => certificate.toString()).join(""),
      privateKey: key.export({ format: "pem", type: "pkcs8" }).toString(),
    },
  };
}

function parseCertificate(der: Uint8Array): X509Certificate {
  // PEM begins with a dash, DER with a SEQUENCE; only DER is taken.
  if (der[0] !== 0x30) throw refused("BadEncoding: a certificate is not DER");
  try {
    return new X509Certificate(der);
  } catch (error) {
    throw refused("BadEncoding", error);
  }
}

function parseKey(der: Uint8Array): ReturnType<typeof createPrivateKey> {
  try {
    return createPrivateKey({ key: Buffer.from(der), format: "der", type: "pkcs8" });
  } catch (error) {
    throw refused("failed to parse private key as RSA, ECDSA, or EdDSA", error);
  }
}

function verifyChain(
  leaf: X509Certificate,
  intermediates: readonly X509Certificate[],
  anchors: readonly X509Certificate[],
  wallMs: number,
): void {
  let current = leaf;
  for (let depth = 0; depth < MAX_DEPTH; depth++) {
    const at = current;
    if (anchors.some((anchor) => at.raw.equals(anchor.raw) || isIssuedBy(at, anchor, wallMs))) {
      return;
    }
    const issuer = intermediates.find(
      (candidate) =>
        candidate.ca && !candidate.raw.equals(at.raw) && isIssuedBy(at, candidate, wallMs),
    );
    if (issuer === undefined) break;
    current = issuer;
  }
  throw refused("invalid peer certificate: UnknownIssuer");
}

function isIssuedBy(subject: X509Certificate, issuer: X509Certificate, wallMs: number): boolean {
  const isValid =
    wallMs >= issuer.validFromDate.getTime() && wallMs <= issuer.validToDate.getTime();
  return isValid && subject.checkIssued(issuer) && subject.verify(issuer.publicKey);
}

function refused(why: string, cause?: unknown): MeshError {
  const message = `Cannot use certificate: ${why}`;
  return new MeshError("bad_identity", "control", message, cause === undefined ? {} : { cause });
}
