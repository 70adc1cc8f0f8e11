import { isIP } from "node:net";
import {
  digArray,
  digObject,
  digString,
  isObject,
  type Json,
  type JsonObject,
  own,
} from "@heddle/apiserver/json/value";

export type AddressType = "IPv4" | "IPv6";

/** Endpoints that share a family and a set of ports: what one or more slices will hold. */
export interface EndpointGroup {
  readonly addressType: AddressType;
  /** As slices carry them. */
  readonly ports: readonly JsonObject[];
  /** As slices carry them; by address, without duplicates. */
  readonly endpoints: ReadonlyMap<string, JsonObject>;
}

/** What of a node endpoints repeat. */
export type ZoneOf = (nodeName: string) => string | undefined;

/** The endpoints of a Service with a selector, from the pods that it selects. */
export function podGroups(
  service: JsonObject,
  pods: Iterable<JsonObject>,
  zoneOf: ZoneOf,
): EndpointGroup[] {
  const groups = new Groups();
  const families = familiesOf(service);
  for (const pod of pods) {
    if (isTerminal(pod)) continue;
    const ports = servicePorts(service, pod);
    // Without a port that it serves, a pod is no endpoint; a headless Service may have no ports.
    if (ports.length === 0 && digArray(service, "spec", "ports").length > 0) continue;
    for (const address of addressesOf(pod)) {
      const addressType = isIP(address) === 6 ? "IPv6" : "IPv4";
      if (!families.includes(addressType)) continue;
      groups.add(addressType, ports, address, podEndpoint(service, pod, address, zoneOf));
    }
  }
  return groups.all();
}

/** The endpoints that somebody has written into an Endpoints object. */
export function mirroredGroups(endpoints: JsonObject): EndpointGroup[] {
  const groups = new Groups();
  for (const subset of digArray(endpoints, "subsets")) {
    const ports = digArray(subset, "ports").filter(isObject).map(mirroredPort);
    for (const [key, ready] of [
      ["addresses", true],
      ["notReadyAddresses", false],
    ] as const) {
      for (const one of digArray(subset, key)) {
        const ip = digString(one, "ip") ?? "";
        if (isIP(ip) === 0) continue;
        const endpoint: JsonObject = { addresses: [ip], conditions: { ready } };
        copy(one, endpoint, "hostname", "nodeName", "targetRef");
        groups.add(isIP(ip) === 6 ? "IPv6" : "IPv4", ports, ip, endpoint);
      }
    }
  }
  return groups.all();
}

/** Endpoints by family and ports. */
class Groups {
  readonly #groups = new Map<
    string,
    { addressType: AddressType; ports: readonly JsonObject[]; endpoints: Map<string, JsonObject> }
  >();

  add(
    addressType: AddressType,
    ports: readonly JsonObject[],
    address: string,
    endpoint: JsonObject,
  ): void {
    const key = groupKey(addressType, ports);
    let group = this.#groups.get(key);
    if (group === undefined) {
      group = { addressType, ports, endpoints: new Map() };
      this.#groups.set(key, group);
    }
    // Two pods never share an address, but for those of the host network; the first one counts.
    if (!group.endpoints.has(address)) group.endpoints.set(address, endpoint);
  }

  all(): EndpointGroup[] {
    return [...this.#groups.values()];
  }
}

/** The same for slices and groups that belong together. */
export function groupKey(addressType: string, ports: readonly Json[]): string {
  const texts = ports.map((port) =>
    ["name", "protocol", "port", "appProtocol"].map((key) => own(port, key) ?? "").join(","),
  );
  return `${addressType} ${texts.sort().join(" ")}`;
}

export function familiesOf(service: JsonObject): AddressType[] {
  const families = digArray(service, "spec", "ipFamilies").filter(
    (family): family is AddressType => family === "IPv4" || family === "IPv6",
  );
  return families.length === 0 ? ["IPv4"] : families;
}

export function addressesOf(pod: JsonObject): string[] {
  const all = digArray(pod, "status", "podIPs").map((one) => digString(one, "ip") ?? "");
  const first = digString(pod, "status", "podIP");
  if (first !== undefined && !all.includes(first)) all.unshift(first);
  return all.filter((address) => isIP(address) !== 0);
}

/** Pods that have ended serve nothing any more. */
export function isTerminal(pod: JsonObject): boolean {
  const phase = digString(pod, "status", "phase");
  return phase === "Succeeded" || phase === "Failed";
}

export function isReady(pod: JsonObject): boolean {
  return digArray(pod, "status", "conditions").some(
    (condition) => own(condition, "type") === "Ready" && own(condition, "status") === "True",
  );
}

function podEndpoint(
  service: JsonObject,
  pod: JsonObject,
  address: string,
  zoneOf: ZoneOf,
): JsonObject {
  const serving = isReady(pod);
  const terminating = digString(pod, "metadata", "deletionTimestamp") !== undefined;
  const publishes = own(own(service, "spec"), "publishNotReadyAddresses") === true;
  const endpoint: JsonObject = {
    addresses: [address],
    conditions: { ready: publishes || (serving && !terminating), serving, terminating },
    targetRef: targetRef(pod),
  };
  const nodeName = digString(pod, "spec", "nodeName");
  const zone = nodeName === undefined ? undefined : zoneOf(nodeName);
  const hostname = hostnameOf(service, pod);
  if (nodeName !== undefined && nodeName !== "") endpoint["nodeName"] = nodeName;
  if (zone !== undefined) endpoint["zone"] = zone;
  if (hostname !== undefined) endpoint["hostname"] = hostname;
  return endpoint;
}

export function targetRef(pod: JsonObject): JsonObject {
  const ref: JsonObject = { kind: "Pod" };
  copy(digObject(pod, "metadata"), ref, "namespace", "name", "uid");
  return ref;
}

/** Pods with a hostname get a name of their own below a Service that is their subdomain. */
export function hostnameOf(service: JsonObject, pod: JsonObject): string | undefined {
  const hostname = digString(pod, "spec", "hostname") ?? "";
  const subdomain = digString(pod, "spec", "subdomain");
  if (hostname === "" || subdomain !== digString(service, "metadata", "name")) return undefined;
  return hostname;
}

/** A Service's ports with the numbers that this pod serves them under. */
export function servicePorts(service: JsonObject, pod: JsonObject): JsonObject[] {
  const found: JsonObject[] = [];
  for (const port of digArray(service, "spec", "ports")) {
    const protocol = digString(port, "protocol") ?? "TCP";
    const number = portNumber(own(port, "targetPort") ?? own(port, "port"), protocol, pod);
    if (number === undefined) continue;
    const made: JsonObject = { name: digString(port, "name") ?? "", port: number, protocol };
    copy(port, made, "appProtocol");
    found.push(made);
  }
  return found;
}

function portNumber(
  target: Json | undefined,
  protocol: string,
  pod: JsonObject,
): number | undefined {
  if (typeof target === "number") return target;
  const containers = [
    ...digArray(pod, "spec", "containers"),
    // Sidecars are init containers that stay.
    ...digArray(pod, "spec", "initContainers").filter(
      (container) => own(container, "restartPolicy") === "Always",
    ),
  ];
  for (const container of containers) {
    for (const port of digArray(container, "ports")) {
      if (own(port, "name") !== target || (own(port, "protocol") ?? "TCP") !== protocol) continue;
      const number = own(port, "containerPort");
      if (typeof number === "number") return number;
    }
  }
  return undefined;
}

function mirroredPort(port: JsonObject): JsonObject {
  const made: JsonObject = {
    name: digString(port, "name") ?? "",
    protocol: digString(port, "protocol") ?? "TCP",
  };
  copy(port, made, "port", "appProtocol");
  return made;
}

function copy(from: Json | undefined, to: JsonObject, ...keys: readonly string[]): void {
  for (const key of keys) {
    const value = own(from, key);
    if (value !== undefined && value !== "") to[key] = value;
  }
}
