import type { Clock } from "@heddle/base/clock";
import type { Log } from "@heddle/base/log";
import type { Registry } from "@heddle/base/metrics";
import type { KubeClient } from "@heddle/kube/client";
import { Informer, type Keeps } from "@heddle/kube/informer";
import {
  ENDPOINT_SLICES,
  JOBS,
  NODES,
  PODS,
  REPLICA_SETS,
  SERVICES,
} from "@heddle/kube/types/core";
import { EXTERNAL_WORKLOADS, SERVERS, SERVICE_PROFILES } from "@heddle/kube/types/linkerd";
import type { KubeObject, Resource } from "@heddle/kube/types/meta";
import type { WatchMetricFamilies } from "@heddle/kube/watch-metrics";
import type { DestinationIndex } from "./core.ts";
import {
  middleOwnerRecord,
  nodeRecord,
  podRecord,
  serverRecord,
  serviceProfileRecord,
  serviceRecord,
  sliceRecord,
  workloadRecord,
} from "./kube-records.ts";

export interface DestinationFeedOptions {
  readonly client: KubeClient;
  readonly index: DestinationIndex;
  readonly log: Log;
  readonly clock: Clock;
  readonly metrics: Registry;
  readonly watchMetrics: WatchMetricFamilies;
  readonly onBug: (error: unknown) => void;
}

/** Watches everything that the index depends on. Owns the watches. */
export class DestinationFeed implements AsyncDisposable {
  readonly #options: DestinationFeedOptions;
  readonly #informers: Informer<never>[] = [];
  readonly #syncing: Promise<void>[] = [];

  /** Resolves when the index knows all there is. */
  readonly synced: Promise<void>;

  constructor(options: DestinationFeedOptions) {
    this.#options = options;
    const { index, log } = options;
    const defaults = index.config.defaultOpaquePorts;
    // In the order in which lookups go: what is referred to comes before what refers to it.
    this.#watch(NODES, {}, (key, after) => index.setNode(key, after && nodeRecord(after)));
    for (const [kind, resource] of [
      ["ReplicaSet", REPLICA_SETS],
      ["Job", JOBS],
    ] as const) {
      const settings = { isOptional: true, metadataOnly: true, keeps: "objects" } as const;
      this.#watch(resource, settings, (_key, after, before) => {
        const object = after ?? before;
        if (object === undefined) return;
        index.setMiddleOwner(middleOwnerRecord(kind, object), after === undefined);
      });
    }
    this.#watch(SERVERS, {}, (key, after) => index.setServer(key, after && serverRecord(after)));
    this.#watch(SERVICE_PROFILES, {}, (key, after) => {
      const onProblem = (problem: string): void => {
        log.warn("ServiceProfile not used", { profile: key, problem });
      };
      index.setServiceProfile(key, after && serviceProfileRecord(after, onProblem));
    });
    this.#watch(PODS, {}, (key, after) => index.setPod(key, after && podRecord(after, defaults)));
    this.#watch(EXTERNAL_WORKLOADS, {}, (key, after) => {
      index.setWorkload(key, after && workloadRecord(after, defaults));
    });
    this.#watch(SERVICES, {}, (key, after) => {
      index.setService(key, after && serviceRecord(after, defaults));
    });
    this.#watch(ENDPOINT_SLICES, {}, (key, after) => {
      index.setSlice(key, after && sliceRecord(after));
    });
    this.synced = Promise.all(this.#syncing).then(() => undefined);
  }

  async close(): Promise<void> {
    await Promise.all(this.#informers.map((informer) => informer.close()));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #watch<T extends KubeObject>(
    resource: Resource<T>,
    settings: {
      readonly isOptional?: boolean;
      readonly metadataOnly?: boolean;
      readonly keeps?: Keeps;
    },
    take: (key: string, after: T | undefined, before: T | undefined) => void,
  ): void {
    const { client, log, clock, metrics, watchMetrics, onBug } = this.#options;
    const name = resource.group === "" ? resource.plural : `${resource.plural}.${resource.group}`;
    const informer = new Informer<T>({
      client,
      resource,
      log,
      clock,
      metrics: watchMetrics.of(name),
      keeps: "versions",
      ...settings,
    });
    const bad = metrics
      .counter("heddle_kube_bad_objects_total", "Objects that could not be read, and are left out")
      .with({ resource: name });
    informer.store.subscribe(({ key, before, after }) => {
      try {
        take(key, after, before);
      } catch (error) {
        // One object that no schema should have let through must not cost all the others.
        bad.inc();
        log.error("object not understood", { resource: name, object: key, error });
      }
    });
    informer.start(onBug);
    this.#informers.push(informer as unknown as Informer<never>);
    this.#syncing.push(informer.store.synced);
    const size = metrics
      .gauge(`${resource.kind.toLowerCase()}_cache_size`, `Known objects of kind ${resource.kind}`)
      .with({ cluster: "local" });
    metrics.collect(() => size.set(informer.store.size));
  }
}
