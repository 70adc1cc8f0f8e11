import type * as X509 from "@peculiar/x509";

/** Object identifiers of extensions that certificates of a mesh have. */
const NAMES: Readonly<Record<string, string>> = {
  "2.5.29.14": "X509v3 Subject Key Identifier",
  "2.5.29.15": "X509v3 Key Usage",
  "2.5.29.17": "X509v3 Subject Alternative Name",
  "2.5.29.19": "X509v3 Basic Constraints",
  "2.5.29.35": "X509v3 Authority Key Identifier",
  "2.5.29.37": "X509v3 Extended Key Usage",
};

/** In the order of the bits. */
const USAGES = [
  "Digital Signature",
  "Non Repudiation",
  "Key Encipherment",
  "Data Encipherment",
  "Key Agreement",
  "Certificate Sign",
  "CRL Sign",
  "Encipher Only",
  "Decipher Only",
] as const;

const PURPOSES: Readonly<Record<string, string>> = {
  "1.3.6.1.5.5.7.3.1": "TLS Web Server Authentication",
  "1.3.6.1.5.5.7.3.2": "TLS Web Client Authentication",
  "1.3.6.1.5.5.7.3.3": "Code Signing",
  "1.3.6.1.5.5.7.3.4": "E-mail Protection",
};

const ALTERNATIVES: Readonly<Record<string, string>> = {
  dns: "DNS",
  url: "URI",
  ip: "IP Address",
  email: "email",
};

/** What `openssl x509 -text` says of an extension, without the indent of the whole. */
export function extensionLines(extension: X509.Extension, x509: typeof X509): readonly string[] {
  const name = NAMES[extension.type] ?? extension.type;
  return [`${name}: ${extension.critical ? "critical" : ""}`, `    ${contentOf(extension, x509)}`];
}

function contentOf(extension: X509.Extension, x509: typeof X509): string {
  if (extension instanceof x509.KeyUsagesExtension) {
    return USAGES.filter((_, bit) => (extension.usages & (1 << bit)) !== 0).join(", ");
  }
  if (extension instanceof x509.ExtendedKeyUsageExtension) {
    return extension.usages.map((usage) => PURPOSES[String(usage)] ?? String(usage)).join(", ");
  }
  if (extension instanceof x509.SubjectAlternativeNameExtension) {
    return extension.names.items
      .map(({ type, value }) => `${ALTERNATIVES[type] ?? type}:${value}`)
      .join(", ");
  }
  if (extension instanceof x509.BasicConstraintsExtension) {
    const { ca, pathLength } = extension;
    return `CA:${ca ? "TRUE" : "FALSE"}${pathLength === undefined ? "" : `, pathlen:${pathLength}`}`;
  }
  if (extension instanceof x509.SubjectKeyIdentifierExtension) return hexOf(extension.keyId);
  if (extension instanceof x509.AuthorityKeyIdentifierExtension && extension.keyId !== undefined) {
    return hexOf(extension.keyId);
  }
  return hexOf(Buffer.from(extension.value).toString("hex"));
}

function hexOf(text: string): string {
  return (text.toUpperCase().match(/../g) ?? []).join(":");
}
