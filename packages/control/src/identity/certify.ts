import { createHash } from "node:crypto";
import type { Clock } from "@heddle/base/clock";
import type { Log } from "@heddle/base/log";
import { refusal } from "../refusal.ts";
import { checkCsr } from "./csr.ts";
import type { IdentityEvents } from "./events.ts";
import type { IssuedLeaf } from "./issuer.ts";
import type { IssuerSource } from "./issuer-source.ts";
import type { TokenReviewer } from "./token-review.ts";

export interface CertifyCall {
  readonly identity: string;
  readonly token: Uint8Array;
  /** PKCS#10 in DER. */
  readonly csr: Uint8Array;
}

export interface CertifySettings {
  readonly lifetimeMs: number;
  readonly skewMs: number;
}

/** Exchanges a service account's token for a certificate in its name. */
export class Certifier {
  readonly #source: IssuerSource;
  readonly #reviewer: TokenReviewer;
  readonly #events: IdentityEvents;
  readonly #settings: CertifySettings;
  readonly #clock: Clock;
  readonly #log: Log;

  constructor(
    source: IssuerSource,
    reviewer: TokenReviewer,
    events: IdentityEvents,
    settings: CertifySettings,
    runtime: { readonly clock: Clock; readonly log: Log },
  ) {
    this.#source = source;
    this.#reviewer = reviewer;
    this.#events = events;
    this.#settings = settings;
    this.#clock = runtime.clock;
    this.#log = runtime.log;
  }

  /** @throws MeshError with the status to answer with (refusal.ts). */
  async certify(call: CertifyCall, signal: AbortSignal): Promise<IssuedLeaf> {
    if (!this.#source.isLoaded) {
      throw refusal("unavailable", "Cannot issue certificate: the issuer is not loaded yet");
    }
    checkPresence(call);
    const issuer = this.#source.usableIssuer();
    const csr = await checkCsr(call.csr, call.identity);
    const owner = await this.#reviewer.review(call.token, signal);
    if (owner.identity !== call.identity) {
      const state = `the token belongs to ${owner.identity}, not to ${call.identity}`;
      throw refusal("failed_precondition", `Cannot issue certificate: ${state}`);
    }
    const issued = await issuer.issueLeaf(
      {
        publicKey: csr.publicKey,
        name: { type: "dns", value: call.identity },
        commonName: csr.commonName,
        ...this.#settings,
      },
      this.#clock.wallMs(),
    );
    const hash = createHash("sha256").update(issued.leaf).digest("hex");
    const expires = new Date(issued.notAfterMs).toISOString();
    this.#log.info("certificate issued", { identity: call.identity, expires, sha256: hash });
    this.#events.leafIssued(owner, expires, hash);
    return issued;
  }
}

function checkPresence(call: CertifyCall): void {
  if (call.identity === "") throw refusal("invalid_argument", "Cannot certify: no identity given");
  if (call.token.length === 0) throw refusal("invalid_argument", "Cannot certify: no token given");
  if (call.csr.length === 0) {
    throw refusal("invalid_argument", "Cannot certify: no certificate signing request given");
  }
}
