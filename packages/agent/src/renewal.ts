import { Backoff } from "@heddle/base/backoff";
import type { Clock } from "@heddle/base/clock";
import { messageOf } from "@heddle/base/errors";
import type { Log } from "@heddle/base/log";
import { newCsr } from "./csr.ts";
import { type HeldSvid, heldSvid, renewalDelayMs, type SvidHolder } from "./svid.ts";

export interface RenewalOptions {
  readonly svids: SvidHolder;
  /** Asks the control plane: a request in DER for a chain in DER, leaf first. */
  readonly renew: (csr: Uint8Array) => Promise<readonly Uint8Array[]>;
  /** Writes a new SVID down, before anybody gets it. */
  readonly keep: (svid: HeldSvid) => void;
  /** Hears why the identity cannot be renewed, and `undefined` when it was. */
  readonly onProblem: (problem: string | undefined) => void;
  readonly clock: Clock;
  /** Ends early when the signal aborts. */
  readonly pause: (ms: number) => Promise<void>;
  readonly log: Log;
  readonly signal: AbortSignal;
}

/** The wall clock may jump: what is due is asked again so often. */
const LOOK_MS = 60_000;
const RETRY_MIN_MS = 1_000;
const RETRY_MAX_MS = 60_000;

/**
 * Renews the identity at two thirds of its life, for the key that the machine holds, until the
 * signal. Where the control plane is away, the old one stays in use and is asked for again.
 */
export async function keepRenewed(options: RenewalOptions): Promise<void> {
  const { svids, renew, keep, onProblem, clock, pause, log, signal } = options;
  const backoff = new Backoff(RETRY_MIN_MS, RETRY_MAX_MS, 0.2);
  while (!signal.aborted) {
    const leftMs = renewalDelayMs(svids.current, clock.wallMs());
    if (leftMs > 0) {
      await pause(Math.min(leftMs, LOOK_MS));
      continue;
    }
    try {
      const { key, anchors, spiffeId } = svids.current;
      const chain = await renew(await newCsr(key, { type: "url", value: spiffeId }));
      const next = heldSvid(spiffeId, chain, key, anchors);
      keep(next);
      svids.set(next);
      backoff.reset();
      onProblem(undefined);
      log.info("identity renewed", { expires: new Date(next.notAfterMs).toISOString() });
    } catch (error) {
      if (signal.aborted) return;
      onProblem(messageOf(error));
      log.error("cannot renew identity", { error: messageOf(error) });
      await pause(backoff.next());
    }
  }
}
