import type { EndpointAddress } from "./endpoint.ts";
import type { PodRecord, ServiceRecord, SliceRecord, WorkloadRecord } from "./records.ts";

/** An address of a Service's port, before anything is filtered out for a client. */
export interface Candidate extends EndpointAddress {
  readonly hostname: string | undefined;
  readonly zone: string | undefined;
  readonly forZones: readonly string[];
  /** Who is behind the address; undefined if only the slice knows of it. */
  readonly backing: PodRecord | WorkloadRecord | undefined;
  /** Of pods only: the others carry no family. */
  readonly family: 4 | 6 | undefined;
  readonly isOpaque: boolean;
  readonly gatewayIdentity: string | undefined;
  readonly authorityOverride: string | undefined;
}

/** How candidates find what slices refer to. */
export interface Backings {
  pod(key: string): PodRecord | undefined;
  workload(key: string): WorkloadRecord | undefined;
  isOpaque(backing: PodRecord | WorkloadRecord, port: number): boolean;
}

/** All ready addresses of a port of a Service. A Service that is gone has none. */
export function candidatesOf(
  service: ServiceRecord | undefined,
  port: number,
  slices: Iterable<SliceRecord>,
  backings: Backings,
): Candidate[] {
  const found: Candidate[] = [];
  if (service === undefined || service.isExternalName) return found;
  const name = service.ports.find((one) => one.port === port)?.name;
  for (const slice of slices) {
    const target = targetPort(slice, name, port);
    if (target === undefined) continue;
    for (const endpoint of slice.endpoints) {
      if (!endpoint.isReady) continue;
      const { hostname, zone, forZones } = endpoint;
      for (const ip of endpoint.addresses) {
        const own = backingOf(endpoint.target, slice, target, port, backings);
        if (own !== undefined) found.push({ ip, port: target, hostname, zone, forZones, ...own });
      }
    }
  }
  return found;
}

/** @param name - Of the Service's port; undefined if the Service has no such port. */
function targetPort(
  slice: SliceRecord,
  name: string | undefined,
  port: number,
): number | undefined {
  if (slice.ports === undefined) return undefined;
  if (name === undefined) return port;
  return slice.ports.find((one) => one.name === name)?.port;
}

type Backed = Pick<
  Candidate,
  "backing" | "family" | "isOpaque" | "gatewayIdentity" | "authorityOverride"
>;

/** Undefined if the target is not known (yet): its address means nothing without it. */
function backingOf(
  target: SliceRecord["endpoints"][number]["target"],
  slice: SliceRecord,
  targetPortNumber: number,
  servicePort: number,
  backings: Backings,
): Backed | undefined {
  const plain = { gatewayIdentity: undefined, authorityOverride: undefined };
  if (target === undefined) {
    const { remoteName, gatewayIdentity } = slice.mirror;
    const authorityOverride = remoteName === undefined ? undefined : `${remoteName}:${servicePort}`;
    const none = { backing: undefined, family: undefined, isOpaque: false };
    return { ...none, gatewayIdentity, authorityOverride };
  }
  const isPod = target.kind === "Pod";
  const backing = isPod ? backings.pod(target.key) : backings.workload(target.key);
  if (backing === undefined) return undefined;
  const isOpaque = backings.isOpaque(backing, targetPortNumber);
  return { backing, isOpaque, family: isPod ? slice.family : undefined, ...plain };
}
