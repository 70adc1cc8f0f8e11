import "reflect-metadata";
import { createPublicKey } from "node:crypto";
import { Pkcs10CertificateRequest, SubjectAlternativeNameExtension } from "@peculiar/x509";
import { refusal } from "../refusal.ts";

/** A request of ours has about 300 bytes, with an RSA key 700. */
const MAX_CSR_BYTES = 16 * 1024;

export interface CheckedCsr {
  /** SubjectPublicKeyInfo in DER, an EC key. */
  readonly publicKey: Uint8Array;
  /** Equal to the identity, or undefined if the subject names nobody. */
  readonly commonName: string | undefined;
}

export type SanType = "dns" | "url";

/**
 * Reads a PKCS#10 request in DER that may ask for one name only.
 *
 * @throws MeshError `invalid_argument` if it is no request, `failed_precondition` if it asks for
 * anything but `identity` or its owner does not prove to have the key, `internal` if the key is not
 * an EC key.
 */
export async function checkCsr(
  der: Uint8Array,
  identity: string,
  type: SanType = "dns",
): Promise<CheckedCsr> {
  const csr = parseCsr(der);
  checkNames(csr, identity, type);
  const commonName = checkSubject(csr, identity);
  const publicKey = new Uint8Array(csr.publicKey.rawData);
  if (!isEcKey(publicKey)) {
    throw refusal("internal", "Cannot issue certificate: the request's key is not an EC key");
  }
  if (!(await hasGoodSignature(csr))) {
    const state = "the request is not signed with its own key";
    throw refusal("failed_precondition", `Cannot issue certificate: ${state}`);
  }
  return { publicKey, commonName };
}

function parseCsr(der: Uint8Array): Pkcs10CertificateRequest {
  if (der.length > MAX_CSR_BYTES || !isOneDerValue(der)) {
    throw refusal("invalid_argument", "Cannot parse certificate signing request: it is not DER");
  }
  try {
    const csr = new Pkcs10CertificateRequest(new Uint8Array(der));
    // Both are parsed lazily.
    void csr.extensions.length;
    void csr.publicKey.rawData;
    return csr;
  } catch (cause) {
    const state = "it is not PKCS#10";
    throw refusal("invalid_argument", `Cannot parse certificate signing request: ${state}`, cause);
  }
}

function checkNames(csr: Pkcs10CertificateRequest, identity: string, type: SanType): void {
  const extensions = csr.extensions.filter((one) => one instanceof SubjectAlternativeNameExtension);
  const names = extensions.flatMap((one) => one.names.items);
  const isExact =
    extensions.length === 1 &&
    names.length === 1 &&
    names[0]!.type === type &&
    names[0]!.value === identity;
  if (isExact) return;
  const kind = type === "dns" ? "DNS" : "URI";
  const state = `the request must have exactly one name, of type ${kind}, equal to ${identity}`;
  throw refusal("failed_precondition", `Cannot issue certificate: ${state}`);
}

function checkSubject(csr: Pkcs10CertificateRequest, identity: string): string | undefined {
  const names = csr.subjectName.getField("CN");
  if (names.length === 0 || (names.length === 1 && names[0] === "")) return undefined;
  if (names.length === 1 && names[0] === identity) return identity;
  const state = `the request's common name must be empty or ${identity}`;
  throw refusal("failed_precondition", `Cannot issue certificate: ${state}`);
}

function isEcKey(spki: Uint8Array): boolean {
  try {
    const key = createPublicKey({ key: Buffer.from(spki), format: "der", type: "spki" });
    return key.asymmetricKeyType === "ec";
  } catch {
    // A point that is not on its curve, or a key of a kind that OpenSSL does not know.
    return false;
  }
}

async function hasGoodSignature(csr: Pkcs10CertificateRequest): Promise<boolean> {
  try {
    return await csr.verify();
  } catch {
    // An algorithm that does not fit the key counts as a wrong signature.
    return false;
  }
}

/** Whether `der` is one SEQUENCE and nothing after it, with its length in the shortest form. */
function isOneDerValue(der: Uint8Array): boolean {
  if (der.length < 2 || der[0] !== 0x30) return false;
  const first = der[1]!;
  if (first < 0x80) return der.length === 2 + first;
  const count = first & 0x7f;
  if (count === 0 || count > 3 || der.length < 2 + count) return false;
  let length = 0;
  for (let i = 0; i < count; i++) length = length * 256 + der[2 + i]!;
  return length >= 0x80 && der.length === 2 + count + length;
}
