/** What may be said of proxies, and how it is seen in their pods. */

interface Resources {
  readonly [name: string]: string | undefined;
}

export interface InjectedContainer {
  readonly name: string;
  readonly image: string;
  readonly imagePullPolicy: string;
  readonly args: readonly string[];
  readonly env: readonly { readonly name: string; readonly value?: string }[];
  readonly restartPolicy?: string;
  readonly readinessProbe: { readonly httpGet: { readonly port: number } };
  readonly resources: { readonly requests?: Resources; readonly limits?: Resources };
  readonly securityContext: { readonly runAsUser?: number; readonly runAsGroup?: number };
}

/** The containers that an injection adds. */
export interface Injected {
  readonly proxy: InjectedContainer;
  readonly init: InjectedContainer;
  readonly debug: InjectedContainer | undefined;
}

/** A setting, and what it makes of a pod. */
export interface Setting {
  /** Of `heddle inject`, where there is one. */
  readonly flag?: string;
  readonly value: string;
  readonly shows: (pod: Injected) => unknown;
  /** What `shows` shows then; the value itself if left out. */
  readonly as?: unknown;
}

const env =
  (suffix: string) =>
  ({ proxy }: Injected): unknown =>
    proxy.env.find(({ name }) => name === `LINKERD2_PROXY_${suffix}`)?.value;
/** The value of an argument of the init container. */
const argument =
  (name: string) =>
  ({ init }: Injected): unknown =>
    init.args[init.args.indexOf(name) + 1];

/** Each of another value than it has anyway, by annotation. */
export const SETTINGS: Readonly<Record<string, Setting>> = {
  "proxy-image": {
    flag: "--proxy-image",
    value: "own/proxy",
    shows: ({ proxy, init }) => [proxy.image, init.image],
    as: ["own/proxy:v9", "own/proxy:v9"],
  },
  "proxy-version": {
    flag: "--proxy-version",
    value: "v9",
    shows: ({ proxy }) => proxy.image.split(":")[1],
  },
  "image-pull-policy": {
    flag: "--image-pull-policy",
    value: "Never",
    shows: ({ proxy }) => proxy.imagePullPolicy,
  },
  "control-port": {
    flag: "--control-port",
    value: "5190",
    shows: env("CONTROL_LISTEN_ADDR"),
    as: "0.0.0.0:5190",
  },
  "inbound-port": {
    flag: "--inbound-port",
    value: "5143",
    shows: (pod) => [env("INBOUND_LISTEN_ADDR")(pod), argument("--incoming-proxy-port")(pod)],
    as: ["0.0.0.0:5143", "5143"],
  },
  "outbound-port": {
    flag: "--outbound-port",
    value: "5140",
    shows: (pod) => [env("OUTBOUND_LISTEN_ADDR")(pod), argument("--outgoing-proxy-port")(pod)],
    as: ["127.0.0.1:5140", "5140"],
  },
  "admin-port": {
    flag: "--admin-port",
    value: "5191",
    shows: ({ proxy }) => proxy.readinessProbe.httpGet.port,
    as: 5191,
  },
  "skip-inbound-ports": {
    flag: "--skip-inbound-ports",
    value: "25,80-90",
    shows: argument("--inbound-ports-to-ignore"),
    as: "5190,5191,25,80-90",
  },
  "skip-outbound-ports": {
    flag: "--skip-outbound-ports",
    value: "26",
    shows: argument("--outbound-ports-to-ignore"),
  },
  "skip-subnets": { value: "192.0.2.0/24", shows: argument("--subnets-to-ignore") },
  "opaque-ports": {
    flag: "--opaque-ports",
    value: "7000",
    shows: env("INBOUND_PORTS_DISABLE_PROTOCOL_DETECTION"),
  },
  "proxy-cpu-request": {
    flag: "--proxy-cpu-request",
    value: "1100m",
    shows: (pod) => [pod.proxy.resources.requests?.["cpu"], env("CORES_MIN")(pod)],
    as: ["1100m", "2"],
  },
  "proxy-cpu-limit": {
    flag: "--proxy-cpu-limit",
    value: "2900m",
    shows: (pod) => [pod.proxy.resources.limits?.["cpu"], env("CORES_MAX")(pod)],
    as: ["2900m", "3"],
  },
  "proxy-memory-request": {
    flag: "--proxy-memory-request",
    value: "64Mi",
    shows: ({ proxy }) => proxy.resources.requests?.["memory"],
  },
  "proxy-memory-limit": {
    flag: "--proxy-memory-limit",
    value: "128Mi",
    shows: ({ proxy }) => proxy.resources.limits?.["memory"],
  },
  "proxy-ephemeral-storage-request": {
    value: "10Mi",
    shows: ({ proxy }) => proxy.resources.requests?.["ephemeral-storage"],
  },
  "proxy-ephemeral-storage-limit": {
    value: "20Mi",
    shows: ({ proxy }) => proxy.resources.limits?.["ephemeral-storage"],
  },
  "proxy-uid": {
    flag: "--proxy-uid",
    value: "3102",
    shows: (pod) => [pod.proxy.securityContext.runAsUser, argument("--proxy-uid")(pod)],
    as: [3102, "3102"],
  },
  "proxy-gid": {
    flag: "--proxy-gid",
    value: "3103",
    shows: (pod) => [pod.proxy.securityContext.runAsGroup, argument("--proxy-gid")(pod)],
    as: [3103, "3103"],
  },
  "proxy-admin-shutdown": {
    value: "enabled",
    shows: env("SHUTDOWN_ENDPOINT_ENABLED"),
    as: "true",
  },
  "proxy-log-level": {
    flag: "--proxy-log-level",
    value: "debug,heddle=trace",
    shows: (pod) => String(env("LOG")(pod)).startsWith("debug,heddle=trace"),
    as: true,
  },
  "proxy-log-http-headers": {
    value: "insecure",
    shows: (pod) => String(env("LOG")(pod)).includes("[{headers}]=off"),
    as: false,
  },
  "proxy-disable-outbound-protocol-detect-timeout": {
    value: "true",
    shows: env("OUTBOUND_DETECT_TIMEOUT"),
    as: "365d",
  },
  "proxy-disable-inbound-protocol-detect-timeout": {
    value: "true",
    shows: env("INBOUND_DETECT_TIMEOUT"),
    as: "365d",
  },
  "enable-gateway": {
    value: "true",
    shows: env("INBOUND_GATEWAY_SUFFIXES"),
    as: "svc.cluster.local.",
  },
  "debug-image": {
    value: "own/debug",
    shows: ({ debug }) => debug?.image,
    as: "own/debug:v8",
  },
  "debug-image-version": { value: "v8", shows: ({ debug }) => debug?.image.split(":")[1] },
  "debug-image-pull-policy": { value: "Never", shows: ({ debug }) => debug?.imagePullPolicy },
  "enable-debug-sidecar": { value: "true", shows: ({ debug }) => debug?.name, as: "linkerd-debug" },
  "proxy-log-format": { value: "json", shows: env("LOG_FORMAT") },
  "access-log": { value: "apache", shows: env("ACCESS_LOG") },
  "enable-external-profiles": {
    flag: "--enable-external-profiles",
    value: "true",
    shows: env("DESTINATION_PROFILE_SUFFIXES"),
    as: ".",
  },
  "proxy-require-identity-inbound-ports": {
    flag: "--require-identity-on-inbound-ports",
    value: "7001",
    shows: env("INBOUND_PORTS_REQUIRE_IDENTITY"),
  },
  "proxy-metrics-hostname-labels": {
    value: "true",
    shows: env("OUTBOUND_METRICS_HOSTNAME_LABELS"),
  },
  "proxy-outbound-connect-timeout": {
    value: "2s",
    shows: env("OUTBOUND_CONNECT_TIMEOUT"),
    as: "2000ms",
  },
  "proxy-inbound-connect-timeout": {
    value: "300ms",
    shows: env("INBOUND_CONNECT_TIMEOUT"),
  },
  "proxy-outbound-discovery-cache-unused-timeout": {
    value: "11s",
    shows: env("OUTBOUND_DISCOVERY_IDLE_TIMEOUT"),
  },
  "proxy-inbound-discovery-cache-unused-timeout": {
    value: "12s",
    shows: env("INBOUND_DISCOVERY_IDLE_TIMEOUT"),
  },
  "shutdown-grace-period": { value: "13s", shows: env("SHUTDOWN_GRACE_PERIOD"), as: "13000ms" },
  "default-inbound-policy": {
    flag: "--default-inbound-policy",
    value: "audit",
    shows: env("INBOUND_DEFAULT_POLICY"),
  },
  "proxy-additional-env": {
    value: '[{"name":"EXTRA","value":"more"}]',
    shows: ({ proxy }) => proxy.env.find(({ name }) => name === "EXTRA")?.value,
    as: "more",
  },
};
