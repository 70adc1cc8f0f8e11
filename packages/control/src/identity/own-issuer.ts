import "reflect-metadata";
import { webcrypto } from "node:crypto";
import { readFile } from "node:fs/promises";
import { Identity } from "@heddle/api/gen/identity_pb";
import type { Clock } from "@heddle/base/clock";
import { MeshError } from "@heddle/base/errors";
import type { Log } from "@heddle/base/log";
import type { KubeClient } from "@heddle/kube/client";
import { Informer } from "@heddle/kube/informer";
import { CONFIG_MAPS, type ConfigMap } from "@heddle/kube/types/core";
import { dial } from "@heddle/net/dialer";
import { GrpcClient } from "@heddle/net/grpc/client";
import { Http2Client } from "@heddle/net/http2/client";
import { type DnsClient, resolveName } from "@heddle/net/resolve";
import { Credentials } from "@heddle/net/tls-credentials";
import { Pkcs10CertificateRequestGenerator, SubjectAlternativeNameExtension } from "@peculiar/x509";
import { TRUST_ROOTS_CONFIG_MAP, TRUST_ROOTS_KEY } from "./bootstrap.ts";
import type { IssuerSource } from "./issuer-source.ts";
import type { KeyPair, OwnCertificate, OwnIssuer } from "./own-certificates.ts";

/** Our certificates by the issuer that this process holds itself. */
export function localIssuer(
  source: IssuerSource,
  settings: { readonly lifetimeMs: number; readonly skewMs: number },
  clock: Clock,
): OwnIssuer {
  return {
    get anchorsPem(): string {
      return source.isLoaded ? source.anchorsPem : "";
    },
    onChange: (listener) => source.onChange(listener),
    async issue(name, key): Promise<OwnCertificate> {
      const publicKey = key.publicKey.export({ type: "spki", format: "der" });
      const request = { publicKey, name: { type: "dns", value: name }, commonName: name } as const;
      const issuer = source.usableIssuer();
      const issued = await issuer.issueLeaf({ ...request, ...settings }, clock.wallMs());
      return { chain: [issued.leaf, ...issued.intermediates], notAfterMs: issued.notAfterMs };
    },
  };
}

export interface RemoteIssuerOptions {
  readonly client: KubeClient;
  readonly controlNamespace: string;
  /** `host:port` of the identity service. */
  readonly address: string;
  readonly serverName: string;
  /** Whether the connection is to be plaintext: the server is on this very machine. */
  readonly isPlaintext: (ip: string) => boolean;
  /** Our service account's token, for the audience of the identity service. */
  readonly tokenFile: string;
  readonly localAddress: string | undefined;
  readonly dns: DnsClient;
  readonly log: Log;
  readonly onBug: (error: unknown) => void;
}

const TIMEOUT_MS = 5_000;

/** Our certificates by `Certify`, from the process that has the issuer. */
export class RemoteIssuer implements OwnIssuer, AsyncDisposable {
  readonly #options: RemoteIssuerOptions;
  readonly #configMaps: Informer<ConfigMap>;
  readonly #listeners = new Set<() => void>();

  constructor(options: RemoteIssuerOptions) {
    this.#options = options;
    this.#configMaps = new Informer<ConfigMap>({
      client: options.client,
      resource: CONFIG_MAPS,
      namespace: options.controlNamespace,
      fieldSelector: `metadata.name=${TRUST_ROOTS_CONFIG_MAP}`,
      log: options.log,
    });
    this.#configMaps.store.subscribe(() => {
      for (const listener of this.#listeners) listener();
    });
    this.#configMaps.start(options.onBug);
  }

  get anchorsPem(): string {
    const key = `${this.#options.controlNamespace}/${TRUST_ROOTS_CONFIG_MAP}`;
    return this.#configMaps.store.get(key)?.data?.[TRUST_ROOTS_KEY] ?? "";
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async issue(name: string, key: KeyPair, signal: AbortSignal): Promise<OwnCertificate> {
    const token = await this.#token();
    const certificateSigningRequest = await newCsr(name, key);
    const connection = await this.#connect(signal);
    try {
      const authority = this.#options.address;
      const client = new GrpcClient(connection, { authority, side: "control" });
      const request = { identity: name, token, certificateSigningRequest };
      const timeoutMs = TIMEOUT_MS;
      const answer = await client.unary(Identity.method.certify, request, { timeoutMs, signal });
      return {
        chain: [answer.leafCertificate, ...answer.intermediateCertificates],
        notAfterMs: Number(answer.validUntil?.seconds ?? 0n) * 1_000,
      };
    } finally {
      await connection.close(0);
    }
  }

  async close(): Promise<void> {
    await this.#configMaps.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #connect(signal: AbortSignal): Promise<Http2Client> {
    const { address, serverName, dns, isPlaintext, localAddress } = this.#options;
    const colon = address.lastIndexOf(":");
    const port = Number(address.slice(colon + 1));
    const { addresses } = await resolveName(address.slice(0, colon), port, dns);
    const chosen = addresses[Math.floor(Math.random() * addresses.length)];
    if (chosen === undefined) {
      throw new MeshError("resolve_failed", "control", `Cannot find ${address}: no address`);
    }
    const credentials = new Credentials({ anchors: this.anchorsPem });
    const tls = isPlaintext(chosen.ip)
      ? undefined
      : { credentials, serverName, serverId: serverName };
    return new Http2Client(
      await dial({ address: chosen, localAddress, tls, timeoutMs: TIMEOUT_MS, signal }),
    );
  }

  /** Read anew each time: kubelet replaces it before it expires. */
  async #token(): Promise<Uint8Array> {
    const { tokenFile } = this.#options;
    try {
      return await readFile(tokenFile);
    } catch (cause) {
      const message = `Cannot read service account token: ${tokenFile} is not readable`;
      throw new MeshError("no_token", "self", message, { cause });
    }
  }
}

async function newCsr(name: string, key: KeyPair): Promise<Uint8Array> {
  const algorithm = { name: "ECDSA", namedCurve: "P-256" };
  const { subtle } = webcrypto;
  const spki = key.publicKey.export({ type: "spki", format: "der" });
  const pkcs8 = key.privateKey.export({ type: "pkcs8", format: "der" });
  const keys = {
    publicKey: await subtle.importKey("spki", spki, algorithm, true, ["verify"]),
    privateKey: await subtle.importKey("pkcs8", pkcs8, algorithm, false, ["sign"]),
  };
  const csr = await Pkcs10CertificateRequestGenerator.create({
    name: [{ CN: [name] }],
    keys,
    signingAlgorithm: { name: "ECDSA", hash: "SHA-256" },
    extensions: [new SubjectAlternativeNameExtension([{ type: "dns", value: name }])],
  });
  return new Uint8Array(csr.rawData);
}
