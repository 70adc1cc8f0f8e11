import { readFile } from "node:fs/promises";
import { Identity as IdentityService } from "@heddle/api/gen/identity_pb";
import type { Clock } from "@heddle/base/clock";
import { MeshError, messageOf } from "@heddle/base/errors";
import type { Log } from "@heddle/base/log";
import type { Registry } from "@heddle/base/metrics";
import { type ControlParts, newControlClient } from "../discovery/control-channel.ts";
import { durationMs } from "../discovery/endpoint.ts";
import type { CertifyConfig, IdentityConfig } from "./config.ts";
import { HeldIdentity } from "./held.ts";
import type { Identity } from "./identity.ts";

/** A call waits so long for a connection before it fails. */
const FAIL_FAST_MS = 30_000;
/** Of the life that is left, when the next certificate is asked for. */
const REFRESH_AT = 0.7;

/** Identity from Linkerd's identity service: the same signing request again and again, by token. */
export class CertifiedIdentity implements Identity {
  readonly #held: HeldIdentity;
  readonly #config: CertifyConfig;
  readonly #newParts: (held: HeldIdentity) => ControlParts;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #stop = new AbortController();
  #wake: (() => void) | undefined;

  constructor(
    config: IdentityConfig & { readonly source: CertifyConfig },
    newParts: (held: HeldIdentity) => ControlParts,
    options: { readonly clock: Clock; readonly log: Log; readonly metrics: Registry },
  ) {
    this.#held = new HeldIdentity(config, options.clock, options.metrics);
    this.#config = config.source;
    this.#newParts = newParts;
    this.#clock = options.clock;
    this.#log = options.log;
    this.#run().catch((bug: unknown) => options.log.error("identity failed", { bug }));
  }

  get id(): string {
    return this.#held.id;
  }

  get serverName(): string {
    return this.#held.serverName;
  }

  get credentials(): Identity["credentials"] {
    return this.#held.credentials;
  }

  get isReady(): boolean {
    return this.#held.isReady;
  }

  get ready(): Promise<void> {
    return this.#held.ready;
  }

  async close(): Promise<void> {
    this.#stop.abort();
    this.#wake?.();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #run(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      try {
        await this.#certify();
      } catch (error) {
        if (this.#stop.signal.aborted) return;
        if (!(error instanceof MeshError)) throw error;
        this.#held.failed();
        this.#log.error("Failed to obtain identity", { error: messageOf(error) });
      }
      await this.#sleep(this.#untilRefreshMs());
    }
  }

  /** Each call has a connection of its own, so that it presents the current certificate. */
  async #certify(): Promise<void> {
    const { channel, client } = newControlClient(
      this.#config.control,
      this.#newParts(this.#held),
      FAIL_FAST_MS,
    );
    try {
      const response = await client.unary(
        IdentityService.method.certify,
        {
          identity: this.#held.serverName,
          token: await this.#readToken(),
          certificateSigningRequest: this.#config.csr,
        },
        { signal: this.#stop.signal },
      );
      const { leafCertificate, intermediateCertificates, validUntil } = response;
      const untilMs = validUntil === undefined ? undefined : durationMs(validUntil);
      if (untilMs === undefined) throw refused("identity certification missing expiration");
      if (untilMs <= this.#clock.wallMs()) throw refused("certificate already expired");
      const chain = [leafCertificate, ...intermediateCertificates];
      this.#held.install({ chain, key: this.#config.key }, untilMs);
      this.#log.info("Certified identity", { id: this.#held.id });
    } finally {
      await channel.close();
    }
  }

  async #readToken(): Promise<Uint8Array> {
    try {
      const token = await readFile(this.#config.tokenPath);
      if (token.length > 0) return token;
    } catch (error) {
      const message = `Cannot read token ${this.#config.tokenPath}`;
      throw new MeshError("no_token", "self", message, { cause: error });
    }
    throw new MeshError("no_token", "self", `Cannot use token ${this.#config.tokenPath}: empty`);
  }

  #untilRefreshMs(): number {
    return refreshDelayMs(this.#held.notAfterMs - this.#clock.wallMs(), this.#config);
  }

  #sleep(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(done, ms);
      timer.unref();
      this.#wake = done;
      function done(): void {
        clearTimeout(timer);
        resolve();
      }
    });
  }
}

/** How long to wait before the next certificate, when the present one has `leftMs` to live. */
export function refreshDelayMs(
  leftMs: number,
  { minRefreshMs, maxRefreshMs }: Pick<CertifyConfig, "minRefreshMs" | "maxRefreshMs">,
): number {
  if (leftMs <= 0) return minRefreshMs;
  return Math.min(Math.max(leftMs * REFRESH_AT, minRefreshMs), maxRefreshMs);
}

function refused(why: string): MeshError {
  return new MeshError("bad_identity", "control", `Cannot use certificate: ${why}`);
}
