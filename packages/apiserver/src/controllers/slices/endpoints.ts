import { isIP } from "node:net";
import { digArray, digString, type Json, type JsonObject, own } from "@heddle/apiserver/json/value";
import {
  addressesOf,
  familiesOf,
  hostnameOf,
  isReady,
  isTerminal,
  servicePorts,
  targetRef,
} from "./wanted.ts";

/** Kubernetes' limit: an Endpoints object with more is cut off and says so. */
const MAX_ADDRESSES = 1_000;
export const OVER_CAPACITY = "endpoints.kubernetes.io/over-capacity";

/** `subsets` of the Endpoints object of a Service, from the pods that it selects. */
export function subsetsOf(
  service: JsonObject,
  pods: Iterable<JsonObject>,
): { readonly subsets: Json[]; readonly isTruncated: boolean } {
  const [family] = familiesOf(service);
  const publishes = own(own(service, "spec"), "publishNotReadyAddresses") === true;
  const byPorts = new Map<string, { ports: Json[]; ready: Json[]; other: Json[] }>();
  let count = 0;
  let isTruncated = false;
  for (const pod of pods) {
    if (isTerminal(pod)) continue;
    const isEnding = digString(pod, "metadata", "deletionTimestamp") !== undefined;
    if (isEnding && !publishes) continue;
    const ip = addressesOf(pod).find((one) => (isIP(one) === 6) === (family === "IPv6"));
    const ports = servicePorts(service, pod);
    if (ip === undefined) continue;
    if (ports.length === 0 && digArray(service, "spec", "ports").length > 0) continue;
    if (++count > MAX_ADDRESSES) {
      isTruncated = true;
      break;
    }
    const key = JSON.stringify(ports);
    const subset = byPorts.get(key) ?? { ports: ports.map(named), ready: [], other: [] };
    byPorts.set(key, subset);
    const isGood = publishes || isReady(pod);
    (isGood ? subset.ready : subset.other).push(address(service, pod, ip));
  }
  const subsets = [...byPorts.values()].map(({ ports, ready, other }) => ({
    ...(ready.length === 0 ? {} : { addresses: ready.sort(byIp) }),
    ...(other.length === 0 ? {} : { notReadyAddresses: other.sort(byIp) }),
    ...(ports.length === 0 ? {} : { ports }),
  }));
  return { subsets, isTruncated };
}

function address(service: JsonObject, pod: JsonObject, ip: string): JsonObject {
  const made: JsonObject = { ip };
  const hostname = hostnameOf(service, pod);
  const nodeName = digString(pod, "spec", "nodeName");
  if (hostname !== undefined) made["hostname"] = hostname;
  if (nodeName !== undefined && nodeName !== "") made["nodeName"] = nodeName;
  made["targetRef"] = targetRef(pod);
  return made;
}

/** In Endpoints, a port without a name has no name field. */
function named(port: JsonObject): JsonObject {
  const { name, ...rest } = port as Record<string, Json>;
  return name === "" || name === undefined ? rest : { name, ...rest };
}

function byIp(a: Json, b: Json): number {
  return String(own(a, "ip")) < String(own(b, "ip")) ? -1 : 1;
}
