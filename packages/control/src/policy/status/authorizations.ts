import type { AuthorizationPolicy, TargetRef } from "@heddle/kube/types/linkerd";
import type { Condition } from "@heddle/kube/types/meta";
import { GATEWAY_GROUP, identityOf, POLICY_GROUP, refersTo } from "../refs.ts";
import { Entries } from "../store.ts";
import { accepted, condition, conditionsChange, notAccepted } from "./conditions.ts";
import { factOf, type RouteCollection, type StatusChange } from "./keys.ts";
import type { RouteStatuses } from "./routes.ts";
import type { ServerMatches } from "./server-matches.ts";
import { matchesWorkloads } from "./servers.ts";

const AUTHENTICATIONS = ["MeshTLSAuthentication", "NetworkAuthentication"] as const;
export type AuthenticationKind = (typeof AUTHENTICATIONS)[number];

const ROUTES: readonly (readonly [group: string, kind: string, RouteCollection])[] = [
  [POLICY_GROUP, "HTTPRoute", "policy-http"],
  [GATEWAY_GROUP, "HTTPRoute", "gateway-http"],
  [GATEWAY_GROUP, "GRPCRoute", "grpc"],
];

/** What the statuses of AuthorizationPolicies should be. They are our own: Linkerd's have none. */
export class AuthorizationStatuses {
  readonly #servers: ServerMatches;
  readonly #routes: RouteStatuses;
  readonly #touched: (fact: string) => void;
  readonly #policies = new Entries<AuthorizationPolicy>();
  readonly #authentications: Readonly<Record<AuthenticationKind, Entries<true>>> = {
    MeshTLSAuthentication: new Entries(),
    NetworkAuthentication: new Entries(),
  };

  constructor(servers: ServerMatches, routes: RouteStatuses, touched: (fact: string) => void) {
    this.#servers = servers;
    this.#routes = routes;
    this.#touched = touched;
  }

  /** @returns the facts that its status rests on. */
  set(policy: AuthorizationPolicy): string[] {
    const { namespace, name } = identityOf(policy);
    const { targetRef, requiredAuthenticationRefs: refs } = policy.spec;
    const facts = refs.flatMap((ref) => {
      const kind = authenticationKind(ref);
      if (kind === undefined) return [];
      return [factOf.authentication(kind, ref.namespace || namespace, ref.name)];
    });
    const route = routeKind(targetRef);
    if (route !== undefined) facts.push(factOf.route(route, namespace, targetRef.name));
    // Those of a route are found by looking; few namespaces have many.
    const isOfOne = refersTo(targetRef, POLICY_GROUP, "Server");
    facts.push(isOfOne ? factOf.server(namespace, targetRef.name) : factOf.servers(namespace));
    // Last: what throws is an object that no schema should have let through.
    this.#policies.set(namespace, name, policy);
    return facts;
  }

  delete(namespace: string, name: string): void {
    this.#policies.delete(namespace, name);
  }

  setAuthentication(kind: AuthenticationKind, namespace: string, name: string): void {
    if (this.#authentications[kind].get(namespace, name) === true) return;
    this.#authentications[kind].set(namespace, name, true);
    this.#touched(factOf.authentication(kind, namespace, name));
  }

  deleteAuthentication(kind: AuthenticationKind, namespace: string, name: string): void {
    this.#authentications[kind].delete(namespace, name);
    this.#touched(factOf.authentication(kind, namespace, name));
  }

  all(): IterableIterator<AuthorizationPolicy> {
    return this.#policies.all();
  }

  change(namespace: string, name: string, now: string): StatusChange | undefined {
    const policy = this.#policies.get(namespace, name);
    if (policy === undefined) return undefined;
    const { targetRef, requiredAuthenticationRefs } = policy.spec;
    const servers = this.#serversOf(targetRef, namespace);
    const count = (servers ?? []).reduce(
      (sum, server) => sum + this.#servers.count(namespace, server),
      0,
    );
    const wanted = [
      servers === undefined ? notAccepted("NoMatchingTarget", "") : accepted(),
      this.#resolution(requiredAuthenticationRefs, namespace),
      matchesWorkloads(count),
    ];
    return conditionsChange(policy, policy.status?.conditions, wanted, now, {
      count: { before: policy.status?.matchedWorkloads, now: count },
    });
  }

  /** Which Servers of its namespace a policy holds for; undefined if its target is not there. */
  #serversOf(target: TargetRef, namespace: string): readonly string[] | undefined {
    if (refersTo(target, "core", "Namespace")) {
      return target.name === namespace ? this.#servers.namesIn(namespace) : undefined;
    }
    if (refersTo(target, POLICY_GROUP, "Server")) {
      return this.#servers.has(namespace, target.name) ? [target.name] : undefined;
    }
    const route = routeKind(target);
    return route === undefined ? undefined : this.#routes.serversOf(route, namespace, target.name);
  }

  #resolution(refs: readonly TargetRef[], namespace: string): Condition {
    for (const ref of refs) {
      const kind = authenticationKind(ref);
      if (kind === undefined) continue;
      const from = ref.namespace || namespace;
      if (this.#authentications[kind].get(from, ref.name) === true) continue;
      const message = `${kind} ${from}/${ref.name} is not there: until it is, nobody is admitted`;
      return condition("ResolvedRefs", "False", "AuthenticationNotFound", message);
    }
    return condition("ResolvedRefs", "True", "ResolvedRefs", "");
  }
}

function authenticationKind(ref: TargetRef): AuthenticationKind | undefined {
  return AUTHENTICATIONS.find((kind) => refersTo(ref, POLICY_GROUP, kind));
}

function routeKind(ref: TargetRef): RouteCollection | undefined {
  return ROUTES.find(([group, kind]) => refersTo(ref, group, kind))?.[2];
}
