import type { Clock } from "@heddle/base/clock";
import { MeshError, messageOf } from "@heddle/base/errors";
import type { Log } from "@heddle/base/log";
import type { KubeClient } from "@heddle/kube/client";
import { NEW_EVENTS, PODS, type Pod } from "@heddle/kube/types/core";
import type { WatchHandler } from "@heddle/kube/watch";
import type { RepairMetrics } from "./metrics.ts";

export interface RepairOptions {
  readonly client: KubeClient;
  /** Our own pod's name, for events. */
  readonly podName: string;
  readonly metrics: RepairMetrics;
  readonly log: Log;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly onSynced: () => void;
  /** Hears what no pod is to blame for; nothing is repaired from then on. */
  readonly onBug: (error: unknown) => void;
}

/** What the network validator ends with where the rules are missing. */
const NOT_VALIDATED_EXIT_CODE = 95;
const VALIDATOR = "linkerd-network-validator";
const CONTROLLER = "linkerd-cni-repair-controller";
/** A failed pod fails again and again, so what finds no place is heard of once more. */
const MAX_WAITING = 32;
const CALL_TIMEOUT_MS = 1_000;

/** Whether a pod came up without its rules, and is still there. */
export function isBroken({ metadata, status }: Pod): boolean {
  if (metadata.deletionTimestamp !== undefined && metadata.deletionTimestamp !== null) return false;
  const validator = status?.initContainerStatuses?.find(({ name }) => name === VALIDATOR);
  return validator?.lastState?.terminated?.exitCode === NOT_VALIDATED_EXIT_CODE;
}

/**
 * Deletes pods that came up without their rules, one after the other: whoever made them makes them
 * anew, and the plugin, which by now is installed, gives them rules.
 */
export class Repair implements WatchHandler<Pod> {
  readonly #options: RepairOptions;
  /** By uid, so that a pod waits once. */
  readonly #waiting = new Map<string, Pod>();
  #working: Promise<void> | undefined;

  constructor(options: RepairOptions) {
    this.#options = options;
  }

  onList(pods: readonly Pod[]): void {
    for (const pod of pods) this.onApplied(pod);
    this.#options.onSynced();
  }

  onApplied(pod: Pod): void {
    if (!isBroken(pod)) return;
    const { uid = "", namespace, name } = pod.metadata;
    if (this.#waiting.has(uid)) return;
    if (this.#waiting.size >= MAX_WAITING) {
      this.#options.log.debug?.("Dropped event (channel full)", { namespace, name });
      this.#options.metrics.queueOverflow.inc();
      return;
    }
    this.#waiting.set(uid, pod);
    this.#working ??= this.#work();
  }

  onDeleted(pod: Pod): void {
    this.#waiting.delete(pod.metadata.uid ?? "");
  }

  /** Resolves when nobody waits. */
  async drained(): Promise<void> {
    await this.#working;
  }

  async #work(): Promise<void> {
    try {
      for (let next = this.#next(); next !== undefined; next = this.#next()) {
        if (await this.#delete(next)) await this.#tell(next);
        this.#waiting.delete(next.metadata.uid ?? "");
      }
    } catch (error) {
      this.#options.onBug(error);
    } finally {
      this.#working = undefined;
    }
  }

  #next(): Pod | undefined {
    if (this.#options.signal.aborted) return undefined;
    return this.#waiting.values().next().value;
  }

  async #delete(pod: Pod): Promise<boolean> {
    const { client, log, metrics } = this.#options;
    const { namespace, name = "", uid = "" } = pod.metadata;
    const seconds = await this.#timed(
      (signal) => {
        // Only this very pod: one of the same name may be its good successor.
        const options = { gracePeriodSeconds: 0, preconditions: { uid }, signal };
        return client.delete(PODS, { namespace, name }, options);
      },
      (error) => {
        log.warn("Error deleting pod", { error: messageOf(error), namespace, name });
        metrics.podsDeleteErrors.inc();
      },
      () => {
        log.warn("Pod deletion timed out", { namespace, name });
        metrics.podsDeleteTimeouts.inc();
      },
    );
    if (seconds === undefined) return false;
    log.info("Deleted pod", { namespace, name });
    metrics.podsDeleted.inc();
    metrics.podsDeleteLatency.observe(seconds);
    return true;
  }

  async #tell({ metadata }: Pod): Promise<void> {
    const { client, clock, podName, log, metrics } = this.#options;
    const { namespace, name = "", uid } = metadata;
    const regarding = {
      apiVersion: "v1",
      kind: "Pod",
      name,
      ...(namespace === undefined ? {} : { namespace }),
      ...(uid === undefined ? {} : { uid }),
    };
    const event = {
      // A point at its end would do for the name, but not for the API server.
      metadata: { generateName: `${name}-`, ...(namespace === undefined ? {} : { namespace }) },
      eventTime: new Date(clock.wallMs()).toISOString().replace("Z", "000Z"),
      reportingController: CONTROLLER,
      reportingInstance: podName,
      action: "Deleting",
      reason: "LinkerdCNINotConfigured",
      type: "Normal",
      note: "Deleting pod to create a new one with proper CNI config",
      regarding,
    } as const;
    const seconds = await this.#timed(
      (signal) => client.create(NEW_EVENTS, event, { signal }),
      (error) => {
        log.warn("Error publishing event", { error: messageOf(error), namespace, name });
        metrics.eventsPublishErrors.inc();
      },
      () => {
        log.warn("Event publishing timed out", { namespace, name });
        metrics.eventsPublishTimeouts.inc();
      },
    );
    if (seconds !== undefined) metrics.eventsPublishLatency.observe(seconds);
  }

  /** How long a call took; undefined if it failed or took too long. */
  async #timed(
    call: (signal: AbortSignal) => Promise<unknown>,
    onError: (error: MeshError) => void,
    onTimeout: () => void,
  ): Promise<number | undefined> {
    const { clock, signal } = this.#options;
    const late = AbortSignal.timeout(CALL_TIMEOUT_MS);
    const startedMs = clock.nowMs();
    try {
      await call(AbortSignal.any([signal, late]));
      return (clock.nowMs() - startedMs) / 1_000;
    } catch (error) {
      if (signal.aborted) return undefined;
      if (late.aborted) onTimeout();
      else if (error instanceof MeshError) onError(error);
      else throw error;
      return undefined;
    }
  }
}
