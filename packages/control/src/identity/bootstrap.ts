import "reflect-metadata";
import { KeyObject, webcrypto } from "node:crypto";
import type { Clock } from "@heddle/base/clock";
import type { KubeClient } from "@heddle/kube/client";
import { hasReason } from "@heddle/kube/errors";
import { CONFIG_MAPS, NAMESPACES, SECRETS, type Secret } from "@heddle/kube/types/core";
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  type Extension,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectKeyIdentifierExtension,
  type X509Certificate,
  X509CertificateGenerator,
} from "@peculiar/x509";

export const ISSUER_SECRET = "linkerd-identity-issuer";
export const TRUST_ROOTS_CONFIG_MAP = "linkerd-identity-trust-roots";
export const TRUST_ROOTS_KEY = "ca-bundle.crt";

export interface Trust {
  readonly anchorsPem: string;
  /** Not stored in the API: it is needed only to make another issuer. */
  readonly anchorKeyPem: string;
  readonly issuerPem: string;
  readonly issuerKeyPem: string;
}

export interface TrustOptions {
  readonly controlNamespace: string;
  readonly trustDomain: string;
  readonly clock: Clock;
  readonly anchorDays?: number;
  readonly issuerDays?: number;
}

const DAY_MS = 86_400_000;
const SKEW_MS = 10_000;
const EC = { name: "ECDSA", namedCurve: "P-256" } as const;
const SIGNING = { name: "ECDSA", hash: "SHA-256" } as const;

/**
 * Makes a trust anchor and an issuer below it, P-256 both. The anchor has no path length, so that
 * other authorities (SPIRE's) can be put below it too; the issuer can have no CA below it.
 */
export async function createTrust(options: TrustOptions): Promise<Trust> {
  const { controlNamespace, trustDomain, clock, anchorDays = 3650, issuerDays = 365 } = options;
  const nowMs = clock.wallMs();
  const anchor = await newAuthority({
    name: `root.${controlNamespace}.${trustDomain}`,
    nowMs,
    days: anchorDays,
  });
  const issuer = await newAuthority({
    name: `identity.${controlNamespace}.${trustDomain}`,
    nowMs,
    days: Math.min(issuerDays, anchorDays),
    signer: anchor,
  });
  return {
    anchorsPem: pemOf(anchor.certificate),
    anchorKeyPem: keyPem(anchor.keys),
    issuerPem: pemOf(issuer.certificate),
    issuerKeyPem: keyPem(issuer.keys),
  };
}

/** An authority that is its own anchor, as Linkerd's `install` makes it; see `createTrust`. */
export async function createSelfSigned(
  options: Omit<TrustOptions, "anchorDays">,
): Promise<Pick<Trust, "anchorsPem" | "issuerPem" | "issuerKeyPem">> {
  const { controlNamespace, trustDomain, clock, issuerDays = 365 } = options;
  const name = `identity.${controlNamespace}.${trustDomain}`;
  const { certificate, keys } = await newAuthority({
    name,
    nowMs: clock.wallMs(),
    days: issuerDays,
  });
  const pem = pemOf(certificate);
  return { anchorsPem: pem, issuerPem: pem, issuerKeyPem: keyPem(keys) };
}

/**
 * Stores a trust in the API, under Linkerd's names, unless there is one.
 *
 * @returns false if one was there already; it is left as it is.
 */
export async function installTrust(
  client: KubeClient,
  namespace: string,
  trust: Pick<Trust, "anchorsPem" | "issuerPem" | "issuerKeyPem">,
  signal?: AbortSignal,
): Promise<boolean> {
  const options = { signal };
  await createUnlessThere(() =>
    client.create(NAMESPACES, { metadata: { name: namespace } }, options),
  );
  const secret: Secret = {
    metadata: { name: ISSUER_SECRET, namespace },
    type: "Opaque",
    data: {
      "crt.pem": Buffer.from(trust.issuerPem).toString("base64"),
      "key.pem": Buffer.from(trust.issuerKeyPem).toString("base64"),
    },
  };
  if (!(await createUnlessThere(() => client.create(SECRETS, secret, options)))) return false;
  const data = { [TRUST_ROOTS_KEY]: trust.anchorsPem };
  const metadata = { name: TRUST_ROOTS_CONFIG_MAP, namespace };
  await createUnlessThere(() => client.create(CONFIG_MAPS, { metadata, data }, options));
  return true;
}

async function createUnlessThere(create: () => Promise<unknown>): Promise<boolean> {
  try {
    await create();
    return true;
  } catch (error) {
    if (hasReason(error, "AlreadyExists")) return false;
    throw error;
  }
}

interface Authority {
  readonly certificate: X509Certificate;
  readonly keys: webcrypto.CryptoKeyPair;
}

async function newAuthority(options: {
  readonly name: string;
  readonly nowMs: number;
  readonly days: number;
  readonly signer?: Authority;
}): Promise<Authority> {
  const { name, nowMs, days, signer } = options;
  const keys = await webcrypto.subtle.generateKey(EC, true, ["sign", "verify"]);
  const extensions: Extension[] = [
    new BasicConstraintsExtension(true, signer === undefined ? undefined : 0, true),
    new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
    await SubjectKeyIdentifierExtension.create(keys.publicKey),
  ];
  const signing = signer ?? { keys, certificate: undefined };
  if (signer !== undefined) {
    extensions.push(await AuthorityKeyIdentifierExtension.create(signer.keys.publicKey));
  }
  const subject = [{ CN: [name] }];
  const certificate = await X509CertificateGenerator.create({
    subject,
    issuer: signing.certificate?.subjectName ?? subject,
    notBefore: new Date(nowMs - SKEW_MS),
    notAfter: new Date(nowMs + days * DAY_MS),
    publicKey: keys.publicKey,
    signingKey: signing.keys.privateKey,
    signingAlgorithm: SIGNING,
    extensions,
  });
  return { certificate, keys };
}

function pemOf(certificate: X509Certificate): string {
  return `${certificate.toString("pem").trim()}\n`;
}

function keyPem(keys: webcrypto.CryptoKeyPair): string {
  return KeyObject.from(keys.privateKey).export({ type: "pkcs8", format: "pem" }).toString();
}
