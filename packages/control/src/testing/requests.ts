import "reflect-metadata";
import { webcrypto } from "node:crypto";
import {
  type JsonGeneralName,
  Pkcs10CertificateRequestGenerator,
  SubjectAlternativeNameExtension,
} from "@peculiar/x509";

export interface CsrOptions {
  readonly names: readonly JsonGeneralName[];
  readonly commonName?: string;
  readonly keyType?: "ec" | "rsa";
}

/** For tests: a certificate signing request in DER, however wrong. */
export async function newTestCsr(options: CsrOptions): Promise<Uint8Array> {
  const { names, commonName, keyType = "ec" } = options;
  const algorithm =
    keyType === "ec"
      ? { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" }
      : {
          name: "RSASSA-PKCS1-v1_5",
          hash: "SHA-256",
          modulusLength: 2_048,
          publicExponent: new Uint8Array([1, 0, 1]),
        };
  const keys = (await webcrypto.subtle.generateKey(algorithm, true, [
    "sign",
    "verify",
  ])) as webcrypto.CryptoKeyPair;
  const csr = await Pkcs10CertificateRequestGenerator.create({
    ...(commonName === undefined ? {} : { name: [{ CN: [commonName] }] }),
    keys,
    signingAlgorithm: algorithm,
    extensions: names.length === 0 ? [] : [new SubjectAlternativeNameExtension([...names])],
  });
  return new Uint8Array(csr.rawData);
}
