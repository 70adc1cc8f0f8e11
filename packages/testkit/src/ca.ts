// @peculiar/x509 needs the metadata API when it is loaded.
import "reflect-metadata";
import { webcrypto } from "node:crypto";
import * as x509 from "@peculiar/x509";

/** A subjectAltName entry, in the order of the certificate. */
export type SanEntry =
  | { readonly dns: string }
  | { readonly uri: string }
  | { readonly ip: string }
  | { readonly email: string };

export type TestKeyType = "ec-p256" | "ec-p384" | "ed25519" | "rsa";

export interface LeafOptions {
  readonly sans?: readonly SanEntry[];
  readonly commonName?: string;
  /** A group, to Kubernetes. */
  readonly organization?: string;
  /** Default: both server and client. Empty: no such extension. */
  readonly purposes?: readonly ("server" | "client")[];
  readonly notBefore?: Date;
  readonly notAfter?: Date;
  readonly keyType?: TestKeyType;
}

/** A certificate with its key, in every form that somebody wants. */
export interface Issued {
  readonly der: Uint8Array;
  readonly pem: string;
  /** The leaf and its intermediates, leaf first, without the root. PEM. */
  readonly chainPem: string;
  /** PKCS#8. */
  readonly keyDer: Uint8Array;
  readonly keyPem: string;
  readonly keys: webcrypto.CryptoKeyPair;
}

const HOUR_MS = 3_600_000;

/** A certificate authority for one test run. Nothing of it is secret. */
export class TestCa {
  readonly pem: string;
  readonly der: Uint8Array;
  readonly #certificate: x509.X509Certificate;
  readonly #keys: webcrypto.CryptoKeyPair;
  /** Intermediates between the root and us, ours first. */
  readonly #chain: readonly string[];

  private constructor(
    certificate: x509.X509Certificate,
    keys: webcrypto.CryptoKeyPair,
    chain: readonly string[],
  ) {
    this.#certificate = certificate;
    this.#keys = keys;
    this.#chain = chain;
    this.pem = `${certificate.toString("pem")}\n`;
    this.der = new Uint8Array(certificate.rawData);
  }

  static async root(commonName = "root.test"): Promise<TestCa> {
    const keys = await newKeys("ec-p256");
    const certificate = await x509.X509CertificateGenerator.createSelfSigned({
      serialNumber: newSerial(),
      name: `CN=${commonName}`,
      notBefore: new Date(Date.now() - HOUR_MS),
      notAfter: new Date(Date.now() + 240 * HOUR_MS),
      signingAlgorithm: SIGNING["ec-p256"],
      keys,
      extensions: CA_EXTENSIONS,
    });
    return new TestCa(certificate, keys, []);
  }

  /** A CA below this one, whose leaves come with its certificate in their chain. */
  async intermediate(commonName = "intermediate.test"): Promise<TestCa> {
    const keys = await newKeys("ec-p256");
    const certificate = await this.#sign(`CN=${commonName}`, keys.publicKey, {}, CA_EXTENSIONS);
    const pem = `${certificate.toString("pem")}\n`;
    return new TestCa(certificate, keys, [pem, ...this.#chain]);
  }

  async leaf(options: LeafOptions = {}): Promise<Issued> {
    const keys = await newKeys(options.keyType ?? "ec-p256");
    const name = [
      ...(options.organization === undefined ? [] : [`O=${options.organization}`]),
      ...(options.commonName === undefined ? [] : [`CN=${options.commonName}`]),
    ].join(",");
    const extensions: x509.Extension[] = [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
    ];
    const purposes = options.purposes ?? ["server", "client"];
    if (purposes.length > 0) {
      const oids = purposes.map((purpose) => PURPOSES[purpose]);
      extensions.push(new x509.ExtendedKeyUsageExtension(oids));
    }
    if (options.sans !== undefined && options.sans.length > 0) {
      const names = options.sans.map(generalName);
      extensions.push(new x509.SubjectAlternativeNameExtension(names, name === ""));
    }
    const certificate = await this.#sign(name, keys.publicKey, options, extensions);
    const keyDer = new Uint8Array(await webcrypto.subtle.exportKey("pkcs8", keys.privateKey));
    const pem = `${certificate.toString("pem")}\n`;
    return {
      der: new Uint8Array(certificate.rawData),
      pem,
      chainPem: [pem, ...this.#chain].join(""),
      keyDer,
      keyPem: `${x509.PemConverter.encode(keyDer, "PRIVATE KEY")}\n`,
      keys,
    };
  }

  #sign(
    subject: string,
    publicKey: webcrypto.CryptoKey,
    validity: Pick<LeafOptions, "notBefore" | "notAfter">,
    extensions: readonly x509.Extension[],
  ): Promise<x509.X509Certificate> {
    return x509.X509CertificateGenerator.create({
      serialNumber: newSerial(),
      subject,
      issuer: this.#certificate.subject,
      notBefore: validity.notBefore ?? new Date(Date.now() - HOUR_MS),
      notAfter: validity.notAfter ?? new Date(Date.now() + 24 * HOUR_MS),
      signingAlgorithm: SIGNING["ec-p256"],
      publicKey,
      signingKey: this.#keys.privateKey,
      extensions: [...extensions],
    });
  }
}

const PURPOSES = {
  server: x509.ExtendedKeyUsage.serverAuth,
  client: x509.ExtendedKeyUsage.clientAuth,
} as const;

const SIGNING = {
  "ec-p256": { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" },
  "ec-p384": { name: "ECDSA", namedCurve: "P-384", hash: "SHA-384" },
  ed25519: { name: "Ed25519" },
  rsa: {
    name: "RSASSA-PKCS1-v1_5",
    hash: "SHA-256",
    modulusLength: 2048,
    publicExponent: Uint8Array.of(1, 0, 1),
  },
} as const;

const CA_EXTENSIONS: x509.Extension[] = [
  new x509.BasicConstraintsExtension(true, undefined, true),
  new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
];

function generalName(entry: SanEntry): x509.GeneralName {
  if ("dns" in entry) return new x509.GeneralName("dns", entry.dns);
  if ("uri" in entry) return new x509.GeneralName("url", entry.uri);
  if ("ip" in entry) return new x509.GeneralName("ip", entry.ip);
  return new x509.GeneralName("email", entry.email);
}

async function newKeys(type: TestKeyType): Promise<webcrypto.CryptoKeyPair> {
  const algorithm: webcrypto.EcKeyGenParams | webcrypto.RsaHashedKeyGenParams = SIGNING[type] as
    | webcrypto.EcKeyGenParams
    | webcrypto.RsaHashedKeyGenParams;
  return webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
}

let serial = 0;

/** Unique in this process, positive, and without a leading zero octet. */
function newSerial(): string {
  serial++;
  return (0x4000_0000 + serial).toString(16);
}
