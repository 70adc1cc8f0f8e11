import type { KeyObject, X509Certificate } from "node:crypto";

const DAY_MS = 86_400_000;
/** A certificate that ends sooner is told of, while there is time to replace it. */
const SOON_DAYS = 60;
/** More certificates below each other only cost time. */
const MAX_CHAIN = 8;

/** Signature algorithms by object identifier: RFC 5758 section 3.2, RFC 8017 appendix A.2.4. */
const ECDSA_SHA256 = "1.2.840.10045.4.3.2";
const RSA_SHA256 = "1.2.840.113549.1.1.11";

/** All certificates of a PEM text, in their order. @throws MeshError that names `what`. */
export async function parseCertificates(pem: string, what: string): Promise<X509Certificate[]> {
  const { parseCertificates: parse } = await import("@heddle/control/identity/chain");
  return parse(pem, what);
}

/** Which keys an authority may have: proxies verify with no others. */
export interface AllowedKeys {
  /** Anchors may be of RSA, 2048 or 4096 bits long. */
  readonly mayBeRsa: boolean;
}

/** Why proxies would not use the certificate, as far as its algorithms go. */
export function cryptoProblem(
  certificate: X509Certificate,
  { mayBeRsa }: AllowedKeys,
): string | undefined {
  const key = publicKey(certificate);
  if (key === undefined) return "has a key of a type that is not known here";
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = key;
  const signature = certificate.signatureAlgorithmOid;
  const isSigned = signature === ECDSA_SHA256 || signature === RSA_SHA256;
  if (type === "ec" && details?.namedCurve === "prime256v1") {
    return isSigned ? undefined : `is signed with ${signatureName(certificate)}`;
  }
  if (type === "rsa" && mayBeRsa) {
    const bits = details?.modulusLength;
    if (bits !== 2048 && bits !== 4096) return `has an RSA key of ${bits} bits, not 2048 or 4096`;
    return signature === RSA_SHA256 ? undefined : `is signed with ${signatureName(certificate)}`;
  }
  const name = type === "ec" ? `on curve ${details?.namedCurve}` : `of type ${type}`;
  const allowed = mayBeRsa ? "ECDSA P-256 or RSA" : "ECDSA P-256";
  return `has a key ${name}; it must be ${allowed}`;
}

function signatureName(certificate: X509Certificate): string {
  const name = certificate.signatureAlgorithm ?? certificate.signatureAlgorithmOid;
  return `${name}; it must be ECDSA or RSA with SHA-256`;
}

/** Why the certificate does not hold now. */
export function timeProblem(certificate: X509Certificate, nowMs: number): string | undefined {
  const { validFromDate: from, validToDate: to } = certificate;
  if (nowMs < from.getTime()) return `is not valid before ${from.toISOString()}`;
  if (nowMs > to.getTime()) return `expired on ${to.toISOString()}`;
  return undefined;
}

/** Says so if the certificate ends within 60 days. */
export function expiryProblem(certificate: X509Certificate, nowMs: number): string | undefined {
  const { validToDate: to } = certificate;
  if (to.getTime() >= nowMs + SOON_DAYS * DAY_MS) return undefined;
  return `expires on ${to.toISOString()}`;
}

/** A certificate as lists name it: serial number and common name. */
export function certificateName(certificate: X509Certificate): string {
  // Undefined where the subject is empty, whatever the type says.
  const subject = (certificate.subject as string | undefined) ?? "";
  const name = /^CN=(.*)$/m.exec(subject)?.[1] ?? subject.replaceAll("\n", ", ");
  return `${certificate.serialNumber.toLowerCase()} ${name}`.trim();
}

export interface ServingRequest {
  /** The leaf first. */
  readonly chain: readonly X509Certificate[];
  readonly roots: readonly X509Certificate[];
  readonly host: string;
  readonly nowMs: number;
}

/** Why a client that trusts `roots` would not believe that it speaks to `host`. */
export function servingProblem(request: ServingRequest): string | undefined {
  const { chain, roots, host, nowMs } = request;
  const leaf = chain[0];
  if (leaf === undefined) return "there is no certificate";
  if (leaf.checkHost(host, { subject: "never" }) === undefined) return `it is not for ${host}`;
  let current = leaf;
  for (let depth = 0; depth < MAX_CHAIN; depth++) {
    const problem = timeProblem(current, nowMs);
    if (problem !== undefined) return `${certificateName(current)} ${problem}`;
    const subject = current;
    // A certificate that is trusted itself needs no signer.
    if (roots.some((root) => root.raw.equals(subject.raw))) return undefined;
    const root = roots.find((one) => isSignedBy(subject, one));
    if (root !== undefined) {
      const expired = timeProblem(root, nowMs);
      return expired === undefined ? undefined : `${certificateName(root)} ${expired}`;
    }
    const next = chain.find((one) => !one.raw.equals(subject.raw) && isSignedBy(subject, one));
    if (next === undefined) return `${certificateName(subject)} is signed by none of the CA bundle`;
    current = next;
  }
  return `its chain is longer than ${MAX_CHAIN}`;
}

function isSignedBy(certificate: X509Certificate, signer: X509Certificate): boolean {
  const key = publicKey(signer);
  if (key === undefined || !signer.ca) return false;
  return certificate.checkIssued(signer) && certificate.verify(key);
}

function publicKey(certificate: X509Certificate): KeyObject | undefined {
  try {
    return certificate.publicKey;
  } catch {
    // An algorithm that the library lacks; whoever asks tells of it, or has no use for it.
    return undefined;
  }
}
