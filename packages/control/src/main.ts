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
import { SystemDns } from "@heddle/net/resolve";
import type { SocketAddress } from "@heddle/net/transport";
import { AdminServer } from "./admin.ts";
import { type DestinationRole, startDestination } from "./destination/main.ts";
import { type ExpansionRole, startExpansion } from "./expansion/main.ts";
import { startWorkloadSlices } from "./expansion/slices-main.ts";
import { GrpcMetrics } from "./grpc-metrics.ts";
import { type IdentityRole, startIdentity } from "./identity/main.ts";
import { OwnCertificates, type OwnIssuer } from "./identity/own-certificates.ts";
import { localIssuer, RemoteIssuer } from "./identity/own-issuer.ts";
import { startInjector } from "./injector/main.ts";
import { isWildcard, joinAddresses, meshFacts, ownNames } from "./mesh-facts.ts";
import { validateProfile } from "./policy/admission/profile-validator.ts";
import { newPolicyValidator } from "./policy/admission/validator.ts";
import { type PolicyRole, startPolicy } from "./policy/main.ts";
import { GrpcPort } from "./serve.ts";
import {
  type ControlSettings,
  GRPC_ROLES,
  type GrpcRole,
  isOnThisMachine,
  loadControl,
} from "./settings.ts";
import { startWebhooks, type WebhookRole } from "./webhook/main.ts";

/** Where a control plane listens, for whoever started it with ports of the kernel's choice. */
export type ControlAddresses = Partial<
  Readonly<Record<GrpcRole | "webhooks" | "policyWebhook" | AdminPort, SocketAddress>>
>;

type AdminPort = "admin" | "destinationAdmin" | "injectorAdmin" | "profilesAdmin";

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

export interface StartControlOptions {
  readonly settings: ControlSettings;
  readonly client: KubeClient;
  readonly log: Log;
  readonly clock: Clock;
  /** Of this program, where it is told to others. */
  readonly version?: string;
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
    isPlaintextAllowed: (from, own) => isOnThisMachine(from, own, settings.loopbackMesh),
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

/** What the starting of each part is given. */
interface Wiring extends StartControlOptions {
  /** Where parts go that must be closed. */
  readonly parts: AsyncDisposableStack;
  readonly metrics: Registry;
  readonly watchMetrics: WatchMetricFamilies;
  readonly onBug: (error: unknown) => void;
  /** One per role that we have. */
  readonly servers: ReadonlyMap<GrpcRole, GrpcServer>;
  readonly names: Readonly<Record<GrpcRole, string>>;
  readonly isPlaintextAllowed: (from: string, own?: string) => boolean;
}

function startIdentityRole(wiring: Wiring): IdentityRole | undefined {
  const { settings, servers, parts, log } = wiring;
  const grpc = servers.get("identity");
  if (grpc === undefined) return undefined;
  const config = settings.identity;
  return parts.use(startIdentity({ ...wiring, config, grpc, log: log.child("identity") }));
}

function startCertificates(wiring: Wiring, identity: IdentityRole | undefined): OwnCertificates {
  const { settings, servers, names, parts, clock } = wiring;
  const issuer =
    identity === undefined
      ? startRemoteIssuer(wiring)
      : localIssuer(identity.source, settings.identity, clock);
  const own = new Set([...servers.keys()].map((role) => names[role]));
  return parts.use(new OwnCertificates(issuer, [...own], wiring, [names.expansion]));
}

function startRemoteIssuer(wiring: Wiring): OwnIssuer {
  const { settings, names, parts } = wiring;
  const dns = new SystemDns();
  parts.defer(() => dns.close());
  return parts.use(
    new RemoteIssuer({
      ...wiring,
      controlNamespace: settings.controlNamespace,
      address: settings.identityAddress,
      serverName: names.identity,
      isPlaintext: wiring.isPlaintextAllowed,
      tokenFile: settings.identityTokenFile,
      localAddress: isWildcard(settings.ip) ? undefined : settings.ip,
      dns,
    }),
  );
}

/** With the slices of machines, without which destination would not find them. */
function startDestinationRole(wiring: Wiring): DestinationRole | undefined {
  const { settings, servers, parts, log } = wiring;
  const grpc = servers.get("destination");
  if (grpc === undefined) return undefined;
  const role = parts.use(
    startDestination({
      ...wiring,
      config: settings.destination,
      http2: settings.http2,
      queueCapacity: settings.streamQueueCapacity,
      grpc,
      log: log.child("destination"),
    }),
  );
  const { controlNamespace, holder } = settings;
  parts.use(startWorkloadSlices({ ...wiring, controlNamespace, holder, log: log.child("slices") }));
  return role;
}

async function startPolicyRole(wiring: Wiring): Promise<PolicyRole | undefined> {
  const { settings, servers, parts, client, metrics, watchMetrics, clock, onBug, log } = wiring;
  const grpc = servers.get("policy");
  if (grpc === undefined) return undefined;
  const role = await startPolicy({
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
    holder: settings.holder,
    grpc,
    metrics,
    watchMetrics,
    clock,
    onBug,
    log: log.child("policy"),
  });
  return parts.use(role);
}

async function startPorts(
  wiring: Wiring,
  certificates: OwnCertificates,
): Promise<Partial<Record<GrpcRole, SocketAddress>>> {
  const { settings, servers, names, parts, metrics, log } = wiring;
  const calls = new GrpcMetrics(metrics);
  const addresses: Partial<Record<GrpcRole, SocketAddress>> = {};
  for (const [role, grpc] of servers) {
    const port = await GrpcPort.start({
      name: role,
      at: { ip: settings.ip, port: settings.ports[role] },
      grpc,
      certificates,
      serverName: names[role],
      // Machines prove who they are by certificate, wherever they are.
      isPlaintextAllowed: role === "expansion" ? () => false : wiring.isPlaintextAllowed,
      log,
      metrics,
      calls,
    });
    parts.defer(() => port.close(settings.shutdownGraceMs));
    addresses[role] = port.address;
  }
  return addresses;
}

/** Without certificates of the mesh: the API server knows the webhooks by some of their own. */
async function startWebhookRole(wiring: Wiring): Promise<WebhookRole> {
  const { settings, parts, log } = wiring;
  const { roles, ip, ports, controlNamespace } = settings;
  const injector = roles.has("injector")
    ? parts.use(
        startInjector({
          ...wiring,
          controlNamespace,
          version: wiring.version ?? "unknown",
          files: settings.injector,
          log: log.child("injector"),
        }),
      )
    : undefined;
  const policies = roles.has("policy-validator")
    ? newPolicyValidator(log.child("policy-validator"))
    : undefined;
  return parts.use(
    await startWebhooks({
      handlers: {
        ...(injector === undefined ? {} : { injector: injector.handler }),
        ...(roles.has("sp-validator") ? { profiles: validateProfile } : {}),
        ...(policies === undefined ? {} : { policies }),
      },
      shared: { at: { ip, port: ports.webhooks }, tlsFolder: settings.webhookTlsFolder },
      policy: { at: { ip, port: ports.policyWebhook }, tlsFolder: settings.policyWebhookTlsFolder },
      log: log.child("webhooks"),
    }),
  );
}

function startExpansionRole(
  wiring: Wiring,
  identity: IdentityRole | undefined,
  addresses: ControlAddresses,
): ExpansionRole | undefined {
  const { settings, servers, names, parts, client, clock, log } = wiring;
  const grpc = servers.get("expansion");
  if (grpc === undefined || identity === undefined) return undefined;
  return parts.use(
    startExpansion({
      client,
      issuers: identity.source,
      facts: meshFacts(settings, names, addresses),
      addresses: joinAddresses(settings, addresses.expansion!),
      serverName: names.expansion,
      lifetimeMs: settings.identity.lifetimeMs,
      skewMs: settings.identity.skewMs,
      grpc,
      holder: settings.holder,
      clock,
      log: log.child("expansion"),
    }),
  );
}

/** Why each admin port is not ready; undefined if it is. */
interface Problems {
  identityAndPolicy(): string | undefined;
  destination(): string | undefined;
}

function watchProblems(
  wiring: Wiring,
  roles: {
    readonly identity: IdentityRole | undefined;
    readonly destination: DestinationRole | undefined;
    readonly policy: PolicyRole | undefined;
    readonly certificates: OwnCertificates | undefined;
  },
): Problems {
  const { identity, destination, policy, certificates } = roles;
  const isSynced = { destination: destination === undefined, policy: policy === undefined };
  destination?.synced.then(() => (isSynced.destination = true)).catch(wiring.onBug);
  policy?.synced.then(() => (isSynced.policy = true)).catch(wiring.onBug);
  const certificateProblem = (): string | undefined =>
    certificates?.isReady !== false ? undefined : "no certificate of our own yet";
  return {
    identityAndPolicy: () =>
      identity?.source.problem ??
      (isSynced.policy ? undefined : "policy has not seen all objects yet") ??
      certificateProblem(),
    destination: () =>
      (isSynced.destination ? undefined : "destination has not seen all objects yet") ??
      certificateProblem(),
  };
}

async function startAdmins(
  wiring: Wiring,
  problems: Problems,
): Promise<Partial<Record<AdminPort, SocketAddress>>> {
  const { settings, servers, parts, metrics } = wiring;
  const { roles } = settings;
  const start = async (port: number, problem: () => string | undefined): Promise<SocketAddress> => {
    const at = { ip: settings.ip, port };
    return parts.use(await AdminServer.start({ at, metrics, problem })).address;
  };
  const { admin, destinationAdmin, injectorAdmin, profilesAdmin } = settings.ports;
  // Linkerd's policy validator is a part of its policy controller.
  const hasOthers =
    roles.has("policy-validator") || [...servers.keys()].some((role) => role !== "destination");
  return {
    ...(hasOthers ? { admin: await start(admin, problems.identityAndPolicy) } : {}),
    ...(servers.has("destination")
      ? { destinationAdmin: await start(destinationAdmin, problems.destination) }
      : {}),
    // They serve as soon as they listen: what they need they read for each request, if anything.
    ...(roles.has("injector") ? { injectorAdmin: await start(injectorAdmin, isReady) } : {}),
    ...(roles.has("sp-validator") ? { profilesAdmin: await start(profilesAdmin, isReady) } : {}),
  };
}

function isReady(): undefined {
  return undefined;
}

/** Streams of all proxies together: a dozen each, and room for a whole fleet that comes at once. */
const MAX_CALLS = 500_000;

function newServer(log: Log): GrpcServer {
  const server = new GrpcServer({ log, maxCalls: MAX_CALLS });
  server.add(HealthService, new Health().handlers());
  server.add(ServerReflection, reflectionHandlers(server));
  return server;
}
