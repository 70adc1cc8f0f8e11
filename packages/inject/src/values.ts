import { MeshError } from "@heddle/base/errors";
import { parse } from "yaml";

/** One Kubernetes resource: `request` and `limit` are quantities, empty for none. */
export interface ResourceValues {
  readonly limit: string;
  readonly request: string;
}

export interface ImageValues {
  readonly name: string;
  /** Empty: `linkerdVersion`. */
  readonly version: string;
  /** Empty: `imagePullPolicy`. */
  readonly pullPolicy: string;
}

/** A variable of a container, as Kubernetes writes it. */
export interface EnvVar {
  readonly name: string;
  readonly value?: string;
  readonly valueFrom?: unknown;
}

/** `scope.protocol.parameter`, as in `server.http2.keepAliveInterval`. */
export type TuningValues = Readonly<Record<string, Readonly<Record<string, unknown>>>>;

/** What the chart's values say about proxies: the part of `linkerd-config` that injection reads. */
export interface Values {
  readonly clusterDomain: string;
  readonly clusterNetworks: string;
  readonly disableIPv6: boolean;
  readonly imagePullPolicy: string;
  readonly linkerdVersion: string;
  readonly cniEnabled: boolean;
  readonly identityTrustAnchorsPEM: string;
  /** Empty: the cluster's domain. */
  readonly identityTrustDomain: string;
  readonly identity: { readonly serviceAccountTokenProjection: boolean };
  readonly proxy: ProxyValues;
  readonly proxyInit: ProxyInitValues;
  readonly networkValidator: NetworkValidatorValues;
  readonly debugContainer: { readonly image: ImageValues };
}

export interface ProxyValues {
  readonly image: ImageValues;
  readonly logLevel: string;
  readonly logFormat: string;
  readonly logHTTPHeaders: string;
  readonly ports: {
    readonly admin: number;
    readonly control: number;
    readonly inbound: number;
    readonly outbound: number;
  };
  readonly uid: number;
  /** Negative: none. */
  readonly gid: number;
  readonly securityContext: Readonly<Record<string, unknown>>;
  /** Deprecated; zero: as `runtime.workers` says. */
  readonly cores: number;
  readonly runtime: {
    readonly workers: {
      readonly minimum: number;
      /** Zero: no bound. */
      readonly maximum: number;
      readonly maximumCPURatio: number;
    };
  };
  readonly resources: {
    readonly cpu: ResourceValues;
    readonly memory: ResourceValues;
    readonly "ephemeral-storage": ResourceValues;
  };
  readonly enableExternalProfiles: boolean;
  readonly enableShutdownEndpoint: boolean;
  readonly outboundConnectTimeout: string;
  readonly inboundConnectTimeout: string;
  readonly outboundDiscoveryCacheUnusedTimeout: string;
  readonly inboundDiscoveryCacheUnusedTimeout: string;
  readonly disableOutboundProtocolDetectTimeout: boolean;
  readonly disableInboundProtocolDetectTimeout: boolean;
  readonly waitBeforeExitSeconds: number;
  readonly await: boolean;
  readonly requireIdentityOnInboundPorts: string;
  readonly requireTLSOnInboundPorts: string;
  readonly opaquePorts: string;
  readonly shutdownGracePeriod: string;
  readonly accessLog: string;
  readonly defaultInboundPolicy: string;
  readonly nativeSidecar: boolean;
  readonly isGateway: boolean;
  readonly isIngress: boolean;
  readonly enableDebugSidecar: boolean;
  readonly livenessProbe: ProbeValues;
  readonly readinessProbe: ProbeValues;
  readonly startupProbe: ProbeValues;
  readonly control: {
    readonly streams: {
      readonly initialTimeout: string;
      readonly idleTimeout: string;
      readonly lifetime: string;
    };
  };
  readonly metrics: { readonly hostnameLabels: boolean };
  readonly tracing: TracingValues;
  readonly inbound: TuningValues;
  readonly outbound: TuningValues;
  readonly additionalEnv: readonly EnvVar[];
  readonly experimentalEnv: readonly EnvVar[];
}

export interface ProbeValues {
  readonly initialDelaySeconds: number;
  readonly timeoutSeconds: number;
  readonly periodSeconds: number;
  readonly failureThreshold: number;
}

export interface TracingValues {
  readonly enabled: boolean;
  readonly traceServiceName: string;
  readonly protocol: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly collector: {
    readonly endpoint: string;
    readonly meshIdentity: { readonly serviceAccountName: string; readonly namespace: string };
  };
}

export interface ProxyInitValues {
  readonly iptablesMode: string;
  readonly ignoreInboundPorts: string;
  readonly ignoreOutboundPorts: string;
  readonly skipSubnets: string;
  readonly logLevel: string;
  readonly logFormat: string;
  readonly closeWaitTimeoutSecs: number;
  readonly privileged: boolean;
  readonly runAsRoot: boolean;
  readonly runAsUser: number;
  readonly runAsGroup: number;
  readonly xtMountPath: { readonly mountPath: string; readonly name: string };
}

export interface NetworkValidatorValues {
  readonly logLevel: string;
  readonly logFormat: string;
  /** Empty: an address that nothing answers, of the family in use. */
  readonly connectAddr: string;
  readonly listenAddr: string;
  readonly timeout: string;
  readonly enableSecurityContext: boolean;
  readonly securityContext: Readonly<Record<string, unknown>>;
}

const NO_RESOURCE: ResourceValues = { limit: "", request: "" };
const TUNING: TuningValues = {
  server: { http2: { keepAliveInterval: "10s", keepAliveTimeout: "3s" } },
};

const NOBODY = 65_534;
const UNPRIVILEGED: Readonly<Record<string, unknown>> = {
  allowPrivilegeEscalation: false,
  capabilities: { drop: ["ALL"] },
  readOnlyRootFilesystem: true,
  runAsGroup: NOBODY,
  runAsNonRoot: true,
  runAsUser: NOBODY,
  seccompProfile: { type: "RuntimeDefault" },
};

/** The stock chart's values; `version` is the control plane's own. */
export function defaultValues(version: string): Values {
  return {
    clusterDomain: "cluster.local",
    clusterNetworks: "10.0.0.0/8,100.64.0.0/10,172.16.0.0/12,192.168.0.0/16,fd00::/8",
    disableIPv6: true,
    imagePullPolicy: "IfNotPresent",
    linkerdVersion: version,
    cniEnabled: false,
    identityTrustAnchorsPEM: "",
    identityTrustDomain: "",
    identity: { serviceAccountTokenProjection: true },
    proxy: defaultProxyValues(),
    proxyInit: {
      iptablesMode: "nft",
      ignoreInboundPorts: "4567,4568",
      ignoreOutboundPorts: "4567,4568",
      skipSubnets: "",
      logLevel: "",
      logFormat: "",
      closeWaitTimeoutSecs: 0,
      privileged: false,
      runAsRoot: false,
      runAsUser: 65_534,
      runAsGroup: 65_534,
      xtMountPath: { mountPath: "/run", name: "linkerd-proxy-init-xtables-lock" },
    },
    networkValidator: {
      logLevel: "debug",
      logFormat: "plain",
      connectAddr: "",
      listenAddr: "",
      timeout: "10s",
      enableSecurityContext: true,
      securityContext: UNPRIVILEGED,
    },
    debugContainer: { image: { name: "heddle/debug", version: "", pullPolicy: "" } },
  };
}

function defaultProxyValues(): ProxyValues {
  const probe = { periodSeconds: 0, failureThreshold: 0 };
  return {
    image: { name: "heddle/proxy", version: "", pullPolicy: "" },
    logLevel: "warn,linkerd=info,hickory=error",
    logFormat: "plain",
    logHTTPHeaders: "off",
    ports: { admin: 4191, control: 4190, inbound: 4143, outbound: 4140 },
    uid: 2102,
    gid: -1,
    securityContext: {},
    cores: 0,
    runtime: { workers: { minimum: 1, maximum: 0, maximumCPURatio: 0 } },
    resources: { cpu: NO_RESOURCE, memory: NO_RESOURCE, "ephemeral-storage": NO_RESOURCE },
    enableExternalProfiles: false,
    enableShutdownEndpoint: false,
    outboundConnectTimeout: "1000ms",
    inboundConnectTimeout: "100ms",
    outboundDiscoveryCacheUnusedTimeout: "5s",
    inboundDiscoveryCacheUnusedTimeout: "90s",
    disableOutboundProtocolDetectTimeout: false,
    disableInboundProtocolDetectTimeout: false,
    waitBeforeExitSeconds: 0,
    await: true,
    requireIdentityOnInboundPorts: "",
    requireTLSOnInboundPorts: "",
    opaquePorts: "25,587,3306,4444,5432,6379,9300,11211",
    shutdownGracePeriod: "",
    accessLog: "",
    defaultInboundPolicy: "all-unauthenticated",
    nativeSidecar: true,
    isGateway: false,
    isIngress: false,
    enableDebugSidecar: false,
    livenessProbe: { initialDelaySeconds: 10, timeoutSeconds: 1, ...probe },
    readinessProbe: { initialDelaySeconds: 2, timeoutSeconds: 1, ...probe },
    startupProbe: {
      initialDelaySeconds: 0,
      timeoutSeconds: 0,
      periodSeconds: 1,
      failureThreshold: 120,
    },
    control: { streams: { initialTimeout: "3s", idleTimeout: "5m", lifetime: "1h" } },
    metrics: { hostnameLabels: false },
    tracing: {
      enabled: false,
      traceServiceName: "linkerd-proxy",
      protocol: "opentelemetry",
      labels: {
        "k8s.container.name": "$(_pod_containerName)",
        "k8s.pod.ip": "$(_pod_ip)",
        "k8s.pod.uid": "$(_pod_uid)",
      },
      collector: { endpoint: "", meshIdentity: { serviceAccountName: "", namespace: "" } },
    },
    inbound: TUNING,
    outbound: TUNING,
    additionalEnv: [],
    experimentalEnv: [],
  };
}

/** Takes the values of `linkerd-config` as YAML, over the chart's. What injection does not read is left out. */
export function readValues(text: string, version: string): Values {
  let found: unknown;
  try {
    found = parse(text, { maxAliasCount: 100 });
  } catch (cause) {
    throw new MeshError("bad_values", "control", "Cannot read the values: they are not YAML", {
      cause,
    });
  }
  return overlay(defaultValues(version), found ?? {}, "") as Values;
}

/** Maps that take any key: nothing of the defaults says what may be in them. */
const OPEN =
  /^(?:proxy\.(?:securityContext|tracing\.labels|inbound|outbound)|networkValidator\.securityContext)$/;

/**
 * Lays `found` over `base`, whose types it must have. `null` leaves the default; a number where text
 * is due becomes text, since YAML reads a single port as a number.
 */
function overlay(base: unknown, found: unknown, path: string): unknown {
  if (found === null || found === undefined) return base;
  if (typeof base === "string" && typeof found === "number") return String(found);
  if (typeof base === "number" && typeof found === "string" && /^-?\d+(\.\d+)?$/.test(found)) {
    return Number(found);
  }
  const wanted = kindOf(base);
  if (kindOf(found) !== wanted) {
    const message = `Cannot read the values: ${path || "the document"} is ${kindOf(found)}, not ${wanted}`;
    throw new MeshError("bad_values", "control", message);
  }
  if (wanted !== "a map") return found;
  const merged = { ...(base as Readonly<Record<string, unknown>>) };
  const isOpen = OPEN.test(path) || /^proxy\.(?:in|out)bound\./.test(path);
  for (const [key, value] of Object.entries(found as Readonly<Record<string, unknown>>)) {
    if (key === "__proto__") continue;
    const at = path === "" ? key : `${path}.${key}`;
    if (Object.hasOwn(merged, key)) merged[key] = overlay(merged[key], value, at);
    else if (isOpen) merged[key] = value;
  }
  return merged;
}

function kindOf(value: unknown): string {
  if (Array.isArray(value)) return "a list";
  return typeof value === "object" ? "a map" : `a ${typeof value}`;
}

/** The version that images without one of their own have. */
export function imageOf(image: ImageValues, values: Values): string {
  return `${image.name}:${image.version || values.linkerdVersion}`;
}

export function trustDomainOf(values: Values): string {
  return values.identityTrustDomain || values.clusterDomain;
}
