import "reflect-metadata";
import { X509Certificate } from "node:crypto";
import { MeshError } from "@heddle/base/errors";
import { BasicConstraintsExtension, X509Certificate as ParsedCertificate } from "@peculiar/x509";

/** A chain of CA certificates is at most this long; longer ones only cost time to refuse. */
const MAX_CHAIN = 8;

/**
 * Takes all certificates of a PEM text, in their order.
 *
 * @throws MeshError `bad_certificate` if there is none, or one does not parse.
 */
export function parseCertificates(pem: string, what: string): X509Certificate[] {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? [];
  if (blocks.length === 0) throw badCertificate(what, "it holds no certificate");
  return blocks.map((block) => {
    try {
      return new X509Certificate(block);
    } catch (cause) {
      throw badCertificate(what, "it holds a certificate that does not parse", cause);
    }
  });
}

/**
 * Why `certificates` (issuer first) may not issue now, or undefined if it may: each certificate is
 * a CA within its time, signed by the next or by an anchor.
 */
export function chainProblem(
  certificates: readonly X509Certificate[],
  anchors: readonly X509Certificate[],
  nowMs: number,
): string | undefined {
  let current = certificates[0];
  let index = 0;
  if (current === undefined) return "there is no certificate";
  for (let depth = 0; depth < MAX_CHAIN; depth++) {
    const problem = caProblem(current, depth, nowMs);
    if (problem !== undefined) return problem;
    const subject = current;
    // An anchor in the chain ends it, self-signed or not.
    if (anchors.some((anchor) => anchor.raw.equals(subject.raw))) return undefined;
    const signers = anchors.filter((anchor) => isSignedBy(subject, anchor));
    const problems = signers.map((anchor) => caProblem(anchor, depth + 1, nowMs));
    if (problems.includes(undefined)) return undefined;
    if (problems.length > 0) return problems[0];
    index++;
    const next = certificates[index];
    if (next === undefined) return `${nameOf(subject)} is signed by no trust anchor`;
    if (!isSignedBy(subject, next)) return `${nameOf(subject)} is not signed by the next one`;
    current = next;
  }
  return `the chain is longer than ${MAX_CHAIN}`;
}

/** The first moment at which one of them is no longer valid. */
export function earliestExpiryMs(certificates: readonly X509Certificate[]): number {
  return Math.min(...certificates.map((certificate) => certificate.validToDate.getTime()));
}

/**
 * The times between which none of them begins or ceases to be valid, `nowMs` among them; both are
 * `nowMs` if one does at this very moment.
 */
export function sameSpan(
  certificates: readonly X509Certificate[],
  nowMs: number,
): readonly [afterMs: number, beforeMs: number] {
  let afterMs = Number.NEGATIVE_INFINITY;
  let beforeMs = Number.POSITIVE_INFINITY;
  for (const { validFromDate, validToDate } of certificates) {
    for (const edgeMs of [validFromDate.getTime(), validToDate.getTime()]) {
      if (edgeMs <= nowMs) afterMs = Math.max(afterMs, edgeMs);
      if (edgeMs >= nowMs) beforeMs = Math.min(beforeMs, edgeMs);
    }
  }
  return [afterMs, beforeMs];
}

/** @param below - How many CA certificates stand between this one and the leaf. */
function caProblem(certificate: X509Certificate, below: number, nowMs: number): string | undefined {
  const name = nameOf(certificate);
  if (!certificate.ca) return `${name} is not a CA certificate`;
  if (nowMs < certificate.validFromDate.getTime()) return `${name} is not valid yet`;
  if (nowMs > certificate.validToDate.getTime()) {
    return `${name} expired on ${certificate.validToDate.toISOString()}`;
  }
  const parsed = new ParsedCertificate(certificate.raw);
  const limit = parsed.getExtension(BasicConstraintsExtension)?.pathLength;
  if (limit !== undefined && below > limit) return `${name} allows no CA certificate below it`;
  return undefined;
}

function isSignedBy(certificate: X509Certificate, signer: X509Certificate): boolean {
  return certificate.checkIssued(signer) && certificate.verify(signer.publicKey);
}

function nameOf(certificate: X509Certificate): string {
  // Undefined where the subject is empty, whatever the type says.
  const subject = certificate.subject as string | undefined;
  return subject === undefined
    ? "certificate without a subject"
    : `certificate "${subject.replaceAll("\n", ", ")}"`;
}

function badCertificate(what: string, state: string, cause?: unknown): MeshError {
  return new MeshError("bad_certificate", "self", `Cannot read ${what}: ${state}`, { cause });
}
