import type { Service } from "@heddle/kube/types/core";
import type { EgressNetwork, HttpLocalRateLimitPolicy, Server } from "@heddle/kube/types/linkerd";
import type { Condition, KubeObject } from "@heddle/kube/types/meta";
import type { ParentRef, Route, RouteParentStatus } from "@heddle/kube/types/routes";
import { type IpNetwork, type NetworkMatch, parseIp } from "@heddle/model/network";
import { networksOf } from "../inbound/authentication.ts";
import { byAge, byText, CONTROLLER_NAME, identityOf, POLICY_GROUP, refersTo } from "../refs.ts";
import { Entries } from "../store.ts";
import { accepted, condition, notAccepted, sameConditions, withTimes } from "./conditions.ts";

/** Routes whose status is kept; of the others on a parent only the first kind in this list holds. */
export const ROUTE_KINDS = ["GRPCRoute", "HTTPRoute", "TLSRoute", "TCPRoute"] as const;
export type RouteKind = (typeof ROUTE_KINDS)[number];

/** Which collection an object is in: HTTPRoutes come from two. */
export type StatusKind =
  | "policy-http"
  | "gateway-http"
  | "grpc"
  | "tls"
  | "tcp"
  | "rate-limit"
  | "egress";

const ROUTE_KIND: Readonly<Partial<Record<StatusKind, RouteKind>>> = {
  "policy-http": "HTTPRoute",
  "gateway-http": "HTTPRoute",
  grpc: "GRPCRoute",
  tls: "TLSRoute",
  tcp: "TCPRoute",
};

export interface StatusKey {
  readonly kind: StatusKind;
  readonly namespace: string;
  readonly name: string;
}

/** A status as it should be, in place of the one that the object of this version has. */
export interface StatusChange {
  readonly resourceVersion: string | undefined;
  readonly status: object;
}

interface ParentTarget {
  readonly kind: "Server" | "Service" | "EgressNetwork";
  readonly namespace: string;
  readonly name: string;
  readonly port: number | undefined;
}

/**
 * What the statuses of routes, rate limits and EgressNetworks should be, given what there is. Fed
 * objects, asked for differences; knows nothing of how they are written.
 */
export class StatusIndex {
  readonly #clusterNetworks: readonly IpNetwork[];
  readonly #changed: () => void;
  readonly #servers = new Entries<true>();
  /** True for Services that have a cluster address. */
  readonly #services = new Entries<boolean>();
  readonly #egress = new Entries<EgressNetwork>();
  readonly #limits = new Entries<HttpLocalRateLimitPolicy>();
  readonly #routes: Readonly<Record<string, Entries<Route<unknown>>>> = {
    "policy-http": new Entries(),
    "gateway-http": new Entries(),
    grpc: new Entries(),
    tls: new Entries(),
    tcp: new Entries(),
  };
  /** How many routes of each kind and namespace name a parent. */
  readonly #claims = new Map<string, number>();

  /** @param changed - Told after each event: some status may be wrong now. */
  constructor(clusterNetworks: readonly IpNetwork[], changed: () => void = () => {}) {
    this.#clusterNetworks = clusterNetworks;
    this.#changed = changed;
  }

  setServer(server: Server): void {
    const { namespace, name } = identityOf(server);
    this.#servers.set(namespace, name, true);
    this.#changed();
  }

  deleteServer(namespace: string, name: string): void {
    this.#servers.delete(namespace, name);
    this.#changed();
  }

  setService(service: Service): void {
    const { namespace, name } = identityOf(service);
    this.#services.set(namespace, name, hasClusterIp(service));
    this.#changed();
  }

  deleteService(namespace: string, name: string): void {
    this.#services.delete(namespace, name);
    this.#changed();
  }

  setEgressNetwork(network: EgressNetwork): void {
    const { namespace, name } = identityOf(network);
    this.#egress.set(namespace, name, network);
    this.#changed();
  }

  deleteEgressNetwork(namespace: string, name: string): void {
    this.#egress.delete(namespace, name);
    this.#changed();
  }

  setRateLimitPolicy(policy: HttpLocalRateLimitPolicy): void {
    const { namespace, name } = identityOf(policy);
    this.#limits.set(namespace, name, policy);
    this.#changed();
  }

  deleteRateLimitPolicy(namespace: string, name: string): void {
    this.#limits.delete(namespace, name);
    this.#changed();
  }

  setRoute(kind: StatusKind, route: Route<unknown>): void {
    const { namespace, name } = identityOf(route);
    this.deleteRoute(kind, namespace, name);
    this.#routes[kind]!.set(namespace, name, route);
    this.#claim(kind, route, 1);
    this.#changed();
  }

  deleteRoute(kind: StatusKind, namespace: string, name: string): void {
    const before = this.#routes[kind]!.delete(namespace, name);
    if (before !== undefined) this.#claim(kind, before, -1);
    this.#changed();
  }

  /** Every object whose status is not what it should be. */
  *pending(): IterableIterator<StatusKey> {
    for (const [kind, routes] of Object.entries(this.#routes)) {
      for (const route of routes.all()) yield* this.#pendingKey(kind as StatusKind, route);
    }
    for (const policy of this.#limits.all()) yield* this.#pendingKey("rate-limit", policy);
    for (const network of this.#egress.all()) yield* this.#pendingKey("egress", network);
  }

  *#pendingKey(kind: StatusKind, object: KubeObject): IterableIterator<StatusKey> {
    const { namespace, name } = identityOf(object);
    const key = { kind, namespace, name };
    if (this.change(key, "") !== undefined) yield key;
  }

  /**
   * The status to write; undefined if there is nothing to change, or no such object.
   *
   * @param now - RFC 3339, for conditions that turn.
   */
  change({ kind, namespace, name }: StatusKey, now: string): StatusChange | undefined {
    if (kind === "rate-limit") return this.#limitChange(this.#limits.get(namespace, name), now);
    if (kind === "egress") return this.#egressChange(this.#egress.get(namespace, name), now);
    const route = this.#routes[kind]?.get(namespace, name);
    return route === undefined ? undefined : this.#routeChange(kind, route, now);
  }

  #routeChange(kind: StatusKind, route: Route<unknown>, now: string): StatusChange | undefined {
    const before = route.status?.parents ?? [];
    const others = before.filter(({ controllerName }) => controllerName !== CONTROLLER_NAME);
    const ours = before.filter(({ controllerName }) => controllerName === CONTROLLER_NAME);
    const wanted = this.#parentStatuses(kind, route);
    if (sameParents(ours, wanted)) return undefined;
    const parents = wanted.map((status) => {
      const known = ours.find(({ parentRef }) => sameParent(parentRef, status.parentRef));
      const conditions = withTimes(status.conditions ?? [], known?.conditions ?? [], now);
      return { ...status, conditions };
    });
    return {
      resourceVersion: route.metadata.resourceVersion,
      status: { parents: [...others, ...parents] },
    };
  }

  #parentStatuses(kind: StatusKind, route: Route<unknown>): RouteParentStatus[] {
    const generation = route.metadata.generation;
    const seen = new Set<string>();
    const statuses: RouteParentStatus[] = [];
    for (const parent of parentTargets(route)) {
      const key = parentKey(parent);
      if (seen.has(key)) continue;
      seen.add(key);
      const conditions = [this.#acceptance(ROUTE_KIND[kind]!, route, parent)];
      if (parent.kind !== "Server") conditions.push(this.#resolution(route, parent));
      statuses.push({
        controllerName: CONTROLLER_NAME,
        parentRef: statusRef(parent),
        conditions: conditions.map((made) =>
          generation === undefined ? made : { ...made, observedGeneration: generation },
        ),
      });
    }
    return statuses;
  }

  #acceptance(kind: RouteKind, route: Route<unknown>, parent: ParentTarget): Condition {
    const { namespace, name } = parent;
    switch (parent.kind) {
      case "Server":
        if (namespace !== identityOf(route).namespace) {
          return notAccepted("NoMatchingParent", "a Server's routes are in its own namespace");
        }
        return this.#servers.get(namespace, name) === undefined
          ? notAccepted("NoMatchingParent", "")
          : accepted();
      case "Service": {
        const hasIp = this.#services.get(namespace, name);
        if (hasIp === undefined) return notAccepted("NoMatchingParent", "");
        if (!hasIp) return notAccepted("NoMatchingParent", "parent service must have a ClusterIP");
        break;
      }
      case "EgressNetwork": {
        const network = this.#egress.get(namespace, name);
        if (network === undefined) return notAccepted("NoMatchingParent", "");
        if (!this.#isEgressAccepted(network)) {
          return notAccepted("NoMatchingParent", "EgressNetwork parent is not accepted");
        }
      }
    }
    return this.#isConflicted(kind, identityOf(route).namespace, parent)
      ? notAccepted("RouteReasonConflicted", "")
      : accepted();
  }

  /** Routes of third namespaces are for their own clients only: they take nothing from others. */
  #isConflicted(kind: RouteKind, namespace: string, parent: ParentTarget): boolean {
    return ROUTE_KINDS.slice(0, ROUTE_KINDS.indexOf(kind)).some(
      (stronger) =>
        this.#claims.has(claimKey(stronger, namespace, parent)) ||
        this.#claims.has(claimKey(stronger, parent.namespace, parent)),
    );
  }

  #resolution(route: Route<unknown>, parent: ParentTarget): Condition {
    const own = identityOf(route).namespace;
    for (const rule of route.spec.rules ?? []) {
      for (const { group = "", kind = "Service", name, namespace = own } of rule.backendRefs ??
        []) {
        if (refersTo({ group, kind }, "core", "Service")) {
          if (this.#services.get(namespace, name) === undefined)
            return unresolved("BackendNotFound");
        } else if (refersTo({ group, kind }, POLICY_GROUP, "EgressNetwork")) {
          if (this.#egress.get(namespace, name) === undefined) return unresolved("BackendNotFound");
          const isParent =
            parent.kind === "EgressNetwork" &&
            parent.namespace === namespace &&
            parent.name === name;
          if (!isParent) {
            const message =
              "an EgressNetwork can be a backend only of a route that it is parent of";
            return unresolved("InvalidKind", message);
          }
        } else return unresolved("InvalidKind");
      }
    }
    return condition("ResolvedRefs", "True", "ResolvedRefs", "");
  }

  #limitChange(
    policy: HttpLocalRateLimitPolicy | undefined,
    now: string,
  ): StatusChange | undefined {
    if (policy === undefined) return undefined;
    const { targetRef } = policy.spec;
    if (!refersTo(targetRef, POLICY_GROUP, "Server")) return undefined;
    const before = policy.status?.conditions ?? [];
    const wanted = [this.#limitCondition(policy)];
    if (sameConditions(before, wanted)) return undefined;
    return {
      resourceVersion: policy.metadata.resourceVersion,
      status: {
        conditions: withTimes(wanted, before, now),
        targetRef: { group: POLICY_GROUP, kind: "Server", name: targetRef.name },
      },
    };
  }

  /** Of several limits on a Server the oldest holds. */
  #limitCondition(policy: HttpLocalRateLimitPolicy): Condition {
    const { namespace } = identityOf(policy);
    const server = policy.spec.targetRef.name;
    if (this.#servers.get(namespace, server) === undefined) {
      return notAccepted("NoMatchingTarget", "");
    }
    for (const other of this.#limits.in(namespace)) {
      const { targetRef } = other.spec;
      if (other === policy || targetRef.name !== server) continue;
      if (!refersTo(targetRef, POLICY_GROUP, "Server")) continue;
      if (byAge(identityOf(other), identityOf(policy)) < 0) {
        return notAccepted("RateLimitReasonAlreadyExists", "");
      }
    }
    return accepted();
  }

  #egressChange(network: EgressNetwork | undefined, now: string): StatusChange | undefined {
    if (network === undefined) return undefined;
    const before = network.status?.conditions ?? [];
    const others = before.filter(({ type }) => type !== "Accepted");
    const wanted = [
      this.#overlaps(network)
        ? notAccepted("EgressReasonNetworkOverlap", "networks overlap with clusterNetworks")
        : accepted(),
    ];
    const ours = before.filter(({ type }) => type === "Accepted");
    if (sameConditions(ours, wanted)) return undefined;
    return {
      resourceVersion: network.metadata.resourceVersion,
      status: { conditions: [...others, ...withTimes(wanted, ours, now)] },
    };
  }

  #isEgressAccepted(network: EgressNetwork): boolean {
    return (network.status?.conditions ?? []).some(
      ({ type, status }) => type === "Accepted" && status === "True",
    );
  }

  #overlaps(network: EgressNetwork): boolean {
    let blocks: NetworkMatch[];
    try {
      blocks = networksOf(network.spec.networks ?? []);
    } catch {
      // What does not parse governs nothing, and so overlaps nothing; outbound reports it.
      return false;
    }
    return blocks.some(({ network: block, except }) =>
      this.#clusterNetworks.some((cluster) => {
        const intersects = block.covers(cluster) || cluster.covers(block);
        return intersects && !except.some((hole) => hole.covers(cluster));
      }),
    );
  }

  #claim(kind: StatusKind, route: Route<unknown>, by: 1 | -1): void {
    const { namespace } = identityOf(route);
    const keys = new Set(
      parentTargets(route).map((parent) => claimKey(ROUTE_KIND[kind]!, namespace, parent)),
    );
    for (const key of keys) {
      const count = (this.#claims.get(key) ?? 0) + by;
      if (count === 0) this.#claims.delete(key);
      else this.#claims.set(key, count);
    }
  }
}

function hasClusterIp(service: Service): boolean {
  const { type, clusterIP } = service.spec ?? {};
  return type !== "ExternalName" && clusterIP !== undefined && parseIp(clusterIP) !== undefined;
}

/** The parents that we answer for. */
function parentTargets(route: Route<unknown>): ParentTarget[] {
  const { namespace: own } = identityOf(route);
  return (route.spec?.parentRefs ?? []).flatMap((ref) => {
    const kind = targetKind(ref);
    if (kind === undefined) return [];
    const { name, namespace = own } = ref;
    return [{ kind, name, namespace, port: kind === "Server" ? undefined : ref.port }];
  });
}

function targetKind(ref: ParentRef): ParentTarget["kind"] | undefined {
  if (ref.kind === undefined) return undefined;
  if (refersTo(ref, POLICY_GROUP, "Server")) return "Server";
  if (refersTo(ref, "core", "Service")) return "Service";
  return refersTo(ref, POLICY_GROUP, "EgressNetwork") ? "EgressNetwork" : undefined;
}

function statusRef({ kind, namespace, name, port }: ParentTarget): ParentRef {
  const group = kind === "Service" ? "core" : POLICY_GROUP;
  return { group, kind, namespace, name, ...(port === undefined ? {} : { port }) };
}

function parentKey({ kind, namespace, name, port }: ParentTarget): string {
  return `${kind}:${namespace}/${name}:${port ?? ""}`;
}

function claimKey(kind: RouteKind, namespace: string, parent: ParentTarget): string {
  return `${kind} of ${namespace} on ${parentKey(parent)}`;
}

function unresolved(reason: "BackendNotFound" | "InvalidKind", message = ""): Condition {
  return condition("ResolvedRefs", "False", reason, message);
}

function sameParent(a: ParentRef, b: ParentRef): boolean {
  return (
    a.group === b.group &&
    a.kind === b.kind &&
    a.namespace === b.namespace &&
    a.name === b.name &&
    a.port === b.port
  );
}

/** Whatever their order; times do not count. */
function sameParents(a: readonly RouteParentStatus[], b: readonly RouteParentStatus[]): boolean {
  if (a.length !== b.length) return false;
  const sort = (parents: readonly RouteParentStatus[]): RouteParentStatus[] =>
    parents.toSorted((x, y) => byText(orderOf(x), orderOf(y)));
  const right = sort(b);
  return sort(a).every(
    (status, index) =>
      sameParent(status.parentRef, right[index]!.parentRef) &&
      sameConditions(status.conditions ?? [], right[index]!.conditions ?? []),
  );
}

function orderOf({ parentRef: { group, kind, namespace, name, port } }: RouteParentStatus): string {
  return JSON.stringify([group, kind, namespace, name, port ?? 0]);
}
