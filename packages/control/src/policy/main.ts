import { InboundServerPolicies } from "@heddle/api/gen/inbound_pb";
import { OutboundPolicies } from "@heddle/api/gen/outbound_pb";
import type { Clock } from "@heddle/base/clock";
import type { Log } from "@heddle/base/log";
import type { Registry } from "@heddle/base/metrics";
import type { KubeClient } from "@heddle/kube/client";
import { runWithLease } from "@heddle/kube/lease";
import { WatchMetricFamilies } from "@heddle/kube/watch-metrics";
import { type IpNetwork, NetworkMatch } from "@heddle/model/network";
import type { EncodedMessage } from "@heddle/net/grpc/encoded-message";
import type { GrpcServer } from "@heddle/net/grpc/server";
import { Cells } from "./cells.ts";
import { Coalesced } from "./coalesced.ts";
import { inboundHandlers, outboundHandlers } from "./grpc.ts";
import { InboundIndex } from "./inbound/core.ts";
import type { DefaultPolicy } from "./inbound/default-policy.ts";
import { PolicyFeed } from "./kube.ts";
import { OutboundIndex } from "./outbound/core.ts";
import { EntryCache } from "./outbound/entry-cache.ts";
import { StatusController } from "./status/controller.ts";
import { StatusIndex } from "./status/core.ts";

/** Whoever holds it writes the statuses of routes. */
export const POLICY_LEASE = "policy-controller-write";

export interface PolicyOptions {
  readonly kube: KubeClient;
  readonly metrics: Registry;
  readonly log: Log;
  readonly clock: Clock;
  /** Of SPIFFE ids that this mesh issues. */
  readonly trustDomain: string;
  /** The end of pods' identities. */
  readonly identityDomain: string;
  readonly clusterDomain: string;
  readonly clusterNetworks: readonly IpNetwork[];
  readonly controlNamespace: string;
  readonly defaultPolicy: DefaultPolicy;
  readonly defaultOpaquePorts: { readonly has: (port: number) => boolean };
  /** Where probes come from; empty for no special treatment of them. */
  readonly probeNetworks: readonly IpNetwork[];
  readonly globalEgressNamespace?: string;
  readonly allowL5dRequestHeaders?: boolean;
  /** The server of port 8090. */
  readonly grpc: GrpcServer;
  /** Our name among those who want the lease. */
  readonly holder: string;
  readonly watchMetrics?: WatchMetricFamilies;
  /** Told when a watch has died of a bug: what it fed goes stale, the process should end. */
  readonly onBug?: (error: unknown) => void;
  readonly signal?: AbortSignal;
  /** How long until a kind that was not there is looked for again; 30 s if not given. */
  readonly absentRetryMs?: number;
}

export interface PolicyRole extends AsyncDisposable {
  /** Resolves when all is loaded. Until then every question is answered UNAVAILABLE. */
  readonly synced: Promise<void>;
  close(): Promise<void>;
}

/** Answers the policy API and keeps statuses, until it is closed or the signal aborts. */
export async function startPolicy(options: PolicyOptions): Promise<PolicyRole> {
  const { kube: client, metrics, log, clock, grpc } = options;
  const { onBug = (error: unknown) => log.error("policy watch died", { error }) } = options;
  const cells = new Cells<EncodedMessage>(
    () => flush.schedule(),
    (error) => log.error("policy not worked out", { error }),
  );
  const flush = new Coalesced(() => cells.flush());
  const { inbound, outbound } = newIndexes(options, cells);
  const status = new StatusIndex(
    options.clusterNetworks,
    () => sweep.schedule(),
    options.clusterDomain,
  );
  const controller = new StatusController({
    client,
    index: status,
    log,
    clock,
    metrics,
    versionsOf: (of) => feed.versionsOf(of),
  });
  const sweep = new Coalesced(() => controller.sweep());
  const feed = new PolicyFeed({
    client,
    indexes: { inbound, outbound, status },
    log,
    clock,
    watchMetrics: options.watchMetrics ?? new WatchMetricFamilies(metrics, clock),
    onBug,
    absentRetryMs: options.absentRetryMs,
  });
  const answers = {
    inbound,
    outbound,
    cells,
    routes: new EntryCache(),
    trustDomain: options.trustDomain,
    isReady: () => feed.isSynced,
  };
  grpc.add(InboundServerPolicies, inboundHandlers(answers));
  grpc.add(OutboundPolicies, outboundHandlers(answers));
  registerSizes(metrics, inbound, outbound);

  const stop = new AbortController();
  const leading = runWithLease({
    client,
    lease: { namespace: options.controlNamespace, name: POLICY_LEASE },
    holder: options.holder,
    // A status must not be judged from half the truth either.
    lead: async (signal) => {
      if (await isSyncedBefore(feed.synced, signal)) await controller.lead(signal);
    },
    signal: stop.signal,
    log,
  }).catch(onBug);

  let closing: Promise<void> | undefined;
  async function close(): Promise<void> {
    stop.abort();
    flush.cancel();
    sweep.cancel();
    cells.close();
    await Promise.all([feed.close(), leading]);
  }
  const role: PolicyRole = {
    synced: feed.synced,
    close: () => {
      closing ??= close();
      return closing;
    },
    [Symbol.asyncDispose]: () => role.close(),
  };
  options.signal?.addEventListener("abort", () => void role.close().catch(onBug), { once: true });
  return role;
}

function newIndexes(
  options: PolicyOptions,
  cells: Cells<EncodedMessage>,
): { inbound: InboundIndex; outbound: OutboundIndex } {
  const { log, clusterNetworks } = options;
  const events = {
    touched: (fact: string) => cells.touch(fact),
    unreadable: (kind: string, ref: string, problem: string) =>
      log.warn("object not used as it is", { kind, object: ref, problem }),
  };
  const inbound = new InboundIndex(
    {
      ...options,
      clusterNetworks: clusterNetworks.map((network) => new NetworkMatch(network)),
      probeNetworks: options.probeNetworks.map((network) => new NetworkMatch(network)),
    },
    events,
  );
  const outbound = new OutboundIndex(
    {
      ...options,
      globalEgressNamespace: options.globalEgressNamespace ?? "linkerd-egress",
      allowL5dRequestHeaders: options.allowL5dRequestHeaders ?? false,
    },
    events,
  );
  return { inbound, outbound };
}

async function isSyncedBefore(synced: Promise<void>, signal: AbortSignal): Promise<boolean> {
  const aborted = new Promise<void>((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
  await Promise.race([synced, aborted]);
  return !signal.aborted;
}

function registerSizes(metrics: Registry, inbound: InboundIndex, outbound: OutboundIndex): void {
  const services = metrics
    .gauge("outbound_index_service_index_size", "Cluster addresses known")
    .with();
  const infos = metrics.gauge("outbound_index_service_info_index_size", "Services known").with();
  const seen = new Set<string>();
  metrics.collect(() => {
    const sizes = outbound.sizes();
    services.set(sizes.ips);
    infos.set(sizes.services);
    // A namespace that was there is shown at zero when all in it is gone.
    for (const namespace of inbound.namespaces()) seen.add(namespace);
    for (const namespace of seen) {
      for (const [kind, size] of Object.entries(inbound.sizes(namespace))) {
        metrics
          .gauge(`inbound_index_${kind}_index_size`, `Objects of kind ${kind}`)
          .with({ namespace })
          .set(size);
      }
    }
  });
}
