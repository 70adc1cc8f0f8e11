const CONFIG = "config.linkerd.io/";
const ALPHA = "config.alpha.linkerd.io/";

export const INJECT = "linkerd.io/inject";
export const CREATED_BY = "linkerd.io/created-by";
export const PROXY_VERSION = "linkerd.io/proxy-version";
export const TRUST_ROOT_SHA256 = "linkerd.io/trust-root-sha256";
export const CONTROL_PLANE_NS_LABEL = "linkerd.io/control-plane-ns";
export const CONTROL_PLANE_COMPONENT_LABEL = "linkerd.io/control-plane-component";
export const WORKLOAD_NS_LABEL = "linkerd.io/workload-ns";
export const OPAQUE_PORTS: string = `${CONFIG}opaque-ports`;
export const ADDITIONAL_ENV: string = `${CONFIG}proxy-additional-env`;

/** What follows `config.linkerd.io/` in each annotation that a namespace hands to its pods. */
const INHERITED_NAMES = [
  "admin-port",
  "control-port",
  "enable-debug-sidecar",
  "enable-external-profiles",
  "image-pull-policy",
  "inbound-port",
  "outbound-port",
  "pod-inbound-ports",
  "proxy-cpu-limit",
  "proxy-cpu-request",
  "proxy-image",
  "proxy-admin-shutdown",
  "proxy-log-format",
  "proxy-log-level",
  "proxy-log-http-headers",
  "proxy-memory-limit",
  "proxy-memory-request",
  "proxy-ephemeral-storage-limit",
  "proxy-ephemeral-storage-request",
  "proxy-uid",
  "proxy-gid",
  "proxy-version",
  "proxy-require-identity-inbound-ports",
  "skip-inbound-ports",
  "opaque-ports",
  "skip-outbound-ports",
  "proxy-metrics-hostname-labels",
  "proxy-outbound-connect-timeout",
  "proxy-inbound-connect-timeout",
  "proxy-await",
  "default-inbound-policy",
  "skip-subnets",
  "access-log",
  "shutdown-grace-period",
  "proxy-outbound-discovery-cache-unused-timeout",
  "proxy-inbound-discovery-cache-unused-timeout",
  "proxy-disable-outbound-protocol-detect-timeout",
  "proxy-disable-inbound-protocol-detect-timeout",
  "proxy-enable-native-sidecar",
  "proxy-additional-env",
] as const;

/** Linkerd's stable settings; the injector's metrics have a label for each. */
export const CONFIG_ANNOTATIONS: readonly string[] = INHERITED_NAMES.map((name) => CONFIG + name);

const INHERITED: readonly string[] = [
  INJECT,
  ...CONFIG_ANNOTATIONS,
  `${ALPHA}proxy-wait-before-exit-seconds`,
  `${ALPHA}proxy-enable-native-sidecar`,
];

/** What a pod without these annotations takes over from its namespace. */
export function inheritedAnnotations(
  pod: Readonly<Record<string, string>>,
  namespace: Readonly<Record<string, string>>,
): Map<string, string> {
  return new Map(
    INHERITED.filter((key) => Object.hasOwn(namespace, key) && !Object.hasOwn(pod, key)).map(
      (key) => [key, namespace[key]!],
    ),
  );
}
