import {
  clone,
  digArray,
  digObject,
  digString,
  equal,
  type Json,
  type JsonObject,
  own,
} from "@heddle/apiserver/json/value";
import type { Registry } from "@heddle/apiserver/kinds/registry";
import { PLAIN_DELETE } from "@heddle/apiserver/objects/delete-options";
import { matchesLabels } from "@heddle/apiserver/objects/label-selector";
import type { ObjectWriter } from "@heddle/apiserver/objects/writer";
import { StatusError } from "@heddle/apiserver/status-error";
import type { Entry } from "@heddle/apiserver/store/entry";
import type { Store } from "@heddle/apiserver/store/store";
import { targetOf } from "../bootstrap.ts";
import { OVER_CAPACITY, subsetsOf } from "./endpoints.ts";
import {
  HEADLESS_LABEL,
  isSliceOf,
  MANAGER_LABEL,
  MIRROR_MANAGER,
  POD_MANAGER,
  planSlices,
  SERVICE_LABEL,
} from "./packing.ts";
import { type EndpointGroup, familiesOf, mirroredGroups, podGroups } from "./wanted.ts";

export const SLICES = "discovery.k8s.io/endpointslices";
export const ENDPOINTS = "/endpoints";

export interface SliceParts {
  readonly store: Store;
  readonly registry: Registry;
  readonly writer: ObjectWriter;
}

/** Who the slices of a Service are made for. */
interface Origin {
  readonly manager: string;
  readonly labels: JsonObject;
  readonly annotations: JsonObject | undefined;
  readonly owner: JsonObject;
}

/**
 * Brings the slices and the Endpoints of one Service in line with its pods, or its slices with
 * Endpoints that somebody else has written.
 */
export async function reconcileService(
  parts: SliceParts,
  namespace: string,
  name: string,
): Promise<void> {
  const service = parts.store.get({ resource: "/services", namespace, name })?.object;
  if (service === undefined) {
    await removeSlices(parts, namespace, name, POD_MANAGER);
    await removeSlices(parts, namespace, name, MIRROR_MANAGER);
    await unlessGone(parts.writer.delete(at(parts, ENDPOINTS, namespace), name, PLAIN_DELETE));
    return;
  }
  // It is ending, and will take what it owns with it.
  if (digString(service, "metadata", "deletionTimestamp") !== undefined) return;
  const selector = digObject(service, "spec", "selector");
  const isExternal = digString(service, "spec", "type") === "ExternalName";
  if (isExternal || selector === undefined || Object.keys(selector).length === 0) {
    await removeSlices(parts, namespace, name, POD_MANAGER);
    await mirror(parts, service);
    return;
  }
  await removeSlices(parts, namespace, name, MIRROR_MANAGER);
  const pods = podsOf(parts.store, namespace, selector);
  const zoneOf = (node: string): string | undefined => zone(parts.store, node);
  const groups = podGroups(service, pods, zoneOf);
  await apply(parts, namespace, name, groups.length === 0 ? placeholders(service) : groups, {
    manager: POD_MANAGER,
    labels: labelsOf(service, name, POD_MANAGER),
    annotations: undefined,
    owner: ownerOf(service, "v1", "Service"),
  });
  await writeEndpoints(parts, service, pods);
}

/** Makes slices of Endpoints that were written by hand, for those who read slices only. */
async function mirror(parts: SliceParts, service: JsonObject): Promise<void> {
  const namespace = digString(service, "metadata", "namespace")!;
  const name = digString(service, "metadata", "name")!;
  const endpoints = parts.store.get({ resource: ENDPOINTS, namespace, name })?.object;
  const labels = digObject(endpoints, "metadata", "labels") ?? {};
  const isOurs = own(labels, ENDPOINTS_LABEL) === ENDPOINTS_MANAGER;
  const isSkipped = own(labels, SKIP_MIRROR_LABEL) === "true";
  if (endpoints === undefined || isSkipped || isOurs) {
    await removeSlices(parts, namespace, name, MIRROR_MANAGER);
    return;
  }
  await apply(parts, namespace, name, mirroredGroups(endpoints), {
    manager: MIRROR_MANAGER,
    labels: labelsOf(endpoints, name, MIRROR_MANAGER),
    annotations: undefined,
    owner: ownerOf(endpoints, "v1", "Endpoints"),
  });
}

async function apply(
  parts: SliceParts,
  namespace: string,
  name: string,
  groups: readonly EndpointGroup[],
  origin: Origin,
): Promise<void> {
  const { writer } = parts;
  const target = at(parts, SLICES, namespace);
  const present = slicesOf(parts.store, namespace, name, origin.manager);
  const objects = present.map(({ object }) => object);
  const plan = planSlices(objects, groups, origin);
  const { labels } = origin;
  for (const { group, endpoints } of plan.create) {
    await writer.create(target, {
      metadata: {
        generateName: `${name}-`,
        labels: clone(labels),
        ownerReferences: [clone(origin.owner)],
      },
      addressType: group.addressType,
      endpoints: clone(endpoints),
      ports: clone([...group.ports]),
    });
  }
  for (const { name: slice, endpoints } of plan.update) {
    await unlessGone(
      writer.update(target, slice, "object", (current) => ({
        ...current,
        metadata: { ...(own(current, "metadata") as JsonObject), labels: clone(labels) },
        endpoints: clone(endpoints),
      })),
    );
  }
  for (const slice of plan.remove) await unlessGone(writer.delete(target, slice, PLAIN_DELETE));
}

async function removeSlices(
  parts: SliceParts,
  namespace: string,
  name: string,
  manager: string,
): Promise<void> {
  const target = at(parts, SLICES, namespace);
  for (const slice of slicesOf(parts.store, namespace, name, manager)) {
    await unlessGone(parts.writer.delete(target, slice.name, PLAIN_DELETE));
  }
}

const ENDPOINTS_LABEL = "endpoints.kubernetes.io/managed-by";
const ENDPOINTS_MANAGER = "endpoint-controller";
const SKIP_MIRROR_LABEL = "endpointslice.kubernetes.io/skip-mirror";

async function writeEndpoints(
  parts: SliceParts,
  service: JsonObject,
  pods: readonly JsonObject[],
): Promise<void> {
  const namespace = digString(service, "metadata", "namespace")!;
  const name = digString(service, "metadata", "name")!;
  const { subsets, isTruncated } = subsetsOf(service, pods);
  const labels: JsonObject = {
    ...(clone(digObject(service, "metadata", "labels") ?? {}) as JsonObject),
    [ENDPOINTS_LABEL]: ENDPOINTS_MANAGER,
    ...headless(service),
  };
  const annotations: JsonObject = isTruncated ? { [OVER_CAPACITY]: "truncated" } : {};
  const target = at(parts, ENDPOINTS, namespace);
  const present = parts.store.get({ resource: ENDPOINTS, namespace, name });
  if (present === undefined) {
    await parts.writer.create(target, { metadata: { name, labels, annotations }, subsets });
    return;
  }
  const { object } = present;
  const isSame =
    equal(digArray(object, "subsets"), subsets) &&
    equal(digObject(object, "metadata", "labels") ?? {}, labels);
  if (isSame) return;
  await unlessGone(
    parts.writer.update(target, name, "object", (current) => ({
      ...current,
      metadata: { ...(own(current, "metadata") as JsonObject), labels, annotations },
      subsets: subsets as Json,
    })),
  );
}

/** A Service whose selector nothing matches has a slice all the same, which is empty. */
function placeholders(service: JsonObject): EndpointGroup[] {
  return familiesOf(service).map((addressType) => ({
    addressType,
    ports: [],
    endpoints: new Map(),
  }));
}

function labelsOf(source: JsonObject, service: string, manager: string): JsonObject {
  return {
    ...(clone(digObject(source, "metadata", "labels") ?? {}) as JsonObject),
    [SERVICE_LABEL]: service,
    [MANAGER_LABEL]: manager,
    ...headless(source),
  };
}

function headless(service: JsonObject): JsonObject {
  return digString(service, "spec", "clusterIP") === "None" ? { [HEADLESS_LABEL]: "" } : {};
}

function ownerOf(object: JsonObject, apiVersion: string, kind: string): JsonObject {
  return {
    apiVersion,
    kind,
    name: digString(object, "metadata", "name")!,
    uid: digString(object, "metadata", "uid")!,
    controller: true,
    blockOwnerDeletion: true,
  };
}

function podsOf(store: Store, namespace: string, selector: JsonObject): JsonObject[] {
  const wanted = Object.entries(selector).map(([key, value]) => ({
    key,
    operator: "In" as const,
    values: [String(value)],
  }));
  const pods: JsonObject[] = [];
  for (const { object } of store.scan("/pods", namespace)) {
    if (matchesLabels(wanted, own(own(object, "metadata"), "labels"))) pods.push(object);
  }
  return pods;
}

function zone(store: Store, node: string): string | undefined {
  const object = store.get({ resource: "/nodes", namespace: "", name: node })?.object;
  return digString(object, "metadata", "labels", "topology.kubernetes.io/zone");
}

function slicesOf(store: Store, namespace: string, service: string, manager: string): Entry[] {
  const found: Entry[] = [];
  for (const entry of store.scan(SLICES, namespace)) {
    if (isSliceOf(entry.object, service, manager)) found.push(entry);
  }
  return found;
}

function at(parts: SliceParts, key: string, namespace: string): ReturnType<typeof targetOf> {
  return targetOf(parts.registry, key, namespace);
}

/** What is gone need not be changed or deleted. */
async function unlessGone(done: Promise<unknown>): Promise<void> {
  try {
    await done;
  } catch (error) {
    if (!(error instanceof StatusError) || error.code !== 404) throw error;
  }
}
