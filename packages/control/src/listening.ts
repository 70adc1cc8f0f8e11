import type { SocketAddress } from "@heddle/net/transport";
import { AdminServer } from "./admin.ts";
import type { DestinationRole } from "./destination/main.ts";
import { GrpcMetrics } from "./grpc-metrics.ts";
import type { IdentityRole } from "./identity/main.ts";
import type { OwnCertificates } from "./identity/own-certificates.ts";
import type { PolicyRole } from "./policy/main.ts";
import { GrpcPort } from "./serve.ts";
import type { GrpcRole } from "./settings.ts";
import type { AdminPort, Wiring } from "./wiring.ts";

export async function startPorts(
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

/** Why each admin port is not ready; undefined if it is. */
export interface Problems {
  identityAndPolicy(): string | undefined;
  destination(): string | undefined;
}

export function watchProblems(
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

export async function startAdmins(
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
