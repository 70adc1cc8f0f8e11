import { createHash } from "node:crypto";
import { isIPv4, isIPv6 } from "node:net";
import { MeshError } from "@heddle/base/errors";
import {
  CONTROL_PLANE_NS_LABEL,
  CREATED_BY,
  inheritedAnnotations,
  OPAQUE_PORTS,
  PROXY_VERSION,
  TRUST_ROOT_SHA256,
  WORKLOAD_NS_LABEL,
} from "./annotations.ts";
import {
  debugContainer,
  END_ENTITY_VOLUME,
  initContainer,
  PODINFO_VOLUME,
  proxyContainer,
  validatorContainer,
} from "./containers.ts";
import { add, type PatchOperation, pointerKey } from "./json-patch.ts";
import { podOpaquePorts } from "./opaque-ports.ts";
import type { Pod } from "./pod.ts";
import { TOKEN_NAME } from "./proxy-variables.ts";
import { effectiveSettings } from "./settings.ts";
import type { Values } from "./values.ts";

export interface PodInjection {
  readonly pod: Pod;
  /** Where the pod's template is in the document; empty for a pod. */
  readonly prefix: string;
  readonly namespace: string;
  readonly namespaceAnnotations: Readonly<Record<string, string>>;
  /** Whose pod it is: `deployment` and its name. */
  readonly owner: { readonly kind: string; readonly name: string } | undefined;
  readonly values: Values;
  readonly controlNamespace: string;
  /** `linkerd/proxy-injector 1.0`. */
  readonly createdBy: string;
}

export interface PodPatch {
  readonly patch: readonly PatchOperation[];
  /** Annotations whose values were passed over. */
  readonly warnings: readonly string[];
}

const LABELLED_OWNERS = [
  "deployment",
  "replicationcontroller",
  "replicaset",
  "job",
  "daemonset",
  "statefulset",
  "cronjob",
];

/** The patch that gives a pod its sidecar, operation for operation in Linkerd's order. */
export function patchPod(request: PodInjection): PodPatch {
  const { pod, prefix, controlNamespace } = request;
  const own = pod.metadata?.annotations ?? {};
  const added = inheritedAnnotations(own, request.namespaceAnnotations);
  added.set(CREATED_BY, request.createdBy);
  const opaque = podOpaquePorts(pod, request.values);
  if (!Object.hasOwn(own, OPAQUE_PORTS) && !added.has(OPAQUE_PORTS) && opaque.length > 0) {
    added.set(OPAQUE_PORTS, opaque.join(","));
  }
  const { values, warnings } = effectiveSettings(
    request.values,
    pod,
    new Map([...Object.entries(own), ...added]),
    request.namespaceAnnotations,
  );
  checkNetworks(values.clusterNetworks);
  added.set(PROXY_VERSION, values.proxy.image.version || values.linkerdVersion);
  added.set(TRUST_ROOT_SHA256, sha256(values.identityTrustAnchorsPEM));
  const patch = [
    ...metadataOperations(pod, prefix, added, labelsOf(request)),
    ...(hasItems(pod.spec?.volumes) ? [] : [add(`${prefix}/spec/volumes`, [])]),
    ...(hasItems(pod.spec?.initContainers) ? [] : [add(`${prefix}/spec/initContainers`, [])]),
    ...captureOperations(values, pod, prefix),
    ...(values.proxy.enableDebugSidecar
      ? [add(`${prefix}/spec/containers/-`, debugContainer(values))]
      : []),
    ...volumesOf(values).map((volume) => add(`${prefix}/spec/volumes/-`, volume)),
    add(prefix + proxyPath(values), proxyContainer(values, pod, controlNamespace)),
  ];
  return { patch, warnings };
}

function hasItems(list: readonly unknown[] | null | undefined): boolean {
  return list !== null && list !== undefined && list.length > 0;
}

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

function checkNetworks(networks: string): void {
  for (const network of networks.split(",")) {
    const found = /^([^/]+)\/(\d{1,3})$/.exec(network.trim());
    const address = found?.[1] ?? "";
    const bits = Number(found?.[2]);
    if ((isIPv4(address) && bits <= 32) || (isIPv6(address) && bits <= 128)) continue;
    const message = `Cannot inject: clusterNetworks holds "${network.slice(0, 64)}", which is no CIDR`;
    throw new MeshError("bad_settings", "control", message);
  }
}

function labelsOf({ controlNamespace, namespace, owner }: PodInjection): [string, string][] {
  const labels: [string, string][] = [
    [CONTROL_PLANE_NS_LABEL, controlNamespace],
    [WORKLOAD_NS_LABEL, namespace],
  ];
  if (owner !== undefined && LABELLED_OWNERS.includes(owner.kind)) {
    labels.push([`linkerd.io/proxy-${owner.kind}`, owner.name]);
  }
  return labels.sort(byKey);
}

function byKey([a]: readonly [string, string], [b]: readonly [string, string]): number {
  return a < b ? -1 : 1;
}

function metadataOperations(
  pod: Pod,
  prefix: string,
  annotations: ReadonlyMap<string, string>,
  labels: readonly (readonly [string, string])[],
): readonly PatchOperation[] {
  const at = `${prefix}/metadata`;
  const meta = pod.metadata ?? {};
  const isEmpty = Object.values(meta).every((value) => value === null || value === undefined);
  const isBare = (map: Readonly<Record<string, string>> | null | undefined) =>
    Object.keys(map ?? {}).length === 0;
  return [
    ...(isEmpty ? [add(at, {})] : []),
    ...(isBare(meta.annotations) ? [add(`${at}/annotations`, {})] : []),
    ...[...annotations]
      .sort(byKey)
      .map(([key, value]) => add(`${at}/annotations/${pointerKey(key)}`, value)),
    ...(isBare(meta.labels) ? [add(`${at}/labels`, {})] : []),
    ...labels.map(([key, value]) => add(`${at}/labels/${pointerKey(key)}`, value)),
  ];
}

function captureOperations(values: Values, pod: Pod, prefix: string): readonly PatchOperation[] {
  const path = `${prefix}/spec/initContainers/${values.proxy.nativeSidecar ? "0" : "-"}`;
  if (values.cniEnabled) return [add(path, validatorContainer(values))];
  const lock = { name: values.proxyInit.xtMountPath.name, emptyDir: {} };
  return [add(`${prefix}/spec/volumes/-`, lock), add(path, initContainer(values, pod))];
}

function volumesOf(values: Values): readonly unknown[] {
  const volumes: unknown[] = [{ name: END_ENTITY_VOLUME, emptyDir: { medium: "Memory" } }];
  if (values.proxy.tracing.enabled) {
    const items = [{ path: "labels", fieldRef: { fieldPath: "metadata.labels" } }];
    volumes.push({ name: PODINFO_VOLUME, downwardAPI: { items } });
  }
  if (values.identity.serviceAccountTokenProjection) {
    const serviceAccountToken = {
      path: TOKEN_NAME,
      expirationSeconds: 86_400,
      audience: "identity.l5d.io",
    };
    volumes.push({ name: TOKEN_NAME, projected: { sources: [{ serviceAccountToken }] } });
  }
  return volumes;
}

/** A native sidecar comes right after what captures, so that later init containers find the mesh. */
function proxyPath({ proxy }: Values): string {
  if (proxy.nativeSidecar) return "/spec/initContainers/1";
  return proxy.await ? "/spec/containers/0" : "/spec/containers/-";
}
