import { digArray, digString, own } from "@heddle/apiserver/json/value";
import type { Store } from "@heddle/apiserver/store/store";
import { MeshError } from "@heddle/base/errors";

export interface HostPort {
  readonly host: string;
  readonly port: number;
}

const SLICES = "discovery.k8s.io/endpointslices";

/**
 * One of the addresses behind a port of a Service, at random. Cluster IPs are nothing that this
 * process could reach: no kernel translates them here.
 *
 * @throws MeshError `webhook_service` that says what is missing.
 */
export function serviceAddress(
  store: Store,
  {
    namespace,
    name,
    port,
  }: { readonly namespace: string; readonly name: string } & {
    readonly port: number;
  },
): HostPort {
  const service = store.get({ resource: "/services", namespace, name })?.object;
  if (service === undefined) throw missing(`service "${name}" not found in ${namespace}`);
  const external = digString(service, "spec", "externalName");
  if (digString(service, "spec", "type") === "ExternalName" && external !== undefined) {
    return { host: external, port };
  }
  const wanted = digArray(service, "spec", "ports").find((one) => own(one, "port") === port);
  if (wanted === undefined) throw missing(`service "${name}" in ${namespace} has no port ${port}`);
  const ready = readyAddresses(store, namespace, name, digString(wanted, "name") ?? "");
  const chosen = ready[Math.floor(Math.random() * ready.length)];
  if (chosen === undefined)
    throw missing(`service "${name}" in ${namespace} has no ready endpoint`);
  return chosen;
}

function readyAddresses(store: Store, namespace: string, name: string, port: string): HostPort[] {
  const found: HostPort[] = [];
  for (const { object } of store.scan(SLICES, namespace)) {
    if (digString(object, "metadata", "labels", "kubernetes.io/service-name") !== name) continue;
    const number = digArray(object, "ports")
      .filter((one) => (digString(one, "name") ?? "") === port)
      .map((one) => own(one, "port"))
      .find((one) => typeof one === "number");
    if (number === undefined) continue;
    for (const endpoint of digArray(object, "endpoints")) {
      if (own(own(endpoint, "conditions"), "ready") === false) continue;
      const [host] = digArray(endpoint, "addresses");
      if (typeof host === "string") found.push({ host, port: number as number });
    }
  }
  return found;
}

function missing(state: string): MeshError {
  return new MeshError("webhook_service", "self", state);
}
