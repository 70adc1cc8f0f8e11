import { INJECT } from "./annotations.ts";
import { type Container, type Pod, serviceAccountMount } from "./pod.ts";
import type { Values } from "./values.ts";

/** Why an object gets no sidecar: Linkerd's ids, with what events say. */
export const SKIP_REASONS = {
  host_network_enabled: "hostNetwork is enabled",
  sidecar_already_exists: "pod has a sidecar injected already",
  unsupported_resource: "this resource kind is unsupported",
  invalid_inject_annotation_at_ns: "invalid value for annotation linkerd.io/inject at namespace",
  invalid_inject_annotation_at_workload:
    "invalid value for annotation linkerd.io/inject at workload",
  injection_disable_annotation_present: 'pod has the annotation "linkerd.io/inject:disabled"',
  injection_enable_annotation_absent:
    'neither the namespace nor the pod have the annotation "linkerd.io/inject:enabled"',
  disabled_automount_service_account_token_account:
    "automountServiceAccountToken is disabled, with no token mounted",
} as const;

export type SkipReason = keyof typeof SKIP_REASONS;

/** Who asks: a webhook obeys namespaces, the command line only a pod's refusal. */
export type Origin = "webhook" | "cli";

export interface Decision {
  /** Empty: the pod gets a sidecar. */
  readonly reasons: readonly SkipReason[];
  /** Where the annotation is that decided. */
  readonly annotationAt: "namespace" | "workload" | "";
}

/** Whether a pod gets a sidecar; `undefined` stands for what is no pod. All reasons are told, in order. */
export function decide(
  pod: Pod | undefined,
  namespace: Readonly<Record<string, string>>,
  values: Values,
  origin: Origin,
): Decision {
  const reasons: SkipReason[] = [];
  if (pod?.spec?.hostNetwork === true) reasons.push("host_network_enabled");
  if (pod !== undefined && hasSidecar(pod)) reasons.push("sidecar_already_exists");
  if (pod === undefined) reasons.push("unsupported_resource");
  const own = pod?.metadata?.annotations ?? {};
  const { reason, annotationAt } = decideByAnnotation(
    injectValue(own),
    injectValue(namespace),
    origin,
  );
  if (reason !== undefined) reasons.push(reason);
  if (pod !== undefined && lacksToken(pod, values)) {
    reasons.push("disabled_automount_service_account_token_account");
  }
  return { reasons, annotationAt };
}

function injectValue(annotations: Readonly<Record<string, string>>): string {
  return Object.hasOwn(annotations, INJECT) ? annotations[INJECT]! : "";
}

const ENABLING: readonly string[] = ["enabled", "ingress"];
const KNOWN: readonly string[] = ["", "disabled", ...ENABLING];

function decideByAnnotation(
  pod: string,
  namespace: string,
  origin: Origin,
): { readonly reason?: SkipReason; readonly annotationAt: Decision["annotationAt"] } {
  if (origin === "cli") {
    if (pod !== "disabled") return { annotationAt: "" };
    return { reason: "injection_disable_annotation_present", annotationAt: "workload" };
  }
  if (!KNOWN.includes(namespace)) {
    return { reason: "invalid_inject_annotation_at_ns", annotationAt: "" };
  }
  if (!KNOWN.includes(pod)) {
    return { reason: "invalid_inject_annotation_at_workload", annotationAt: "" };
  }
  if (ENABLING.includes(namespace)) {
    if (pod !== "disabled") return { annotationAt: "namespace" };
    return { reason: "injection_disable_annotation_present", annotationAt: "workload" };
  }
  if (ENABLING.includes(pod)) return { annotationAt: "workload" };
  return { reason: "injection_enable_annotation_absent", annotationAt: "" };
}

const PROXY_NAMES = ["linkerd-proxy", "istio-proxy"];
const PROXY_IMAGES = ["heddle/proxy:", "cr.l5d.io/linkerd/proxy:", "gcr.io/istio-release/proxyv2:"];
const INIT_NAMES = ["linkerd-init", "istio-init"];
const INIT_IMAGES = ["cr.l5d.io/linkerd/proxy-init:", "gcr.io/istio-release/proxy_init:"];

/** Whether a mesh's sidecar, ours or another's, is in the pod already. */
export function hasSidecar(pod: Pod): boolean {
  const inits = pod.spec?.initContainers ?? [];
  const isProxy = (container: Container) => isOneOf(container, PROXY_NAMES, PROXY_IMAGES);
  return (
    (pod.spec?.containers ?? []).some(isProxy) ||
    inits.some((container) => isProxy(container) || isOneOf(container, INIT_NAMES, INIT_IMAGES))
  );
}

function isOneOf(
  container: Container,
  names: readonly string[],
  images: readonly string[],
): boolean {
  return (
    names.includes(container.name) ||
    images.some((prefix) => container.image?.startsWith(prefix) === true)
  );
}

/** Without projected tokens, the proxy proves itself by the token that the application has. */
function lacksToken(pod: Pod, values: Values): boolean {
  if (values.identity.serviceAccountTokenProjection) return false;
  return pod.spec?.automountServiceAccountToken === false || serviceAccountMount(pod) === undefined;
}
