import type { ContainerStatus } from "@heddle/kube/types/core";
import { failed, PASSED, type Verdict } from "./check.ts";
import type { CheckedContainer, CheckedPod } from "./resources.ts";

export const PROXY_CONTAINER = "linkerd-proxy";
const PROXY_VERSION = "linkerd.io/proxy-version";
const ANCHORS_VARIABLE = "LINKERD2_PROXY_IDENTITY_TRUST_ANCHORS";

/** Such pods have no proxy that could run, and nothing is wrong with them. */
const WITHOUT_PROXY: ReadonlySet<string> = new Set([
  "Completed",
  "Evicted",
  "NodeShutdown",
  "Shutdown",
  "Terminated",
]);

/** `namespace/name`. */
export function podName({ metadata }: CheckedPod): string {
  return `${metadata.namespace}/${metadata.name}`;
}

/** What kubectl shows as a pod's status: its phase, or what keeps its containers from running. */
export function podState({ spec, status }: CheckedPod): string {
  // Such as Evicted: it says more than what became of the containers then.
  if (status?.reason !== undefined && status.reason !== "") return status.reason;
  const initializing = (status?.initContainerStatuses ?? []).find((one) => {
    const container = spec?.initContainers?.find(({ name }) => name === one.name);
    return !isInitDone(one, container?.restartPolicy === "Always");
  });
  if (initializing !== undefined) {
    const { waiting, terminated } = initializing.state ?? {};
    const reason = terminated == null ? waiting?.reason : (terminated.reason ?? "Error");
    const isPlain = reason === undefined || reason === "PodInitializing";
    return isPlain ? "Init" : `Init:${reason}`;
  }
  const phase = status?.phase ?? "Pending";
  let state = phase === "Succeeded" ? "Completed" : (phase as string);
  let isRunning = false;
  for (const { state: of, ready } of status?.containerStatuses ?? []) {
    if (of?.waiting?.reason !== undefined) state = of.waiting.reason;
    else if (of?.terminated != null) state = of.terminated.reason ?? "Error";
    else if (ready === true) isRunning = true;
  }
  // One of several containers has ended as it should.
  return state === "Completed" && isRunning ? "Running" : state;
}

function isInitDone({ state, started }: ContainerStatus, isSidecar: boolean): boolean {
  if (isSidecar) return started === true;
  // Servers of tests and old kubelets say nothing of it: then it is not what holds the pod up.
  return state === undefined || state.terminated?.exitCode === 0;
}

/** The proxy, whether it is a native sidecar or a container like others. */
export function proxyContainer({ spec }: CheckedPod): CheckedContainer | undefined {
  const all = [...(spec?.initContainers ?? []), ...(spec?.containers ?? [])];
  return all.find(({ name }) => name === PROXY_CONTAINER);
}

/**
 * Whether the proxies of these pods run; pods that have ended, or were ended, need none.
 *
 * @param where - For the message, if there is no pod at all.
 */
export function proxiesVerdict(pods: readonly CheckedPod[], where: string): Verdict {
  if (pods.length === 0) return failed(`no pod with a container "${PROXY_CONTAINER}" ${where}`);
  for (const pod of pods) {
    const state = podState(pod);
    if (WITHOUT_PROXY.has(state)) continue;
    if (state !== "Running") return failed(`pod "${pod.metadata.name}" is not running: ${state}`);
    if (!isProxyReady(pod)) {
      return failed(`container "${PROXY_CONTAINER}" of pod "${pod.metadata.name}" is not ready`);
    }
  }
  return PASSED;
}

function isProxyReady({ status }: CheckedPod): boolean {
  const all = [...(status?.initContainerStatuses ?? []), ...(status?.containerStatuses ?? [])];
  return all.some(({ name, ready }) => name === PROXY_CONTAINER && ready === true);
}

/** Pods whose proxy has other anchors than these. Anchors that come from a ConfigMap follow it. */
export function podsWithOtherAnchors(
  pods: readonly CheckedPod[],
  anchorsPem: string,
): readonly CheckedPod[] {
  return pods.filter((pod) => {
    const proxy = proxyContainer(pod);
    if (proxy === undefined) return false;
    const variable = proxy.env?.find(({ name }) => name === ANCHORS_VARIABLE);
    if (variable?.valueFrom !== undefined) return false;
    return (variable?.value ?? "").trim() !== anchorsPem.trim();
  });
}

/** As injection wrote it down, or else the tag of the proxy's image. Undefined without a proxy. */
export function proxyVersion(pod: CheckedPod): string | undefined {
  const proxy = proxyContainer(pod);
  if (proxy === undefined) return undefined;
  const written = pod.metadata.annotations?.[PROXY_VERSION];
  if (written !== undefined && written !== "") return written;
  const image = proxy.image ?? "";
  const tag = image
    .slice(image.lastIndexOf("/") + 1)
    .split("@")[0]!
    .split(":")[1];
  return tag ?? "unknown";
}

/** `destination` of `linkerd-destination-6d5f8b7c9-abcde`; undefined for names of another form. */
export function componentOf({ metadata }: CheckedPod): string | undefined {
  const parts = (metadata.name ?? "").split("-");
  if (parts[0] !== "linkerd" || parts.length < 4) return undefined;
  return parts.slice(1, -2).join("-");
}
