import type { X509Certificate } from "node:crypto";
import type { Clock } from "@heddle/base/clock";
import { MeshError } from "@heddle/base/errors";
import type { Counter, Gauge, Registry } from "@heddle/base/metrics";
import { Credentials } from "@heddle/net/tls-credentials";
import { type Issued, judgeIssued, parseAnchors } from "./chain.ts";
import type { IdentityConfig } from "./config.ts";

/** What both sources of identity share: the credentials in use, readiness, and metrics. */
export class HeldIdentity {
  readonly id: string;
  readonly serverName: string;
  readonly credentials: Credentials;
  readonly ready: Promise<void>;
  readonly #anchorsPem: string;
  readonly #anchors: readonly X509Certificate[];
  readonly #clock: Clock;
  readonly #expiration: Gauge;
  readonly #refreshed: Gauge;
  readonly #ok: Counter;
  readonly #failed: Counter;
  #resolveReady: () => void;
  #isReady = false;
  #notAfterMs = 0;

  /** @throws MeshError `no_trust_anchors`. */
  constructor(config: IdentityConfig, clock: Clock, metrics: Registry) {
    this.id = config.id;
    this.serverName = config.serverName;
    this.#anchorsPem = config.trustAnchors;
    this.#anchors = parseAnchors(config.trustAnchors);
    if (this.#anchors.length === 0) {
      const message = "Cannot start: no valid certs in trust anchors";
      throw new MeshError("no_trust_anchors", "self", message);
    }
    this.#clock = clock;
    this.credentials = new Credentials({ anchors: config.trustAnchors });
    const { promise, resolve } = Promise.withResolvers<void>();
    this.ready = promise;
    this.#resolveReady = resolve;
    this.#expiration = metrics
      .gauge(
        "control_identity_cert_expiration_timestamp_seconds",
        "Time when the this proxy's current mTLS identity certificate will expire (in seconds since the UNIX epoch).",
        { unit: "seconds" },
      )
      .with();
    this.#refreshed = metrics
      .gauge(
        "control_identity_cert_refresh_timestamp_seconds",
        "Time when the this proxy's mTLS identity certificate were last updated.",
        { unit: "seconds" },
      )
      .with();
    const refreshes = metrics.counter(
      "control_identity_cert_refreshes_total",
      "The total number of times this proxy's mTLS identity certificate has been refreshed.",
    );
    this.#ok = refreshes.with({ result: "ok" });
    this.#failed = refreshes.with({ result: "error" });
  }

  get isReady(): boolean {
    return this.#isReady;
  }

  /** When the certificate in use ends; 0: there is none. */
  get notAfterMs(): number {
    return this.#notAfterMs;
  }

  /**
   * Judges, then uses. What is refused changes nothing.
   *
   * @param untilMs - When it ends at the latest; undefined: as it says itself.
   * @throws MeshError `bad_identity`, `bad_credentials`.
   */
  install(issued: Issued, untilMs?: number): void {
    const wallMs = this.#clock.wallMs();
    const { leaf, material } = judgeIssued(issued, this.#anchors, this.id, wallMs);
    this.credentials.set({ ...material, anchors: this.#anchorsPem });
    this.#notAfterMs = untilMs ?? leaf.notAfterMs;
    this.#expiration.set(Math.floor(this.#notAfterMs / 1_000));
    this.#refreshed.set(Math.floor(wallMs / 1_000));
    this.#ok.inc();
    this.#isReady = true;
    this.#resolveReady();
  }

  failed(): void {
    this.#failed.inc();
  }
}
