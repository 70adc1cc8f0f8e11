import { constants } from "node:crypto";
import tls from "node:tls";
import { MeshError, messageOf } from "@heddle/base/errors";

/** What a handshake needs of ours. */
export interface CredentialMaterial {
  /** Trust anchors, PEM. Any certificate may be one, not only a root. */
  readonly anchors: string;
  /** Our leaf first, then intermediates, PEM. Without it we can only be an anonymous client. */
  readonly certificate?: string | undefined;
  /** PKCS#8, PEM. */
  readonly privateKey?: string | undefined;
}

/**
 * Our own certificate and the trust anchors, which may change while we run: each handshake takes
 * what is current when it begins. Connections that are up keep theirs.
 */
export class Credentials {
  #material: CredentialMaterial;
  #context: tls.SecureContext;
  #version = 0;

  /** @throws MeshError `bad_credentials` if OpenSSL does not take the material. */
  constructor(material: CredentialMaterial) {
    this.#context = newContext(material);
    this.#material = material;
  }

  /** @throws MeshError `bad_credentials`; what was current then stays. */
  set(material: CredentialMaterial): void {
    this.#context = newContext(material);
    this.#material = material;
    this.#version++;
  }

  /** Grows with every `set`. */
  get version(): number {
    return this.#version;
  }

  /** Whether there is a certificate of our own. */
  get isCertified(): boolean {
    return this.#material.certificate !== undefined;
  }

  get material(): CredentialMaterial {
    return this.#material;
  }

  /** @internal For both roles. */
  get context(): tls.SecureContext {
    return this.#context;
  }
}

/** TLS 1.3 as `proxy-behaviour` asks for it; for `tls.createSecureContext` and `tls.createServer`. */
export function contextOptions(material: CredentialMaterial): tls.SecureContextOptions {
  const { anchors, certificate, privateKey } = material;
  return {
    ...PARAMETERS,
    ca: anchors,
    ...(certificate === undefined ? {} : { cert: certificate }),
    ...(privateKey === undefined ? {} : { key: privateKey }),
  };
}

const PARAMETERS: tls.SecureContextOptions = {
  minVersion: "TLSv1.3",
  maxVersion: "TLSv1.3",
  ciphers: "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256",
  honorCipherOrder: true,
  ecdhCurve: "X25519MLKEM768:X25519:P-256:P-384",
  // No RSA-PSS, as in Linkerd: RSA certificates may sign others, but not handshakes.
  sigalgs:
    "ecdsa_secp256r1_sha256:ecdsa_secp384r1_sha384:ecdsa_secp521r1_sha512:ed25519:" +
    "rsa_pkcs1_sha256:rsa_pkcs1_sha384:rsa_pkcs1_sha512",
  secureOptions: constants.SSL_OP_NO_TICKET,
  allowPartialTrustChain: true,
};

function newContext(material: CredentialMaterial): tls.SecureContext {
  try {
    if (!material.anchors.includes("-----BEGIN CERTIFICATE-----")) {
      throw new SyntaxError("no trust anchor in PEM");
    }
    return tls.createSecureContext(contextOptions(material));
  } catch (error) {
    const message = `Cannot use credentials: ${messageOf(error)}`;
    throw new MeshError("bad_credentials", "self", message, { cause: error });
  }
}
