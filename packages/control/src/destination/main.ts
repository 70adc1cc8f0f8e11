import type { Clock } from "@heddle/base/clock";
import type { Log } from "@heddle/base/log";
import type { Registry } from "@heddle/base/metrics";
import type { KubeClient } from "@heddle/kube/client";
import type { WatchMetricFamilies } from "@heddle/kube/watch-metrics";
import type { GrpcServer } from "@heddle/net/grpc/server";
import { DestinationIndex } from "./core.ts";
import type { Http2Params } from "./encode.ts";
import type { DestinationConfig } from "./endpoint.ts";
import { addDestination } from "./grpc.ts";
import { DestinationFeed } from "./kube.ts";
import { DestinationMetrics } from "./metrics.ts";

export interface DestinationOptions {
  readonly client: KubeClient;
  readonly config: DestinationConfig;
  readonly http2: Http2Params | undefined;
  readonly queueCapacity: number;
  readonly grpc: GrpcServer;
  readonly log: Log;
  readonly clock: Clock;
  readonly metrics: Registry;
  readonly watchMetrics: WatchMetricFamilies;
  readonly onBug: (error: unknown) => void;
}

export interface DestinationRole extends AsyncDisposable {
  /** Calls are refused until this resolves. */
  readonly synced: Promise<void>;
}

/** Serves `Get` and `GetProfile` on `grpc` from what it watches. */
export function startDestination(options: DestinationOptions): DestinationRole {
  const { client, config, http2, queueCapacity, grpc, log, clock, metrics } = options;
  const { watchMetrics, onBug } = options;
  const index = new DestinationIndex(config, {
    onUnusable: ({ ip, port, backing }) => {
      const pod = backing === undefined ? "" : `${backing.namespace}/${backing.name}`;
      log.error("endpoint left out: its proxy's ports are unknown", { ip, port, pod });
    },
  });
  const feed = new DestinationFeed({ client, index, log, clock, metrics, watchMetrics, onBug });
  let isReady = false;
  const synced = feed.synced.then(() => {
    isReady = true;
    log.info("destination ready", {});
  });
  addDestination(grpc, {
    index,
    isReady: () => isReady,
    metrics: new DestinationMetrics(metrics),
    http2,
    queueCapacity,
    log,
  });
  return { synced, [Symbol.asyncDispose]: () => feed.close() };
}
