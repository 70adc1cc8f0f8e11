import type { Pod, Service } from "@heddle/kube/types/core";
import type {
  AuthorizationPolicy,
  EgressNetwork,
  ExternalWorkload,
  HttpLocalRateLimitPolicy,
  Server,
  ServiceProfile,
} from "@heddle/kube/types/linkerd";
import type { KubeObject } from "@heddle/kube/types/meta";
import type { Route } from "@heddle/kube/types/routes";
import type { IpNetwork } from "@heddle/model/network";
import { externalWorkload, podWorkload } from "../inbound/workload.ts";
import { identityOf } from "../refs.ts";
import { type AuthenticationKind, AuthorizationStatuses } from "./authorizations.ts";
import { Dependents } from "./dependents.ts";
import {
  factOf,
  parseKey,
  type RouteCollection,
  type StatusChange,
  type StatusKey,
  type StatusKind,
  textOfKey,
} from "./keys.ts";
import { LimitStatuses } from "./limits.ts";
import { NetworkStatuses } from "./networks.ts";
import { Parents } from "./parents.ts";
import { RouteStatuses } from "./routes.ts";
import { ServerMatches } from "./server-matches.ts";
import { ServerStatuses } from "./servers.ts";
import { Shadows } from "./shadows.ts";

/**
 * What the statuses of routes and policies should be, given what there is. Fed objects, asked for
 * differences; knows nothing of how they are written.
 */
export class StatusIndex {
  readonly #changed: () => void;
  readonly #dependents = new Dependents();
  readonly #matches: ServerMatches;
  readonly #servers: ServerStatuses;
  readonly #parents: Parents;
  readonly #networks: NetworkStatuses;
  readonly #limits: LimitStatuses;
  readonly #shadows: Shadows;
  readonly #routes: RouteStatuses;
  readonly #authorizations: AuthorizationStatuses;

  /** @param changed - Told after each event: some status may be wrong now. */
  constructor(
    clusterNetworks: readonly IpNetwork[],
    changed: () => void = () => {},
    clusterDomain: string = "cluster.local",
  ) {
    this.#changed = changed;
    const touched = (fact: string): void => this.#dependents.touch(fact);
    this.#matches = new ServerMatches((namespace, name) => {
      touched(factOf.server(namespace, name));
      touched(factOf.servers(namespace));
    });
    this.#servers = new ServerStatuses(this.#matches);
    this.#parents = new Parents(this.#matches, touched);
    this.#networks = new NetworkStatuses(clusterNetworks);
    this.#limits = new LimitStatuses(this.#matches, touched);
    this.#shadows = new Shadows(clusterDomain, touched);
    this.#routes = new RouteStatuses(this.#parents, this.#shadows, touched);
    this.#authorizations = new AuthorizationStatuses(this.#matches, this.#routes, touched);
  }

  setPod(pod: Pod): void {
    // What is wrong with its annotations is told where they count.
    this.#matches.setWorkload(podWorkload(pod, () => {}));
    this.#changed();
  }

  deletePod(namespace: string, name: string): void {
    this.#matches.deleteWorkload("pod", namespace, name);
    this.#changed();
  }

  setExternalWorkload(workload: ExternalWorkload): void {
    this.#matches.setWorkload(externalWorkload(workload, () => {}));
    this.#changed();
  }

  deleteExternalWorkload(namespace: string, name: string): void {
    this.#matches.deleteWorkload("external-workload", namespace, name);
    this.#changed();
  }

  setServer(server: Server): void {
    const { namespace, name } = identityOf(server);
    this.#servers.set(server);
    this.#matches.setServer(server);
    this.#keep("server", server, [factOf.server(namespace, name)]);
  }

  deleteServer(namespace: string, name: string): void {
    this.#servers.delete(namespace, name);
    this.#matches.deleteServer(namespace, name);
    this.#forget("server", namespace, name);
  }

  setService(service: Service): void {
    this.#parents.setService(service);
    this.#shadows.setService(service);
    this.#changed();
  }

  deleteService(namespace: string, name: string): void {
    this.#parents.deleteService(namespace, name);
    this.#shadows.deleteService(namespace, name);
    this.#changed();
  }

  setServiceProfile(profile: ServiceProfile): void {
    this.#shadows.setProfile(profile);
    this.#changed();
  }

  deleteServiceProfile(namespace: string, name: string): void {
    this.#shadows.deleteProfile(namespace, name);
    this.#changed();
  }

  setEgressNetwork(network: EgressNetwork): void {
    this.#parents.setEgressNetwork(network);
    this.#networks.set(network);
    this.#keep("egress", network, []);
  }

  deleteEgressNetwork(namespace: string, name: string): void {
    this.#parents.deleteEgressNetwork(namespace, name);
    this.#networks.delete(namespace, name);
    this.#forget("egress", namespace, name);
  }

  setRateLimitPolicy(policy: HttpLocalRateLimitPolicy): void {
    this.#keep("rate-limit", policy, this.#limits.set(policy));
  }

  deleteRateLimitPolicy(namespace: string, name: string): void {
    this.#limits.delete(namespace, name);
    this.#forget("rate-limit", namespace, name);
  }

  setRoute(kind: RouteCollection, route: Route<unknown>): void {
    this.#keep(kind, route, this.#routes.set(kind, route));
  }

  deleteRoute(kind: RouteCollection, namespace: string, name: string): void {
    this.#routes.delete(kind, namespace, name);
    this.#forget(kind, namespace, name);
  }

  setAuthorizationPolicy(policy: AuthorizationPolicy): void {
    this.#keep("authorization", policy, this.#authorizations.set(policy));
  }

  deleteAuthorizationPolicy(namespace: string, name: string): void {
    this.#authorizations.delete(namespace, name);
    this.#forget("authorization", namespace, name);
  }

  setAuthentication(kind: AuthenticationKind, object: KubeObject): void {
    const { namespace, name } = identityOf(object);
    this.#authorizations.setAuthentication(kind, namespace, name);
    this.#changed();
  }

  deleteAuthentication(kind: AuthenticationKind, namespace: string, name: string): void {
    this.#authorizations.deleteAuthentication(kind, namespace, name);
    this.#changed();
  }

  /** Every object that has a status of ours, right or wrong. */
  *keys(): IterableIterator<StatusKey> {
    for (const [kind, route] of this.#routes.all()) yield keyOf(kind, route);
    for (const policy of this.#limits.all()) yield keyOf("rate-limit", policy);
    for (const network of this.#networks.all()) yield keyOf("egress", network);
    for (const server of this.#servers.all()) yield keyOf("server", server);
    for (const policy of this.#authorizations.all()) yield keyOf("authorization", policy);
  }

  /** Every object whose status is not what it should be. */
  *pending(): IterableIterator<StatusKey> {
    for (const key of this.keys()) if (this.change(key, "") !== undefined) yield key;
  }

  /** Those whose status may have become wrong since it was asked last. */
  takeDirty(): StatusKey[] {
    return this.#dependents.take().map(parseKey);
  }

  /**
   * The status to write; undefined if there is nothing to change, or no such object.
   *
   * @param now - RFC 3339, for conditions that turn.
   */
  change({ kind, namespace, name }: StatusKey, now: string): StatusChange | undefined {
    switch (kind) {
      case "rate-limit":
        return this.#limits.change(namespace, name, now);
      case "egress":
        return this.#networks.change(namespace, name, now);
      case "server":
        return this.#servers.change(namespace, name, now);
      case "authorization":
        return this.#authorizations.change(namespace, name, now);
      default:
        return this.#routes.change(kind, namespace, name, now);
    }
  }

  #keep(kind: StatusKind, object: KubeObject, facts: Iterable<string>): void {
    this.#dependents.set(textOfKey(keyOf(kind, object)), facts);
    this.#changed();
  }

  #forget(kind: StatusKind, namespace: string, name: string): void {
    this.#dependents.delete(textOfKey({ kind, namespace, name }));
    this.#changed();
  }
}

function keyOf(kind: StatusKind, object: KubeObject): StatusKey {
  const { namespace, name } = identityOf(object);
  return { kind, namespace, name };
}
