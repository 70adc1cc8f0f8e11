import { OPAQUE_PORTS } from "./annotations.ts";
import { add, type PatchOperation, pointerKey } from "./json-patch.ts";
import { allContainers, type ObjectMeta, type Pod } from "./pod.ts";
import type { Values } from "./values.ts";

/** What is read of a Service. */
export interface ServiceShape {
  readonly metadata?: ObjectMeta | null;
  readonly spec?: {
    readonly ports?:
      | readonly { readonly port: number; readonly targetPort?: number | string }[]
      | null;
  } | null;
}

/** Those of the default opaque ports that the pod declares, in its containers' order. */
export function podOpaquePorts(pod: Pod, values: Values): readonly string[] {
  const defaults = defaultsOf(values);
  const declared = allContainers(pod).flatMap(({ ports }) =>
    (ports ?? []).map(({ containerPort }) => String(containerPort)),
  );
  return [...new Set(declared)].filter((port) => defaults.has(port));
}

/** The Service's ports whose targets are opaque by default. A named target is never one. */
export function serviceOpaquePorts(service: ServiceShape, values: Values): readonly string[] {
  const defaults = defaultsOf(values);
  return (service.spec?.ports ?? [])
    .filter(({ port, targetPort }) => {
      const isUnset = targetPort === undefined || targetPort === null || targetPort === 0;
      if (isUnset) return defaults.has(String(port));
      return typeof targetPort === "number" && defaults.has(String(targetPort));
    })
    .map(({ port }) => String(port));
}

/** Compared as text: a range among the defaults matches nothing here, as in Linkerd. */
function defaultsOf(values: Values): ReadonlySet<string> {
  return new Set(values.proxy.opaquePorts.split(","));
}

/**
 * The patch of a pod or Service that gets no sidecar: its namespace's opaque ports, or those of the
 * defaults that it has. Empty if it says itself which, or has none.
 */
export function opaquePortsPatch(
  meta: ObjectMeta,
  namespace: Readonly<Record<string, string>>,
  defaults: readonly string[],
): readonly PatchOperation[] {
  const own = meta.annotations ?? {};
  if (Object.hasOwn(own, OPAQUE_PORTS)) return [];
  const value = Object.hasOwn(namespace, OPAQUE_PORTS)
    ? namespace[OPAQUE_PORTS]!
    : defaults.join(",");
  if (value === "" && !Object.hasOwn(namespace, OPAQUE_PORTS)) return [];
  const patch: PatchOperation[] = [];
  if (Object.keys(own).length === 0) patch.push(add("/metadata/annotations", {}));
  patch.push(add(`/metadata/annotations/${pointerKey(OPAQUE_PORTS)}`, value));
  return patch;
}
