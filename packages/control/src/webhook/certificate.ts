import "reflect-metadata";
import { KeyObject, webcrypto } from "node:crypto";
import {
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  GeneralName,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  X509CertificateGenerator,
} from "@peculiar/x509";

/** Backdates the start, for callers whose clock is behind. */
const SKEW_MS = 10_000;

/** PEM, both; the key is PKCS#8. */
export interface CertificatePair {
  readonly certificate: string;
  readonly key: string;
}

/** Whom a webhook is called as: one host name, or one IP address. */
export interface WebhookName {
  readonly type: "dns" | "ip";
  readonly value: string;
}

/** A webhook's certificate that is its own authority: who calls it trusts this one and no other. */
export async function createWebhookPair(
  name: WebhookName,
  nowMs: number,
  lifetimeMs: number,
): Promise<CertificatePair> {
  const algorithm = { name: "ECDSA", namedCurve: "P-256" };
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
  const usages = KeyUsageFlags.digitalSignature | KeyUsageFlags.keyCertSign;
  const certificate = await X509CertificateGenerator.createSelfSigned({
    name: [{ CN: [name.value] }],
    notBefore: new Date(nowMs - SKEW_MS),
    notAfter: new Date(nowMs + lifetimeMs),
    keys,
    signingAlgorithm: { name: "ECDSA", hash: "SHA-256" },
    extensions: [
      new BasicConstraintsExtension(true, 0, true),
      new KeyUsagesExtension(usages, true),
      new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth]),
      new SubjectAlternativeNameExtension([new GeneralName(name.type, name.value)]),
    ],
  });
  return {
    certificate: `${certificate.toString("pem").trim()}\n`,
    key: KeyObject.from(keys.privateKey).export({ type: "pkcs8", format: "pem" }).toString(),
  };
}
