import type { Clock } from "@heddle/base/clock";
import { messageOf } from "@heddle/base/errors";
import type { Log } from "@heddle/base/log";
import type { Registry } from "@heddle/base/metrics";
import type { KubeClient } from "@heddle/kube/client";
import { ChangeQueue, runController } from "@heddle/kube/controller";
import { hasReason } from "@heddle/kube/errors";
import { Informer } from "@heddle/kube/informer";
import { runWithLease } from "@heddle/kube/lease";
import {
  ENDPOINT_SLICES,
  type EndpointSlice,
  SERVICES,
  type Service,
} from "@heddle/kube/types/core";
import { EXTERNAL_WORKLOADS, type ExternalWorkload } from "@heddle/kube/types/linkerd";
import { keyOf } from "@heddle/kube/types/meta";
import type { WatchMetricFamilies } from "@heddle/kube/watch-metrics";
import {
  hasWorkloadSlices,
  isSliceChange,
  MANAGED_BY_LABEL,
  MANAGER,
  planSlices,
  selectsWorkload,
} from "./slices.ts";

export interface WorkloadSlicesOptions {
  readonly client: KubeClient;
  readonly controlNamespace: string;
  readonly holder: string;
  readonly log: Log;
  readonly clock: Clock;
  readonly metrics: Registry;
  readonly watchMetrics: WatchMetricFamilies;
  readonly onBug: (error: unknown) => void;
  /** Of the lease; only tests change them. */
  readonly durationMs?: number;
  readonly retryMs?: number;
}

const LEASE = "linkerd-destination-endpoint-write";
const MAX_RETRIES = 15;

/** Makes EndpointSlices of the ExternalWorkloads that Services select, whenever the lease is ours. */
export function startWorkloadSlices(options: WorkloadSlicesOptions): AsyncDisposable {
  const { client, controlNamespace, holder, log, clock, metrics, onBug } = options;
  const stop = new AbortController();
  const isLeader = metrics
    .gauge("heddle_control_is_leader", "1 while the lease is ours")
    .with({ lease: LEASE });
  const running = runWithLease({
    client,
    lease: { name: LEASE, namespace: controlNamespace },
    holder,
    lead: (signal) => writeSlices(options, signal),
    signal: stop.signal,
    log,
    clock,
    onChange: (leads) => isLeader.set(leads ? 1 : 0),
    ...(options.durationMs === undefined ? {} : { durationMs: options.durationMs }),
    ...(options.retryMs === undefined ? {} : { retryMs: options.retryMs }),
  }).catch(onBug);
  return {
    async [Symbol.asyncDispose](): Promise<void> {
      stop.abort();
      await running;
    },
  };
}

/** One term of leadership: knows nothing of the ones before it. */
async function writeSlices(options: WorkloadSlicesOptions, signal: AbortSignal): Promise<void> {
  const { client, log, watchMetrics, onBug } = options;
  await using parts = new AsyncDisposableStack();
  const metricsOf = (name: string): { metrics: ReturnType<WatchMetricFamilies["of"]> } => ({
    metrics: watchMetrics.of(`${name}/${LEASE}`),
  });
  const services = parts.use(
    new Informer<Service>({ client, resource: SERVICES, log, ...metricsOf("services") }),
  );
  const workloads = parts.use(
    new Informer<ExternalWorkload>({
      client,
      resource: EXTERNAL_WORKLOADS,
      log,
      ...metricsOf("externalworkloads"),
    }),
  );
  const slices = parts.use(
    new Informer<EndpointSlice>({
      client,
      resource: ENDPOINT_SLICES,
      labelSelector: `${MANAGED_BY_LABEL}=${MANAGER}`,
      log,
      ...metricsOf("endpointslices"),
    }),
  );
  for (const informer of [services, workloads, slices]) informer.start(onBug);
  const synced = Promise.all([services, workloads, slices].map(({ store }) => store.synced));
  await Promise.race([synced, aborted(signal)]);
  if (signal.aborted) return;

  const queue = new ChangeQueue<string>(signal);
  services.store.subscribe(({ key }) => queue.add(key));
  slices.store.subscribe(({ before, after }) => {
    const key = serviceKeyOf(after ?? before);
    if (key !== undefined) queue.add(key);
  });
  workloads.store.subscribe(({ before, after }) => {
    if (!isSliceChange(before, after)) return;
    for (const service of services.store.values()) {
      const concerned = [before, after].some(
        (one) => one !== undefined && selectsWorkload(service, one),
      );
      if (concerned) queue.add(keyOf(service));
    }
  });
  await runController({
    changes: queue,
    reconcile: (key) => reconcile(key, { services, workloads, slices }, client, signal),
    onError: (key, error) => {
      if (hasReason(error, "Conflict", "NotFound", "AlreadyExists")) return;
      log.warn("slices not written", { service: key, error: messageOf(error) });
    },
    signal,
    retryMinMs: 50,
    maxRetries: MAX_RETRIES,
  });
}

interface Informers {
  readonly services: Informer<Service>;
  readonly workloads: Informer<ExternalWorkload>;
  readonly slices: Informer<EndpointSlice>;
}

async function reconcile(
  key: string,
  known: Informers,
  client: KubeClient,
  signal: AbortSignal,
): Promise<void> {
  const service = known.services.store.get(key);
  // Of a Service that is gone or goes the garbage collector takes the slices.
  if (service === undefined || service.metadata.deletionTimestamp !== undefined) return;
  const existing = [...known.slices.store.values()].filter((one) => serviceKeyOf(one) === key);
  if (existing.length === 0 && !hasWorkloadSlices(service)) return;
  const selected = [...known.workloads.store.values()].filter((one) =>
    selectsWorkload(service, one),
  );
  const plan = planSlices(service, selected, existing);
  const { store } = known.slices;
  // What was written is known at once: the next run must not write it again.
  for (const slice of plan.create) {
    store.onApplied(await client.create(ENDPOINT_SLICES, slice, { signal }));
  }
  for (const slice of plan.update) {
    store.onApplied(await client.update(ENDPOINT_SLICES, slice, { signal }));
  }
  for (const slice of plan.delete) {
    const { name = "", namespace } = slice.metadata;
    await client.delete(ENDPOINT_SLICES, { name, namespace }, { signal });
    store.onDeleted(slice);
  }
}

function serviceKeyOf(slice: EndpointSlice | undefined): string | undefined {
  const name = slice?.metadata.labels?.["kubernetes.io/service-name"];
  return name === undefined ? undefined : `${slice?.metadata.namespace}/${name}`;
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
