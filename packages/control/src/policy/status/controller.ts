import { setImmediate as nextTurn } from "node:timers/promises";
import type { Clock } from "@heddle/base/clock";
import { MeshError, messageOf } from "@heddle/base/errors";
import type { Log } from "@heddle/base/log";
import type { Registry } from "@heddle/base/metrics";
import { Slots } from "@heddle/base/slots";
import type { KubeClient } from "@heddle/kube/client";
import { ChangeQueue, runController } from "@heddle/kube/controller";
import { hasReason } from "@heddle/kube/errors";
import { apiVersionOf, type KubeObject, type Resource } from "@heddle/kube/types/meta";
import { STATUS_RESOURCES } from "../resources.ts";
import type { StatusIndex } from "./core.ts";
import { parseKey, type StatusChange, type StatusKey, type StatusKind, textOfKey } from "./keys.ts";
import { StatusMetrics } from "./status-metrics.ts";

const FIELD_MANAGER = "linkerd.io/policy-controller";
const SWEEP_MS = 10_000;
const PATCH_TIMEOUT_MS = 5_000;
/** Written at the same time. A write's time runs from when it is sent. */
const MAX_WRITES = 16;
/** Looked at within one turn of the event loop, so that ten thousand routes hold nobody up. */
const LOOKS_PER_TURN = 200;
/** Kinds that have a status with our own definitions only, and none with Linkerd's. */
const OWN_KINDS: readonly StatusKind[] = ["server", "authorization"];

export interface StatusOptions {
  readonly client: KubeClient;
  readonly index: StatusIndex;
  readonly log: Log;
  readonly clock: Clock;
  readonly metrics: Registry;
  readonly sweepMs?: number;
  /** The versions of a kind that may be written to, likeliest first. */
  readonly versionsOf: (of: Resource<KubeObject>) => readonly Resource<KubeObject>[];
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
  readonly #slots = new Slots(MAX_WRITES);
  /** Kinds that no status can be written of. */
  #absent: ReadonlySet<StatusKind> = new Set(OWN_KINDS);
  #queue: ChangeQueue<string> | undefined;

  constructor(options: StatusOptions) {
    this.#options = options;
    this.#metrics = new StatusMetrics(options.metrics);
  }

  /** To be called when the index has changed. Does nothing while somebody else leads. */
  sweep(): void {
    if (this.#queue !== undefined) void this.#look(this.#options.index.takeDirty(), false);
  }

  /** Leads until the signal aborts. */
  async lead(signal: AbortSignal): Promise<void> {
    const { log, sweepMs = SWEEP_MS } = this.#options;
    this.#queue = new ChangeQueue(signal);
    const sweepAll = (): Promise<void> => this.#sweepAll(signal);
    const timer = setInterval(() => void sweepAll(), sweepMs);
    try {
      void sweepAll();
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

  /** Looks at everything: what an event has missed, and counts that have waited until now. */
  async #sweepAll(signal: AbortSignal): Promise<void> {
    this.#absent = await this.#absentKinds(signal);
    if (signal.aborted) return;
    this.#options.index.takeDirty();
    await this.#look(this.#options.index.keys(), true);
  }

  /** @param withMinor - Whether changes count that can wait. */
  async #look(keys: Iterable<StatusKey>, withMinor: boolean): Promise<void> {
    const queue = this.#queue;
    let looks = 0;
    for (const key of keys) {
      if (queue === undefined || this.#queue !== queue) return;
      const change = this.#absent.has(key.kind) ? undefined : this.#change(key);
      if (change !== undefined && (withMinor || !change.isMinor)) {
        queue.add(textOfKey(key));
        this.#metrics.enqueues.inc();
      }
      looks++;
      if (looks % LOOKS_PER_TURN === 0) await nextTurn();
    }
  }

  /** One object that no schema should have let through must not cost the others their statuses. */
  #change(key: StatusKey): StatusChange | undefined {
    const { index, clock, log } = this.#options;
    try {
      return index.change(key, `${new Date(clock.wallMs()).toISOString().slice(0, 19)}Z`);
    } catch (error) {
      log.error("status not worked out", { object: textOfKey(key), error });
      return undefined;
    }
  }

  /**
   * Those of our own kinds whose definitions are Linkerd's, which have no status. Asked again with
   * each sweep: definitions are replaced in both directions while we run.
   */
  async #absentKinds(signal: AbortSignal): Promise<ReadonlySet<StatusKind>> {
    const absent = new Set<StatusKind>();
    for (const kind of OWN_KINDS) {
      const { plural, ...of } = STATUS_RESOURCES[kind];
      const path = `/apis/${apiVersionOf({ plural, ...of })}`;
      try {
        const { resources } = await this.#options.client.raw<Discovery>("GET", path, { signal });
        if (resources.some(({ name }) => name === `${plural}/status`)) continue;
      } catch (error) {
        if (!signal.aborted && !(error instanceof MeshError)) throw error;
      }
      absent.add(kind);
    }
    return absent;
  }

  async #reconcile(text: string, signal: AbortSignal): Promise<void> {
    await this.#slots.take();
    try {
      if (!signal.aborted) await this.#write(text, signal);
    } finally {
      this.#slots.give();
    }
  }

  async #write(text: string, signal: AbortSignal): Promise<void> {
    const { clock } = this.#options;
    this.#metrics.dequeues.inc();
    const key = parseKey(text);
    const change = this.#change(key);
    if (change === undefined) {
      this.#written.delete(text);
      this.#metrics.drops.inc();
      return;
    }
    if (this.#written.has(text) && this.#written.get(text) === change.resourceVersion) return;
    const startedMs = clock.nowMs();
    const timeout = AbortSignal.timeout(PATCH_TIMEOUT_MS);
    try {
      await this.#patch(key, change, AbortSignal.any([signal, timeout]));
    } catch (error) {
      if (timeout.aborted) this.#metrics.timeouts.inc();
      throw error;
    }
    this.#written.set(text, change.resourceVersion);
    this.#metrics.patches.inc();
    this.#metrics.seconds.observe((clock.nowMs() - startedMs) / 1_000);
  }

  /** A version may go while what was read in it stays: then the next one takes the status. */
  async #patch(key: StatusKey, change: StatusChange, signal: AbortSignal): Promise<void> {
    const { client, versionsOf } = this.#options;
    let absent: unknown;
    for (const resource of versionsOf(STATUS_RESOURCES[key.kind])) {
      const body = {
        apiVersion: apiVersionOf(resource),
        kind: resource.kind,
        // The version makes it fail rather than undo what another controller has just written.
        metadata: { name: key.name, resourceVersion: change.resourceVersion },
        status: change.status,
      };
      try {
        await client.patch(
          resource,
          { namespace: key.namespace, name: key.name },
          { type: "merge", body },
          { subresource: "status", fieldManager: FIELD_MANAGER, signal },
        );
        return;
      } catch (error) {
        if (!hasReason(error, "NotFound")) throw error;
        absent ??= error;
      }
    }
    throw absent;
  }
}

interface Discovery {
  readonly resources: readonly { readonly name: string }[];
}
