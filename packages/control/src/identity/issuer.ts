import "reflect-metadata";
import {
  createPrivateKey,
  type KeyObject,
  randomBytes,
  webcrypto,
  type X509Certificate,
} from "node:crypto";
import { MeshError } from "@heddle/base/errors";
import {
  AuthorityKeyIdentifierExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  type Extension,
  KeyUsageFlags,
  KeyUsagesExtension,
  X509Certificate as ParsedCertificate,
  PublicKey,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509CertificateGenerator,
} from "@peculiar/x509";
import { chainProblem, earliestExpiryMs, parseCertificates, sameSpan } from "./chain.ts";

/** What a leaf is to say. Whoever asks has checked that the key's owner may have the name. */
export interface LeafRequest {
  /** SubjectPublicKeyInfo in DER. */
  readonly publicKey: Uint8Array;
  /** The one subject alternative name. */
  readonly name: { readonly type: "dns" | "url"; readonly value: string };
  readonly commonName?: string | undefined;
  readonly lifetimeMs: number;
  /** Backdates the start and extends the end, for peers whose clock is off. */
  readonly skewMs: number;
}

export interface IssuedLeaf {
  readonly leaf: Uint8Array;
  /** The issuer first. Trust anchors are not among them, unless the issuer's own file holds one. */
  readonly intermediates: readonly Uint8Array[];
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  /** Hexadecimal. */
  readonly serial: string;
}

/** What a chain was found to be, good for any time between two that it depends on. */
interface Verdict {
  readonly anchors: readonly X509Certificate[];
  readonly afterMs: number;
  readonly beforeMs: number;
  readonly problem: string | undefined;
}

/** The same in all leaves. */
const LEAF_USAGES: readonly Extension[] = [
  new KeyUsagesExtension(KeyUsageFlags.digitalSignature | KeyUsageFlags.keyEncipherment, true),
  new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth, ExtendedKeyUsage.clientAuth]),
];

/** Signs leaves with one CA key. Immutable: a rotated Secret gives a new issuer. */
export class Issuer {
  readonly certificates: readonly X509Certificate[];
  readonly #key: webcrypto.CryptoKey;
  readonly #signing: webcrypto.EcdsaParams | { name: string; hash: string };
  readonly #parsed: ParsedCertificate;
  readonly #authorityKeyId: Extension;
  #verdict: Verdict | undefined;

  /** Use `loadIssuer`. */
  constructor(
    certificates: readonly X509Certificate[],
    key: webcrypto.CryptoKey,
    authorityKeyId: Extension,
  ) {
    this.certificates = certificates;
    this.#key = key;
    this.#signing = { name: key.algorithm.name, hash: "SHA-256" };
    this.#parsed = new ParsedCertificate(certificates[0]!.raw);
    this.#authorityKeyId = authorityKeyId;
  }

  get expiresMs(): number {
    return earliestExpiryMs(this.certificates);
  }

  /** Why this issuer may not issue now; undefined if it may. */
  problem(anchors: readonly X509Certificate[], nowMs: number): string | undefined {
    const known = this.#verdict;
    if (known?.anchors === anchors && known.afterMs < nowMs && nowMs < known.beforeMs) {
      return known.problem;
    }
    const problem = chainProblem(this.certificates, anchors, nowMs);
    const [afterMs, beforeMs] = sameSpan([...this.certificates, ...anchors], nowMs);
    this.#verdict = { anchors, afterMs, beforeMs, problem };
    return problem;
  }

  /** @throws MeshError if nothing would be left of the leaf's life. */
  async issueLeaf(request: LeafRequest, nowMs: number): Promise<IssuedLeaf> {
    const { name, commonName, lifetimeMs, skewMs } = request;
    // Certificates count whole seconds; both ends are cut off towards the past.
    const notBeforeMs = Math.floor((nowMs - skewMs) / 1000) * 1000;
    const endMs = Math.min(nowMs + lifetimeMs + skewMs, this.expiresMs);
    const notAfterMs = Math.floor(endMs / 1000) * 1000;
    if (notAfterMs <= nowMs) {
      throw new MeshError("issuer_expired", "self", "Cannot issue certificate: issuer has expired");
    }
    const serial = randomSerial();
    const hasSubject = commonName !== undefined && commonName !== "";
    const certificate = await X509CertificateGenerator.create({
      serialNumber: serial,
      issuer: this.#parsed.subjectName,
      ...(hasSubject ? { subject: [{ CN: [commonName] }] } : {}),
      notBefore: new Date(notBeforeMs),
      notAfter: new Date(notAfterMs),
      publicKey: new PublicKey(new Uint8Array(request.publicKey)),
      signingKey: this.#key,
      signingAlgorithm: this.#signing,
      extensions: [
        ...LEAF_USAGES,
        this.#authorityKeyId,
        // RFC 5280 section 4.1.2.6: critical where it is the only name.
        new SubjectAlternativeNameExtension([name], !hasSubject),
      ],
    });
    return {
      leaf: new Uint8Array(certificate.rawData),
      intermediates: this.certificates.map((one) => new Uint8Array(one.raw)),
      notBeforeMs,
      notAfterMs,
      serial,
    };
  }
}

/**
 * Reads an issuer's certificates (itself first) and its key: PKCS#8, `EC PRIVATE KEY` or
 * `RSA PRIVATE KEY`.
 *
 * @throws MeshError `bad_certificate` or `bad_issuer_key`. Whether it chains to anchors is asked
 * later, since that changes with time.
 */
export async function loadIssuer(certificatesPem: string, keyPem: string): Promise<Issuer> {
  const certificates = parseCertificates(certificatesPem, "issuer certificate");
  const key = parsePrivateKey(keyPem);
  const own = certificates[0]!;
  if (!own.checkPrivateKey(key)) throw badKey("it does not belong to the issuer's certificate");
  const signingKey = await importSigningKey(key);
  const parsed = new ParsedCertificate(own.raw);
  const keyId = parsed.getExtension(SubjectKeyIdentifierExtension)?.keyId;
  const authorityKeyId =
    keyId === undefined
      ? await AuthorityKeyIdentifierExtension.create(parsed.publicKey)
      : new AuthorityKeyIdentifierExtension(keyId);
  return new Issuer(certificates, signingKey, authorityKeyId);
}

function parsePrivateKey(pem: string): KeyObject {
  try {
    return createPrivateKey(pem);
  } catch (cause) {
    throw badKey("it does not parse", cause);
  }
}

async function importSigningKey(key: KeyObject): Promise<webcrypto.CryptoKey> {
  const der = key.export({ type: "pkcs8", format: "der" });
  const curves: Readonly<Record<string, string>> = {
    prime256v1: "P-256",
    secp384r1: "P-384",
    secp521r1: "P-521",
  };
  if (key.asymmetricKeyType === "ec") {
    const namedCurve = curves[key.asymmetricKeyDetails?.namedCurve ?? ""];
    if (namedCurve === undefined) throw badKey("its curve is not P-256, P-384 or P-521");
    const algorithm = { name: "ECDSA", namedCurve };
    return webcrypto.subtle.importKey("pkcs8", der, algorithm, false, ["sign"]);
  }
  if (key.asymmetricKeyType === "rsa") {
    const algorithm = { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" };
    return webcrypto.subtle.importKey("pkcs8", der, algorithm, false, ["sign"]);
  }
  throw badKey(`its type is ${key.asymmetricKeyType}, neither EC nor RSA`);
}

function badKey(state: string, cause?: unknown): MeshError {
  return new MeshError("bad_issuer_key", "self", `Cannot read issuer key: ${state}`, { cause });
}

/** 127 random bits: unlike a counter it stays unique when the issuer is loaded again. */
function randomSerial(): string {
  const bytes = randomBytes(16);
  bytes[0] = (bytes[0]! & 0x7f) | 0x40;
  return bytes.toString("hex");
}
