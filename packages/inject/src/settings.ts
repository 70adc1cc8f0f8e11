import { parseQuantity } from "@heddle/model/quantity";
import { ADDITIONAL_ENV, INJECT, OPAQUE_PORTS } from "./annotations.ts";
import { parseBoolean, parseDuration, parseWhole, wholeCores } from "./go-text.ts";
import { allContainers, type Pod } from "./pod.ts";
import { resolvePortNames } from "./port-list.ts";
import type { EnvVar, ProxyValues, ResourceValues, Values } from "./values.ts";

/** The settings of one pod, and which annotations were passed over for their values. */
export interface EffectiveSettings {
  readonly values: Values;
  readonly warnings: readonly string[];
}

type Annotations = ReadonlyMap<string, string>;
type Override = (values: Values, text: string) => Values;

const CONFIG = "config.linkerd.io/";
const MAX_ID = 2 ** 32 - 1;
const POLICIES = [
  "all-unauthenticated",
  "all-authenticated",
  "cluster-unauthenticated",
  "cluster-authenticated",
  "deny",
  "audit",
];

/** Each setting by its annotation. What throws leaves the setting as it was. */
const OVERRIDES: Readonly<Record<string, Override>> = {
  "proxy-image": image((name) => ({ name })),
  "proxy-version": image((version) => ({ version })),
  "image-pull-policy": image((pullPolicy) => ({ pullPolicy })),
  "debug-image": debugImage((name) => ({ name })),
  "debug-image-version": debugImage((version) => ({ version })),
  "debug-image-pull-policy": debugImage((pullPolicy) => ({ pullPolicy })),
  "enable-debug-sidecar": proxy((text) => ({ enableDebugSidecar: parseBoolean(text) })),
  "control-port": port("control"),
  "inbound-port": port("inbound"),
  "outbound-port": port("outbound"),
  "admin-port": port("admin"),
  "skip-inbound-ports": init((ignoreInboundPorts) => ({ ignoreInboundPorts })),
  "skip-outbound-ports": init((ignoreOutboundPorts) => ({ ignoreOutboundPorts })),
  "skip-subnets": init((skipSubnets) => ({ skipSubnets })),
  "close-wait-timeout": init((text) => ({
    closeWaitTimeoutSecs: Math.trunc(parseDuration(text) / 1000),
  })),
  "proxy-cpu-request": (values, text) =>
    workers(resource(values, "cpu", "request", text), { minimum: wholeCores(text) }),
  "proxy-cpu-limit": (values, text) =>
    workers(resource(values, "cpu", "limit", text), { maximum: wholeCores(text) }),
  "proxy-cpu-ratio-limit": (values, text) => workers(values, { maximumCPURatio: ratio(text) }),
  "proxy-memory-request": (values, text) => resource(values, "memory", "request", text),
  "proxy-memory-limit": (values, text) => resource(values, "memory", "limit", text),
  "proxy-ephemeral-storage-request": (values, text) =>
    resource(values, "ephemeral-storage", "request", text),
  "proxy-ephemeral-storage-limit": (values, text) =>
    resource(values, "ephemeral-storage", "limit", text),
  "proxy-uid": proxy((text) => ({ uid: parseWhole(text, 0, MAX_ID) })),
  "proxy-gid": proxy((text) => ({ gid: parseWhole(text, -1, MAX_ID) })),
  "proxy-admin-shutdown": proxy((text) => ({ enableShutdownEndpoint: enabled(text) })),
  "proxy-log-level": proxy((logLevel) => ({ logLevel })),
  "proxy-log-http-headers": proxy((logHTTPHeaders) => ({ logHTTPHeaders })),
  "proxy-log-format": proxy((logFormat) => ({ logFormat })),
  "access-log": proxy((accessLog) => ({ accessLog })),
  "enable-external-profiles": proxy((text) => ({ enableExternalProfiles: parseBoolean(text) })),
  "proxy-require-identity-inbound-ports": proxy((requireIdentityOnInboundPorts) => ({
    requireIdentityOnInboundPorts,
  })),
  "proxy-metrics-hostname-labels": proxy((text) => ({
    metrics: { hostnameLabels: parseBoolean(text) },
  })),
  "proxy-outbound-connect-timeout": proxy((text) => ({
    outboundConnectTimeout: milliseconds(text),
  })),
  "proxy-inbound-connect-timeout": proxy((text) => ({ inboundConnectTimeout: milliseconds(text) })),
  "proxy-outbound-discovery-cache-unused-timeout": proxy((text) => ({
    outboundDiscoveryCacheUnusedTimeout: seconds(text),
  })),
  "proxy-inbound-discovery-cache-unused-timeout": proxy((text) => ({
    inboundDiscoveryCacheUnusedTimeout: seconds(text),
  })),
  "proxy-disable-outbound-protocol-detect-timeout": proxy((text) => ({
    disableOutboundProtocolDetectTimeout: parseBoolean(text),
  })),
  "proxy-disable-inbound-protocol-detect-timeout": proxy((text) => ({
    disableInboundProtocolDetectTimeout: parseBoolean(text),
  })),
  "shutdown-grace-period": proxy((text) => ({ shutdownGracePeriod: milliseconds(text) })),
  "enable-gateway": proxy((text) => ({ isGateway: parseBoolean(text) })),
  "proxy-await": proxy((text) => ({ await: enabled(text) })),
  "default-inbound-policy": proxy((text) => ({ defaultInboundPolicy: policy(text) })),
};

/**
 * The chart's values as a pod's annotations change them. `annotations` are the pod's own with those
 * it inherits; `namespace` is asked for additional variables only, which merge by name.
 */
export function effectiveSettings(
  base: Values,
  pod: Pod,
  annotations: Annotations,
  namespace: Readonly<Record<string, string>>,
): EffectiveSettings {
  const warnings: string[] = [];
  let values = base;
  const apply = (key: string, override: Override, text = annotations.get(key)) => {
    if (text === undefined) return;
    try {
      values = override(values, text);
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
      warnings.push(`${key}: ${error.message}`);
    }
  };
  for (const [name, override] of Object.entries(OVERRIDES)) apply(CONFIG + name, override);
  // The later spelling wins.
  for (const prefix of ["config.alpha.linkerd.io/", "config.beta.linkerd.io/", CONFIG]) {
    apply(
      `${prefix}proxy-enable-native-sidecar`,
      proxy((text) => ({ nativeSidecar: parseBoolean(text) })),
    );
  }
  apply(
    "config.alpha.linkerd.io/proxy-wait-before-exit-seconds",
    proxy((text) => ({ waitBeforeExitSeconds: parseWhole(text, 0, Number.MAX_SAFE_INTEGER) })),
  );
  apply(
    OPAQUE_PORTS,
    proxy((text) => ({ opaquePorts: resolvePortNames(text, portNames(pod)) })),
  );
  if (annotations.get(INJECT) === "ingress") values = withProxy(values, { isIngress: true });
  const inherited = Object.hasOwn(namespace, ADDITIONAL_ENV)
    ? namespace[ADDITIONAL_ENV]
    : undefined;
  if (inherited !== undefined) apply(ADDITIONAL_ENV, mergeEnv, inherited);
  const own = annotations.get(ADDITIONAL_ENV);
  if (own !== inherited) apply(ADDITIONAL_ENV, mergeEnv, own);
  return { values: withTraceLabels(values, pod, annotations), warnings };
}

/** The named ports of a pod's containers. */
function portNames(pod: Pod): ReadonlyMap<string, number> {
  const names = new Map<string, number>();
  for (const { ports } of allContainers(pod)) {
    for (const { name, containerPort } of ports ?? []) {
      if (name !== undefined && name !== "") names.set(name, containerPort);
    }
  }
  return names;
}

const RESOURCE_PREFIX = "resource.opentelemetry.io/";

/** A trace names the service by the pod's labels, and what its annotations add. */
function withTraceLabels(values: Values, pod: Pod, annotations: Annotations): Values {
  const { tracing } = values.proxy;
  if (!tracing.enabled) return values;
  const labels = new Map(Object.entries(tracing.labels));
  const own = pod.metadata?.labels ?? {};
  const service = own["app.kubernetes.io/instance"] ?? own["app.kubernetes.io/name"];
  if (service !== undefined) labels.set("service.name", service);
  for (const [key, value] of annotations) {
    if (key.startsWith(RESOURCE_PREFIX)) labels.set(key.slice(RESOURCE_PREFIX.length), value);
  }
  return withProxy(values, { tracing: { ...tracing, labels: Object.fromEntries(labels) } });
}

function withProxy(values: Values, change: Partial<ProxyValues>): Values {
  return { ...values, proxy: { ...values.proxy, ...change } };
}

function proxy(change: (text: string) => Partial<ProxyValues>): Override {
  return (values, text) => withProxy(values, change(text));
}

function init(change: (text: string) => Partial<Values["proxyInit"]>): Override {
  return (values, text) => ({ ...values, proxyInit: { ...values.proxyInit, ...change(text) } });
}

function image(change: (text: string) => Partial<ProxyValues["image"]>): Override {
  return (values, text) => withProxy(values, { image: { ...values.proxy.image, ...change(text) } });
}

function debugImage(change: (text: string) => Partial<ProxyValues["image"]>): Override {
  return (values, text) => ({
    ...values,
    debugContainer: { image: { ...values.debugContainer.image, ...change(text) } },
  });
}

function port(name: keyof ProxyValues["ports"]): Override {
  return (values, text) =>
    withProxy(values, { ports: { ...values.proxy.ports, [name]: parseWhole(text, 1, 65_535) } });
}

function resource(
  values: Values,
  name: keyof ProxyValues["resources"],
  side: keyof ResourceValues,
  text: string,
): Values {
  parseQuantity(text);
  const { resources } = values.proxy;
  const changed = { ...resources, [name]: { ...resources[name], [side]: text } };
  return withProxy(values, { resources: changed });
}

function workers(values: Values, change: Partial<ProxyValues["runtime"]["workers"]>): Values {
  const changed = { ...values.proxy.runtime.workers, ...change };
  return withProxy(values, { runtime: { workers: changed } });
}

function ratio(text: string): number {
  const value = /^\d*\.?\d+$/.test(text) ? Number(text) : Number.NaN;
  if (value > 0 && value < 1) return value;
  throw new SyntaxError(`"${text.slice(0, 64)}" is not a share between 0 and 1`);
}

function enabled(text: string): boolean {
  if (text === "enabled" || text === "disabled") return text === "enabled";
  throw new SyntaxError(`"${text.slice(0, 64)}" is neither enabled nor disabled`);
}

function policy(text: string): string {
  if (POLICIES.includes(text)) return text;
  throw new SyntaxError(`"${text.slice(0, 64)}" is none of ${POLICIES.join(", ")}`);
}

function milliseconds(text: string): string {
  return `${Math.trunc(parseDuration(text))}ms`;
}

function seconds(text: string): string {
  return `${Math.trunc(parseDuration(text) / 1000)}s`;
}

function mergeEnv(values: Values, text: string): Values {
  const merged = new Map(values.proxy.additionalEnv.map((entry) => [entry.name, entry]));
  for (const entry of parseEnv(text)) merged.set(entry.name, entry);
  return withProxy(values, { additionalEnv: [...merged.values()] });
}

function parseEnv(text: string): readonly EnvVar[] {
  const found: unknown = JSON.parse(text);
  const isList =
    Array.isArray(found) &&
    found.every((entry) => typeof (entry as { name?: unknown } | null)?.name === "string");
  if (!isList) throw new SyntaxError("it is not a JSON list of variables with names");
  return found as readonly EnvVar[];
}
