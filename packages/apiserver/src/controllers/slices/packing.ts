import {
  digArray,
  digString,
  equal,
  isObject,
  type Json,
  type JsonObject,
  own,
} from "@heddle/apiserver/json/value";
import type { EndpointGroup } from "./wanted.ts";
import { groupKey } from "./wanted.ts";

/** Kubernetes' limit for slices that its own controllers make. */
export const MAX_ENDPOINTS = 100;

/** What a slice carries beside its endpoints. */
export interface SliceFrame {
  readonly labels: JsonObject;
  readonly annotations?: JsonObject | undefined;
}

export interface SlicePlan {
  readonly create: readonly { readonly group: EndpointGroup; readonly endpoints: Json[] }[];
  readonly update: readonly { readonly name: string; readonly endpoints: Json[] }[];
  readonly remove: readonly string[];
}

/**
 * How slices must change to hold these groups: endpoints stay in the slice that they are in, new
 * ones fill the fullest slice that has room, and slices that are left empty go.
 */
export function planSlices(
  present: readonly JsonObject[],
  groups: readonly EndpointGroup[],
  frame: SliceFrame,
): SlicePlan {
  const byGroup = new Map<string, JsonObject[]>();
  for (const slice of present) {
    const key = groupKey(digString(slice, "addressType") ?? "", digArray(slice, "ports"));
    byGroup.set(key, [...(byGroup.get(key) ?? []), slice]);
  }
  const create: SlicePlan["create"][number][] = [];
  const update: SlicePlan["update"][number][] = [];
  const remove: string[] = [];
  for (const group of groups) {
    const key = groupKey(group.addressType, group.ports);
    const slices = byGroup.get(key) ?? [];
    byGroup.delete(key);
    const packed = pack(slices, group);
    for (const { slice, endpoints } of packed.kept) {
      const isSame = equal(endpoints, digArray(slice, "endpoints")) && hasFrame(slice, frame);
      if (endpoints.length === 0 && group.endpoints.size > 0) remove.push(nameOf(slice));
      else if (!isSame) update.push({ name: nameOf(slice), endpoints });
    }
    for (const endpoints of packed.added) create.push({ group, endpoints });
    if (slices.length === 0 && packed.added.length === 0) create.push({ group, endpoints: [] });
  }
  for (const slices of byGroup.values()) remove.push(...slices.map(nameOf));
  return { create, update, remove };
}

/** Distributes a group's endpoints over its slices. */
function pack(
  slices: readonly JsonObject[],
  group: EndpointGroup,
): {
  readonly kept: { readonly slice: JsonObject; readonly endpoints: Json[] }[];
  readonly added: Json[][];
} {
  const missing = new Map(group.endpoints);
  const kept = slices.map((slice) => {
    const endpoints: Json[] = [];
    for (const present of digArray(slice, "endpoints")) {
      const address = String(digArray(present, "addresses")[0]);
      const wanted = missing.get(address);
      if (wanted === undefined || endpoints.length >= MAX_ENDPOINTS) continue;
      endpoints.push(withHints(wanted, present));
      missing.delete(address);
    }
    return { slice, endpoints };
  });
  const fullestFirst = [...kept].sort((a, b) => b.endpoints.length - a.endpoints.length);
  const rest = [...missing.values()];
  for (const { endpoints } of fullestFirst) {
    endpoints.push(...rest.splice(0, MAX_ENDPOINTS - endpoints.length));
  }
  const added: Json[][] = [];
  while (rest.length > 0) added.push(rest.splice(0, MAX_ENDPOINTS));
  return { kept, added };
}

/** Hints are somebody else's. */
function withHints(wanted: JsonObject, present: Json): JsonObject {
  const hints = own(present, "hints");
  return hints === undefined ? wanted : { ...wanted, hints };
}

function hasFrame(slice: JsonObject, { labels, annotations }: SliceFrame): boolean {
  const metadata = own(slice, "metadata");
  const isSame = equal(own(metadata, "labels") ?? {}, labels);
  if (!isSame || annotations === undefined) return isSame;
  return equal(own(metadata, "annotations") ?? {}, annotations);
}

function nameOf(slice: JsonObject): string {
  return digString(slice, "metadata", "name") ?? "";
}

export function isSliceOf(slice: JsonObject, service: string, manager: string): boolean {
  const labels = isObject(slice) ? own(own(slice, "metadata"), "labels") : undefined;
  return own(labels, SERVICE_LABEL) === service && own(labels, MANAGER_LABEL) === manager;
}

export const SERVICE_LABEL = "kubernetes.io/service-name";
export const MANAGER_LABEL = "endpointslice.kubernetes.io/managed-by";
export const HEADLESS_LABEL = "service.kubernetes.io/headless";
/** Who makes slices of pods, and who makes them of Endpoints; Kubernetes' names. */
export const POD_MANAGER = "endpointslice-controller.k8s.io";
export const MIRROR_MANAGER = "endpointslicemirroring-controller.k8s.io";
