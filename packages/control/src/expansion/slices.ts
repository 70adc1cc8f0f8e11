import { matchesLabels } from "@heddle/kube/selector";
import type { EndpointSlice, Service, SliceEndpoint, SlicePort } from "@heddle/kube/types/core";
import type { ExternalWorkload } from "@heddle/kube/types/linkerd";
import { parseIp } from "@heddle/model/network";

export type AddressType = "IPv4" | "IPv6";

/** What must be written so that the slices of a Service say what they should. */
export interface SlicePlan {
  readonly create: readonly EndpointSlice[];
  readonly update: readonly EndpointSlice[];
  readonly delete: readonly EndpointSlice[];
}

export const MANAGED_BY_LABEL = "endpointslice.kubernetes.io/managed-by";
export const MANAGER = "linkerd-external-workloads-controller";
const SERVICE_NAME_LABEL = "kubernetes.io/service-name";
const HEADLESS_LABEL = "service.kubernetes.io/headless";
const RESERVED_LABELS: ReadonlySet<string> = new Set([
  MANAGED_BY_LABEL,
  SERVICE_NAME_LABEL,
  HEADLESS_LABEL,
]);
const ZONE_LABEL = "topology.kubernetes.io/zone";
const MAX_ENDPOINTS = 100;

/** Whether slices of ExternalWorkloads are made for it at all. */
export function hasWorkloadSlices(service: Service): boolean {
  const { spec, metadata } = service;
  return (
    metadata.namespace !== "kube-system" &&
    spec?.type !== "ExternalName" &&
    spec?.selector !== undefined &&
    spec.selector !== null
  );
}

export function selectsWorkload(service: Service, workload: ExternalWorkload): boolean {
  const { selector } = service.spec ?? {};
  if (!hasWorkloadSlices(service) || selector === undefined) return false;
  if (service.metadata.namespace !== workload.metadata.namespace) return false;
  // Unlike elsewhere, an empty selector selects nothing here, as in Kubernetes.
  return (
    Object.keys(selector).length > 0 && matchesLabels(selector, workload.metadata.labels ?? {})
  );
}

/** Whether slices must be looked at again since this workload changed. */
export function isSliceChange(
  before: ExternalWorkload | undefined,
  after: ExternalWorkload | undefined,
): boolean {
  if (before === undefined || after === undefined) return true;
  return JSON.stringify(facts(before)) !== JSON.stringify(facts(after));
}

export function isReady(workload: ExternalWorkload): boolean {
  return (workload.status?.conditions ?? []).some(
    ({ type, status }) => type === "Ready" && status === "True",
  );
}

/**
 * Compares what is with what should be. Pure; objects of `existing` that need no change are in none
 * of the lists. Slices keep their names and their endpoints where they can.
 *
 * @param workloads - Those that the Service selects.
 * @param existing - Slices that we manage for it.
 */
export function planSlices(
  service: Service,
  workloads: readonly ExternalWorkload[],
  existing: readonly EndpointSlice[],
): SlicePlan {
  const plan: MutablePlan = { create: [], update: [], delete: [] };
  const own = existing.filter(({ metadata }) => metadata.deletionTimestamp === undefined);
  const types = hasWorkloadSlices(service) ? addressTypes(service) : [];
  for (const slice of own) {
    if (!types.includes(slice.addressType as AddressType)) plan.delete.push(slice);
  }
  for (const type of types) {
    const groups = groupByPorts(service, workloads, type);
    const ofType = own.filter(({ addressType }) => addressType === type);
    const free: EndpointSlice[] = [];
    for (const slice of ofType) {
      if (!groups.has(portsKey(slice.ports ?? []))) free.push(slice);
    }
    const fresh: EndpointSlice[] = [];
    for (const [key, group] of groups) {
      const slices = ofType.filter(({ ports }) => portsKey(ports ?? []) === key);
      packGroup(service, type, group, slices, { plan, fresh, free });
    }
    // What would be deleted is rather used again: fewer names come and go.
    for (const slice of fresh) {
      const recycled = free.pop();
      if (recycled === undefined) plan.create.push(slice);
      else plan.update.push({ ...slice, metadata: { ...recycled.metadata, ...refreshed(slice) } });
    }
    plan.delete.push(...free);
  }
  return plan;
}

interface MutablePlan {
  readonly create: EndpointSlice[];
  readonly update: EndpointSlice[];
  readonly delete: EndpointSlice[];
}

interface Group {
  readonly ports: readonly SlicePort[];
  readonly endpoints: readonly SliceEndpoint[];
}

interface Slot {
  readonly slice: EndpointSlice;
  readonly endpoints: SliceEndpoint[];
  isChanged: boolean;
}

/** Spreads the endpoints of one set of ports over the slices that have it, and over new ones. */
function packGroup(
  service: Service,
  type: AddressType,
  group: Group,
  slices: readonly EndpointSlice[],
  to: {
    readonly plan: MutablePlan;
    readonly fresh: EndpointSlice[];
    readonly free: EndpointSlice[];
  },
): void {
  const wanted = new Map(group.endpoints.map((endpoint) => [endpointKey(endpoint), endpoint]));
  const labels = labelsOf(service);
  const slots = slices.map((slice) => keepWanted(slice, wanted, labels));
  const left = [...wanted.values()];
  const room = (slot: Slot): number => MAX_ENDPOINTS - slot.endpoints.length;
  const fill = (slot: Slot): void => {
    const taken = left.splice(0, room(slot));
    if (taken.length === 0) return;
    slot.endpoints.push(...taken);
    slot.isChanged = true;
  };
  // Those that must be written anyway come first, the fullest before the others.
  for (const slot of slots.filter((one) => one.isChanged).sort((a, b) => room(a) - room(b))) {
    if (slot.endpoints.length > 0 || left.length > 0) fill(slot);
  }
  while (left.length >= MAX_ENDPOINTS) {
    to.fresh.push(newSlice(service, type, group.ports, left.splice(0, MAX_ENDPOINTS)));
  }
  if (left.length > 0) {
    const fitting = slots
      .filter((one) => !one.isChanged && room(one) >= left.length)
      .sort((a, b) => room(a) - room(b))[0];
    if (fitting !== undefined) fill(fitting);
    else to.fresh.push(newSlice(service, type, group.ports, left.splice(0)));
  }
  for (const { slice, endpoints, isChanged } of slots) {
    if (endpoints.length === 0) to.free.push(slice);
    else if (isChanged) {
      const metadata = { ...slice.metadata, ...refreshed(newSlice(service, type, [], [])) };
      to.plan.update.push({ ...slice, metadata, endpoints, ports: group.ports });
    }
  }
}

/** Takes out of `wanted` what the slice has; endpoints that nobody wants any more are left out. */
function keepWanted(
  slice: EndpointSlice,
  wanted: Map<string, SliceEndpoint>,
  labels: Readonly<Record<string, string>>,
): Slot {
  let isChanged = !isSame(slice.metadata.labels ?? {}, labels);
  const endpoints: SliceEndpoint[] = [];
  for (const endpoint of slice.endpoints ?? []) {
    const key = endpointKey(endpoint);
    const desired = wanted.get(key);
    if (desired === undefined) {
      isChanged = true;
      continue;
    }
    wanted.delete(key);
    if (!isSame(facet(endpoint), facet(desired))) isChanged = true;
    endpoints.push(desired);
  }
  return { slice, endpoints, isChanged };
}

function groupByPorts(
  service: Service,
  workloads: readonly ExternalWorkload[],
  type: AddressType,
): ReadonlyMap<string, Group> {
  const groups = new Map<string, { ports: readonly SlicePort[]; endpoints: SliceEndpoint[] }>();
  const byName = (a: ExternalWorkload, b: ExternalWorkload): number =>
    (a.metadata.name ?? "") < (b.metadata.name ?? "") ? -1 : 1;
  for (const workload of [...workloads].sort(byName)) {
    if (workload.metadata.deletionTimestamp !== undefined) continue;
    const endpoint = endpointOf(service, workload, type);
    if (endpoint === undefined) continue;
    const ports = portsOf(service, workload);
    const key = portsKey(ports);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, { ports, endpoints: [endpoint] });
    else group.endpoints.push(endpoint);
  }
  return groups;
}

/** Undefined if the workload has no address of this type. */
function endpointOf(
  service: Service,
  workload: ExternalWorkload,
  type: AddressType,
): SliceEndpoint | undefined {
  const version = type === "IPv4" ? 4 : 6;
  const addresses = (workload.spec.workloadIPs ?? [])
    .map(({ ip }) => ip ?? "")
    .filter((ip) => parseIp(ip)?.version === version);
  if (addresses.length === 0) return undefined;
  const { name = "", namespace = "", uid = "", labels = {} } = workload.metadata;
  const ready = isReady(workload);
  const zone = labels[ZONE_LABEL];
  return {
    addresses,
    conditions: { ready, serving: ready, terminating: false },
    targetRef: { kind: "ExternalWorkload", namespace, name, uid },
    ...(zone === undefined ? {} : { zone }),
    ...(isHeadless(service) ? { hostname: name } : {}),
  };
}

/** Unlike those of pods, ports must be declared, by number as well as by name. */
function portsOf(service: Service, workload: ExternalWorkload): readonly SlicePort[] {
  const found: SlicePort[] = [];
  for (const { name, port, targetPort, protocol = "TCP", appProtocol } of service.spec?.ports ??
    []) {
    const target = targetPort ?? port;
    const declared = (workload.spec.ports ?? []).find(
      (one) =>
        (one.protocol ?? "TCP") === protocol &&
        (typeof target === "number" ? one.port === target : one.name === target),
    );
    if (declared === undefined) continue;
    found.push({
      ...(name === undefined || name === "" ? {} : { name }),
      port: declared.port,
      protocol,
      ...(appProtocol === undefined ? {} : { appProtocol }),
    });
  }
  return found;
}

function newSlice(
  service: Service,
  addressType: AddressType,
  ports: readonly SlicePort[],
  endpoints: readonly SliceEndpoint[],
): EndpointSlice {
  const { name = "", namespace = "", uid = "" } = service.metadata;
  return {
    metadata: {
      generateName: `linkerd-external-${name}-`,
      namespace,
      labels: labelsOf(service),
      ownerReferences: [
        {
          apiVersion: "v1",
          kind: "Service",
          name,
          uid,
          controller: true,
          blockOwnerDeletion: true,
        },
      ],
    },
    addressType,
    endpoints,
    ports,
  };
}

/** Of the metadata, what follows from the Service and is set anew with every write. */
function refreshed(slice: EndpointSlice): Pick<EndpointSlice["metadata"], "labels"> {
  return { labels: slice.metadata.labels ?? {} };
}

function labelsOf(service: Service): Readonly<Record<string, string>> {
  const labels: Record<string, string> = {};
  for (const [key, value] of Object.entries(service.metadata.labels ?? {})) {
    if (!RESERVED_LABELS.has(key)) labels[key] = value;
  }
  labels[SERVICE_NAME_LABEL] = service.metadata.name ?? "";
  labels[MANAGED_BY_LABEL] = MANAGER;
  if (isHeadless(service)) labels[HEADLESS_LABEL] = "";
  return labels;
}

/** A headless Service may name no family; then it has both. */
function addressTypes(service: Service): readonly AddressType[] {
  const families = service.spec?.ipFamilies ?? [];
  return families.length === 0 ? ["IPv4", "IPv6"] : families;
}

function isHeadless(service: Service): boolean {
  return service.spec?.clusterIP === "None";
}

function portsKey(ports: readonly SlicePort[]): string {
  const plain = ports.map(({ name, port, protocol, appProtocol }) =>
    JSON.stringify([name ?? "", port, protocol ?? "TCP", appProtocol ?? ""]),
  );
  return plain.sort().join(";");
}

function endpointKey({ targetRef, addresses }: SliceEndpoint): string {
  return targetRef === undefined || targetRef === null
    ? addresses.join(",")
    : `${targetRef.namespace}/${targetRef.name}/${targetRef.uid}`;
}

/** What of an endpoint is ours, without what the server fills in. */
function facet({ addresses, conditions, hostname, zone, targetRef }: SliceEndpoint): unknown {
  return [
    addresses,
    conditions?.ready,
    conditions?.serving,
    conditions?.terminating,
    hostname ?? "",
    zone ?? "",
    targetRef?.uid,
  ];
}

function facts({ metadata, status, spec }: ExternalWorkload): unknown {
  return [
    Object.entries(metadata.labels ?? {}).sort(),
    (status?.conditions ?? []).some((one) => one.type === "Ready" && one.status === "True"),
    spec.workloadIPs ?? [],
    (spec.ports ?? []).map(({ name, port, protocol }) => [name ?? "", port, protocol ?? "TCP"]),
    metadata.deletionTimestamp ?? "",
  ];
}

function isSame(a: unknown, b: unknown): boolean {
  return stable(a) === stable(b);
}

function stable(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) =>
    typeof inner === "object" && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([x], [y]) => (x < y ? -1 : 1)))
      : inner,
  );
}
