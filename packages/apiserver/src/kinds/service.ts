import { isIP } from "node:net";
import {
  digArray,
  digObject,
  digString,
  ensureObject,
  isObject,
  type Json,
  type JsonObject,
  own,
} from "@heddle/apiserver/json/value";
import { isLabelName, isSubdomain } from "@heddle/apiserver/objects/names";
import { type Cause, forbidden, StatusError } from "@heddle/apiserver/status-error";
import type { Tx } from "@heddle/apiserver/store/store";
import { IpRange } from "./ip-range.ts";
import type { ChangeContext, Strategy } from "./resource-type.ts";
import { invalidValue, PLAIN, required } from "./strategy.ts";

const SERVICES = { group: "", plural: "services" };

export const SERVICE: Strategy = {
  ...PLAIN,
  names: "service",
  normalize: fillIn,
  prepareCreate: (object, context) => {
    object["status"] = { loadBalancer: {} };
    settle(object, undefined, context);
  },
  prepareUpdate: (object, old, context) => settle(object, old, context),
  validate: validateService,
  validateUpdate: (object, old) => {
    const before = digString(old, "spec", "clusterIP") ?? "";
    const now = digString(object, "spec", "clusterIP") ?? "";
    const isExternal = digString(object, "spec", "type") === "ExternalName";
    if (before === now || before === "" || isExternal) return [];
    return [invalidValue("spec.clusterIP", now, "field is immutable")];
  },
};

/** Defaults that hang on other fields. */
function fillIn(object: JsonObject): void {
  const spec = ensureObject(object, "spec");
  for (const port of digArray(spec, "ports")) {
    if (isObject(port)) port["targetPort"] ??= port["port"] ?? 0;
  }
  if (spec["sessionAffinity"] === "ClientIP") {
    const affinity = ensureObject(ensureObject(spec, "sessionAffinityConfig"), "clientIP");
    affinity["timeoutSeconds"] ??= 10_800;
  }
  if (spec["type"] !== "ExternalName") spec["internalTrafficPolicy"] ??= "Cluster";
  if (spec["type"] === "NodePort" || spec["type"] === "LoadBalancer") {
    spec["externalTrafficPolicy"] ??= "Cluster";
  }
  if (spec["type"] === "LoadBalancer") spec["allocateLoadBalancerNodePorts"] ??= true;
}

/** What only the server can know: families, and the address. */
function settle(object: JsonObject, old: JsonObject | undefined, context: ChangeContext): void {
  const spec = ensureObject(object, "spec");
  if (spec["type"] === "ExternalName") {
    // An external name has no address; one that it had goes back to the range.
    for (const key of ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"]) delete spec[key];
    return;
  }
  settleAddress(spec, digObject(old, "spec"), object, context);
  if (!("selector" in spec) && spec["clusterIP"] === "None") {
    spec["ipFamilyPolicy"] ??= "RequireDualStack";
    spec["ipFamilies"] ??= ["IPv4", "IPv6"];
  }
  const family = isIP(String(spec["clusterIP"])) === 6 ? "IPv6" : "IPv4";
  spec["ipFamilyPolicy"] ??= "SingleStack";
  spec["ipFamilies"] ??= [family];
}

function settleAddress(
  spec: JsonObject,
  before: JsonObject | undefined,
  object: JsonObject,
  { tx, settings }: ChangeContext,
): void {
  const first = digArray(spec, "clusterIPs")[0];
  let wanted = digString(spec, "clusterIP") ?? "";
  if (wanted === "" && typeof first === "string") wanted = first;
  // An update may leave out what it does not change.
  if (wanted === "") wanted = digString(before, "clusterIP") ?? "";
  const held = digString(before, "clusterIP");
  if (wanted === "") wanted = allocate(tx, settings.serviceCidr);
  else if (wanted !== "None" && wanted !== held) claim(tx, settings.serviceCidr, wanted, object);
  spec["clusterIP"] = wanted;
  spec["clusterIPs"] = [wanted];
}

/** The lowest free address that no service holds. */
function allocate(tx: Tx, cidr: string): string {
  const range = IpRange.parse(cidr);
  const free = range.firstFree(takenAddresses(tx));
  if (free !== undefined) return free;
  const why = `failed to allocate a cluster IP: the range ${cidr} is full`;
  throw new StatusError(500, "InternalError", `Internal error occurred: ${why}`);
}

function claim(tx: Tx, cidr: string, address: string, object: JsonObject): void {
  const name = digString(object, "metadata", "name") ?? "";
  const range = IpRange.parse(cidr);
  if (isIP(address) === 0) return;
  if (!range.has(address)) {
    throw forbidden(SERVICES, name, `the cluster IP ${address} is not within ${cidr}`);
  }
  if (takenAddresses(tx).has(address)) {
    throw forbidden(SERVICES, name, `the cluster IP ${address} is already allocated`);
  }
}

function takenAddresses(tx: Tx): Set<string> {
  const taken = new Set<string>();
  for (const { object } of tx.all("/services")) {
    const address = digString(object, "spec", "clusterIP");
    if (address !== undefined && address !== "None") taken.add(address);
  }
  return taken;
}

function validateService(object: JsonObject): Cause[] {
  const causes: Cause[] = [];
  const spec = digObject(object, "spec") ?? {};
  const type = own(spec, "type");
  const ports = digArray(spec, "ports");
  const address = digString(spec, "clusterIP") ?? "";
  if (type === "ExternalName") {
    const name = digString(spec, "externalName") ?? "";
    if (name === "") causes.push(required("spec.externalName"));
    else if (!isSubdomain(name.replace(/\.$/, ""))) {
      causes.push(invalidValue("spec.externalName", name, "not a DNS-1123 subdomain"));
    }
  } else if (ports.length === 0 && address !== "None") causes.push(required("spec.ports"));
  if (address !== "" && address !== "None" && isIP(address) === 0) {
    causes.push(invalidValue("spec.clusterIP", address, "must be empty, 'None' or a valid IP"));
  }
  if (type !== "ClusterIP" && type !== "ExternalName" && address === "None") {
    causes.push(
      invalidValue("spec.clusterIP", "None", `may not be set to 'None' for ${String(type)}`),
    );
  }
  causes.push(...validatePorts(ports));
  return causes;
}

function validatePorts(ports: readonly Json[]): Cause[] {
  const causes: Cause[] = [];
  const names = new Set<string>();
  for (const [at, port] of ports.entries()) {
    const path = `spec.ports[${at}]`;
    const name = digString(port, "name") ?? "";
    if (name === "") {
      if (ports.length > 1) causes.push(required(`${path}.name`));
    } else if (!isLabelName(name)) {
      causes.push(invalidValue(`${path}.name`, name, "not a DNS-1123 label"));
    } else if (names.has(name)) {
      const message = `Duplicate value: ${JSON.stringify(name)}`;
      causes.push({ reason: "FieldValueDuplicate", message, field: `${path}.name` });
    }
    names.add(name);
    checkPort(own(port, "port"), `${path}.port`, causes);
    const target = own(port, "targetPort");
    if (typeof target === "number") checkPort(target, `${path}.targetPort`, causes);
    else if (!isPortName(target)) {
      causes.push(invalidValue(`${path}.targetPort`, target, "not a number or a port's name"));
    }
  }
  return causes;
}

function checkPort(port: Json | undefined, path: string, causes: Cause[]): void {
  if (typeof port === "number" && port >= 1 && port <= 65_535) return;
  causes.push(invalidValue(path, port, "must be between 1 and 65535, inclusive"));
}

function isPortName(name: Json | undefined): boolean {
  return (
    typeof name === "string" &&
    name.length <= 15 &&
    /^[a-z0-9](?:[-a-z0-9]*[a-z0-9])?$/.test(name) &&
    /[a-z]/.test(name)
  );
}
