import "reflect-metadata";
import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  webcrypto,
} from "node:crypto";
import { Pkcs10CertificateRequestGenerator, SubjectAlternativeNameExtension } from "@peculiar/x509";

/** A fresh P-256 key, the one kind that every proxy takes. */
export function newKey(): KeyObject {
  return generateKeyPairSync("ec", { namedCurve: "prime256v1" }).privateKey;
}

export function keyPem(key: KeyObject): string {
  return key.export({ type: "pkcs8", format: "pem" }).toString();
}

export function keyDer(key: KeyObject): Uint8Array {
  return new Uint8Array(key.export({ type: "pkcs8", format: "der" }));
}

export function parseKey(pem: string): KeyObject {
  return createPrivateKey(pem);
}

/** A PKCS#10 request in DER for one name: a DNS name, which is also the subject's, or a URI. */
export async function newCsr(
  key: KeyObject,
  name: { readonly type: "dns" | "url"; readonly value: string },
): Promise<Uint8Array> {
  const algorithm = { name: "ECDSA", namedCurve: "P-256" } as const;
  const { subtle } = webcrypto;
  const privateKey = await subtle.importKey("pkcs8", Buffer.from(keyDer(key)), algorithm, true, [
    "sign",
  ]);
  const spki = createPublicKey(key).export({ type: "spki", format: "der" });
  const publicKey = await subtle.importKey("spki", spki, algorithm, true, ["verify"]);
  const csr = await Pkcs10CertificateRequestGenerator.create({
    ...(name.type === "dns" ? { name: [{ CN: [name.value] }] } : {}),
    keys: { privateKey, publicKey },
    signingAlgorithm: { name: "ECDSA", hash: "SHA-256" },
    extensions: [new SubjectAlternativeNameExtension([name])],
  });
  return new Uint8Array(csr.rawData);
}
