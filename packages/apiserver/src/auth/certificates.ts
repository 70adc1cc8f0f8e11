import "reflect-metadata";
import { KeyObject, webcrypto } from "node:crypto";
import { isIP } from "node:net";
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  type Extension,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509Certificate,
  X509CertificateGenerator,
} from "@peculiar/x509";

/** A certificate with its key, both PEM. */
export interface Credentials {
  readonly certificatePem: string;
  readonly keyPem: string;
}

export interface Validity {
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
}

const ALGORITHM = { name: "ECDSA", namedCurve: "P-256" } as const;
const SIGNATURE = { name: "ECDSA", hash: "SHA-256" } as const;

/** A new self-signed authority. Names are `common name` only; nothing is judged by them. */
export async function createAuthority(
  commonName: string,
  { notBeforeMs, notAfterMs }: Validity,
): Promise<Credentials> {
  const keys = await newKeys();
  const certificate = await X509CertificateGenerator.createSelfSigned({
    name: nameOf(commonName, []),
    keys,
    signingAlgorithm: SIGNATURE,
    notBefore: new Date(notBeforeMs),
    notAfter: new Date(notAfterMs),
    extensions: [
      new BasicConstraintsExtension(true, 0, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { certificatePem: certificate.toString("pem"), keyPem: keyPemOf(keys.privateKey) };
}

export interface LeafOptions extends Validity {
  readonly commonName: string;
  /** Organisations, which are a client's groups. */
  readonly groups?: readonly string[];
  readonly use: "server" | "client";
  /** DNS names and addresses. */
  readonly names?: readonly string[];
}

/** A certificate for one side of TLS, with a new key, signed by an authority. */
export async function createLeaf(
  authority: Credentials,
  options: LeafOptions,
): Promise<Credentials> {
  const { commonName, groups = [], use, names = [], notBeforeMs, notAfterMs } = options;
  const keys = await newKeys();
  const issuer = new X509Certificate(authority.certificatePem);
  const extensions: Extension[] = [
    new BasicConstraintsExtension(false, undefined, true),
    new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
    new ExtendedKeyUsageExtension([
      use === "server" ? ExtendedKeyUsage.serverAuth : ExtendedKeyUsage.clientAuth,
    ]),
    await AuthorityKeyIdentifierExtension.create(issuer),
    await SubjectKeyIdentifierExtension.create(keys.publicKey),
  ];
  if (names.length > 0) {
    const sans = names.map((value) => ({ type: isIP(value) === 0 ? "dns" : "ip", value }) as const);
    extensions.push(new SubjectAlternativeNameExtension(sans));
  }
  const certificate = await X509CertificateGenerator.create({
    subject: nameOf(commonName, groups),
    issuer: issuer.subject,
    publicKey: keys.publicKey,
    signingKey: await importKey(authority.keyPem),
    signingAlgorithm: SIGNATURE,
    notBefore: new Date(notBeforeMs),
    notAfter: new Date(notAfterMs),
    extensions,
  });
  return { certificatePem: certificate.toString("pem"), keyPem: keyPemOf(keys.privateKey) };
}

export function validityOf(certificatePem: string): Validity {
  const { notBefore, notAfter } = new X509Certificate(certificatePem);
  return { notBeforeMs: notBefore.getTime(), notAfterMs: notAfter.getTime() };
}

function nameOf(commonName: string, groups: readonly string[]): { [type: string]: string[] }[] {
  return [...groups.map((group) => ({ O: [group] })), { CN: [commonName] }];
}

async function newKeys(): Promise<CryptoKeyPair> {
  return await webcrypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);
}

function keyPemOf(key: CryptoKey): string {
  return KeyObject.from(key).export({ type: "pkcs8", format: "pem" }) as string;
}

async function importKey(pem: string): Promise<CryptoKey> {
  const der = Buffer.from(pem.replaceAll(/-----[^-]+-----|\s/g, ""), "base64");
  return await webcrypto.subtle.importKey("pkcs8", der, ALGORITHM, false, ["sign"]);
}

type CryptoKey = webcrypto.CryptoKey;
type CryptoKeyPair = webcrypto.CryptoKeyPair;
