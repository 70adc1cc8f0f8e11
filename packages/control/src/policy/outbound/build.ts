import type { BackendRef } from "@heddle/kube/types/routes";
import type { GrpcMatch } from "@heddle/model/route/grpc-routes";
import type { HttpMatch } from "@heddle/model/route/http-routes";
import type { SocketAddress } from "@heddle/model/socket-address";
import type { ProfileOverride, ProfileRoute } from "../../destination/profile-rules.ts";
import type {
  GrpcCondition,
  LoadBias,
  Retry,
  StatusRange,
  TrafficSettings,
} from "../annotations.ts";
import { POLICY_GROUP, refersTo } from "../refs.ts";
import { type FilterSpec, filterOf } from "../route-spec.ts";
import { mergeRoutes } from "./merge.ts";
import type {
  Distribution,
  Meta,
  OutboundGrpcRoute,
  OutboundHttpRoute,
  OutboundPolicy,
  OutboundProtocol,
  OutboundRoute,
  OutboundStreamRoute,
  ParentKind,
  RouteBackend,
} from "./policy.ts";
import type { AttachedRoute, AttachedRule } from "./route.ts";
import type { AppProtocol } from "./service.ts";

/** What a policy is made for: one port of a Service, or one address of an EgressNetwork. */
export interface Parent {
  readonly kind: ParentKind;
  readonly namespace: string;
  readonly name: string;
  readonly port: number;
  /** Where an EgressNetwork's traffic was going. */
  readonly address: SocketAddress | undefined;
  /** Whether traffic that no route speaks of may pass. */
  readonly isAllowed: boolean;
  /** Undefined for a Service that is not there. */
  readonly settings: TrafficSettings | undefined;
  readonly appProtocol: AppProtocol | undefined;
  /** What a Service's ServiceProfile says, where it is merged with the rest. */
  readonly profile?: MergedProfile | undefined;
}

export interface MergedProfile {
  readonly namespace: string;
  readonly routes: readonly ProfileRoute[];
  /** They stand in for the Service itself. */
  readonly overrides: readonly ProfileOverride[];
  readonly onVoid: (route: string, problem: string) => void;
}

/** Attached to the parent for these clients, oldest first. */
export interface ParentRoutes {
  readonly http: readonly AttachedRoute<HttpMatch, StatusRange>[];
  readonly grpc: readonly AttachedRoute<GrpcMatch, GrpcCondition>[];
  readonly tls: readonly AttachedRoute<never, never>[];
  readonly tcp: readonly AttachedRoute<never, never>[];
}

export interface Surroundings {
  readonly clusterDomain: string;
  readonly allowL5dRequestHeaders: boolean;
  readonly hasService: (namespace: string, name: string) => boolean;
  readonly hasEgress: (namespace: string, name: string) => boolean;
}

const ANY_PATH: HttpMatch = { path: { kind: "prefix", prefix: "/" } };
const ANY_RPC: GrpcMatch = { service: "", method: "", headers: [] };

export function buildPolicy(
  parent: Parent,
  routes: ParentRoutes,
  surroundings: Surroundings,
): OutboundPolicy {
  return {
    meta: parentMeta(parent),
    protocol: new Builder(parent, surroundings).protocol(routes),
    accrual: parent.settings?.accrual,
  };
}

/** Traffic that leaves the cluster where nobody has said how. */
export function fallbackPolicy(address: SocketAddress): OutboundPolicy {
  const meta: Meta = { kind: "default", name: "egress-fallback" };
  const backend = forwardBackend(meta, address);
  const rule = {
    ...PLAIN_RULE,
    matches: [],
    distribution: { kind: "first", backends: [backend] } as const,
  };
  return {
    meta,
    accrual: undefined,
    protocol: {
      kind: "detect",
      http: [{ meta, hosts: [], rules: [{ ...rule, matches: [{}] }] }],
      opaque: [{ meta, hosts: [], rules: [rule] }],
    },
  };
}

/** A Service's address with a port that the Service has not: nothing may listen there. */
export function undefinedPortPolicy(namespace: string, name: string, port: number): OutboundPolicy {
  const rule = {
    ...PLAIN_RULE,
    matches: [],
    forbidden: true,
    distribution: { kind: "empty" },
  } as const;
  const meta: Meta = { kind: "default", name: "undefined-port" };
  return {
    meta: { kind: "resource", group: "core", resource: "Service", namespace, name, port },
    accrual: undefined,
    protocol: { kind: "opaque", routes: [{ meta, hosts: [], rules: [rule] }] },
  };
}

/** What rules have that say nothing special. */
const PLAIN_RULE = {
  filters: [],
  forbidden: false,
  timeouts: undefined,
  retry: undefined,
  allowL5dRequestHeaders: false,
} as const;

class Builder {
  readonly #parent: Parent;
  readonly #around: Surroundings;

  constructor(parent: Parent, surroundings: Surroundings) {
    this.#parent = parent;
    this.#around = surroundings;
  }

  protocol(routes: ParentRoutes): OutboundProtocol {
    switch (this.#parent.appProtocol) {
      case "http1":
        return { kind: "http1", routes: this.#http(routes) };
      case "http2":
        return routes.grpc.length > 0
          ? { kind: "grpc", routes: this.#grpc(routes) }
          : { kind: "http2", routes: this.#http(routes) };
      case "opaque":
        return { kind: "opaque", routes: this.#tcp(routes) };
      case undefined:
        return this.#protocolOfRoutes(routes);
    }
  }

  #protocolOfRoutes(routes: ParentRoutes): OutboundProtocol {
    if (routes.grpc.length > 0) return { kind: "grpc", routes: this.#grpc(routes) };
    if (routes.http.length === 0) {
      if (routes.tls.length > 0) return { kind: "tls", routes: this.#tls(routes) };
      if (routes.tcp.length > 0) return { kind: "opaque", routes: this.#tcp(routes) };
    }
    return { kind: "detect", http: this.#http(routes), opaque: [this.#defaultStream("tcp")] };
  }

  #http({ http }: ParentRoutes): OutboundHttpRoute[] {
    const { settings } = this.#parent;
    const routes = http.map((route) => this.#route(route, settings?.httpRetry));
    const isWhole = this.#parent.kind === "Service" && routes.length > 0;
    if (!isWhole) routes.push(this.#defaultRoute("http", ANY_PATH, settings?.httpRetry));
    const { profile } = this.#parent;
    return profile === undefined ? routes : mergeRoutes(routes, profile.routes, profile);
  }

  #grpc({ grpc }: ParentRoutes): OutboundGrpcRoute[] {
    const { settings } = this.#parent;
    const routes = grpc.map((route) => this.#route(route, settings?.grpcRetry));
    if (this.#parent.kind === "Service") return routes;
    return [...routes, this.#defaultRoute("grpc", ANY_RPC, settings?.grpcRetry)];
  }

  #tls({ tls }: ParentRoutes): OutboundStreamRoute[] {
    const routes = tls.map((route) => this.#stream(route));
    return this.#parent.kind === "Service" ? routes : [...routes, this.#defaultStream("tls")];
  }

  /** Proxies take one: the oldest. */
  #tcp({ tcp }: ParentRoutes): OutboundStreamRoute[] {
    const [oldest] = tcp;
    return [oldest === undefined ? this.#defaultStream("tcp") : this.#stream(oldest)];
  }

  #route<M, C>(
    { group, kind, namespace, name, hosts, rules }: AttachedRoute<M, C>,
    retry: Retry<C> | undefined,
  ): OutboundRoute<M, C> {
    return {
      meta: { kind: "resource", group, resource: kind, namespace, name },
      hosts,
      rules: rules.map((rule) => ({
        matches: rule.matches,
        filters: rule.filters,
        forbidden: false,
        distribution: this.#distribution(rule, this.#parent.settings?.loadBias),
        timeouts: rule.timeouts ?? this.#parent.settings?.timeouts,
        retry: rule.retry ?? retry,
        allowL5dRequestHeaders: this.#around.allowL5dRequestHeaders,
      })),
    };
  }

  #stream(route: AttachedRoute<never, never>): OutboundStreamRoute {
    const { group, kind, namespace, name, hosts, rules } = route;
    return {
      meta: { kind: "resource", group, resource: kind, namespace, name },
      hosts,
      rules: rules.map((rule) => ({
        ...PLAIN_RULE,
        matches: [],
        // Balancers of streams see no failures to hold against anybody.
        distribution: this.#distribution(rule, undefined),
      })),
    };
  }

  #defaultRoute<M, C>(
    protocol: "http" | "grpc",
    match: M,
    retry: Retry<C> | undefined,
  ): OutboundRoute<M, C> {
    const { settings } = this.#parent;
    const rule = {
      ...PLAIN_RULE,
      matches: [match],
      distribution: this.#ownDistribution(),
      forbidden: !this.#parent.isAllowed,
      timeouts: settings?.timeouts,
      retry,
    };
    return { meta: this.#defaultMeta(protocol, protocol), hosts: [], rules: [rule] };
  }

  #defaultStream(protocol: "tls" | "tcp"): OutboundStreamRoute {
    const rule = {
      ...PLAIN_RULE,
      matches: [],
      forbidden: !this.#parent.isAllowed,
      distribution: this.#ownDistribution(),
    };
    return { meta: this.#defaultMeta("opaq", protocol), hosts: [], rules: [rule] };
  }

  #defaultMeta(serviceName: string, protocol: string): Meta {
    if (this.#parent.kind === "Service") return { kind: "default", name: serviceName };
    const verdict = this.#parent.isAllowed ? "allow" : "deny";
    return { kind: "default", name: `${protocol}-egress-${verdict}` };
  }

  #distribution<M, C>(rule: AttachedRule<M, C>, bias: LoadBias | undefined): Distribution {
    if (rule.backendRefs.length === 0) return this.#ownDistribution();
    return weighted(rule.backendRefs.map((ref) => this.#backend(ref, bias)));
  }

  /** Where requests go that no route sends elsewhere. */
  #ownDistribution(): Distribution {
    const { profile, port } = this.#parent;
    const overrides = profile?.overrides ?? [];
    if (overrides.length === 0) return { kind: "first", backends: [this.#ownBackend()] };
    return weighted(overrides.map((override) => this.#override(override, port)));
  }

  #override({ authority, weight }: ProfileOverride, ownPort: number): RouteBackend {
    const [, host = authority, port] = /^(.*?)(?::(\d+))?$/.exec(authority) ?? [];
    const path = `${host}:${port ?? ownPort}`;
    const bare = host.replace(/\.+$/, "");
    const suffix = `.svc.${this.#around.clusterDomain}`;
    const [name, namespace, ...rest] = bare.slice(0, -suffix.length).split(".");
    const isService = bare.endsWith(suffix) && name && namespace && rest.length === 0;
    const meta: Meta = isService
      ? {
          kind: "resource",
          group: "core",
          resource: "Service",
          namespace,
          name,
          port: Number(port ?? ownPort),
        }
      : { kind: "default", name: "profile" };
    const { settings, appProtocol } = this.#parent;
    const bias = appProtocol === "opaque" ? undefined : settings?.loadBias;
    return { ...balancer(meta, path, bias), weight };
  }

  /** Traffic goes where it was going. */
  #ownBackend(): RouteBackend {
    const { address, namespace, name, port, settings, appProtocol } = this.#parent;
    const meta = parentMeta(this.#parent);
    if (address !== undefined) return forwardBackend(meta, address);
    const bias = appProtocol === "opaque" ? undefined : settings?.loadBias;
    return balancer(meta, this.#path(namespace, name, port), bias);
  }

  #backend(ref: BackendRef, bias: LoadBias | undefined): RouteBackend {
    const weight = ref.weight ?? 1;
    let filters: FilterSpec[];
    try {
      filters = (ref.filters ?? []).map(filterOf);
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
      return failing(`backend ${ref.name}: ${error.message}`, weight);
    }
    const backend = { ...this.#backendTarget(ref, bias), weight };
    return backend.target.kind === "failing" ? backend : { ...backend, filters };
  }

  #backendTarget(ref: BackendRef, bias: LoadBias | undefined): RouteBackend {
    const { name, port, group = "", kind = "Service" } = ref;
    const namespace = ref.namespace ?? this.#parent.namespace;
    if (refersTo({ group, kind }, POLICY_GROUP, "EgressNetwork")) {
      return this.#egressBackend(namespace, name, port);
    }
    if (!refersTo({ group, kind }, "core", "Service")) {
      return failing(`backend ${name} is a ${group}/${kind}, which is not supported`, 1);
    }
    if (!port) return failing(`backend Service ${namespace}/${name} has no port`, 1);
    const meta: Meta = {
      kind: "resource",
      group: "core",
      resource: "Service",
      namespace,
      name,
      port,
    };
    if (this.#around.hasService(namespace, name)) {
      return balancer(meta, this.#path(namespace, name, port), bias);
    }
    return { ...failing(`Service ${namespace}/${name} is not known`, 1), meta };
  }

  #egressBackend(namespace: string, name: string, port: number | undefined): RouteBackend {
    const parent = this.#parent;
    const meta: Meta = {
      kind: "resource",
      group: POLICY_GROUP,
      resource: "EgressNetwork",
      namespace,
      name,
      ...(port === undefined ? {} : { port }),
    };
    const full = `EgressNetwork ${namespace}/${name}`;
    const refuse = (why: string): RouteBackend => ({ ...failing(`${full} ${why}`, 1), meta });
    if (parent.kind !== "EgressNetwork")
      return refuse("is a backend of a route that is not its own");
    if (!this.#around.hasEgress(namespace, name)) return refuse("is not known");
    if (parent.namespace !== namespace || parent.name !== name) {
      return refuse(`is not the route's parent ${parent.namespace}/${parent.name}`);
    }
    if (parent.address === undefined) return refuse("was asked for by name: no address is known");
    return forwardBackend(meta, parent.address);
  }

  #path(namespace: string, name: string, port: number): string {
    return `${name}.${namespace}.svc.${this.#around.clusterDomain}:${port}`;
  }
}

function weighted(backends: readonly RouteBackend[]): Distribution {
  if (backends.some(({ weight }) => weight > 0)) return { kind: "random", backends };
  // Proxies cannot draw from weights that are all zero; and nobody shall get the traffic.
  return { kind: "first", backends: [failing("every backend of the route has weight 0", 1)] };
}

function parentMeta({ kind, namespace, name, port }: Parent): Meta {
  const group = kind === "Service" ? "core" : POLICY_GROUP;
  return { kind: "resource", group, resource: kind, namespace, name, port };
}

function balancer(meta: Meta, path: string, bias: LoadBias | undefined): RouteBackend {
  return { meta, target: { kind: "balancer", path, bias }, filters: [], weight: 1 };
}

function forwardBackend(meta: Meta, address: SocketAddress): RouteBackend {
  return { meta, target: { kind: "forward", address }, filters: [], weight: 1 };
}

function failing(problem: string, weight: number): RouteBackend {
  const meta: Meta = { kind: "default", name: "invalid" };
  return { meta, target: { kind: "failing", problem }, filters: [], weight };
}
