import { MeshError } from "@heddle/base/errors";
import { allContainers, type Pod, SERVICE_ACCOUNT_PATH } from "./pod.ts";
import { type EnvVar, trustDomainOf, type Values } from "./values.ts";

const PREFIX = "LINKERD2_PROXY_";
export const END_ENTITY_PATH = "/var/run/linkerd/identity/end-entity";
export const TOKEN_FOLDER = "/var/run/secrets/tokens";
export const TOKEN_NAME = "linkerd-identity-token";
export const PODINFO_PATH = "/var/run/linkerd/podinfo";
/** The proxy's detection never times out. */
const NO_DETECT_TIMEOUT = "365d";

/**
 * The variables of a pod's proxy, in Linkerd's order: Kubernetes expands `$(NAME)` only if that
 * variable stands before its user.
 */
export function proxyVariables(values: Values, pod: Pod, controlNamespace: string): EnvVar[] {
  const { proxy } = values;
  return [
    field("_pod_name", "metadata.name"),
    field("_pod_ns", "metadata.namespace"),
    field("_pod_uid", "metadata.uid"),
    field("_pod_ip", "status.podIP"),
    field("_pod_nodeName", "spec.nodeName"),
    { name: "_pod_containerName", value: "linkerd-proxy" },
    ...workerVariables(values),
    ...optional("INBOUND_PORTS_REQUIRE_IDENTITY", proxy.requireIdentityOnInboundPorts),
    ...optional("INBOUND_PORTS_REQUIRE_TLS", proxy.requireTLSOnInboundPorts),
    own("SHUTDOWN_ENDPOINT_ENABLED", String(proxy.enableShutdownEndpoint)),
    own("LOG", logLevel(values)),
    own("LOG_FORMAT", proxy.logFormat),
    ...controlVariables(values, controlNamespace),
    ...timeoutVariables(values),
    ...listenVariables(values, pod),
    ...protocolVariables(values),
    ...traceVariables(values, controlNamespace),
    ...tuningVariables("INBOUND", proxy.inbound),
    ...tuningVariables("OUTBOUND", proxy.outbound),
    ...optional("INBOUND_PORTS_DISABLE_PROTOCOL_DETECTION", proxy.opaquePorts),
    own(
      "DESTINATION_CONTEXT",
      '{"ns":"$(_pod_ns)", "nodeName":"$(_pod_nodeName)", "pod":"$(_pod_name)"}\n',
    ),
    ...identityVariables(values, controlNamespace),
    ...optional("ACCESS_LOG", proxy.accessLog),
    ...optional("SHUTDOWN_GRACE_PERIOD", proxy.shutdownGracePeriod),
    ...proxy.additionalEnv,
    ...proxy.experimentalEnv,
  ];
}

function own(name: string, value: string): EnvVar {
  return { name: PREFIX + name, value };
}

function optional(name: string, value: string): EnvVar[] {
  return value === "" ? [] : [own(name, value)];
}

function field(name: string, fieldPath: string): EnvVar {
  return { name, valueFrom: { fieldRef: { fieldPath } } };
}

function workerVariables({ proxy }: Values): EnvVar[] {
  const { minimum, maximum, maximumCPURatio } = proxy.runtime.workers;
  const least = String(proxy.cores > 0 ? proxy.cores : minimum);
  const found = [own("CORES", least), own("CORES_MIN", least)];
  if (proxy.cores > 0) return found;
  if (maximum > 0) found.push(own("CORES_MAX", String(maximum)));
  if (maximumCPURatio > 0) found.push(own("CORES_MAX_RATIO", String(maximumCPURatio)));
  return found;
}

function logLevel({ proxy }: Values): string {
  if (proxy.logHTTPHeaders === "insecure") return proxy.logLevel;
  if (proxy.logHTTPHeaders === "off") return `${proxy.logLevel},[{headers}]=off,[{request}]=off`;
  const message = `Cannot inject: config.linkerd.io/proxy-log-http-headers takes off or insecure, not "${proxy.logHTTPHeaders.slice(0, 64)}"`;
  throw new MeshError("bad_settings", "client", message);
}

function controlVariables(values: Values, controlNamespace: string): EnvVar[] {
  const suffix = `${controlNamespace}.svc.${values.clusterDomain}.`;
  return [
    own("DESTINATION_SVC_ADDR", `linkerd-dst-headless.${suffix}:8086`),
    own("DESTINATION_PROFILE_NETWORKS", values.clusterNetworks),
    own("POLICY_CLUSTER_NETWORKS", values.clusterNetworks),
    own("POLICY_SVC_ADDR", `linkerd-policy.${suffix}:8090`),
    own("POLICY_WORKLOAD", '{"ns":"$(_pod_ns)", "pod":"$(_pod_name)"}\n'),
    own("INBOUND_DEFAULT_POLICY", values.proxy.defaultInboundPolicy),
  ];
}

function timeoutVariables({ proxy }: Values): EnvVar[] {
  const { streams } = proxy.control;
  const found = [
    own("CONTROL_STREAM_INITIAL_TIMEOUT", streams.initialTimeout),
    own("CONTROL_STREAM_IDLE_TIMEOUT", streams.idleTimeout),
    own("CONTROL_STREAM_LIFETIME", streams.lifetime),
    own("INBOUND_CONNECT_TIMEOUT", proxy.inboundConnectTimeout),
    own("OUTBOUND_CONNECT_TIMEOUT", proxy.outboundConnectTimeout),
    own("OUTBOUND_DISCOVERY_IDLE_TIMEOUT", proxy.outboundDiscoveryCacheUnusedTimeout),
    own("INBOUND_DISCOVERY_IDLE_TIMEOUT", proxy.inboundDiscoveryCacheUnusedTimeout),
  ];
  if (proxy.disableOutboundProtocolDetectTimeout) {
    found.push(own("OUTBOUND_DETECT_TIMEOUT", NO_DETECT_TIMEOUT));
  }
  if (proxy.disableInboundProtocolDetectTimeout) {
    found.push(own("INBOUND_DETECT_TIMEOUT", NO_DETECT_TIMEOUT));
  }
  return found;
}

function listenVariables(values: Values, pod: Pod): EnvVar[] {
  const { ports } = values.proxy;
  const any = values.disableIPv6 ? "0.0.0.0" : "[::]";
  const loopback = `127.0.0.1:${ports.outbound}`;
  const both = values.disableIPv6 ? loopback : `${loopback},[::1]:${ports.outbound}`;
  return [
    own("CONTROL_LISTEN_ADDR", `${any}:${ports.control}`),
    own("ADMIN_LISTEN_ADDR", `${any}:${ports.admin}`),
    own("OUTBOUND_LISTEN_ADDR", loopback),
    own("OUTBOUND_LISTEN_ADDRS", both),
    own("INBOUND_LISTEN_ADDR", `${any}:${ports.inbound}`),
    field(`${PREFIX}INBOUND_IPS`, "status.podIPs"),
    own("INBOUND_PORTS", inboundPorts(pod).join(",")),
  ];
}

/** What the application declares or is probed at, sorted as text. */
function inboundPorts(pod: Pod): readonly string[] {
  const found = new Set<string>();
  for (const { ports, livenessProbe, readinessProbe } of allContainers(pod)) {
    for (const { containerPort } of ports ?? []) found.add(String(containerPort));
    for (const probe of [readinessProbe, livenessProbe]) {
      const port = probe?.httpGet?.port;
      if (typeof port === "number" && port !== 0) found.add(String(port));
    }
  }
  return [...found].sort();
}

function protocolVariables(values: Values): EnvVar[] {
  const { proxy, clusterDomain } = values;
  const suffix = `svc.${clusterDomain}.`;
  return [
    ...(proxy.isGateway ? [own("INBOUND_GATEWAY_SUFFIXES", suffix)] : []),
    ...(proxy.isIngress ? [own("INGRESS_MODE", "true")] : []),
    own("DESTINATION_PROFILE_SUFFIXES", proxy.enableExternalProfiles ? "." : suffix),
    own("INBOUND_ACCEPT_KEEPALIVE", "10000ms"),
    own("OUTBOUND_CONNECT_KEEPALIVE", "10000ms"),
    own("INBOUND_ACCEPT_USER_TIMEOUT", "30s"),
    own("OUTBOUND_CONNECT_USER_TIMEOUT", "30s"),
    own("OUTBOUND_METRICS_HOSTNAME_LABELS", String(proxy.metrics.hostnameLabels)),
  ];
}

function traceVariables(values: Values, controlNamespace: string): EnvVar[] {
  const { tracing } = values.proxy;
  if (!tracing.enabled) return [];
  const { endpoint, meshIdentity } = tracing.collector;
  const { serviceAccountName, namespace } = meshIdentity;
  if (endpoint === "" || serviceAccountName === "" || namespace === "") {
    const message =
      "Cannot inject: proxy.tracing is enabled, but its collector lacks endpoint, meshIdentity.serviceAccountName or meshIdentity.namespace";
    throw new MeshError("bad_settings", "control", message);
  }
  const collector = `${serviceAccountName}.${namespace}.serviceaccount.identity.${controlNamespace}.${trustDomainOf(values)}`;
  const attributes = Object.entries(tracing.labels)
    .map(([key, value]) => `${key}=${value}\n`)
    .sort();
  return [
    own("TRACE_ATTRIBUTES_PATH", `${PODINFO_PATH}/labels`),
    own("TRACE_ANNOTATIONS_PATH", `${PODINFO_PATH}/annotations`),
    own("TRACE_PROTOCOL", tracing.protocol),
    own("TRACE_SERVICE_NAME", tracing.traceServiceName),
    own("TRACE_COLLECTOR_SVC_ADDR", endpoint),
    own("TRACE_COLLECTOR_SVC_NAME", collector),
    own("TRACE_EXTRA_ATTRIBUTES", attributes.join("")),
  ];
}

/** `server.http2.keepAliveInterval` → `INBOUND_SERVER_HTTP2_KEEP_ALIVE_INTERVAL`, sorted by key. */
function tuningVariables(side: string, scopes: Values["proxy"]["inbound"]): EnvVar[] {
  const found: EnvVar[] = [];
  for (const [scope, protocols] of sorted(scopes)) {
    for (const [protocol, parameters] of sorted(protocols)) {
      for (const [parameter, value] of sorted(parameters)) {
        const name = [scope, protocol, parameter].map(snakeCase).join("_").toUpperCase();
        found.push(own(`${side}_${name}`, String(value)));
      }
    }
  }
  return found;
}

function sorted<T>(of: Readonly<Record<string, T>> | unknown): [string, T][] {
  if (typeof of !== "object" || of === null) return [];
  return Object.entries(of as Readonly<Record<string, T>>).sort(([a], [b]) => (a < b ? -1 : 1));
}

function snakeCase(text: string): string {
  return text.replace(/([a-z0-9])([A-Z])/g, "$1_$2");
}

function identityVariables(values: Values, controlNamespace: string): EnvVar[] {
  const trustDomain = trustDomainOf(values);
  const suffix = `serviceaccount.identity.${controlNamespace}.${trustDomain}`;
  const identity = `linkerd-identity.${controlNamespace}.${suffix}`;
  const destination = `linkerd-destination.${controlNamespace}.${suffix}`;
  const tokenFile = values.identity.serviceAccountTokenProjection
    ? `${TOKEN_FOLDER}/${TOKEN_NAME}`
    : `${SERVICE_ACCOUNT_PATH}/token`;
  const service = `linkerd-identity-headless.${controlNamespace}.svc.${values.clusterDomain}.`;
  return [
    field("_pod_sa", "spec.serviceAccountName"),
    { name: "_l5d_ns", value: controlNamespace },
    { name: "_l5d_trustdomain", value: trustDomain },
    own("IDENTITY_DIR", END_ENTITY_PATH),
    own("IDENTITY_TRUST_ANCHORS", `${values.identityTrustAnchorsPEM.trim()}\n`),
    own("IDENTITY_TOKEN_FILE", tokenFile),
    own("IDENTITY_SVC_ADDR", `${service}:8080`),
    own("IDENTITY_LOCAL_NAME", `$(_pod_sa).$(_pod_ns).${suffix}`),
    own("IDENTITY_SVC_NAME", identity),
    own("DESTINATION_SVC_NAME", destination),
    own("POLICY_SVC_NAME", destination),
  ];
}
