import { setTimeout as sleep } from "node:timers/promises";
import type { Clock } from "@heddle/base/clock";
import { messageOf } from "@heddle/base/errors";
import type { Log } from "@heddle/base/log";
import type { KubeClient } from "@heddle/kube/client";
import { LEASES } from "@heddle/kube/types/core";
import { EXTERNAL_WORKLOADS } from "@heddle/kube/types/linkerd";
import {
  DEAD_AFTER_MS,
  leaseOf,
  MACHINE_LABEL,
  type Machines,
  readyCondition,
} from "./machines.ts";

export interface LivenessOptions {
  readonly client: KubeClient;
  readonly machines: Machines;
  readonly clock: Clock;
  readonly log: Log;
  readonly signal: AbortSignal;
  readonly intervalMs?: number;
}

/**
 * Marks machines dead that report no more. Leases are compared with what they were when last looked
 * at, by our own monotonic clock: neither a machine's clock nor a control plane that was away makes
 * a living machine look dead. Run it under a leader's lease.
 */
export async function runLiveness(options: LivenessOptions): Promise<void> {
  const { client, machines, clock, log, signal, intervalMs = 1_000 } = options;
  const seen = new Map<string, { readonly renewTime: string; readonly atMs: number }>();
  while (!signal.aborted) {
    try {
      await look();
    } catch (error) {
      if (signal.aborted) return;
      log.warn("cannot look after machines", { error: messageOf(error) });
    }
    // Only the signal ends the sleep early, and the loop looks at it.
    await sleep(intervalMs, undefined, { signal }).catch(() => undefined);
  }

  async function look(): Promise<void> {
    const labelSelector = MACHINE_LABEL;
    const { items } = await client.list(EXTERNAL_WORKLOADS, { labelSelector, signal });
    const leases = await client.list(LEASES, { labelSelector, signal });
    const renewals = new Map(
      leases.items.map(({ metadata, spec }) => [
        `${metadata.namespace}/${metadata.name}`,
        spec?.renewTime ?? "",
      ]),
    );
    const nowMs = clock.nowMs();
    const current = new Set<string>();
    for (const workload of items) {
      const { namespace, name } = workload.metadata;
      const lease = leaseOf({ namespace, name: name ?? "" });
      const key = `${lease.namespace}/${lease.name}`;
      current.add(key);
      const renewTime = renewals.get(key) ?? "";
      const known = seen.get(key);
      if (known === undefined || known.renewTime !== renewTime) {
        seen.set(key, { renewTime, atMs: nowMs });
        continue;
      }
      const silentMs = nowMs - known.atMs;
      if (silentMs < DEAD_AFTER_MS || readyCondition(workload)?.status === "False") continue;
      const message = `no report for ${Math.round(silentMs / 1000)} s`;
      await machines.setReady(workload, false, "Silent", message);
    }
    for (const key of seen.keys()) if (!current.has(key)) seen.delete(key);
  }
}
