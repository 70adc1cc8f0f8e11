import "reflect-metadata";
import { KeyObject, webcrypto } from "node:crypto";
import {
  BasicConstraintsExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectKeyIdentifierExtension,
  X509CertificateGenerator,
} from "@peculiar/x509";

export interface IssuerFiles {
  readonly anchorsPem: string;
  readonly certificatePem: string;
  readonly keyPem: string;
}

const YEAR_MS = 365 * 86_400_000;
const SKEW_MS = 10_000;

/** One P-256 authority of a year, anchor and issuer in one, as Linkerd's CLI makes it. */
export async function createIssuer(name: string, nowMs: number): Promise<IssuerFiles> {
  const algorithm = { name: "ECDSA", namedCurve: "P-256" };
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
  const certificate = await X509CertificateGenerator.createSelfSigned({
    name: [{ CN: [name] }],
    notBefore: new Date(nowMs - SKEW_MS),
    notAfter: new Date(nowMs + YEAR_MS),
    keys,
    signingAlgorithm: { name: "ECDSA", hash: "SHA-256" },
    extensions: [
      new BasicConstraintsExtension(true, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  const certificatePem = `${certificate.toString("pem").trim()}\n`;
  const key = KeyObject.from(keys.privateKey).export({ type: "pkcs8", format: "pem" });
  return { anchorsPem: certificatePem, certificatePem, keyPem: key.toString() };
}
