import { MeshError } from "@heddle/base/errors";
import { type Capabilities, type Pod, serviceAccountMount, type VolumeMount } from "./pod.ts";
import {
  END_ENTITY_PATH,
  PODINFO_PATH,
  proxyVariables,
  TOKEN_FOLDER,
  TOKEN_NAME,
} from "./proxy-variables.ts";
import { type ImageValues, imageOf, type ProbeValues, type Values } from "./values.ts";

export const END_ENTITY_VOLUME = "linkerd-identity-end-entity";
export const PODINFO_VOLUME = "linkerd-podinfo";
const UNPRIVILEGED_ID = 65_534;

/** A container as it goes into a patch. */
export type ContainerSpec = Readonly<Record<string, unknown>>;

/** The container `linkerd-proxy`. */
export function proxyContainer(values: Values, pod: Pod, controlNamespace: string): ContainerSpec {
  const { proxy } = values;
  const { ports, nativeSidecar } = proxy;
  const ready = { path: "/ready", port: ports.admin };
  return {
    name: "linkerd-proxy",
    image: imageOf(proxy.image, values),
    imagePullPolicy: pullPolicyOf(proxy.image, values),
    ports: [
      { containerPort: ports.inbound, name: "linkerd-proxy" },
      { containerPort: ports.admin, name: "linkerd-admin" },
    ],
    livenessProbe: probe(proxy.livenessProbe, { path: "/live", port: ports.admin }),
    readinessProbe: probe(proxy.readinessProbe, ready),
    ...(nativeSidecar && proxy.await ? { startupProbe: probe(proxy.startupProbe, ready) } : {}),
    ...(nativeSidecar ? { restartPolicy: "Always" } : lifecycle(values)),
    ...resources(values),
    securityContext: proxySecurity(values, pod),
    terminationMessagePolicy: "FallbackToLogsOnError",
    env: proxyVariables(values, pod, controlNamespace),
    volumeMounts: proxyMounts(values, pod),
  };
}

function pullPolicyOf(image: ImageValues, values: Values): string {
  return image.pullPolicy || values.imagePullPolicy;
}

/** Zeros are Kubernetes' own defaults, but for the delay, which is always told. */
function probe(values: ProbeValues, httpGet: unknown): ContainerSpec {
  const { initialDelaySeconds, ...rest } = values;
  const told = Object.entries(rest).filter(([, value]) => value > 0);
  return { httpGet, initialDelaySeconds, ...Object.fromEntries(told) };
}

/** Without native sidecars the application waits in our hook, and the proxy outlives it by another. */
function lifecycle({ proxy }: Values): ContainerSpec {
  const hooks: Record<string, unknown> = {};
  if (proxy.await) {
    const command = [
      "/usr/lib/linkerd/linkerd-await",
      "--timeout=2m",
      `--port=${proxy.ports.admin}`,
    ];
    hooks["postStart"] = { exec: { command } };
  }
  if (proxy.waitBeforeExitSeconds > 0) {
    hooks["preStop"] = { exec: { command: ["/bin/sleep", String(proxy.waitBeforeExitSeconds)] } };
  }
  return Object.keys(hooks).length === 0 ? {} : { lifecycle: hooks };
}

function resources({ proxy }: Values): ContainerSpec {
  const told = Object.entries(proxy.resources);
  const limits = told.filter(([, { limit }]) => limit !== "");
  const requests = told.filter(([, { request }]) => request !== "");
  if (limits.length === 0 && requests.length === 0) return {};
  return {
    resources: {
      ...(limits.length > 0
        ? { limits: Object.fromEntries(limits.map(([name, { limit }]) => [name, limit])) }
        : {}),
      ...(requests.length > 0
        ? { requests: Object.fromEntries(requests.map(([name, { request }]) => [name, request])) }
        : {}),
    },
  };
}

function proxySecurity({ proxy }: Values, pod: Pod): ContainerSpec {
  if (Object.keys(proxy.securityContext).length > 0) return proxy.securityContext;
  const copied = capabilitiesOf(pod);
  return {
    allowPrivilegeEscalation: false,
    ...(copied === undefined ? {} : { capabilities: listed(copied) }),
    readOnlyRootFilesystem: true,
    runAsNonRoot: true,
    runAsUser: proxy.uid,
    ...(proxy.gid >= 0 ? { runAsGroup: proxy.gid } : {}),
    seccompProfile: { type: "RuntimeDefault" },
  };
}

/** What the application's first container may do, the proxy may too, and no more. */
function capabilitiesOf(pod: Pod): Capabilities | undefined {
  return pod.spec?.containers?.[0]?.securityContext?.capabilities ?? undefined;
}

function listed({ add, drop }: Capabilities): ContainerSpec {
  return {
    ...((add ?? []).length > 0 ? { add } : {}),
    ...((drop ?? []).length > 0 ? { drop } : {}),
  };
}

function proxyMounts(values: Values, pod: Pod): readonly VolumeMount[] {
  const mounts: VolumeMount[] = [{ mountPath: END_ENTITY_PATH, name: END_ENTITY_VOLUME }];
  if (values.proxy.tracing.enabled) mounts.push({ mountPath: PODINFO_PATH, name: PODINFO_VOLUME });
  if (values.identity.serviceAccountTokenProjection) {
    mounts.push({ mountPath: TOKEN_FOLDER, name: TOKEN_NAME });
  }
  const copied = serviceAccountMount(pod);
  return copied === undefined ? mounts : [...mounts, copied];
}

/** The init container `linkerd-init`, which programs the capture rules. */
export function initContainer(values: Values, pod: Pod): ContainerSpec {
  const { proxyInit, proxy } = values;
  if (proxyInit.closeWaitTimeoutSecs > 0 && !proxyInit.runAsRoot) {
    const message =
      "Cannot inject: config.linkerd.io/close-wait-timeout needs proxyInit.runAsRoot, which is off";
    throw new MeshError("bad_settings", "client", message);
  }
  const copied = serviceAccountMount(pod);
  const { mountPath, name } = proxyInit.xtMountPath;
  return {
    name: "linkerd-init",
    image: imageOf(proxy.image, values),
    imagePullPolicy: pullPolicyOf(proxy.image, values),
    command: ["/usr/lib/linkerd/linkerd2-proxy-init"],
    args: initArguments(values),
    ...resources(values),
    securityContext: initSecurity(values, pod),
    terminationMessagePolicy: "FallbackToLogsOnError",
    volumeMounts: [{ mountPath, name }, ...(copied === undefined ? [] : [copied])],
  };
}

function initArguments({ proxy, proxyInit, disableIPv6 }: Values): readonly string[] {
  const { ports } = proxy;
  const own = `${ports.control},${ports.admin}`;
  const flags: readonly (readonly [string, string])[] = [
    ["--incoming-proxy-port", String(ports.inbound)],
    ["--outgoing-proxy-port", String(ports.outbound)],
    ["--proxy-uid", String(proxy.uid)],
    ["--proxy-gid", proxy.gid >= 0 ? String(proxy.gid) : ""],
    [
      "--inbound-ports-to-ignore",
      proxyInit.ignoreInboundPorts === "" ? own : `${own},${proxyInit.ignoreInboundPorts}`,
    ],
    ["--outbound-ports-to-ignore", proxyInit.ignoreOutboundPorts],
    [
      "--timeout-close-wait-secs",
      proxyInit.closeWaitTimeoutSecs > 0 ? String(proxyInit.closeWaitTimeoutSecs) : "",
    ],
    ["--log-format", proxyInit.logFormat],
    ["--log-level", proxyInit.logLevel],
    ["--subnets-to-ignore", proxyInit.skipSubnets],
  ];
  return [
    ...firewallArguments(proxyInit.iptablesMode),
    ...(disableIPv6 ? ["--ipv6=false"] : []),
    ...flags.filter(([, value]) => value !== "").flat(),
  ];
}

/** Linkerd's chart has `nft` and `legacy`; its program takes more, and ours one more still. */
function firewallArguments(mode: string): readonly string[] {
  if (mode === "nft") {
    return ["--firewall-bin-path", "iptables-nft", "--firewall-save-bin-path", "iptables-nft-save"];
  }
  return mode === "plain" || mode === "nftables" ? ["--iptables-mode", mode] : [];
}

function initSecurity({ proxyInit }: Values, pod: Pod): ContainerSpec {
  const copied = capabilitiesOf(pod);
  const needed = ["NET_ADMIN", "NET_RAW"];
  const drop = (copied?.drop ?? []).filter((name) => !needed.includes(name));
  const isPrivileged = proxyInit.closeWaitTimeoutSecs > 0 || proxyInit.privileged;
  const { runAsRoot } = proxyInit;
  return {
    allowPrivilegeEscalation: isPrivileged,
    capabilities: {
      add: [...new Set([...needed, ...(copied?.add ?? [])])],
      ...(drop.length > 0 ? { drop } : {}),
    },
    privileged: isPrivileged,
    readOnlyRootFilesystem: true,
    runAsNonRoot: !runAsRoot,
    runAsUser: runAsRoot ? 0 : proxyInit.runAsUser || UNPRIVILEGED_ID,
    runAsGroup: runAsRoot ? 0 : proxyInit.runAsGroup || UNPRIVILEGED_ID,
    seccompProfile: { type: "RuntimeDefault" },
  };
}

/** The init container that proves that the CNI plugin's rules are there. */
export function validatorContainer(values: Values): ContainerSpec {
  const { networkValidator, proxy, disableIPv6 } = values;
  const connect = disableIPv6 ? "1.1.1.1:20001" : "[fd00::1]:20001";
  const listen = `${disableIPv6 ? "0.0.0.0" : "[::]"}:${proxy.ports.outbound}`;
  const { enableSecurityContext, securityContext } = networkValidator;
  return {
    name: "linkerd-network-validator",
    image: imageOf(proxy.image, values),
    imagePullPolicy: pullPolicyOf(proxy.image, values),
    command: ["/usr/lib/linkerd/linkerd2-network-validator"],
    args: [
      ...["--log-format", networkValidator.logFormat],
      ...["--log-level", networkValidator.logLevel],
      ...["--connect-addr", networkValidator.connectAddr || connect],
      ...["--listen-addr", networkValidator.listenAddr || listen],
      ...["--timeout", networkValidator.timeout],
    ],
    ...resources(values),
    ...(enableSecurityContext ? { securityContext } : {}),
  };
}

/** The container `linkerd-debug`: tools, and nothing that runs. */
export function debugContainer(values: Values): ContainerSpec {
  const { image } = values.debugContainer;
  const alive = { exec: { command: ["true"] } };
  return {
    name: "linkerd-debug",
    image: imageOf(image, values),
    imagePullPolicy: pullPolicyOf(image, values),
    terminationMessagePolicy: "FallbackToLogsOnError",
    livenessProbe: alive,
    readinessProbe: alive,
  };
}
