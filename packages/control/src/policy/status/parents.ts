import type { Service } from "@heddle/kube/types/core";
import type { EgressNetwork } from "@heddle/kube/types/linkerd";
import type { ParentRef, Route } from "@heddle/kube/types/routes";
import { parseIp } from "@heddle/model/network";
import { identityOf, POLICY_GROUP, refersTo } from "../refs.ts";
import { Entries } from "../store.ts";
import { factOf } from "./keys.ts";
import type { ServerMatches } from "./server-matches.ts";

export interface ParentTarget {
  readonly kind: "Server" | "Service" | "EgressNetwork";
  readonly namespace: string;
  readonly name: string;
  readonly port: number | undefined;
}

/** What routes may be attached to, and send on to. */
export class Parents {
  readonly #servers: ServerMatches;
  readonly #touched: (fact: string) => void;
  /** True for Services that have a cluster address. */
  readonly #services = new Entries<boolean>();
  /** True for networks that have been accepted. */
  readonly #egress = new Entries<boolean>();

  constructor(servers: ServerMatches, touched: (fact: string) => void) {
    this.#servers = servers;
    this.#touched = touched;
  }

  setService(service: Service): void {
    const { namespace, name } = identityOf(service);
    const hasIp = hasClusterIp(service);
    if (this.#services.get(namespace, name) === hasIp) return;
    this.#services.set(namespace, name, hasIp);
    this.#touched(factOf.service(namespace, name));
  }

  deleteService(namespace: string, name: string): void {
    this.#services.delete(namespace, name);
    this.#touched(factOf.service(namespace, name));
  }

  setEgressNetwork(network: EgressNetwork): void {
    const { namespace, name } = identityOf(network);
    const isAccepted = (network.status?.conditions ?? []).some(
      ({ type, status }) => type === "Accepted" && status === "True",
    );
    if (this.#egress.get(namespace, name) === isAccepted) return;
    this.#egress.set(namespace, name, isAccepted);
    this.#touched(factOf.egress(namespace, name));
  }

  deleteEgressNetwork(namespace: string, name: string): void {
    this.#egress.delete(namespace, name);
    this.#touched(factOf.egress(namespace, name));
  }

  hasServer(namespace: string, name: string): boolean {
    return this.#servers.has(namespace, name);
  }

  /** Whether the Service has a cluster address; undefined if there is none. */
  service(namespace: string, name: string): boolean | undefined {
    return this.#services.get(namespace, name);
  }

  /** Whether the EgressNetwork has been accepted; undefined if there is none. */
  egress(namespace: string, name: string): boolean | undefined {
    return this.#egress.get(namespace, name);
  }
}

function hasClusterIp(service: Service): boolean {
  const { type, clusterIP } = service.spec ?? {};
  return type !== "ExternalName" && clusterIP !== undefined && parseIp(clusterIP) !== undefined;
}

/** The parents that we answer for, each once. */
export function parentTargets(route: Route<unknown>): ParentTarget[] {
  const { namespace: own } = identityOf(route);
  const seen = new Map<string, ParentTarget>();
  for (const ref of route.spec?.parentRefs ?? []) {
    const kind = targetKind(ref);
    if (kind === undefined) continue;
    const { name, namespace = own } = ref;
    const target = { kind, name, namespace, port: kind === "Server" ? undefined : ref.port };
    const key = parentKey(target);
    if (!seen.has(key)) seen.set(key, target);
  }
  return [...seen.values()];
}

function targetKind(ref: ParentRef): ParentTarget["kind"] | undefined {
  if (ref.kind === undefined) return undefined;
  if (refersTo(ref, POLICY_GROUP, "Server")) return "Server";
  if (refersTo(ref, "core", "Service")) return "Service";
  return refersTo(ref, POLICY_GROUP, "EgressNetwork") ? "EgressNetwork" : undefined;
}

export function parentKey({ kind, namespace, name, port }: ParentTarget): string {
  return `${kind}:${namespace}/${name}:${port ?? ""}`;
}

export function parentFact({ kind, namespace, name }: ParentTarget): string {
  if (kind === "Server") return factOf.server(namespace, name);
  return kind === "Service" ? factOf.service(namespace, name) : factOf.egress(namespace, name);
}

/** As a status names it: whole, with `core` for Services. */
export function statusRef({ kind, namespace, name, port }: ParentTarget): ParentRef {
  const group = kind === "Service" ? "core" : POLICY_GROUP;
  return { group, kind, namespace, name, ...(port === undefined ? {} : { port }) };
}
