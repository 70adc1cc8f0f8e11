/** One service of the control plane: where it is, and the name that its certificate must carry. */
export interface ControlService {
  /** `address:port`. */
  readonly address: string;
  readonly name: string;
}

/** What is the same for every proxy of a mesh. */
export interface MeshSettings {
  /** PEM. */
  readonly trustAnchors: string;
  readonly trustDomain: string;
  readonly clusterDomain: string;
  readonly controlNamespace: string;
  /** CIDRs that are the mesh's own. */
  readonly clusterNetworks: readonly string[];
  /** Part of 127.0.0.0/8 that counts as network (HEDDLE_LOOPBACK_MESH); empty for none. */
  readonly loopbackMesh: string;
  readonly destination: ControlService;
  readonly policy: ControlService;
  readonly identity: ControlService;
}

/** `local` port → `authority` (`name:port`): a listener for clients that nothing redirects. */
export interface DeclaredListener {
  readonly listen: string;
  readonly authority: string;
}

/** What is this proxy's own. */
export interface ProxySettings {
  /** The address that the mesh reaches it at; its listeners bind it. */
  readonly ip: string;
  /** Where inbound forwards; undefined: to the address that the connection was made to. */
  readonly appIp?: string;
  /** Rules redirect to this proxy, which the kernel does to loopback and to any own address. */
  readonly isCaptured?: boolean;
  /** Ports of the application. */
  readonly ports: readonly number[];
  /** JSON, as `proxy-api.md` section 16 has it. */
  readonly workload: Readonly<Record<string, string>>;
  readonly listeners: readonly DeclaredListener[];
  readonly identity:
    | {
        readonly kind: "certify";
        /** Key and CSR are made here. */
        readonly folder: string;
        readonly tokenFile: string;
        readonly localName: string;
      }
    | {
        readonly kind: "workload-api";
        readonly socket: string;
        readonly serverId: string;
        readonly serverName: string;
      };
  readonly logFilter?: string;
  readonly defaultPolicy?: string;
}

/** The proxy's listeners; Linkerd's own numbers. */
export const OUTBOUND_PORT = 4140;
export const INBOUND_PORT = 4143;
export const ADMIN_PORT = 4191;
export const TAP_PORT = 4190;

/** The environment that makes a process this proxy: Linkerd's variables, and ours beside them. */
export function proxyEnvironment(mesh: MeshSettings, proxy: ProxySettings): Record<string, string> {
  const { ip, identity } = proxy;
  const host = ip.includes(":") ? `[${ip}]` : ip;
  const networks = mesh.clusterNetworks.join(",");
  const env: Record<string, string> = {
    LINKERD2_PROXY_LOG: proxy.logFilter ?? "warn,heddle=info",
    ...listenAddresses(host, proxy.isCaptured === true),
    LINKERD2_PROXY_ADMIN_LISTEN_ADDR: `${host}:${ADMIN_PORT}`,
    LINKERD2_PROXY_CONTROL_LISTEN_ADDR: `${host}:${TAP_PORT}`,
    LINKERD2_PROXY_INBOUND_IPS: ip,
    LINKERD2_PROXY_INBOUND_PORTS: proxy.ports.join(","),
    LINKERD2_PROXY_INBOUND_DEFAULT_POLICY: proxy.defaultPolicy ?? "all-unauthenticated",
    LINKERD2_PROXY_POLICY_CLUSTER_NETWORKS: networks,
    LINKERD2_PROXY_DESTINATION_PROFILE_NETWORKS: networks,
    LINKERD2_PROXY_DESTINATION_PROFILE_SUFFIXES: `svc.${mesh.clusterDomain}.`,
    LINKERD2_PROXY_POLICY_WORKLOAD: JSON.stringify(proxy.workload),
    LINKERD2_PROXY_DESTINATION_CONTEXT: JSON.stringify(proxy.workload),
    LINKERD2_PROXY_IDENTITY_TRUST_ANCHORS: mesh.trustAnchors,
    LINKERD2_PROXY_DESTINATION_SVC_ADDR: mesh.destination.address,
    LINKERD2_PROXY_DESTINATION_SVC_NAME: mesh.destination.name,
    LINKERD2_PROXY_POLICY_SVC_ADDR: mesh.policy.address,
    LINKERD2_PROXY_POLICY_SVC_NAME: mesh.policy.name,
  };
  if (identity.kind === "certify") {
    env["LINKERD2_PROXY_IDENTITY_DIR"] = identity.folder;
    env["LINKERD2_PROXY_IDENTITY_TOKEN_FILE"] = identity.tokenFile;
    env["LINKERD2_PROXY_IDENTITY_LOCAL_NAME"] = identity.localName;
    env["LINKERD2_PROXY_IDENTITY_SVC_ADDR"] = mesh.identity.address;
    env["LINKERD2_PROXY_IDENTITY_SVC_NAME"] = mesh.identity.name;
  } else {
    env["LINKERD2_PROXY_IDENTITY_SPIRE_WORKLOAD_API_ADDRESS"] = `unix:${identity.socket}`;
    env["LINKERD2_PROXY_IDENTITY_SERVER_ID"] = identity.serverId;
    env["LINKERD2_PROXY_IDENTITY_SERVER_NAME"] = identity.serverName;
  }
  if (mesh.loopbackMesh !== "") env["HEDDLE_LOOPBACK_MESH"] = mesh.loopbackMesh;
  if (proxy.appIp !== undefined) env["HEDDLE_PROXY_INBOUND_APP_IP"] = proxy.appIp;
  if (proxy.listeners.length > 0) {
    env["HEDDLE_PROXY_OUTBOUND_LISTENERS"] = proxy.listeners
      .map(({ listen, authority }) => `${listen}=${authority}`)
      .join(",");
  }
  return env;
}

/**
 * A redirected connection arrives at 127.0.0.1 or ::1 if it was made here, and else at the first
 * address of the interface that it came in by.
 */
function listenAddresses(host: string, isCaptured: boolean): Record<string, string> {
  if (!isCaptured) {
    return {
      LINKERD2_PROXY_OUTBOUND_LISTEN_ADDR: `${host}:${OUTBOUND_PORT}`,
      LINKERD2_PROXY_INBOUND_LISTEN_ADDR: `${host}:${INBOUND_PORT}`,
    };
  }
  const any = host.startsWith("[") ? "[::]" : "0.0.0.0";
  const own = host.startsWith("[") ? "[::1]" : "127.0.0.1";
  return {
    LINKERD2_PROXY_OUTBOUND_LISTEN_ADDR: `${own}:${OUTBOUND_PORT}`,
    LINKERD2_PROXY_INBOUND_LISTEN_ADDR: `${any}:${INBOUND_PORT}`,
  };
}

/** `sa.ns.serviceaccount.identity.linkerd.cluster.local`: a workload's name by its ServiceAccount. */
export function serviceAccountIdentity(
  mesh: Pick<MeshSettings, "controlNamespace" | "trustDomain">,
  namespace: string,
  serviceAccount: string,
): string {
  return `${serviceAccount}.${namespace}.serviceaccount.identity.${mesh.controlNamespace}.${mesh.trustDomain}`;
}
