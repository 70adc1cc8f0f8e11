import type { X509Certificate } from "node:crypto";
import type { Clock } from "@heddle/base/clock";
import { MeshError, messageOf } from "@heddle/base/errors";
import type { Log } from "@heddle/base/log";
import type { Registry } from "@heddle/base/metrics";
import { refusal } from "../refusal.ts";
import { parseCertificates } from "./chain.ts";
import type { IdentityEvents } from "./events.ts";
import { ExpiryAlarms, lastOf } from "./expiry-alarms.ts";
import { type Issuer, loadIssuer } from "./issuer.ts";

/** Where the issuer comes from, decoded. */
export interface IssuerFiles {
  readonly certificatesPem: string;
  readonly keyPem: string;
}

/**
 * The issuer in use and the anchors it must chain to. Fed with whatever the Secret and the
 * ConfigMap hold; a new state that is no good changes nothing, and says so.
 */
export class IssuerSource {
  readonly #events: IdentityEvents;
  readonly #alarms: ExpiryAlarms;
  readonly #clock: Clock;
  readonly #log: Log;
  #anchors: readonly X509Certificate[] = [];
  #anchorsPem = "";
  #issuer: Issuer | undefined;
  /** What the Secret holds now, and what the issuer in use was made of. */
  #files: IssuerFiles | undefined;
  #usedFiles: IssuerFiles | undefined;
  /** Loads one after the other, so that the newest wins. */
  #loading: Promise<void> = Promise.resolve();
  /** Why what is stored was refused. */
  readonly #refused = new Map<"anchors" | "issuer", string>();
  readonly #listeners = new Set<() => void>();

  constructor(
    events: IdentityEvents,
    runtime: { readonly clock: Clock; readonly log: Log; readonly metrics: Registry },
  ) {
    this.#events = events;
    this.#alarms = new ExpiryAlarms(events, runtime);
    this.#clock = runtime.clock;
    this.#log = runtime.log;
    const ttl = runtime.metrics
      .gauge("issuer_cert_ttl_seconds", "Time until the issuer certificate expires")
      .with();
    runtime.metrics.collect(() => {
      const issuer = this.#issuer;
      const leftMs = issuer === undefined ? 0 : issuer.expiresMs - this.#clock.wallMs();
      ttl.set(Math.max(0, Math.floor(leftMs / 1000)));
    });
  }

  get isLoaded(): boolean {
    return this.#issuer !== undefined;
  }

  get anchors(): readonly X509Certificate[] {
    return this.#anchors;
  }

  get anchorsPem(): string {
    return this.#anchorsPem;
  }

  /**
   * For readiness and logs: why there is no issuer, or why the one that issues is not the one that
   * is stored. Undefined if all is well.
   */
  get problem(): string | undefined {
    const refused = this.#refused.get("issuer") ?? this.#refused.get("anchors");
    if (this.#issuer === undefined) return refused ?? "no issuer has been found yet";
    const problem = this.#issuer.problem(this.#anchors, this.#clock.wallMs());
    if (problem !== undefined || refused === undefined) return problem;
    return `what is stored was refused, and what was there before is in use: ${refused}`;
  }

  /** To be called from time to time. */
  watchExpiry(): void {
    this.#alarms.look("issuer", this.#issuer?.certificates[0]);
    this.#alarms.look("trust_anchor", lastOf(this.#anchors));
  }

  /** Hears of every new issuer and of new anchors. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * The issuer, if it may issue now.
   *
   * @throws MeshError `unknown` if it expired or no longer chains to the anchors.
   */
  usableIssuer(): Issuer {
    const issuer = this.#issuer;
    if (issuer === undefined) throw refusal("unavailable", "Cannot issue: no issuer is loaded");
    const problem = issuer.problem(this.#anchors, this.#clock.wallMs());
    if (problem === undefined) return issuer;
    this.#events.issuerValidationFailed(problem);
    this.#log.error("issuer may not issue", { problem });
    throw refusal("unknown", `Cannot issue: ${problem}`);
  }

  /** New trust anchors. A bundle that does not parse is refused, and the old one stays. */
  setAnchors(pem: string): Promise<void> {
    return this.#inTurn(async () => {
      if (pem === this.#anchorsPem) {
        this.#refused.delete("anchors");
        return;
      }
      try {
        this.#anchors = parseCertificates(pem, "trust anchors");
      } catch (error) {
        this.#skip("anchors", error);
        return;
      }
      this.#refused.delete("anchors");
      this.#anchorsPem = pem;
      this.#log.info("trust anchors loaded", { certificates: this.#anchors.length });
      // An issuer that was refused may be good by these anchors.
      if (this.#files !== this.#usedFiles) await this.#load(this.#files);
      this.#tell();
    });
  }

  setIssuer(files: IssuerFiles): Promise<void> {
    return this.#inTurn(async () => {
      const old = this.#files;
      const isSame = old?.certificatesPem === files.certificatesPem && old?.keyPem === files.keyPem;
      // What was refused is tried again: it may have become valid since.
      if (isSame && this.#files === this.#usedFiles) return;
      this.#files = files;
      await this.#load(files);
    });
  }

  async #load(files: IssuerFiles | undefined): Promise<void> {
    if (files === undefined || this.#anchors.length === 0) return;
    try {
      const issuer = await loadIssuer(files.certificatesPem, files.keyPem);
      const problem = issuer.problem(this.#anchors, this.#clock.wallMs());
      if (problem !== undefined) {
        throw new MeshError("bad_issuer", "self", `Cannot use issuer: ${problem}`);
      }
      const isFirst = this.#issuer === undefined;
      this.#issuer = issuer;
      this.#usedFiles = files;
      this.#refused.delete("issuer");
      const expires = new Date(issuer.expiresMs).toISOString();
      this.#log.info("issuer loaded", { expires });
      if (!isFirst) this.#events.issuerUpdated(expires);
      this.#tell();
    } catch (error) {
      this.#skip("issuer", error);
    }
  }

  #skip(what: "anchors" | "issuer", error: unknown): void {
    if (!(error instanceof MeshError)) throw error;
    const problem = messageOf(error);
    // The timer brings the same problem again and again.
    if (problem === this.#refused.get(what)) return;
    this.#refused.set(what, problem);
    this.#log.error("issuer or anchors refused", { problem });
    this.#events.issuerUpdateSkipped(problem);
  }

  #inTurn(work: () => Promise<void>): Promise<void> {
    const turn = this.#loading.then(work);
    this.#loading = turn.catch(() => undefined);
    return turn;
  }

  #tell(): void {
    this.watchExpiry();
    for (const listener of this.#listeners) listener();
  }
}
