import { once } from "node:events";
import { Health as HealthService } from "@heddle/api/gen/grpc/health/v1/health_pb";
import { ServerReflection } from "@heddle/api/gen/grpc/reflection/v1/reflection_pb";
import { type Clock, systemClock } from "@heddle/base/clock";
import { Env } from "@heddle/base/env";
import type { Log } from "@heddle/base/log";
import { Registry } from "@heddle/base/metrics";
import { KubeClient } from "@heddle/kube/client";
import { findCluster } from "@heddle/kube/kubeconfig";
import { WatchMetricFamilies } from "@heddle/kube/watch-metrics";
import { Health } from "@heddle/net/grpc/health";
import { reflectionHandlers } from "@heddle/net/grpc/reflection";
import { GrpcServer } from "@heddle/net/grpc/server";
import { startDestinationRole, startPolicyRole } from "./discovery-roles.ts";
import { startCertificates, startExpansionRole, startIdentityRole } from "./identity-roles.ts";
import { startAdmins, startPorts, watchProblems } from "./listening.ts";
import { ownNames } from "./mesh-facts.ts";
import { GRPC_ROLES, isPlainLoopback, loadControl } from "./settings.ts";
import { startWebhookRole } from "./webhook-role.ts";
import type { ControlAddresses, StartControlOptions, Wiring } from "./wiring.ts";

export interface ControlOptions {
  readonly clock?: Clock;
  /** Of this program. */
  readonly version?: string;
  /** Once, when all ports are open. */
  readonly onListening?: (addresses: ControlAddresses) => void;
}

/**
 * Runs the control plane until `stop` aborts.
 *
 * @throws MeshError `bad_config` with all problems, `kube_config`, `listen_failed`; or the bug that
 * ended a watch.
 */
export async function runControl(
  get: (name: string) => string | undefined,
  log: Log,
  stop: AbortSignal,
  options: ControlOptions = {},
): Promise<void> {
  const env = new Env(get);
  const settings = loadControl(env);
  env.check();
  const cluster = findCluster(get, { path: settings.kubeconfig });
  using client = new KubeClient({ cluster, userAgent: "heddle-control" });
  await using control = await startControl({
    settings,
    client,
    log,
    clock: options.clock ?? systemClock,
    ...(options.version === undefined ? {} : { version: options.version }),
  });
  options.onListening?.(control.addresses);
  await Promise.race([stop.aborted ? undefined : once(stop, "abort"), control.died]);
  log.info("control plane stops", {});
}

export interface Control extends AsyncDisposable {
  readonly addresses: ControlAddresses;
  readonly metrics: Registry;
  /** Why we are not ready; undefined if we are. */
  readonly problem: () => string | undefined;
  /** Resolves when we are ready for the first time. */
  readonly ready: Promise<void>;
  /** Rejects when a part has died of a bug: what it knew goes stale. */
  readonly died: Promise<never>;
}

/** Starts all roles. The one place that knows every part; parts close in reverse order. */
export async function startControl(options: StartControlOptions): Promise<Control> {
  const { settings, log, clock } = options;
  await using parts = new AsyncDisposableStack();
  const metrics = new Registry();
  const { promise: died, reject: onBug } = Promise.withResolvers<never>();
  // Whoever runs us races it; until then it must not count as unhandled.
  died.catch(() => undefined);
  // Roles that share a process serve all of it on each of their ports: a proxy then needs but one
  // connection. Machines come to a port of their own, where only theirs is served.
  const shared = newServer(log.child("grpc"));
  const servers = new Map(
    GRPC_ROLES.filter((role) => settings.roles.has(role)).map((role) => [
      role,
      role === "expansion" ? newServer(log.child(role)) : shared,
    ]),
  );
  const wiring: Wiring = {
    ...options,
    parts,
    metrics,
    watchMetrics: new WatchMetricFamilies(metrics, clock),
    onBug,
    servers,
    names: ownNames(settings),
    isPlaintextAllowed: (from) => isPlainLoopback(from, settings.loopbackMesh),
  };
  const identity = startIdentityRole(wiring);
  const certificates = servers.size === 0 ? undefined : startCertificates(wiring, identity);
  const destination = startDestinationRole(wiring);
  const policy = await startPolicyRole(wiring);
  const ports = certificates === undefined ? {} : await startPorts(wiring, certificates);
  const webhooks = await startWebhookRole(wiring);
  const expansion = startExpansionRole(wiring, identity, ports);
  const problems = watchProblems(wiring, { identity, destination, policy, certificates });
  const admins = await startAdmins(wiring, problems);
  const all = parts.move();
  return {
    addresses: { ...ports, ...webhooks.addresses, ...admins },
    metrics,
    problem: () => problems.identityAndPolicy() ?? problems.destination(),
    ready: Promise.all([
      certificates?.ready,
      destination?.synced,
      policy?.synced,
      expansion?.advertised,
    ]).then(() => undefined),
    died,
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}

/** Streams of all proxies together: a dozen each, and room for a whole fleet that comes at once. */
const MAX_CALLS = 500_000;

function newServer(log: Log): GrpcServer {
  const server = new GrpcServer({ log, maxCalls: MAX_CALLS });
  server.add(HealthService, new Health().handlers());
  server.add(ServerReflection, reflectionHandlers(server));
  return server;
}
