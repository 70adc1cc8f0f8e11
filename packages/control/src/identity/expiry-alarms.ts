import type { X509Certificate } from "node:crypto";
import type { Clock } from "@heddle/base/clock";
import type { Log } from "@heddle/base/log";
import type { Gauge, Registry } from "@heddle/base/metrics";
import type { IdentityEvents } from "./events.ts";

export type AlarmedKind = "issuer" | "trust_anchor";

/**
 * Of a certificate's whole life, what is left when somebody should hear of it. Ratios and not days:
 * cert-manager's issuers may live for two, and renews them when a third is left.
 */
const STAGES = [0.2, 0.1, 0.05, 0] as const;

interface Alarmed {
  readonly fingerprint: string;
  /** Stages that were told of. */
  told: number;
}

/** Tells in good time that a certificate of the mesh ends: by metric, by event and in the log. */
export class ExpiryAlarms {
  readonly #events: IdentityEvents;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #gauges: Readonly<Record<AlarmedKind, Gauge>>;
  readonly #known = new Map<AlarmedKind, Alarmed>();

  constructor(
    events: IdentityEvents,
    runtime: { readonly clock: Clock; readonly log: Log; readonly metrics: Registry },
  ) {
    this.#events = events;
    this.#clock = runtime.clock;
    this.#log = runtime.log;
    const family = runtime.metrics.gauge(
      "heddle_certificate_expiration_timestamp_seconds",
      "When the issuer, and the last of the trust anchors, ends; seconds since the epoch",
    );
    this.#gauges = {
      issuer: family.with({ kind: "issuer" }),
      trust_anchor: family.with({ kind: "trust_anchor" }),
    };
  }

  /** To be called whenever there is another certificate, and from time to time. */
  look(kind: AlarmedKind, certificate: X509Certificate | undefined): void {
    if (certificate === undefined) return;
    const fromMs = certificate.validFromDate.getTime();
    const untilMs = certificate.validToDate.getTime();
    this.#gauges[kind].set(Math.floor(untilMs / 1_000));
    const { fingerprint256: fingerprint } = certificate;
    let known = this.#known.get(kind);
    if (known?.fingerprint !== fingerprint) {
      known = { fingerprint, told: 0 };
      this.#known.set(kind, known);
    }
    const left = (untilMs - this.#clock.wallMs()) / (untilMs - fromMs);
    const stage = STAGES.filter((ratio) => left <= ratio).length;
    if (stage <= known.told) return;
    known.told = stage;
    const expires = certificate.validToDate.toISOString();
    this.#log.warn("a certificate of the mesh ends", {
      kind,
      expires,
      subject: certificate.subject,
    });
    this.#events.expires(kind, expires, left <= 0);
  }
}

/** Of several anchors the one that ends last: the others are on their way out. */
export function lastOf(anchors: readonly X509Certificate[]): X509Certificate | undefined {
  return anchors.reduce<X509Certificate | undefined>(
    (last, one) =>
      last === undefined || one.validToDate.getTime() > last.validToDate.getTime() ? one : last,
    undefined,
  );
}
