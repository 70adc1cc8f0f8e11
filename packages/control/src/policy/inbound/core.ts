import type { Pod } from "@heddle/kube/types/core";
import type {
  AuthorizationPolicy,
  ExternalWorkload,
  HttpLocalRateLimitPolicy,
  MeshTlsAuthentication,
  NetworkAuthentication,
  Server,
  ServerAuthorization,
} from "@heddle/kube/types/linkerd";
import type { GrpcRoute, HttpRoute } from "@heddle/kube/types/routes";
import type { NetworkMatch } from "@heddle/model/network";
import type { GrpcMatch } from "@heddle/model/route/grpc-routes";
import type { HttpMatch } from "@heddle/model/route/http-routes";
import type { Dependency } from "../cells.ts";
import { byAge, byText, GATEWAY_GROUP, identityOf, POLICY_GROUP, refersTo } from "../refs.ts";
import { remembered } from "../remembered.ts";
import { newGrpcMatchOf, newHttpMatchOf } from "../route-spec.ts";
import { Entries, type OnUnreadable, readObject } from "../store.ts";
import { type IdentityNames, meshTlsOf, networksOf, serverClientsOf } from "./authentication.ts";
import { authenticatedTwin, type DefaultPolicy } from "./default-policy.ts";
import { defaultAuthorizations, defaultGrpcRoutes, defaultHttpRoutes } from "./defaults.ts";
import { checkedRefs, Grants } from "./grants.ts";
import { type InboundRoute, inboundRouteOf } from "./route.ts";
import type { InboundServer, RateLimit, ServerRoute } from "./server.ts";
import { type PolicyServer, policyServerOf } from "./server-object.ts";
import { externalWorkload, podWorkload, type Workload, type WorkloadKind } from "./workload.ts";

export interface InboundConfig extends IdentityNames {
  readonly clusterNetworks: readonly NetworkMatch[];
  readonly defaultPolicy: DefaultPolicy;
  /** Where probes come from; none of them means that probes are like any request. */
  readonly probeNetworks: readonly NetworkMatch[];
}

/** What an index reports while it takes events. */
export interface IndexEvents {
  /** Answers that looked at this fact may have changed. */
  readonly touched: (fact: Dependency) => void;
  readonly unreadable: OnUnreadable;
}

interface LimitEntry extends RateLimit {
  readonly created: string | undefined;
  readonly server: string;
  readonly accepted: boolean;
}

/** Kinds without which less is allowed. */
const GRANTS: ReadonlySet<string> = new Set([
  "ServerAuthorization",
  "AuthorizationPolicy",
  "MeshTLSAuthentication",
  "NetworkAuthentication",
]);

/** Any change to an authentication: policies of every namespace may refer to it. */
const AUTHENTICATIONS: Dependency = "authentications";

/**
 * What is known of workloads and of the policies on their ports, and the answer to "who may
 * connect to this port, and how are its requests routed". Fed events, asked questions; knows
 * neither the Kubernetes API nor gRPC.
 */
export class InboundIndex {
  readonly #config: InboundConfig;
  readonly #events: IndexEvents;
  readonly #workloads: Readonly<Record<WorkloadKind, Entries<Workload>>> = {
    pod: new Entries(),
    "external-workload": new Entries(),
  };
  readonly #servers = new Entries<PolicyServer>();
  readonly #grants: Grants;
  readonly #limits = new Entries<LimitEntry>();
  readonly #httpRoutes: Readonly<Record<string, Entries<InboundRoute<HttpMatch>>>> = {
    [POLICY_GROUP]: new Entries(),
    [GATEWAY_GROUP]: new Entries(),
  };
  readonly #grpcRoutes = new Entries<InboundRoute<GrpcMatch>>();
  /** Ids of machines as their objects state them; counted, since two may claim one. */
  readonly #externalIds = new Map<string, number>();
  readonly #externalIdOf = new Entries<string>();

  constructor(config: InboundConfig, events: IndexEvents) {
    this.#config = config;
    this.#grants = new Grants(config);
    this.#events = events;
  }

  setPod(pod: Pod): void {
    this.#apply(this.#workloads.pod, "Pod", pod, (object) =>
      podWorkload(object, (problem) => this.#complain("Pod", object, problem)),
    );
  }

  deletePod(namespace: string, name: string): void {
    this.#remove(this.#workloads.pod, "Pod", namespace, name);
  }

  setExternalWorkload(workload: ExternalWorkload): void {
    const kind = "ExternalWorkload";
    this.#apply(this.#workloads["external-workload"], kind, workload, (object) =>
      externalWorkload(object, (problem) => this.#complain(kind, object, problem)),
    );
    const { namespace, name } = identityOf(workload);
    this.#countId(namespace, name, workload.spec?.meshTLS?.identity);
  }

  deleteExternalWorkload(namespace: string, name: string): void {
    this.#remove(this.#workloads["external-workload"], "ExternalWorkload", namespace, name);
    this.#countId(namespace, name, undefined);
  }

  setServer(server: Server): void {
    this.#apply(this.#servers, "Server", server, policyServerOf);
  }

  deleteServer(namespace: string, name: string): void {
    this.#remove(this.#servers, "Server", namespace, name);
  }

  setServerAuthorization(authorization: ServerAuthorization): void {
    this.#apply(this.#grants.ofServers, "ServerAuthorization", authorization, (object) => {
      const { name: serverName, selector } = object.spec.server;
      const networks = networksOf(object.spec.client.networks ?? []);
      return {
        name: identityOf(object).name,
        applies: remembered(
          (server: PolicyServer) => server.name === serverName || server.isSelectedBy(selector),
        ),
        networks: networks.length === 0 ? this.#config.clusterNetworks : networks,
        authentication: serverClientsOf(object, this.#config),
      };
    });
  }

  deleteServerAuthorization(namespace: string, name: string): void {
    this.#remove(this.#grants.ofServers, "ServerAuthorization", namespace, name);
  }

  setAuthorizationPolicy(policy: AuthorizationPolicy): void {
    this.#apply(this.#grants.ofPolicies, "AuthorizationPolicy", policy, (object) => ({
      ...identityOf(object),
      target: object.spec.targetRef,
      required: checkedRefs(object.spec.requiredAuthenticationRefs),
    }));
  }

  deleteAuthorizationPolicy(namespace: string, name: string): void {
    this.#remove(this.#grants.ofPolicies, "AuthorizationPolicy", namespace, name);
  }

  setMeshTlsAuthentication(authentication: MeshTlsAuthentication): void {
    this.#apply(
      this.#grants.identities,
      "MeshTLSAuthentication",
      authentication,
      (object) => meshTlsOf(object, this.#config),
      AUTHENTICATIONS,
    );
  }

  deleteMeshTlsAuthentication(namespace: string, name: string): void {
    this.#remove(
      this.#grants.identities,
      "MeshTLSAuthentication",
      namespace,
      name,
      AUTHENTICATIONS,
    );
  }

  setNetworkAuthentication(authentication: NetworkAuthentication): void {
    this.#apply(
      this.#grants.networks,
      "NetworkAuthentication",
      authentication,
      (object) => networksOf(object.spec.networks),
      AUTHENTICATIONS,
    );
  }

  deleteNetworkAuthentication(namespace: string, name: string): void {
    this.#remove(this.#grants.networks, "NetworkAuthentication", namespace, name, AUTHENTICATIONS);
  }

  setRateLimitPolicy(policy: HttpLocalRateLimitPolicy): void {
    this.#apply(this.#limits, "HTTPLocalRateLimitPolicy", policy, (object) =>
      this.#limitOf(object),
    );
  }

  deleteRateLimitPolicy(namespace: string, name: string): void {
    this.#remove(this.#limits, "HTTPLocalRateLimitPolicy", namespace, name);
  }

  /** @param group - `policy.linkerd.io` or `gateway.networking.k8s.io`. */
  setHttpRoute(group: string, route: HttpRoute): void {
    this.#apply(this.#httpRoutes[group]!, "HTTPRoute", route, (object) =>
      inboundRouteOf(group, "HTTPRoute", object, newHttpMatchOf()),
    );
  }

  deleteHttpRoute(group: string, namespace: string, name: string): void {
    this.#remove(this.#httpRoutes[group]!, "HTTPRoute", namespace, name);
  }

  setGrpcRoute(route: GrpcRoute): void {
    this.#apply(this.#grpcRoutes, "GRPCRoute", route, (object) =>
      inboundRouteOf(GATEWAY_GROUP, "GRPCRoute", object, newGrpcMatchOf()),
    );
  }

  deleteGrpcRoute(namespace: string, name: string): void {
    this.#remove(this.#grpcRoutes, "GRPCRoute", namespace, name);
  }

  /** Ids of all machines known, sorted: what foreign proxies are told instead of "any machine". */
  externalIds(): string[] {
    return [...this.#externalIds.keys()].sort();
  }

  hasWorkload(kind: WorkloadKind, namespace: string, name: string): boolean {
    return this.#workloads[kind].get(namespace, name) !== undefined;
  }

  /** Of everything known. */
  namespaces(): Set<string> {
    const { pod, "external-workload": external } = this.#workloads;
    const stores: Entries<unknown>[] = [pod, external, this.#servers, this.#grants.ofServers];
    stores.push(
      this.#grants.ofPolicies,
      this.#grants.identities,
      this.#grants.networks,
      this.#limits,
    );
    stores.push(this.#grpcRoutes, ...Object.values(this.#httpRoutes));
    return new Set(stores.flatMap((store) => [...store.namespaces()]));
  }

  /** Objects of each kind in a namespace, for the gauges of that name. */
  sizes(namespace: string): Readonly<Record<string, number>> {
    const http = this.#httpRoutes;
    return {
      meshtls_authentication: this.#grants.identities.countIn(namespace),
      network_authentication: this.#grants.networks.countIn(namespace),
      pod: this.#workloads.pod.countIn(namespace),
      external_workload: this.#workloads["external-workload"].countIn(namespace),
      server: this.#servers.countIn(namespace),
      server_authorization: this.#grants.ofServers.countIn(namespace),
      authorization_policy: this.#grants.ofPolicies.countIn(namespace),
      http_route: http[POLICY_GROUP]!.countIn(namespace) + http[GATEWAY_GROUP]!.countIn(namespace),
    };
  }

  /**
   * The policy of a port; undefined if there is no such workload. Every port of a workload has
   * one, declared or not.
   *
   * @param track - Told of the facts that the answer rests on.
   */
  server(
    kind: WorkloadKind,
    namespace: string,
    name: string,
    port: number,
    track: (fact: Dependency) => void,
  ): InboundServer | undefined {
    track(workloadFact(kind, namespace, name));
    track(namespaceFact(namespace));
    const workload = this.#workloads[kind].get(namespace, name);
    if (workload === undefined) return undefined;
    const server = this.#serverFor(workload, port);
    if (server === undefined) return this.#defaultServer(workload, port);
    track(AUTHENTICATIONS);
    return this.#policyServer(workload, port, server);
  }

  #serverFor(workload: Workload, port: number): PolicyServer | undefined {
    let found: PolicyServer | undefined;
    for (const server of this.#servers.in(workload.namespace)) {
      if (!server.selects(workload, port)) continue;
      if (found === undefined || byAge(server, found) < 0) found = server;
    }
    return found;
  }

  #defaultServer(workload: Workload, port: number): InboundServer {
    const wanted = workload.defaultPolicy ?? this.#config.defaultPolicy;
    const policy = workload.requireIdentityPorts.has(port) ? authenticatedTwin(wanted) : wanted;
    return {
      ref: { kind: "default", name: policy },
      protocol: workload.opaquePorts.has(port) ? "opaque" : "detect",
      authorizations: defaultAuthorizations(policy, this.#config.clusterNetworks),
      httpRoutes: this.#defaultHttpRoutes(workload, port),
      grpcRoutes: [],
      rateLimit: undefined,
    };
  }

  #policyServer(workload: Workload, port: number, server: PolicyServer): InboundServer {
    const { namespace } = workload;
    const { clusterNetworks } = this.#config;
    const authorizations = this.#grants.forServer(server, namespace);
    if (server.accessPolicy !== undefined) {
      authorizations.push(...defaultAuthorizations(server.accessPolicy, clusterNetworks));
    }
    const http = this.#routesFor(server, namespace, Object.values(this.#httpRoutes));
    const grpc = this.#routesFor(server, namespace, [this.#grpcRoutes]);
    return {
      ref: { kind: "server", name: server.name },
      protocol: server.protocol,
      authorizations,
      httpRoutes: http.length === 0 ? this.#defaultHttpRoutes(workload, port) : http,
      grpcRoutes: grpc.length === 0 ? defaultGrpcRoutes() : grpc,
      rateLimit: this.#rateLimitFor(server, namespace),
    };
  }

  #defaultHttpRoutes(workload: Workload, port: number): ServerRoute<HttpMatch>[] {
    return defaultHttpRoutes(workload.probes.get(port), this.#config.probeNetworks);
  }

  #routesFor<M>(
    server: PolicyServer,
    namespace: string,
    stores: readonly Entries<InboundRoute<M>>[],
  ): ServerRoute<M>[] {
    const attached: InboundRoute<M>[] = [];
    for (const store of stores) {
      for (const route of store.in(namespace)) {
        if (route.servers.has(server.name)) attached.push(route);
      }
    }
    attached.sort((a, b) => byAge(a, b) || byText(a.group, b.group) || byText(a.kind, b.kind));
    return attached.map(({ group, kind, name, hosts, rules }) => ({
      ref: { kind: "resource", group, routeKind: kind, name },
      hosts,
      rules,
      authorizations: this.#grants.forRoute(group, kind, name, namespace),
    }));
  }

  #rateLimitFor(server: PolicyServer, namespace: string): RateLimit | undefined {
    let found: LimitEntry | undefined;
    for (const limit of this.#limits.in(namespace)) {
      if (!limit.accepted || limit.server !== server.name) continue;
      if (found === undefined || byAge(limit, found) < 0) found = limit;
    }
    return found;
  }

  #limitOf(policy: HttpLocalRateLimitPolicy): LimitEntry {
    const { namespace, name, created } = identityOf(policy);
    const { targetRef, total, identity, overrides } = policy.spec;
    if (!refersTo(targetRef, POLICY_GROUP, "Server"))
      throw new SyntaxError("its target is no Server");
    return {
      name,
      created,
      server: targetRef.name,
      accepted: (policy.status?.conditions ?? []).some(
        ({ type, status }) => type === "Accepted" && status === "True",
      ),
      total: total?.requestsPerSecond,
      identity: identity?.requestsPerSecond,
      overrides: (overrides ?? []).map(({ requestsPerSecond, clientRefs }) => ({
        perSecond: requestsPerSecond,
        identities: clientRefs
          .filter((ref) => refersTo(ref, "core", "ServiceAccount"))
          .map((ref) => this.#grants.accountId(ref.name, ref.namespace || namespace)),
      })),
    };
  }

  #apply<O extends { metadata: Pod["metadata"] }, T>(
    entries: Entries<T>,
    kind: string,
    object: O,
    read: (object: O) => T,
    fact: Dependency = factOf(kind, object.metadata.namespace ?? "", object.metadata.name ?? ""),
  ): void {
    const entry = readObject(kind, object, read, this.#events.unreadable);
    const { namespace, name } = identityOf(object);
    if (entry === undefined) {
      // What it granted before was taken back, perhaps. Servers and routes hold on: without them
      // more could be allowed than with them.
      if (GRANTS.has(kind)) this.#remove(entries, kind, namespace, name, fact);
      return;
    }
    entries.set(namespace, name, entry);
    this.#events.touched(fact);
  }

  #remove<T>(
    entries: Entries<T>,
    kind: string,
    namespace: string,
    name: string,
    fact: Dependency = factOf(kind, namespace, name),
  ): void {
    if (entries.delete(namespace, name) !== undefined) this.#events.touched(fact);
  }

  #countId(namespace: string, name: string, id: string | undefined): void {
    const before = this.#externalIdOf.get(namespace, name);
    if (before === id) return;
    if (before !== undefined) {
      const uses = this.#externalIds.get(before) ?? 1;
      if (uses === 1) this.#externalIds.delete(before);
      else this.#externalIds.set(before, uses - 1);
      this.#externalIdOf.delete(namespace, name);
    }
    if (id !== undefined) {
      this.#externalIds.set(id, (this.#externalIds.get(id) ?? 0) + 1);
      this.#externalIdOf.set(namespace, name, id);
    }
    this.#events.touched(EXTERNAL_IDS);
  }

  #complain(kind: string, object: { metadata: Pod["metadata"] }, problem: string): void {
    const { namespace, name } = identityOf(object);
    this.#events.unreadable(kind, `${namespace}/${name}`, problem);
  }
}

/** What `externalIds` says. */
export const EXTERNAL_IDS: Dependency = "external-ids";

function factOf(kind: string, namespace: string, name: string): Dependency {
  if (kind === "Pod") return workloadFact("pod", namespace, name);
  if (kind === "ExternalWorkload") return workloadFact("external-workload", namespace, name);
  return namespaceFact(namespace);
}

function workloadFact(kind: WorkloadKind, namespace: string, name: string): Dependency {
  return `${kind}:${namespace}/${name}`;
}

function namespaceFact(namespace: string): Dependency {
  return `policies:${namespace}`;
}
