import type { Condition } from "@heddle/kube/types/meta";
import type { BackendRef, ParentRef, Route, RouteParentStatus } from "@heddle/kube/types/routes";
import { ignoredFields } from "../ignored-fields.ts";
import { byText, CONTROLLER_NAME, identityOf, POLICY_GROUP, refersTo } from "../refs.ts";
import { Entries } from "../store.ts";
import { accepted, condition, notAccepted, sameConditions, withTimes } from "./conditions.ts";
import { factOf, type RouteCollection, type StatusChange } from "./keys.ts";
import {
  type Parents,
  type ParentTarget,
  parentFact,
  parentKey,
  parentTargets,
  statusRef,
} from "./parents.ts";
import type { Shadows } from "./shadows.ts";

/** Of the routes on one parent only those of the first kind in this list hold. */
const ROUTE_KINDS = ["GRPCRoute", "HTTPRoute", "TLSRoute", "TCPRoute"] as const;
type RouteKind = (typeof ROUTE_KINDS)[number];

const KIND_OF: Readonly<Record<RouteCollection, RouteKind>> = {
  "policy-http": "HTTPRoute",
  "gateway-http": "HTTPRoute",
  grpc: "GRPCRoute",
  tls: "TLSRoute",
  tcp: "TCPRoute",
};

interface Known {
  readonly route: Route<unknown>;
  readonly parents: readonly ParentTarget[];
  /** What a newer Gateway API may mean, and we do not. */
  readonly ignored: readonly string[];
}

/** What the statuses of routes should be. */
export class RouteStatuses {
  readonly #parents: Parents;
  readonly #shadows: Shadows;
  readonly #touched: (fact: string) => void;
  readonly #routes: Readonly<Record<RouteCollection, Entries<Known>>> = {
    "policy-http": new Entries(),
    "gateway-http": new Entries(),
    grpc: new Entries(),
    tls: new Entries(),
    tcp: new Entries(),
  };
  /** How many routes of each kind and namespace name a parent. */
  readonly #claims = new Map<string, number>();

  constructor(parents: Parents, shadows: Shadows, touched: (fact: string) => void) {
    this.#parents = parents;
    this.#shadows = shadows;
    this.#touched = touched;
  }

  /** @returns the facts that its status rests on. */
  set(kind: RouteCollection, route: Route<unknown>): Set<string> {
    const { namespace, name } = identityOf(route);
    const before = this.#routes[kind].get(namespace, name);
    // Our own kind's schema has no fields but those that we read.
    const ignored = kind === "policy-http" ? [] : ignoredFields(KIND_OF[kind], route.spec);
    const after = { route, parents: parentTargets(route), ignored };
    // Before anything changes: it throws for an object that no schema should have let through.
    const facts = factsOf(after);
    this.#routes[kind].set(namespace, name, after);
    // The new ones first: what it names before and after shall not seem to be gone in between.
    this.#claim(kind, after, 1);
    if (before === undefined) this.#touched(factOf.route(kind, namespace, name));
    else this.#claim(kind, before, -1);
    return facts;
  }

  delete(kind: RouteCollection, namespace: string, name: string): void {
    const before = this.#routes[kind].delete(namespace, name);
    if (before === undefined) return;
    this.#claim(kind, before, -1);
    this.#touched(factOf.route(kind, namespace, name));
  }

  /** Names of the Servers that a route is for; undefined if there is no such route. */
  serversOf(kind: RouteCollection, namespace: string, name: string): string[] | undefined {
    return this.#routes[kind]
      .get(namespace, name)
      ?.parents.filter((parent) => parent.kind === "Server" && parent.namespace === namespace)
      .map((parent) => parent.name);
  }

  *all(): IterableIterator<[RouteCollection, Route<unknown>]> {
    for (const [kind, routes] of Object.entries(this.#routes)) {
      for (const { route } of routes.all()) yield [kind as RouteCollection, route];
    }
  }

  change(
    kind: RouteCollection,
    namespace: string,
    name: string,
    now: string,
  ): StatusChange | undefined {
    const known = this.#routes[kind].get(namespace, name);
    if (known === undefined) return undefined;
    const { route } = known;
    const before = route.status?.parents ?? [];
    const others = before.filter(({ controllerName }) => controllerName !== CONTROLLER_NAME);
    const ours = before.filter(({ controllerName }) => controllerName === CONTROLLER_NAME);
    const wanted = this.#parentStatuses(KIND_OF[kind], known);
    if (sameParents(ours, wanted)) return undefined;
    const parents = wanted.map((status) => {
      const dated = ours.find(({ parentRef }) => sameParent(parentRef, status.parentRef));
      const conditions = withTimes(status.conditions ?? [], dated?.conditions ?? [], now);
      return { ...status, conditions };
    });
    return {
      resourceVersion: route.metadata.resourceVersion,
      status: { parents: [...others, ...parents] },
      isMinor: false,
    };
  }

  #parentStatuses(kind: RouteKind, { route, parents, ignored }: Known): RouteParentStatus[] {
    const { generation } = route.metadata;
    return parents.map((parent) => {
      const conditions = [this.#acceptance(kind, route, parent)];
      if (parent.kind !== "Server") conditions.push(this.#resolution(route, parent));
      if (ignored.length > 0) conditions.push(partlyVoid(ignored));
      const shadowed = this.#shadow(kind, route, parent);
      if (shadowed !== undefined) conditions.push(shadowed);
      return {
        controllerName: CONTROLLER_NAME,
        parentRef: statusRef(parent),
        conditions: conditions.map((made) =>
          generation === undefined ? made : { ...made, observedGeneration: generation },
        ),
      };
    });
  }

  #acceptance(kind: RouteKind, route: Route<unknown>, parent: ParentTarget): Condition {
    const { namespace, name } = parent;
    const own = identityOf(route).namespace;
    switch (parent.kind) {
      case "Server":
        if (namespace !== own) {
          return notAccepted("NoMatchingParent", "a Server's routes are in its own namespace");
        }
        return this.#parents.hasServer(namespace, name)
          ? accepted()
          : notAccepted("NoMatchingParent", "");
      case "Service": {
        const hasIp = this.#parents.service(namespace, name);
        if (hasIp === undefined) return notAccepted("NoMatchingParent", "");
        if (!hasIp) return notAccepted("NoMatchingParent", "parent service must have a ClusterIP");
        break;
      }
      case "EgressNetwork": {
        const isAccepted = this.#parents.egress(namespace, name);
        if (isAccepted === undefined) return notAccepted("NoMatchingParent", "");
        if (!isAccepted) {
          return notAccepted("NoMatchingParent", "EgressNetwork parent is not accepted");
        }
      }
    }
    return this.#isConflicted(kind, own, parent)
      ? notAccepted("RouteReasonConflicted", "")
      : accepted();
  }

  /** Of a route of requests whose parent's clients go by a ServiceProfile. */
  #shadow(kind: RouteKind, route: Route<unknown>, parent: ParentTarget): Condition | undefined {
    const isOfRequests = kind === "HTTPRoute" || kind === "GRPCRoute";
    if (!isOfRequests || parent.kind !== "Service") return undefined;
    return this.#shadows.condition(parent.namespace, parent.name, identityOf(route).namespace);
  }

  /** Routes of third namespaces are for their own clients only: they take nothing from others. */
  #isConflicted(kind: RouteKind, namespace: string, parent: ParentTarget): boolean {
    return ROUTE_KINDS.slice(0, ROUTE_KINDS.indexOf(kind)).some(
      (stronger) =>
        this.#claims.has(claimKey(stronger, namespace, parent)) ||
        this.#claims.has(claimKey(stronger, parent.namespace, parent)),
    );
  }

  /** Of the first backend that does not resolve, or of all. */
  #resolution(route: Route<unknown>, parent: ParentTarget): Condition {
    const own = identityOf(route).namespace;
    for (const rule of route.spec?.rules ?? []) {
      for (const ref of rule.backendRefs ?? []) {
        const problem = this.#backendProblem(ref, own, parent);
        if (problem !== undefined) return problem;
      }
    }
    return condition("ResolvedRefs", "True", "ResolvedRefs", "");
  }

  #backendProblem(ref: BackendRef, own: string, parent: ParentTarget): Condition | undefined {
    const { name, namespace = own } = ref;
    if (isService(ref)) {
      const isThere = this.#parents.service(namespace, name) !== undefined;
      return isThere ? undefined : unresolved("BackendNotFound");
    }
    if (!refersTo(ref, POLICY_GROUP, "EgressNetwork")) return unresolved("InvalidKind");
    if (this.#parents.egress(namespace, name) === undefined) return unresolved("BackendNotFound");
    const isParent =
      parent.kind === "EgressNetwork" && parent.namespace === namespace && parent.name === name;
    if (isParent) return undefined;
    const message = "an EgressNetwork can be a backend only of a route that it is parent of";
    return unresolved("InvalidKind", message);
  }

  #claim(kind: RouteCollection, { route, parents }: Known, by: 1 | -1): void {
    const { namespace } = identityOf(route);
    for (const parent of parents) {
      const key = claimKey(KIND_OF[kind], namespace, parent);
      const count = (this.#claims.get(key) ?? 0) + by;
      if (count === 0) this.#claims.delete(key);
      else this.#claims.set(key, count);
      const hasTurned = count === 0 || (count === 1 && by === 1);
      if (hasTurned) this.#touched(factOf.claims(parentKey(parent)));
    }
  }
}

function factsOf({ route, parents }: Known): Set<string> {
  const own = identityOf(route).namespace;
  const facts = new Set<string>();
  for (const parent of parents) {
    facts.add(parentFact(parent));
    if (parent.kind !== "Server") facts.add(factOf.claims(parentKey(parent)));
  }
  for (const rule of route.spec?.rules ?? []) {
    for (const ref of rule.backendRefs ?? []) {
      const { name, namespace = own } = ref;
      facts.add(isService(ref) ? factOf.service(namespace, name) : factOf.egress(namespace, name));
    }
  }
  return facts;
}

function isService({ group, kind = "Service" }: BackendRef): boolean {
  return refersTo({ group, kind }, "core", "Service");
}

function claimKey(kind: RouteKind, namespace: string, parent: ParentTarget): string {
  return `${kind} of ${namespace} on ${parentKey(parent)}`;
}

function unresolved(reason: "BackendNotFound" | "InvalidKind", message = ""): Condition {
  return condition("ResolvedRefs", "False", reason, message);
}

/** As the Gateway API has it for a route that holds, but not in all that it says. */
function partlyVoid(fields: readonly string[]): Condition {
  const message = `not known here, and without effect: ${fields.join(", ")}`;
  return condition("PartiallyInvalid", "True", "UnsupportedValue", message);
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
