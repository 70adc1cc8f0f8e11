import { X509Certificate } from "node:crypto";
import { extensionLines } from "./extension-text.ts";
import { hexLines } from "./hex-lines.ts";
import { publicKeyLines } from "./public-key-text.ts";

const SIGNATURE_BYTES_PER_LINE = 18;
/** A shorter serial is a number as well. */
const MAX_NUMBER_BYTES = 8;

/** A certificate as `openssl x509 -text` prints it. */
export async function certificateText(der: Uint8Array): Promise<string> {
  // @peculiar/x509 needs the metadata API when it is loaded.
  await import("reflect-metadata");
  const x509 = await import("@peculiar/x509");
  const parsed = new x509.X509Certificate(der.slice());
  const certificate = new X509Certificate(der);
  const algorithm = certificate.signatureAlgorithm ?? "unknown";
  const extensions = parsed.extensions.flatMap((extension) => extensionLines(extension, x509));
  return [
    "Certificate:",
    "    Data:",
    "        Version: 3 (0x2)",
    ...serialLines(certificate.serialNumber),
    `        Signature Algorithm: ${algorithm}`,
    `        Issuer: ${nameLine(certificate.issuer)}`,
    "        Validity",
    `            Not Before: ${certificate.validFrom}`,
    `            Not After : ${certificate.validTo}`,
    `        Subject: ${nameLine(certificate.subject)}`,
    "        Subject Public Key Info:",
    ...publicKeyLines(certificate.publicKey).map((line) => `            ${line}`),
    ...(extensions.length === 0 ? [] : ["        X509v3 extensions:"]),
    ...extensions.map((line) => `            ${line}`),
    `    Signature Algorithm: ${algorithm}`,
    "    Signature Value:",
    ...hexLines(new Uint8Array(parsed.signature), SIGNATURE_BYTES_PER_LINE).map(
      (line) => `        ${line}`,
    ),
  ].join("\n");
}

function serialLines(serial: string): readonly string[] {
  const bytes = Buffer.from(serial.padStart(serial.length + (serial.length % 2), "0"), "hex");
  if (bytes.length > MAX_NUMBER_BYTES) {
    const hex = hexLines(bytes, bytes.length);
    return ["        Serial Number:", ...hex.map((line) => `            ${line}`)];
  }
  const number = BigInt(`0x${serial || "0"}`);
  return [`        Serial Number: ${number} (0x${number.toString(16)})`];
}

/** Node gives an attribute a line. */
function nameLine(name: string | undefined): string {
  return (name ?? "")
    .split("\n")
    .map((attribute) => attribute.replace("=", " = "))
    .join(", ");
}
