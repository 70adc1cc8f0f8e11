import type { KeyObject } from "node:crypto";
import { hexLines } from "./hex-lines.ts";

const BYTES_PER_LINE = 15;

/** Curves as OpenSSL and NIST call them, with the bits that they are known by. */
const CURVES: Readonly<Record<string, { readonly nist: string; readonly bits: number }>> = {
  prime256v1: { nist: "P-256", bits: 256 },
  secp384r1: { nist: "P-384", bits: 384 },
  secp521r1: { nist: "P-521", bits: 521 },
};

/** What `openssl x509 -text` says of a public key, without the indent of the whole. */
export function publicKeyLines(key: KeyObject): readonly string[] {
  const type = key.asymmetricKeyType;
  if (type === "ec") return ecLines(key);
  if (type === "rsa") return rsaLines(key);
  const name = (type ?? "unknown").toUpperCase();
  const { x = "" } = type === "ed25519" || type === "ed448" ? key.export({ format: "jwk" }) : {};
  return [
    `Public Key Algorithm: ${name}`,
    `    ${name} Public-Key:`,
    ...(x === "" ? [] : block("pub", Buffer.from(x, "base64url"))),
  ];
}

function ecLines(key: KeyObject): readonly string[] {
  const { x = "", y = "" } = key.export({ format: "jwk" });
  const point = Buffer.concat([
    Buffer.of(4),
    Buffer.from(x, "base64url"),
    Buffer.from(y, "base64url"),
  ]);
  const curve = key.asymmetricKeyDetails?.namedCurve ?? "";
  const { nist, bits } = CURVES[curve] ?? {};
  return [
    "Public Key Algorithm: id-ecPublicKey",
    `    Public-Key: (${bits ?? "unknown"} bit)`,
    ...block("pub", point),
    `    ASN1 OID: ${curve}`,
    ...(nist === undefined ? [] : [`    NIST CURVE: ${nist}`]),
  ];
}

function rsaLines(key: KeyObject): readonly string[] {
  const { n = "" } = key.export({ format: "jwk" });
  const modulus = Buffer.from(n, "base64url");
  const { modulusLength, publicExponent = 0n } = key.asymmetricKeyDetails ?? {};
  // As a signed number: a leading one would make it negative.
  const signed = (modulus[0] ?? 0) > 127 ? Buffer.concat([Buffer.of(0), modulus]) : modulus;
  return [
    "Public Key Algorithm: rsaEncryption",
    `    Public-Key: (${modulusLength} bit)`,
    ...block("Modulus", signed),
    `    Exponent: ${publicExponent} (0x${publicExponent.toString(16)})`,
  ];
}

function block(title: string, bytes: Uint8Array): readonly string[] {
  return [`    ${title}:`, ...hexLines(bytes, BYTES_PER_LINE).map((line) => `        ${line}`)];
}
