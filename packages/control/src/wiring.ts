import type { Clock } from "@heddle/base/clock";
import type { Log } from "@heddle/base/log";
import type { Registry } from "@heddle/base/metrics";
import type { KubeClient } from "@heddle/kube/client";
import type { WatchMetricFamilies } from "@heddle/kube/watch-metrics";
import type { GrpcServer } from "@heddle/net/grpc/server";
import type { SocketAddress } from "@heddle/net/transport";
import type { ControlSettings, GrpcRole } from "./settings.ts";

/** Where a control plane listens, for whoever started it with ports of the kernel's choice. */
export type ControlAddresses = Partial<
  Readonly<Record<GrpcRole | "webhooks" | "policyWebhook" | AdminPort, SocketAddress>>
>;

export type AdminPort = "admin" | "destinationAdmin" | "injectorAdmin" | "profilesAdmin";

export interface StartControlOptions {
  readonly settings: ControlSettings;
  readonly client: KubeClient;
  readonly log: Log;
  readonly clock: Clock;
  /** Of this program, where it is told to others. */
  readonly version?: string;
}

/** What the starting of each part is given. */
export interface Wiring extends StartControlOptions {
  /** Where parts go that must be closed. */
  readonly parts: AsyncDisposableStack;
  readonly metrics: Registry;
  readonly watchMetrics: WatchMetricFamilies;
  readonly onBug: (error: unknown) => void;
  /** One per role that we have. */
  readonly servers: ReadonlyMap<GrpcRole, GrpcServer>;
  readonly names: Readonly<Record<GrpcRole, string>>;
  readonly isPlaintextAllowed: (ip: string) => boolean;
}
