import { hostname } from "node:os";
import type { Env } from "@heddle/base/env";
import {
  type IpNetwork,
  isLoopback,
  parseIp,
  parseNetwork,
  parseNetworks,
} from "@heddle/model/network";
import type { Http2Params } from "./destination/encode.ts";
import type { DestinationConfig } from "./destination/endpoint.ts";
import { parseHttp2Params } from "./destination/http2-params.ts";
import { parsePortSetStrictly } from "./destination/port-set.ts";
import type { IssuerScheme } from "./identity/kube.ts";
import type { IdentityConfig } from "./identity/main.ts";
import { type DefaultPolicy, parseDefaultPolicy } from "./policy/inbound/default-policy.ts";
import {
  boolean,
  domain,
  duration,
  hostPort,
  ip,
  label,
  list,
  port,
  positive,
  positiveDuration,
} from "./setting-values.ts";

/** What is served over gRPC. */
export type GrpcRole = "identity" | "destination" | "policy" | "expansion";
/** What is served to the API server, as webhooks. */
export type HookRole = "injector" | "sp-validator" | "policy-validator";
export type Role = GrpcRole | HookRole;

/** Ports to listen on; 0 lets the kernel choose. */
export interface ControlPorts {
  readonly identity: number;
  readonly destination: number;
  readonly policy: number;
  readonly expansion: number;
  /** Of all admission webhooks, over HTTPS. */
  readonly webhooks: number;
  /** Of the policy validator, which has it beside the port that it shares. */
  readonly policyWebhook: number;
  /** Of identity and policy. */
  readonly admin: number;
  readonly destinationAdmin: number;
  readonly injectorAdmin: number;
  /** Of the ServiceProfile validator. */
  readonly profilesAdmin: number;
}

/** Files that are read anew whenever they matter. */
export interface InjectorFiles {
  /** Empty: the ConfigMap `linkerd-config` is read from the API. */
  readonly values: string;
  /** Empty: the anchors are those of the values. */
  readonly anchors: string;
}

export interface ControlSettings {
  readonly roles: ReadonlySet<Role>;
  /** Where all ports listen. */
  readonly ip: string;
  readonly ports: ControlPorts;
  /** Part of 127.0.0.0/8 that counts as network. */
  readonly loopbackMesh: IpNetwork | undefined;
  readonly controlNamespace: string;
  readonly trustDomain: string;
  readonly clusterDomain: string;
  readonly clusterNetworks: readonly IpNetwork[];
  readonly kubeconfig: string;
  /** Our name among those who want a lease. */
  readonly holder: string;
  readonly identity: IdentityConfig;
  /** Where a process without the identity role gets its certificate; `address:port`. */
  readonly identityAddress: string;
  /** Our service account's token, with which it gets that. */
  readonly identityTokenFile: string;
  readonly destination: DestinationConfig;
  readonly http2: Http2Params | undefined;
  readonly streamQueueCapacity: number;
  readonly defaultPolicy: DefaultPolicy;
  readonly probeNetworks: readonly IpNetwork[];
  readonly globalEgressNamespace: string;
  /** What machines are told of the mesh's services: `address:port`; empty to derive it. */
  readonly advertised: {
    readonly destination: string;
    readonly policy: string;
    readonly identity: string;
    readonly expansion: readonly string[];
  };
  /** Holds the webhooks' `tls.crt` and `tls.key`. */
  readonly webhookTlsFolder: string;
  /** The same for the policy validator's own port. */
  readonly policyWebhookTlsFolder: string;
  readonly injector: InjectorFiles;
  readonly shutdownGraceMs: number;
}

/** Every variable is `HEDDLE_CONTROL_` and one of these. `docs/reference/control.md` lists them. */
const PREFIX = "HEDDLE_CONTROL_";
export const GRPC_ROLES: readonly GrpcRole[] = ["identity", "destination", "policy", "expansion"];
const ALL_ROLES: readonly Role[] = [...GRPC_ROLES, "injector", "sp-validator", "policy-validator"];
const OPAQUE_PORTS = "25,587,3306,4444,5432,6379,9300,11211";
const NETWORKS = "10.0.0.0/8,100.64.0.0/10,172.16.0.0/12,192.168.0.0/16,fd00::/8";
const TOKEN_FILE = "/var/run/secrets/tokens/linkerd-identity-token";
const TLS_FOLDER = "/var/run/linkerd/tls";
const LOOPBACK = parseNetwork("127.0.0.0/8");

export function loadControl(env: Env): ControlSettings {
  const read = <T>(name: string, parse: (text: string) => T, fallback: T): T =>
    env.read(`${PREFIX}${name}`, parse, fallback);
  const controlNamespace = read("NAMESPACE", label, "linkerd");
  const clusterDomain = read("CLUSTER_DOMAIN", domain, "cluster.local");
  const trustDomain = read("IDENTITY_TRUST_DOMAIN", domain, clusterDomain);
  const loopbackMesh = env.read("HEDDLE_LOOPBACK_MESH", partOfLoopback, undefined);
  const networks = read("CLUSTER_NETWORKS", parseNetworks, parseNetworks(NETWORKS));
  const defaultOpaquePorts = read(
    "DEFAULT_OPAQUE_PORTS",
    parsePortSetStrictly,
    parsePortSetStrictly(OPAQUE_PORTS),
  );
  return {
    roles: read("ROLES", roles, new Set<Role>(GRPC_ROLES)),
    ip: read("LISTEN_IP", ip, "0.0.0.0"),
    ports: {
      identity: read("IDENTITY_PORT", port, 8080),
      destination: read("DESTINATION_PORT", port, 8086),
      policy: read("POLICY_PORT", port, 8090),
      expansion: read("EXPANSION_PORT", port, 8444),
      webhooks: read("WEBHOOK_PORT", port, 8443),
      policyWebhook: read("POLICY_WEBHOOK_PORT", port, 9443),
      admin: read("ADMIN_PORT", port, 9990),
      destinationAdmin: read("DESTINATION_ADMIN_PORT", port, 9996),
      injectorAdmin: read("INJECTOR_ADMIN_PORT", port, 9995),
      profilesAdmin: read("SP_VALIDATOR_ADMIN_PORT", port, 9997),
    },
    loopbackMesh,
    controlNamespace,
    trustDomain,
    clusterDomain,
    clusterNetworks: loopbackMesh === undefined ? networks : [...networks, loopbackMesh],
    kubeconfig: read("KUBECONFIG", String, ""),
    holder: env.read("HOSTNAME", String, `${hostname()}-${process.pid}`),
    identity: {
      controlNamespace,
      trustDomain,
      lifetimeMs: read("IDENTITY_ISSUANCE_LIFETIME", positiveDuration, 86_400_000),
      skewMs: read("IDENTITY_CLOCK_SKEW_ALLOWANCE", duration, 20_000),
      scheme: read<IssuerScheme | undefined>("IDENTITY_SCHEME", scheme, undefined),
      refreshMs: read("IDENTITY_REFRESH", positiveDuration, 60_000),
    },
    identityAddress: read(
      "IDENTITY_ADDR",
      hostPort,
      `linkerd-identity-headless.${controlNamespace}.svc.${clusterDomain}.:8080`,
    ),
    identityTokenFile: read("IDENTITY_TOKEN_FILE", String, TOKEN_FILE),
    destination: {
      controlNamespace,
      clusterDomain,
      trustDomain,
      defaultOpaquePorts,
      isH2UpgradeOn: read("ENABLE_H2_UPGRADE", boolean, true),
      isTransportHeaderOn: read("OUTBOUND_TRANSPORT_MODE", transportMode, true),
      isIpv6On: read("ENABLE_IPV6", boolean, false),
      hasZoneWeights: read("EXT_ENDPOINT_ZONE_WEIGHTS", boolean, false),
    },
    http2: read("MESHED_HTTP2_CLIENT_PARAMS", parseHttp2Params, {
      keepAlive: { intervalMs: 10_000, timeoutMs: 3_000, whileIdle: true },
    }),
    streamQueueCapacity: read("STREAM_QUEUE_CAPACITY", positive, 100),
    defaultPolicy: read("DEFAULT_POLICY", policy, "all-unauthenticated"),
    probeNetworks: read("PROBE_NETWORKS", parseNetworks, parseNetworks("0.0.0.0/0,::/0")),
    globalEgressNamespace: read("GLOBAL_EGRESS_NETWORK_NAMESPACE", label, "linkerd-egress"),
    advertised: {
      destination: read("ADVERTISED_DESTINATION_ADDR", hostPort, ""),
      policy: read("ADVERTISED_POLICY_ADDR", hostPort, ""),
      identity: read("ADVERTISED_IDENTITY_ADDR", hostPort, ""),
      expansion: read("ADVERTISED_EXPANSION_ADDRS", (text) => list(text).map(hostPort), []),
    },
    webhookTlsFolder: read("WEBHOOK_TLS_DIR", String, TLS_FOLDER),
    policyWebhookTlsFolder: read("POLICY_WEBHOOK_TLS_DIR", String, TLS_FOLDER),
    injector: {
      values: read("INJECTOR_VALUES_FILE", String, ""),
      anchors: read("INJECTOR_TRUST_ANCHORS_FILE", String, ""),
    },
    shutdownGraceMs: read("SHUTDOWN_GRACE_PERIOD", duration, 10_000),
  };
}

function roles(text: string): ReadonlySet<Role> {
  const found = new Set<Role>();
  for (const item of list(text)) {
    const role = ALL_ROLES.find((one) => one === item);
    if (role === undefined) throw new SyntaxError(`expected some of ${ALL_ROLES.join(", ")}`);
    found.add(role);
  }
  if (found.size === 0) throw new SyntaxError("no role is named");
  // Machines' certificates are signed with the issuer, which only the identity role holds.
  if (found.has("expansion") && !found.has("identity")) {
    throw new SyntaxError("expansion needs identity in the same process");
  }
  return found;
}

function partOfLoopback(text: string): IpNetwork | undefined {
  if (text === "") return undefined;
  const network = parseNetwork(text);
  if (!LOOPBACK.covers(network)) throw new SyntaxError("expected a part of 127.0.0.0/8");
  return network;
}

/** Whether an address is the machine's own and not one of the mesh. */
export function isPlainLoopback(text: string, mesh: IpNetwork | undefined): boolean {
  const address = parseIp(text);
  return address !== undefined && isLoopback(address) && mesh?.contains(address) !== true;
}

/**
 * Whether a client may speak plaintext: it is on this very machine. Another way to see that than by
 * loopback is that both ends have one address, as when a pod's own proxy passes on what it decrypted.
 */
export function isOnThisMachine(
  from: string,
  own: string | undefined,
  mesh: IpNetwork | undefined,
): boolean {
  if (isPlainLoopback(from, mesh)) return true;
  const address = parseIp(from);
  return from === own && address !== undefined && mesh?.contains(address) !== true;
}

function transportMode(text: string): boolean {
  if (text === "transport-header") return true;
  if (text === "transparent") return false;
  throw new SyntaxError("neither transport-header nor transparent");
}

function scheme(text: string): IssuerScheme {
  if (text === "linkerd.io/tls" || text === "kubernetes.io/tls") return text;
  throw new SyntaxError("neither linkerd.io/tls nor kubernetes.io/tls");
}

function policy(text: string): DefaultPolicy {
  const found = parseDefaultPolicy(text);
  if (found === undefined) throw new SyntaxError("not a default policy");
  return found;
}
