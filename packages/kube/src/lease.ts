import { setTimeout as sleep } from "node:timers/promises";
import { type Clock, systemClock } from "@heddle/base/clock";
import { MeshError, messageOf } from "@heddle/base/errors";
import type { Log } from "@heddle/base/log";
import type { KubeClient } from "./client.ts";
import { hasReason } from "./errors.ts";
import { LEASES, type Lease } from "./types/core.ts";
import type { ObjectRef } from "./types/meta.ts";

export interface LeaseOptions {
  readonly client: KubeClient;
  readonly lease: ObjectRef;
  /** Unique among candidates: pod name, or host and process. */
  readonly holder: string;
  /** Runs while we hold the lease; its signal says that we no longer do. */
  readonly lead: (signal: AbortSignal) => Promise<void>;
  readonly signal: AbortSignal;
  readonly log: Log;
  readonly durationMs?: number;
  /** Without a successful renewal for this long we stop leading, well before others may start. */
  readonly renewDeadlineMs?: number;
  readonly retryMs?: number;
  readonly clock?: Clock;
  readonly onChange?: (isLeader: boolean) => void;
}

/** One look at the lease, or one write to it, before we lead. */
const CALL_TIMEOUT_MS = 5_000;

/**
 * Leads whenever the lease is ours, for as long as the signal lasts, and hands it over at the end.
 *
 * Others' clocks are not trusted: a lease counts as abandoned only when we have seen it unchanged
 * for its whole duration by our own monotonic clock.
 */
export async function runWithLease(options: LeaseOptions): Promise<void> {
  const { signal, log, onChange } = options;
  const candidate = new Candidate(options);
  while (!signal.aborted) {
    if (!(await candidate.tryAcquire())) {
      await pause(options.retryMs ?? 2_000, signal);
      continue;
    }
    if (signal.aborted) {
      await candidate.release();
      return;
    }
    log.info("lease acquired", { lease: options.lease.name, holder: options.holder });
    onChange?.(true);
    try {
      await leadWhileRenewed(options, candidate);
    } finally {
      onChange?.(false);
      log.info("lease released", { lease: options.lease.name, holder: options.holder });
    }
  }
}

async function leadWhileRenewed(options: LeaseOptions, candidate: Candidate): Promise<void> {
  const { signal, clock = systemClock, retryMs = 2_000, renewDeadlineMs = 10_000 } = options;
  const term = new AbortController();
  const stop = (): void => term.abort();
  signal.addEventListener("abort", stop, { once: true });
  let failure: unknown;
  const leading = options
    .lead(term.signal)
    .catch((error: unknown) => {
      if (!term.signal.aborted) failure = error;
    })
    .finally(stop);
  while (!term.signal.aborted) {
    await pause(retryMs, term.signal);
    if (term.signal.aborted) break;
    const outcome = await candidate.renew(renewDeadlineMs);
    const ageMs = clock.nowMs() - candidate.writtenMs;
    if (outcome === "lost" || (outcome === "failed" && ageMs >= renewDeadlineMs)) {
      options.log.warn("lease lost", { lease: options.lease.name });
      stop();
    }
  }
  signal.removeEventListener("abort", stop);
  await leading;
  await candidate.release();
  if (failure !== undefined) throw failure;
}

/** What we know of the lease, and our writes to it. */
class Candidate {
  readonly #options: LeaseOptions;
  readonly #clock: Clock;
  readonly #durationMs: number;
  #seenVersion: string | undefined;
  #seenMs = 0;
  #held: Lease | undefined;
  /** When our last write that went through was sent: others may count from then on. */
  #writtenMs = 0;

  constructor(options: LeaseOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#durationMs = options.durationMs ?? 30_000;
  }

  get writtenMs(): number {
    return this.#writtenMs;
  }

  /** Not cut short by the run's signal: what the server has done already we must know of. */
  async tryAcquire(): Promise<boolean> {
    const { client, lease, log } = this.#options;
    const signal = AbortSignal.timeout(CALL_TIMEOUT_MS);
    const sentMs = this.#clock.nowMs();
    try {
      const found = await client.find(LEASES, lease, { signal });
      if (found === undefined) {
        this.#held = await client.create(LEASES, this.#ours(undefined), { signal });
        this.#writtenMs = sentMs;
        return true;
      }
      if (!this.#isFree(found)) return false;
      this.#held = await client.update(LEASES, this.#ours(found), { signal });
      this.#writtenMs = sentMs;
      return true;
    } catch (error) {
      if (!signal.aborted && !(error instanceof MeshError)) throw error;
      // Somebody else was faster: the usual way to lose.
      if (!hasReason(error, "Conflict", "AlreadyExists")) {
        log.warn("lease not acquired", { lease: lease.name, error: messageOf(error) });
      }
      return false;
    }
  }

  async renew(timeoutMs: number): Promise<"renewed" | "failed" | "lost"> {
    const { client, lease, log } = this.#options;
    const held = this.#held;
    if (held === undefined) return "lost";
    const signal = AbortSignal.timeout(timeoutMs);
    const sentMs = this.#clock.nowMs();
    try {
      this.#held = await client.update(LEASES, this.#ours(held), { signal });
      this.#writtenMs = sentMs;
      return "renewed";
    } catch (error) {
      if (!hasReason(error, "Conflict", "NotFound")) {
        log.warn("lease not renewed", { lease: lease.name, error: messageOf(error) });
        return "failed";
      }
    }
    // Changed under our hands: it is still ours if it still names us.
    try {
      const found = await client.find(LEASES, lease, { signal });
      if (found?.spec?.holderIdentity !== this.#options.holder) return "lost";
      this.#held = found;
      return "failed";
    } catch {
      // Not reachable just now: the deadline decides.
      return "failed";
    }
  }

  /** Best effort: without it others wait for the lease to run out. */
  async release(): Promise<void> {
    const { client, lease, log } = this.#options;
    const held = this.#held;
    this.#held = undefined;
    this.#seenVersion = undefined;
    if (held === undefined) return;
    const spec = { ...held.spec, holderIdentity: "", leaseDurationSeconds: 1 };
    try {
      await client.update(LEASES, { ...held, spec }, { signal: AbortSignal.timeout(2_000) });
    } catch (error) {
      log.debug?.("lease not handed over", { lease: lease.name, error: messageOf(error) });
    }
  }

  #isFree(found: Lease): boolean {
    const holder = found.spec?.holderIdentity ?? "";
    if (holder === "" || holder === this.#options.holder) return true;
    const now = this.#clock.nowMs();
    const version = found.metadata.resourceVersion;
    if (version !== this.#seenVersion) {
      this.#seenVersion = version;
      this.#seenMs = now;
      return false;
    }
    const seconds = found.spec?.leaseDurationSeconds;
    const durationMs = seconds === undefined ? this.#durationMs : seconds * 1000;
    return now - this.#seenMs >= durationMs;
  }

  #ours(found: Lease | undefined): Lease {
    const { lease, holder } = this.#options;
    const time = microTime(this.#clock.wallMs());
    const isRenewal = found?.spec?.holderIdentity === holder;
    const transitions = found?.spec?.leaseTransitions ?? 0;
    return {
      ...found,
      metadata: found?.metadata ?? {
        name: lease.name,
        ...(lease.namespace === undefined ? {} : { namespace: lease.namespace }),
      },
      spec: {
        holderIdentity: holder,
        leaseDurationSeconds: Math.round(this.#durationMs / 1000),
        acquireTime: isRenewal ? (found?.spec?.acquireTime ?? time) : time,
        renewTime: time,
        leaseTransitions: found === undefined || isRenewal ? transitions : transitions + 1,
      },
    };
  }
}

/** RFC 3339 with six digits, as Leases want it. */
export function microTime(wallMs: number): string {
  return new Date(wallMs).toISOString().replace("Z", "000Z");
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => undefined);
}
