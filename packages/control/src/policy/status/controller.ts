import type { Clock } from "@heddle/base/clock";
import { messageOf } from "@heddle/base/errors";
import type { Log } from "@heddle/base/log";
import type { Counter, Histogram, Registry } from "@heddle/base/metrics";
import type { KubeClient } from "@heddle/kube/client";
import { ChangeQueue, runController } from "@heddle/kube/controller";
import { hasReason } from "@heddle/kube/errors";
import { apiVersionOf } from "@heddle/kube/types/meta";
import { STATUS_RESOURCES } from "../resources.ts";
import type { StatusIndex, StatusKey, StatusKind } from "./core.ts";

const FIELD_MANAGER = "linkerd.io/policy-controller";
const SWEEP_MS = 10_000;
const PATCH_TIMEOUT_MS = 5_000;
const SECONDS = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5];

export interface StatusOptions {
  readonly client: KubeClient;
  readonly index: StatusIndex;
  readonly log: Log;
  readonly clock: Clock;
  readonly metrics: Registry;
  readonly sweepMs?: number;
}

/** Writes the statuses that are not what they should be, while it leads. */
export class StatusController {
  readonly #options: StatusOptions;
  readonly #metrics: StatusMetrics;
  /**
   * What was written last, by key, until the watch shows it: the version that the write was made
   * from. The index lags behind our own writes, and the same write twice would be one too many.
   */
  readonly #written = new Map<string, string | undefined>();
  #queue: ChangeQueue<string> | undefined;

  constructor(options: StatusOptions) {
    this.#options = options;
    this.#metrics = new StatusMetrics(options.metrics);
  }

  /** To be called when the index has changed. Does nothing while somebody else leads. */
  sweep(): void {
    const queue = this.#queue;
    if (queue === undefined) return;
    for (const key of this.#options.index.pending()) {
      queue.add(textOf(key));
      this.#metrics.enqueues.inc();
    }
  }

  /** Leads until the signal aborts. */
  async lead(signal: AbortSignal): Promise<void> {
    const { log, sweepMs = SWEEP_MS } = this.#options;
    this.#queue = new ChangeQueue(signal);
    const timer = setInterval(() => this.sweep(), sweepMs);
    try {
      this.sweep();
      await runController({
        changes: this.#queue,
        reconcile: (key, stop) => this.#reconcile(key, stop),
        onError: (key, error) => {
          this.#metrics.errors.inc();
          // Somebody else wrote at the same time; the next attempt sees what.
          const level = hasReason(error, "Conflict", "NotFound") ? "debug" : "warn";
          log[level]?.("status not written", { object: key, error: messageOf(error) });
        },
        signal,
        maxRetries: 5,
      });
    } finally {
      clearInterval(timer);
      this.#queue = undefined;
      this.#written.clear();
    }
  }

  async #reconcile(text: string, signal: AbortSignal): Promise<void> {
    const { client, index, clock } = this.#options;
    this.#metrics.dequeues.inc();
    const key = keyOf(text);
    const now = `${new Date(clock.wallMs()).toISOString().slice(0, 19)}Z`;
    const change = index.change(key, now);
    if (change === undefined) {
      this.#written.delete(text);
      this.#metrics.drops.inc();
      return;
    }
    if (this.#written.has(text) && this.#written.get(text) === change.resourceVersion) return;
    const resource = STATUS_RESOURCES[key.kind];
    const body = {
      apiVersion: apiVersionOf(resource),
      kind: resource.kind,
      // The version makes it fail rather than undo what another controller has just written.
      metadata: { name: key.name, resourceVersion: change.resourceVersion },
      status: change.status,
    };
    const startedMs = clock.nowMs();
    const timeout = AbortSignal.timeout(PATCH_TIMEOUT_MS);
    try {
      await client.patch(
        resource,
        { namespace: key.namespace, name: key.name },
        { type: "merge", body },
        {
          subresource: "status",
          fieldManager: FIELD_MANAGER,
          signal: AbortSignal.any([signal, timeout]),
        },
      );
    } catch (error) {
      if (timeout.aborted) this.#metrics.timeouts.inc();
      throw error;
    }
    this.#written.set(text, change.resourceVersion);
    this.#metrics.patches.inc();
    this.#metrics.seconds.observe((clock.nowMs() - startedMs) / 1_000);
  }
}

function textOf({ kind, namespace, name }: StatusKey): string {
  return `${kind}/${namespace}/${name}`;
}

function keyOf(text: string): StatusKey {
  const [kind, namespace, name] = text.split("/");
  return { kind: kind as StatusKind, namespace: namespace!, name: name! };
}

class StatusMetrics {
  readonly patches: Counter;
  readonly errors: Counter;
  readonly timeouts: Counter;
  readonly enqueues: Counter;
  readonly dequeues: Counter;
  readonly drops: Counter;
  readonly seconds: Histogram;

  constructor(registry: Registry) {
    const counter = (name: string, help: string): Counter =>
      registry.counter(`resource_status_${name}_total`, help).with();
    this.patches = counter("patches", "Statuses written");
    this.errors = counter("patch_api_errors", "Statuses that the API refused");
    this.timeouts = counter("patch_timeouts", "Statuses that took too long to write");
    this.enqueues = counter("patch_enqueues", "Statuses found to be wrong");
    this.dequeues = counter("patch_dequeues", "Statuses taken up for writing");
    this.drops = counter("patch_drops", "Statuses that were right when their turn came");
    this.seconds = registry
      .histogram("resource_status_patch_duration_seconds", "Time to write a status", SECONDS, {
        unit: "seconds",
      })
      .with();
  }
}
