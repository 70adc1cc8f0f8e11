import type { Candidate } from "./candidates.ts";

/** For whom addresses are filtered. */
export interface ClientView {
  /** Only the pod with this hostname. */
  readonly hostname: string | undefined;
  /** Where the client runs. */
  readonly nodeName: string | undefined;
  readonly clientZone: string | undefined;
}

/** The addresses that a client is to use, by `destination.md` section 3.3, in its order. */
export function filterCandidates(
  all: readonly Candidate[],
  client: ClientView,
  isTrafficLocal: boolean,
  isIpv6On: boolean,
): readonly Candidate[] {
  let kept = all;
  const { hostname, nodeName } = client;
  if (hostname !== undefined) kept = kept.filter((one) => one.hostname === hostname);
  if (isTrafficLocal)
    kept = kept.filter((one) => nodeOf(one) === nodeName && nodeName !== undefined);
  else kept = inZone(kept, client.clientZone);
  return ofOneFamily(kept, isIpv6On);
}

/** Hints count only if every address has one and some are for the client's zone. */
function inZone(all: readonly Candidate[], zone: string | undefined): readonly Candidate[] {
  if (zone === undefined || all.some((one) => one.forZones.length === 0)) return all;
  const near = all.filter((one) => one.forZones.includes(zone));
  return near.length === 0 ? all : near;
}

/** Of a pod with addresses of both families only the IPv6 one stays. */
function ofOneFamily(all: readonly Candidate[], isIpv6On: boolean): readonly Candidate[] {
  if (!isIpv6On) return all.filter((one) => one.family !== 6);
  const withIpv6 = new Set<unknown>();
  for (const one of all) if (one.family === 6) withIpv6.add(one.backing);
  if (withIpv6.size === 0) return all;
  return all.filter((one) => one.family !== 4 || !withIpv6.has(one.backing));
}

function nodeOf(candidate: Candidate): string | undefined {
  return candidate.backing?.type === "pod" ? candidate.backing.nodeName : undefined;
}
