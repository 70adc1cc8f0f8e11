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
import { serviceAccountId } from "@heddle/model/identity";
import { Health } from "@heddle/net/grpc/health";
import { reflectionHandlers } from "@heddle/net/grpc/reflection";
import { GrpcServer } from "@heddle/net/grpc/server";
import { SystemDns } from "@heddle/net/resolve";
import type { SocketAddress } from "@heddle/net/transport";
import { AdminServer } from "./admin.ts";
import { type DestinationRole, startDestination } from "./destination/main.ts";
import { startExpansion } from "./expansion/main.ts";
import { startWorkloadSlices } from "./expansion/slices-main.ts";
import { GrpcMetrics } from "./grpc-metrics.ts";
import { type IdentityRole, startIdentity } from "./identity/main.ts";
import { OwnCertificates, type OwnIssuer } from "./identity/own-certificates.ts";
import { localIssuer, RemoteIssuer } from "./identity/own-issuer.ts";
import { type PolicyRole, startPolicy } from "./policy/main.ts";
import { GrpcPort } from "./serve.ts";
import { type ControlSettings, isPlainLoopback, loadControl, type Role } from "./settings.ts";

/** Where a control plane listens, for whoever started it with ports of the kernel's choice. */
export type ControlAddresses = Partial<
  Readonly<Record<Role | "admin" | "destinationAdmin", SocketAddress>>
>;

export interface ControlOptions {
  readonly clock?: Clock;
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
  });
  options.onListening?.(control.addresses);
  await Promise.race([stop.aborted ? undefined : once(stop, "abort"), control.died]);
  log.info("control plane stops", {});
}

export interface StartControlOptions {
  readonly settings: ControlSettings;
  readonly client: KubeClient;
  readonly log: Log;
  readonly clock: Clock;
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
  const { settings, client, log, clock } = options;
  const { roles, ports, ip } = settings;
  await using parts = new AsyncDisposableStack();
  const metrics = new Registry();
  const watchMetrics = new WatchMetricFamilies(metrics, clock);
  const calls = new GrpcMetrics(metrics);
  const { promise: died, reject: onBug } = Promise.withResolvers<never>();
  // Whoever runs us races it; until then it must not count as unhandled.
  died.catch(() => undefined);
  const runtime = { clock, metrics, watchMetrics, onBug };
  const names = ownNames(settings);
  const isPlaintextAllowed = (from: string): boolean =>
    isPlainLoopback(from, settings.loopbackMesh);

  let identity: IdentityRole | undefined;
  let destination: DestinationRole | undefined;
  let policy: PolicyRole | undefined;
  const servers: Partial<Record<Role, GrpcServer>> = {};
  for (const role of roles) servers[role] = newServer(log.child(role));

  if (servers.identity !== undefined) {
    identity = parts.use(
      startIdentity({
        client,
        config: settings.identity,
        grpc: servers.identity,
        log: log.child("identity"),
        ...runtime,
      }),
    );
  }
  const issuer = identity === undefined ? startRemoteIssuer() : ownIssuer(identity);
  const certificates = parts.use(
    new OwnCertificates(
      issuer,
      [...new Set([...roles].map((role) => names[role]))],
      {
        clock,
        log,
        onBug,
      },
      [names.expansion],
    ),
  );
  if (servers.destination !== undefined) {
    destination = parts.use(
      startDestination({
        client,
        config: settings.destination,
        http2: settings.http2,
        queueCapacity: settings.streamQueueCapacity,
        grpc: servers.destination,
        log: log.child("destination"),
        ...runtime,
      }),
    );
    parts.use(
      startWorkloadSlices({
        client,
        controlNamespace: settings.controlNamespace,
        holder: settings.holder,
        log: log.child("slices"),
        ...runtime,
      }),
    );
  }
  if (servers.policy !== undefined) {
    policy = parts.use(
      await startPolicy({
        kube: client,
        trustDomain: settings.trustDomain,
        identityDomain: settings.trustDomain,
        clusterDomain: settings.clusterDomain,
        clusterNetworks: settings.clusterNetworks,
        controlNamespace: settings.controlNamespace,
        defaultPolicy: settings.defaultPolicy,
        defaultOpaquePorts: settings.destination.defaultOpaquePorts,
        probeNetworks: settings.probeNetworks,
        globalEgressNamespace: settings.globalEgressNamespace,
        grpc: servers.policy,
        holder: settings.holder,
        log: log.child("policy"),
        ...runtime,
      }),
    );
  }

  const isSynced = { destination: destination === undefined, policy: policy === undefined };
  destination?.synced.then(() => (isSynced.destination = true)).catch(onBug);
  policy?.synced.then(() => (isSynced.policy = true)).catch(onBug);
  const certificateProblem = (): string | undefined =>
    certificates.isReady ? undefined : "no certificate of our own yet";
  const problem = (): string | undefined =>
    identity?.source.problem ??
    (isSynced.policy ? undefined : "policy has not seen all objects yet") ??
    certificateProblem();
  const destinationProblem = (): string | undefined =>
    (isSynced.destination ? undefined : "destination has not seen all objects yet") ??
    certificateProblem();

  const addresses: Partial<Record<Role | "admin" | "destinationAdmin", SocketAddress>> = {};
  for (const role of roles) {
    const port = await GrpcPort.start({
      name: role,
      at: { ip, port: ports[role] },
      grpc: servers[role]!,
      certificates,
      serverName: names[role],
      // Machines prove who they are by certificate, wherever they are.
      isPlaintextAllowed: role === "expansion" ? () => false : isPlaintextAllowed,
      log,
      metrics,
      calls,
    });
    parts.defer(() => port.close(settings.shutdownGraceMs));
    addresses[role] = port.address;
  }
  if (servers.expansion !== undefined && identity !== undefined) {
    parts.use(
      await startExpansion({
        client,
        issuers: identity.source,
        facts: meshFacts(settings, names, addresses),
        addresses: joinAddresses(settings, addresses.expansion!),
        serverName: names.expansion,
        lifetimeMs: settings.identity.lifetimeMs,
        skewMs: settings.identity.skewMs,
        grpc: servers.expansion,
        holder: settings.holder,
        clock,
        log: log.child("expansion"),
      }),
    );
  }
  if (roles.has("identity") || roles.has("policy") || roles.has("expansion")) {
    const at = { ip, port: ports.admin };
    addresses.admin = parts.use(await AdminServer.start({ at, metrics, problem })).address;
  }
  if (roles.has("destination")) {
    const at = { ip, port: ports.destinationAdmin };
    const admin = await AdminServer.start({ at, metrics, problem: destinationProblem });
    addresses.destinationAdmin = parts.use(admin).address;
  }
  const all = parts.move();
  return {
    addresses,
    metrics,
    problem: () => problem() ?? destinationProblem(),
    ready: Promise.all([certificates.ready, destination?.synced, policy?.synced]).then(
      () => undefined,
    ),
    died,
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };

  function ownIssuer(role: IdentityRole): OwnIssuer {
    return localIssuer(role.source, settings.identity, clock);
  }

  function startRemoteIssuer(): OwnIssuer {
    const dns = new SystemDns();
    parts.defer(() => dns.close());
    return parts.use(
      new RemoteIssuer({
        client,
        controlNamespace: settings.controlNamespace,
        address: settings.identityAddress,
        serverName: names.identity,
        isPlaintext: isPlaintextAllowed,
        tokenFile: settings.identityTokenFile,
        localAddress: ip === "0.0.0.0" || ip === "::" ? undefined : ip,
        dns,
        log,
        onBug,
      }),
    );
  }
}

/** The names that our ports serve with. Policy shares destination's, as in Linkerd. */
function ownNames(settings: ControlSettings): Readonly<Record<Role, string>> {
  const { controlNamespace: namespace, trustDomain } = settings;
  const id = (account: string): string =>
    serviceAccountId(account, namespace, namespace, trustDomain);
  const identity = id("linkerd-identity");
  const destination = id("linkerd-destination");
  return { identity, destination, policy: destination, expansion: id("heddle-expansion") };
}

function newServer(log: Log): GrpcServer {
  const server = new GrpcServer({ log });
  server.add(HealthService, new Health().handlers());
  server.add(ServerReflection, reflectionHandlers(server));
  return server;
}

/** What machines are told: as set, or by name in a cluster, or by the address that we listen on. */
function meshFacts(
  settings: ControlSettings,
  names: Readonly<Record<Role, string>>,
  addresses: ControlAddresses,
): Parameters<typeof startExpansion>[0]["facts"] {
  const { controlNamespace, clusterDomain, trustDomain, advertised } = settings;
  const address = (role: "identity" | "destination" | "policy", service: string): string => {
    if (advertised[role] !== "") return advertised[role];
    const own = addresses[role];
    if (own !== undefined && !isWildcard(settings.ip)) return hostPort(own);
    return `${service}.${controlNamespace}.svc.${clusterDomain}.:${settings.ports[role]}`;
  };
  return {
    trustDomain,
    clusterDomain,
    controlNamespace,
    clusterNetworks: settings.clusterNetworks.map(String),
    destination: {
      address: address("destination", "linkerd-dst-headless"),
      name: names.destination,
    },
    policy: { address: address("policy", "linkerd-policy"), name: names.policy },
    identity: { address: address("identity", "linkerd-identity-headless"), name: names.identity },
  };
}

function joinAddresses(settings: ControlSettings, own: SocketAddress): readonly string[] {
  const { expansion } = settings.advertised;
  if (expansion.length > 0 || isWildcard(settings.ip)) return expansion;
  return [hostPort(own)];
}

function isWildcard(ip: string): boolean {
  return ip === "0.0.0.0" || ip === "::";
}

function hostPort({ ip, port }: SocketAddress): string {
  return ip.includes(":") ? `[${ip}]:${port}` : `${ip}:${port}`;
}
