import type { Clock } from "@heddle/base/clock";
import type { Log } from "@heddle/base/log";
import type { Registry } from "@heddle/base/metrics";
import type { KubeClient } from "@heddle/kube/client";
import { EventRecorder } from "@heddle/kube/events";
import type { WatchMetricFamilies } from "@heddle/kube/watch-metrics";
import type { GrpcServer } from "@heddle/net/grpc/server";
import { Certifier } from "./certify.ts";
import { IdentityEvents } from "./events.ts";
import { addIdentity } from "./grpc.ts";
import { IssuerSource } from "./issuer-source.ts";
import { type IssuerScheme, startIssuerFeed } from "./kube.ts";
import { ApiTokenReviewer } from "./token-review.ts";

export interface IdentityConfig {
  readonly controlNamespace: string;
  readonly trustDomain: string;
  /** Of leaves. */
  readonly lifetimeMs: number;
  readonly skewMs: number;
  /** Whichever the Secret has, if undefined. */
  readonly scheme: IssuerScheme | undefined;
  /** How often the issuer is read again without a sign of change. */
  readonly refreshMs: number;
}

export interface IdentityOptions {
  readonly client: KubeClient;
  readonly config: IdentityConfig;
  readonly grpc: GrpcServer;
  readonly log: Log;
  readonly clock: Clock;
  readonly metrics: Registry;
  readonly watchMetrics: WatchMetricFamilies;
  readonly onBug: (error: unknown) => void;
}

export interface IdentityRole extends AsyncDisposable {
  /** For whoever else issues by the same key: machines' ids, our own certificate. */
  readonly source: IssuerSource;
}

/** Serves `Certify` on `grpc` with the issuer that the API holds. */
export function startIdentity(options: IdentityOptions): IdentityRole {
  const { client, config, grpc, log, clock, metrics, watchMetrics, onBug } = options;
  const { controlNamespace, trustDomain } = config;
  const recorder = new EventRecorder(client, "linkerd-identity", log, clock);
  const events = new IdentityEvents(recorder, controlNamespace);
  const source = new IssuerSource(events, { clock, log, metrics });
  const feed = startIssuerFeed({
    client,
    source,
    controlNamespace,
    scheme: config.scheme,
    refreshMs: config.refreshMs,
    log,
    watchMetrics,
    onBug,
  });
  const reviewer = new ApiTokenReviewer(client, controlNamespace, trustDomain);
  const { lifetimeMs, skewMs } = config;
  const settings = { lifetimeMs, skewMs };
  addIdentity(grpc, new Certifier(source, reviewer, events, settings, { clock, log }));
  return {
    source,
    async [Symbol.asyncDispose](): Promise<void> {
      await feed[Symbol.asyncDispose]();
      await recorder.close();
    },
  };
}
