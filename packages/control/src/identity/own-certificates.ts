import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { Backoff } from "@heddle/base/backoff";
import type { Clock } from "@heddle/base/clock";
import { MeshError, messageOf } from "@heddle/base/errors";
import type { Log } from "@heddle/base/log";
import { Credentials } from "@heddle/net/tls-credentials";
import { TlsTerminator } from "@heddle/net/tls-server";

/** A certificate for a key of ours. */
export interface OwnCertificate {
  /** Leaf first. DER. */
  readonly chain: readonly Uint8Array[];
  readonly notAfterMs: number;
}

/** Where our own certificates come from. */
export interface OwnIssuer {
  /** PEM; empty while they are not known. */
  readonly anchorsPem: string;
  issue(name: string, key: KeyPair, signal: AbortSignal): Promise<OwnCertificate>;
  /** Hears of a new issuer and of new anchors. */
  onChange(listener: () => void): () => void;
}

export interface KeyPair {
  readonly publicKey: KeyObject;
  readonly privateKey: KeyObject;
}

/**
 * How often it is looked whether renewal is due: by the wall clock, which may jump. In a cluster that
 * is being installed identity starts when we do, and all wait for us.
 */
const TICK_MS = 1_000;
/** A clock that was set back by less makes no difference. */
const CLOCK_SLACK_MS = 10_000;
/** Renewed when this part of the remaining life has passed. */
const RENEW_AT = 0.7;

interface Held {
  readonly name: string;
  readonly key: KeyPair;
  readonly backoff: Backoff;
  terminator: TlsTerminator | undefined;
  credentials: Credentials | undefined;
  /** By the wall clock, all three. */
  takenMs: number;
  renewAtMs: number;
  expiresMs: number;
}

/**
 * One record at a time: what is encrypted waits in a buffer of the runtime, which keeps each page
 * that was ever used. Only snapshots are longer.
 */
const MAX_TLS_WRITE_BYTES = 4_000;

/** The certificates that our ports serve with, one per name, kept fresh. */
export class OwnCertificates implements AsyncDisposable {
  readonly #issuer: OwnIssuer;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #held = new Map<string, Held>();
  readonly #selfContained: ReadonlySet<string>;
  readonly #stop = new AbortController();
  readonly #ticker: NodeJS.Timeout;
  readonly #unsubscribe: () => void;
  readonly #onBug: (error: unknown) => void;
  readonly #ready: PromiseWithResolvers<void> = Promise.withResolvers();
  /** Renewals run one after the other. */
  #working: Promise<void> = Promise.resolve();

  /**
   * @param selfContained - Names whose chain ends with the trust anchors, for clients that know only
   * the anchors' fingerprint yet.
   */
  constructor(
    issuer: OwnIssuer,
    names: readonly string[],
    runtime: {
      readonly clock: Clock;
      readonly log: Log;
      readonly onBug: (error: unknown) => void;
    },
    selfContained: readonly string[] = [],
  ) {
    this.#issuer = issuer;
    this.#selfContained = new Set(selfContained);
    this.#clock = runtime.clock;
    this.#log = runtime.log;
    this.#onBug = runtime.onBug;
    for (const name of names) {
      const key = generateKeyPairSync("ec", { namedCurve: "P-256" });
      const backoff = new Backoff(1_000, 30_000, 0.1);
      const never = Number.NEGATIVE_INFINITY;
      this.#held.set(name, {
        name,
        key,
        backoff,
        terminator: undefined,
        credentials: undefined,
        takenMs: never,
        renewAtMs: never,
        expiresMs: never,
      });
    }
    this.#ticker = setInterval(() => void this.renewDue(), TICK_MS);
    this.#ticker.unref();
    // All of them: what was issued by the old issuer may not chain to the new anchors.
    this.#unsubscribe = issuer.onChange(() => {
      for (const held of this.#held.values()) held.renewAtMs = Number.NEGATIVE_INFINITY;
      void this.renewDue();
    });
    void this.renewDue();
  }

  /** Every name has a certificate that is valid now. */
  get isReady(): boolean {
    const now = this.#clock.wallMs();
    return [...this.#held.values()].every(
      (one) => one.terminator !== undefined && now < one.expiresMs,
    );
  }

  /** Resolves when every name has its first certificate. */
  get ready(): Promise<void> {
    return this.#ready.promise;
  }

  /**
   * What shakes hands as this name; as `otherwise`, if we do not have that name.
   *
   * @returns undefined while there is no certificate.
   */
  terminator(name: string, otherwise: string): TlsTerminator | undefined {
    return (this.#held.get(name) ?? this.#held.get(otherwise))?.terminator;
  }

  /** Renews what is due. Happens by itself every few seconds; resolves when it is done. */
  renewDue(): Promise<void> {
    this.#working = this.#working.then(() => this.#renewAll()).catch(this.#onBug);
    return this.#working;
  }

  async close(): Promise<void> {
    clearInterval(this.#ticker);
    this.#unsubscribe();
    this.#stop.abort();
    await this.#working;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #renewAll(): Promise<void> {
    for (const held of this.#held.values()) {
      if (this.#stop.signal.aborted) return;
      const now = this.#clock.wallMs();
      // A clock that was set back makes certificates of the future: renewed as well.
      const isOfTheFuture = now < held.takenMs - CLOCK_SLACK_MS;
      if (now >= held.renewAtMs || isOfTheFuture) await this.#renew(held);
    }
  }

  async #renew(held: Held): Promise<void> {
    const anchors = this.#issuer.anchorsPem;
    if (anchors === "") return;
    try {
      const issued = await this.#issuer.issue(held.name, held.key, this.#stop.signal);
      this.#take(held, anchors, issued);
    } catch (error) {
      if (this.#stop.signal.aborted) return;
      if (!(error instanceof MeshError)) throw error;
      held.renewAtMs = this.#clock.wallMs() + held.backoff.next();
      this.#log.warn("own certificate not renewed", { name: held.name, error: messageOf(error) });
    }
  }

  #take(held: Held, anchors: string, issued: OwnCertificate): void {
    const material = {
      anchors,
      certificate:
        issued.chain.map(pemOf).join("") + (this.#selfContained.has(held.name) ? anchors : ""),
      privateKey: held.key.privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
    };
    if (held.credentials === undefined) {
      const credentials = new Credentials(material);
      held.credentials = credentials;
      // Tools want their `h2` to be chosen; proxies offer nothing.
      const alpn = ["h2"];
      held.terminator = new TlsTerminator({
        credentials,
        alpn,
        clock: this.#clock,
        maxTlsWriteBytes: MAX_TLS_WRITE_BYTES,
      });
    } else {
      held.credentials.set(material);
    }
    const now = this.#clock.wallMs();
    held.takenMs = now;
    held.expiresMs = issued.notAfterMs;
    held.renewAtMs = now + (issued.notAfterMs - now) * RENEW_AT;
    held.backoff.reset();
    const expires = new Date(issued.notAfterMs).toISOString();
    this.#log.info("own certificate renewed", { name: held.name, expires });
    if (this.isReady) this.#ready.resolve();
  }
}

function pemOf(der: Uint8Array): string {
  const lines =
    Buffer.from(der)
      .toString("base64")
      .match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join("\n")}\n-----END CERTIFICATE-----\n`;
}
