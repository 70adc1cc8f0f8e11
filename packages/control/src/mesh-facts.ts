import { serviceAccountId } from "@heddle/model/identity";
import type { SocketAddress } from "@heddle/net/transport";
import type { MeshFacts } from "./expansion/service.ts";
import type { ControlSettings, GrpcRole } from "./settings.ts";

/** The names that our ports serve with. Policy shares destination's, as in Linkerd. */
export function ownNames(settings: ControlSettings): Readonly<Record<GrpcRole, string>> {
  const { controlNamespace: namespace, trustDomain } = settings;
  const id = (account: string): string =>
    serviceAccountId(account, namespace, namespace, trustDomain);
  const identity = id("linkerd-identity");
  const destination = id("linkerd-destination");
  return { identity, destination, policy: destination, expansion: id("heddle-expansion") };
}

/** What machines are told: as set, or by name in a cluster, or by the address that we listen on. */
export function meshFacts(
  settings: ControlSettings,
  names: Readonly<Record<GrpcRole, string>>,
  addresses: Partial<Readonly<Record<GrpcRole, SocketAddress>>>,
): MeshFacts {
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

export function joinAddresses(settings: ControlSettings, own: SocketAddress): readonly string[] {
  const { expansion } = settings.advertised;
  if (expansion.length > 0 || isWildcard(settings.ip)) return expansion;
  return [hostPort(own)];
}

export function isWildcard(ip: string): boolean {
  return ip === "0.0.0.0" || ip === "::";
}

function hostPort({ ip, port }: SocketAddress): string {
  return ip.includes(":") ? `[${ip}]:${port}` : `${ip}:${port}`;
}
