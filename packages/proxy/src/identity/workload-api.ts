import {
  SpiffeWorkloadAPI,
  type X509SVID,
  type X509SVIDResponse,
} from "@heddle/api/gen/workload_pb";
import { Backoff } from "@heddle/base/backoff";
import type { Clock } from "@heddle/base/clock";
import { MeshError, messageOf } from "@heddle/base/errors";
import type { Log } from "@heddle/base/log";
import type { Registry } from "@heddle/base/metrics";
import { dial } from "@heddle/net/dialer";
import { GrpcChannel } from "@heddle/net/grpc/channel";
import { GrpcClient } from "@heddle/net/grpc/client";
import type { Http2Runtime } from "@heddle/net/http2/runtime";
import { HeaderMap } from "@heddle/wire/http/headers";
import { StreamWatch } from "../discovery/stream-watch.ts";
import type { IdentityConfig, WorkloadApiConfig } from "./config.ts";
import { HeldIdentity } from "./held.ts";
import type { Identity } from "./identity.ts";

const CONNECT_TIMEOUT_MS = 1_000;
const NO_LIMITS = { initialMs: undefined, idleMs: undefined, lifetimeMs: undefined };

/**
 * Identity from a SPIFFE Workload API on a unix socket: the SVID with our id, each time it changes.
 * Unlike Linkerd's, it is asked again after every failure, also of the first call.
 */
export class WorkloadIdentity implements Identity {
  readonly #held: HeldIdentity;
  readonly #channel: GrpcChannel;
  readonly #watch: StreamWatch<X509SVIDResponse>;
  readonly #log: Log;

  constructor(
    config: IdentityConfig & { readonly source: WorkloadApiConfig },
    options: {
      readonly clock: Clock;
      readonly log: Log;
      readonly metrics: Registry;
      readonly http2: Http2Runtime;
      readonly random: () => number;
    },
  ) {
    const { socketPath, backoff } = config.source;
    const { clock, log, random } = options;
    const newBackoff = (): Backoff =>
      new Backoff(backoff.minMs, backoff.maxMs, backoff.jitter, random);
    this.#held = new HeldIdentity(config, clock, options.metrics);
    this.#log = log;
    this.#channel = new GrpcChannel({
      dial: (signal) =>
        dial({ address: { path: socketPath }, timeoutMs: CONNECT_TIMEOUT_MS, signal }),
      backoff: newBackoff(),
      http2: { runtime: options.http2 },
      failFastMs: Number.POSITIVE_INFINITY,
      side: "control",
      onState: (state, cause) => {
        if (state !== "backoff") return;
        log.warn("Workload API cannot be reached", { socketPath, error: cause?.message ?? "" });
      },
    });
    const metadata = new HeaderMap();
    metadata.append("workload.spiffe.io", "true");
    const client = new GrpcClient(this.#channel, {
      authority: "localhost",
      side: "control",
      metadata,
    });
    this.#watch = new StreamWatch({
      name: "FetchX509SVID",
      subject: socketPath,
      open: (signal) => client.serverStream(SpiffeWorkloadAPI.method.fetchX509SVID, {}, { signal }),
      told: (message) => this.#install(message.svids),
      isTerminal: () => false,
      refused: () => {},
      backoff: newBackoff(),
      mode: "watch",
      limits: NO_LIMITS,
      clock,
      log,
    });
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
    this.#watch.close();
    await this.#channel.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Of several SVIDs with our id the last counts. Whatever is refused leaves the old one in use. */
  #install(svids: readonly X509SVID[]): void {
    const mine = svids.findLast((svid) => svid.spiffeId === this.#held.id);
    try {
      if (mine === undefined) {
        const offered = svids.map((svid) => svid.spiffeId).join(", ") || "none";
        const message = `Cannot use SVID: none for ${this.#held.id} among ${offered}`;
        throw new MeshError("bad_identity", "control", message);
      }
      if (mine.x509SvidKey.length === 0) {
        throw new MeshError("bad_identity", "control", "Cannot use SVID: it has no key");
      }
      this.#held.install({ chain: splitDer(mine.x509Svid), key: mine.x509SvidKey });
      this.#log.info("Installed SVID", { id: this.#held.id });
    } catch (error) {
      if (!(error instanceof MeshError)) throw error;
      this.#held.failed();
      this.#log.error("Failed to install SVID", { error: messageOf(error) });
    }
  }
}

/** DER certificates one after the other, cut apart by their lengths. */
export function splitDer(bytes: Uint8Array): Uint8Array[] {
  const found: Uint8Array[] = [];
  let at = 0;
  while (at < bytes.length) {
    const first = bytes[at + 1];
    if (bytes[at] !== 0x30 || first === undefined) throw badDer();
    let headerBytes = 2;
    let length = first;
    if (first >= 0x80) {
      const count = first & 0x7f;
      if (count === 0 || count > 3) throw badDer();
      length = 0;
      for (let i = 0; i < count; i++) length = length * 256 + (bytes[at + 2 + i] ?? 0);
      headerBytes += count;
    }
    const end = at + headerBytes + length;
    if (end > bytes.length) throw badDer();
    found.push(bytes.subarray(at, end));
    at = end;
  }
  return found;
}

function badDer(): MeshError {
  return new MeshError("bad_identity", "control", "Cannot use SVID: its certificates are no DER");
}
