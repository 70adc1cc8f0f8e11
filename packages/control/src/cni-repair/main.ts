import { type Clock, systemClock } from "@heddle/base/clock";
import type { Log } from "@heddle/base/log";
import { Registry } from "@heddle/base/metrics";
import type { KubeClient } from "@heddle/kube/client";
import { PODS } from "@heddle/kube/types/core";
import { watchResource } from "@heddle/kube/watch";
import type { SocketAddress } from "@heddle/net/transport";
import { AdminServer } from "../admin.ts";
import { repairMetrics } from "./metrics.ts";
import { Repair } from "./repair.ts";

export interface RepairControllerOptions {
  readonly client: KubeClient;
  /** Whose pods are looked after. */
  readonly nodeName: string;
  readonly podName: string;
  readonly adminAt: SocketAddress;
  readonly log: Log;
  readonly signal: AbortSignal;
  readonly clock?: Clock;
  /** Hears where `/metrics` is, once it is there. */
  readonly onListening?: (admin: SocketAddress) => void;
}

/** Every pod with a proxy has it. */
const DATA_PLANE_LABEL = "linkerd.io/control-plane-ns";

/** Looks after the pods of one node until the signal. */
export async function runRepairController(options: RepairControllerOptions): Promise<void> {
  const { client, nodeName, log, clock = systemClock } = options;
  const broken = new AbortController();
  const signal = AbortSignal.any([options.signal, broken.signal]);
  const registry = new Registry();
  let isSynced = false;
  await using admin = await AdminServer.start({
    at: options.adminAt,
    metrics: registry,
    problem: () => (isSynced ? undefined : "pods are not known yet"),
  });
  options.onListening?.(admin.address);
  const repair = new Repair({
    client,
    podName: options.podName,
    metrics: repairMetrics(registry),
    log,
    clock,
    signal,
    onSynced: () => {
      isSynced = true;
    },
    onBug: (error) => broken.abort(error),
  });
  await watchResource({
    client,
    resource: PODS,
    handler: repair,
    signal,
    labelSelector: DATA_PLANE_LABEL,
    fieldSelector: `spec.nodeName=${nodeName}`,
    log,
    clock,
  });
  await repair.drained();
  if (broken.signal.aborted) throw broken.signal.reason;
}
