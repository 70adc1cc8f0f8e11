import type { Service } from "@heddle/kube/types/core";
import type { EgressNetwork, ServiceProfile } from "@heddle/kube/types/linkerd";
import type { KubeObject } from "@heddle/kube/types/meta";
import type { GrpcRoute, HttpRoute, Route } from "@heddle/kube/types/routes";
import { formatIp, type IpNetwork } from "@heddle/model/network";
import type { GrpcMatch } from "@heddle/model/route/grpc-routes";
import type { HttpMatch } from "@heddle/model/route/http-routes";
import { formatSocketAddress, type SocketAddress } from "@heddle/model/socket-address";
import { type ProfileRules, parseProfileRules } from "../../destination/profile-rules.ts";
import type { GrpcCondition, StatusRange } from "../annotations.ts";
import type { Dependency } from "../cells.ts";
import { byAge, byText, GATEWAY_GROUP, identityOf } from "../refs.ts";
import { newGrpcMatchOf, newHttpMatchOf } from "../route-spec.ts";
import { Entries, type OnUnreadable, readObject } from "../store.ts";
import { Attachments } from "./attachments.ts";
import {
  buildPolicy,
  fallbackPolicy,
  type MergedProfile,
  type Parent,
  undefinedPortPolicy,
} from "./build.ts";
import { type OutboundEgress, outboundEgressOf, selectEgress } from "./egress.ts";
import type { OutboundPolicy } from "./policy.ts";
import {
  type AttachedRoute,
  attachedRouteOf,
  attachedStreamOf,
  grpcRetryOf,
  httpRetryOf,
} from "./route.ts";
import { type OutboundService, outboundServiceOf } from "./service.ts";

export interface OutboundConfig {
  readonly clusterDomain: string;
  readonly clusterNetworks: readonly IpNetwork[];
  /** Of Services that say nothing. */
  readonly defaultOpaquePorts: { readonly has: (port: number) => boolean };
  /** EgressNetworks in it hold for all namespaces that have none. */
  readonly globalEgressNamespace: string;
  readonly allowL5dRequestHeaders: boolean;
}

export interface OutboundEvents {
  readonly touched: (fact: Dependency) => void;
  readonly unreadable: OnUnreadable;
}

/** What an address or a name stands for, to a client of one namespace. */
export type Destination =
  | {
      /** `undefined-port`: a Service's address with a port that it has not. */
      readonly kind: "service" | "undefined-port";
      readonly namespace: string;
      readonly name: string;
      readonly port: number;
      /** Undefined if it was asked for by name. */
      readonly address: SocketAddress | undefined;
    }
  | {
      readonly kind: "egress";
      readonly namespace: string;
      readonly name: string;
      readonly address: SocketAddress;
    }
  /** Outside the cluster, and no EgressNetwork's. */
  | { readonly kind: "external"; readonly address: SocketAddress };

/** Any change to any EgressNetwork. */
const EGRESS: Dependency = "egress";

/**
 * What is known of Services, EgressNetworks and routes, and the answer to "how do clients of this
 * namespace talk to this destination". Fed events, asked questions; knows neither the Kubernetes
 * API nor gRPC.
 */
export class OutboundIndex {
  readonly #config: OutboundConfig;
  readonly #events: OutboundEvents;
  readonly #services = new Entries<OutboundService>();
  /** Namespace and name of the Service that has this address. */
  readonly #byIp = new Map<string, OutboundService>();
  readonly #egress = new Entries<OutboundEgress>();
  /** What an EgressNetwork said last, without its status. */
  readonly #egressTexts = new Entries<string>();
  readonly #http: Attachments<HttpMatch, StatusRange>;
  readonly #grpc: Attachments<GrpcMatch, GrpcCondition>;
  readonly #tls: Attachments<never, never>;
  readonly #tcp: Attachments<never, never>;
  readonly #profiles = new Entries<ProfileRules>();
  readonly #voidTold = new WeakMap<ProfileRules, Set<string>>();

  constructor(config: OutboundConfig, events: OutboundEvents) {
    this.#config = config;
    this.#events = events;
    this.#http = new Attachments(events.touched);
    this.#grpc = new Attachments(events.touched);
    this.#tls = new Attachments(events.touched);
    this.#tcp = new Attachments(events.touched);
  }

  setService(service: Service): void {
    const { namespace, name } = identityOf(service);
    const after = this.#read("Service", service, (object) =>
      outboundServiceOf(object, (key, problem) =>
        this.#events.unreadable("Service", `${namespace}/${name}`, `${key}: ${problem}`),
      ),
    );
    if (after === undefined) return;
    this.#forgetIps(this.#services.get(namespace, name));
    this.#services.set(namespace, name, after);
    for (const ip of after.clusterIps) {
      this.#byIp.set(ip, after);
      this.#events.touched(ipFact(ip));
    }
    this.#events.touched(serviceFact(namespace, name));
  }

  deleteService(namespace: string, name: string): void {
    this.#forgetIps(this.#services.delete(namespace, name));
    this.#events.touched(serviceFact(namespace, name));
  }

  setEgressNetwork(network: EgressNetwork): void {
    const { namespace, name } = identityOf(network);
    const text = JSON.stringify([network.spec, network.metadata.annotations ?? {}]);
    // A new status is no new network: nobody's stream shall end for it.
    if (this.#egressTexts.get(namespace, name) === text) return;
    const after = this.#read("EgressNetwork", network, (object) =>
      outboundEgressOf(object, this.#config.clusterNetworks, (key, problem) =>
        this.#events.unreadable("EgressNetwork", `${namespace}/${name}`, `${key}: ${problem}`),
      ),
    );
    if (after === undefined) return;
    this.#egressTexts.set(namespace, name, text);
    this.#egress.set(namespace, name, after);
    this.#events.touched(EGRESS);
  }

  deleteEgressNetwork(namespace: string, name: string): void {
    this.#egressTexts.delete(namespace, name);
    if (this.#egress.delete(namespace, name) !== undefined) this.#events.touched(EGRESS);
  }

  /** @param group - `policy.linkerd.io` or `gateway.networking.k8s.io`. */
  setHttpRoute(group: string, route: HttpRoute): void {
    const kind = "HTTPRoute";
    const reading = { group, kind, matchOf: newHttpMatchOf(), retryOf: httpRetryOf };
    this.#setRoute(this.#http, group, kind, route, (object) => attachedRouteOf(object, reading));
  }

  deleteHttpRoute(group: string, namespace: string, name: string): void {
    this.#http.delete(group, namespace, name);
  }

  setGrpcRoute(route: GrpcRoute): void {
    const kind = "GRPCRoute";
    const reading = { group: GATEWAY_GROUP, kind, matchOf: newGrpcMatchOf(), retryOf: grpcRetryOf };
    this.#setRoute(this.#grpc, GATEWAY_GROUP, kind, route, (object) =>
      attachedRouteOf(object, reading),
    );
  }

  deleteGrpcRoute(namespace: string, name: string): void {
    this.#grpc.delete(GATEWAY_GROUP, namespace, name);
  }

  setTlsRoute(route: Route<unknown>): void {
    this.#setRoute(this.#tls, GATEWAY_GROUP, "TLSRoute", route, (object) =>
      attachedStreamOf(object, GATEWAY_GROUP, "TLSRoute"),
    );
  }

  deleteTlsRoute(namespace: string, name: string): void {
    this.#tls.delete(GATEWAY_GROUP, namespace, name);
  }

  setTcpRoute(route: Route<unknown>): void {
    this.#setRoute(this.#tcp, GATEWAY_GROUP, "TCPRoute", route, (object) =>
      attachedStreamOf(object, GATEWAY_GROUP, "TCPRoute"),
    );
  }

  deleteTcpRoute(namespace: string, name: string): void {
    this.#tcp.delete(GATEWAY_GROUP, namespace, name);
  }

  /** One that cannot be read leaves what was read last, as in the answers of `GetProfile`. */
  setServiceProfile(profile: ServiceProfile): void {
    const { namespace, name } = identityOf(profile);
    const rules = this.#read("ServiceProfile", profile, ({ spec }) => parseProfileRules(spec));
    if (rules === undefined) return;
    this.#profiles.set(namespace, name, rules);
    this.#events.touched(profileFact(namespace, name));
  }

  deleteServiceProfile(namespace: string, name: string): void {
    if (this.#profiles.delete(namespace, name) === undefined) return;
    this.#events.touched(profileFact(namespace, name));
  }

  /** Cluster addresses known, and Services. */
  sizes(): { readonly ips: number; readonly services: number } {
    let services = 0;
    for (const _ of this.#services.all()) services++;
    return { ips: this.#byIp.size, services };
  }

  /** What an address stands for; undefined within the cluster if no Service has it. */
  lookupAddress(address: SocketAddress, clientNamespace: string): Destination | undefined {
    const service = this.#byIp.get(formatIp(address.ip));
    if (service !== undefined) {
      const { namespace, name } = service;
      const kind = service.ports.has(address.port) ? "service" : "undefined-port";
      return { kind, namespace, name, port: address.port, address };
    }
    const hasOwn = this.#egress.countIn(clientNamespace) > 0;
    const from = hasOwn ? clientNamespace : this.#config.globalEgressNamespace;
    const egress = selectEgress(this.#egress.in(from), address.ip);
    if (egress !== undefined) {
      return { kind: "egress", namespace: egress.namespace, name: egress.name, address };
    }
    const isInside = this.#config.clusterNetworks.some((block) => block.contains(address.ip));
    return isInside ? undefined : { kind: "external", address };
  }

  /**
   * What `host` stands for: a Service's name, whether or not there is such a Service yet.
   *
   * @param host - In lower case.
   */
  lookupName(host: string, port: number): Destination | undefined {
    let bare = host.replace(/\.+$/, "");
    const domain = `.${this.#config.clusterDomain}`;
    while (bare.endsWith(domain)) bare = bare.slice(0, -domain.length);
    const [name, namespace, svc, ...rest] = bare.split(".");
    if (!name || !namespace || svc !== "svc" || rest.length > 0) return undefined;
    return { kind: "service", namespace, name, port, address: undefined };
  }

  /**
   * The policy for a destination; "gone" when its address stands for something else by now, so
   * that it must be looked up anew.
   *
   * @param track - Told of the facts that the answer rests on.
   */
  policy(
    destination: Destination,
    clientNamespace: string,
    track: (fact: Dependency) => void,
  ): OutboundPolicy | "gone" {
    if (this.#hasMoved(destination, clientNamespace, track)) return "gone";
    switch (destination.kind) {
      case "service":
        return this.#servicePolicy(destination, clientNamespace, track);
      case "undefined-port":
        return undefinedPortPolicy(destination.namespace, destination.name, destination.port);
      case "egress":
        return this.#egressPolicy(destination, clientNamespace, track);
      case "external":
        return fallbackPolicy(destination.address);
    }
  }

  #hasMoved(
    destination: Destination,
    clientNamespace: string,
    track: (fact: Dependency) => void,
  ): boolean {
    const { address } = destination;
    if (address === undefined) return false;
    track(ipFact(formatIp(address.ip)));
    const isService = destination.kind === "service" || destination.kind === "undefined-port";
    if (!isService) track(EGRESS);
    const now = this.lookupAddress(address, clientNamespace);
    // A Service that is deleted leaves its clients what they have, until the address is given away.
    if (isService && now?.kind !== "service" && now?.kind !== "undefined-port") return false;
    return now === undefined || keyOfDestination(now) !== keyOfDestination(destination);
  }

  #servicePolicy(
    { namespace, name, port }: Destination & { kind: "service" | "undefined-port" },
    clientNamespace: string,
    track: (fact: Dependency) => void,
  ): OutboundPolicy {
    track(serviceFact(namespace, name));
    const service = this.#services.get(namespace, name);
    const opaquePorts = service?.settings.opaquePorts ?? this.#config.defaultOpaquePorts;
    const stated = service?.ports.get(port);
    const parent: Parent = {
      kind: "Service",
      namespace,
      name,
      port,
      address: undefined,
      isAllowed: true,
      settings: service?.settings,
      appProtocol: stated ?? (opaquePorts.has(port) ? "opaque" : undefined),
      profile:
        service?.mergesRoutes === true
          ? this.#mergedProfile(service, clientNamespace, track)
          : undefined,
    };
    return this.#build(parent, clientNamespace, track);
  }

  /** The client's own before the Service's. */
  #mergedProfile(
    service: OutboundService,
    clientNamespace: string,
    track: (fact: Dependency) => void,
  ): MergedProfile | undefined {
    const name = `${service.name}.${service.namespace}.svc.${this.#config.clusterDomain}`;
    for (const namespace of new Set([clientNamespace, service.namespace])) {
      track(profileFact(namespace, name));
      const rules = this.#profiles.get(namespace, name);
      if (rules === undefined) continue;
      const { routes, overrides } = rules;
      const onVoid = (route: string, problem: string): void =>
        this.#tellVoid(rules, `${namespace}/${name}`, `${route}: ${problem}`);
      return { namespace, routes, overrides, onVoid };
    }
    return undefined;
  }

  /** Once: policies are made for each namespace of clients, and with each change. */
  #tellVoid(rules: ProfileRules, ref: string, problem: string): void {
    const told = this.#voidTold.get(rules) ?? new Set();
    this.#voidTold.set(rules, told);
    if (told.has(problem)) return;
    told.add(problem);
    this.#events.unreadable("ServiceProfile", ref, problem);
  }

  #egressPolicy(
    { namespace, name, address }: Destination & { kind: "egress" },
    clientNamespace: string,
    track: (fact: Dependency) => void,
  ): OutboundPolicy | "gone" {
    const egress = this.#egress.get(namespace, name);
    if (egress === undefined) return "gone";
    const opaquePorts = egress.settings.opaquePorts ?? this.#config.defaultOpaquePorts;
    const parent: Parent = {
      kind: "EgressNetwork",
      namespace,
      name,
      port: address.port,
      address,
      isAllowed: egress.isAllowed,
      settings: { ...egress.settings, loadBias: undefined },
      appProtocol: opaquePorts.has(address.port) ? "opaque" : undefined,
    };
    return this.#build(parent, clientNamespace, track);
  }

  #build(
    parent: Parent,
    clientNamespace: string,
    track: (fact: Dependency) => void,
  ): OutboundPolicy {
    const of = <M, C>(attachments: Attachments<M, C>): AttachedRoute<M, C>[] =>
      attachments
        .routesOf(parent, clientNamespace, track)
        .sort(
          (a, b) => byAge(a, b) || byText(a.namespace, b.namespace) || byText(a.group, b.group),
        );
    return buildPolicy(
      parent,
      { http: of(this.#http), grpc: of(this.#grpc), tls: of(this.#tls), tcp: of(this.#tcp) },
      {
        clusterDomain: this.#config.clusterDomain,
        allowL5dRequestHeaders: this.#config.allowL5dRequestHeaders,
        hasService: (namespace, name) => {
          track(serviceFact(namespace, name));
          return this.#services.get(namespace, name) !== undefined;
        },
        hasEgress: (namespace, name) => {
          track(EGRESS);
          return this.#egress.get(namespace, name) !== undefined;
        },
      },
    );
  }

  #setRoute<M, C, O extends KubeObject>(
    attachments: Attachments<M, C>,
    group: string,
    kind: string,
    route: O,
    read: (route: O) => AttachedRoute<M, C>,
  ): void {
    const after = this.#read(kind, route, read);
    if (after !== undefined) attachments.set(group, after);
  }

  #read<O extends KubeObject, T>(kind: string, object: O, read: (object: O) => T): T | undefined {
    return readObject(kind, object, read, this.#events.unreadable);
  }

  /** An address may by now be another Service's. */
  #forgetIps(service: OutboundService | undefined): void {
    for (const ip of service?.clusterIps ?? []) {
      if (this.#byIp.get(ip) === service) this.#byIp.delete(ip);
      this.#events.touched(ipFact(ip));
    }
  }
}

/** Distinguishes what needs policies of its own; for one client namespace. */
export function keyOfDestination(destination: Destination): string {
  const { kind, address } = destination;
  const to = address === undefined ? "" : formatSocketAddress(address);
  if (kind === "external") return `${kind} ${to}`;
  const port = kind === "egress" ? "" : `:${destination.port}`;
  return `${kind} ${destination.namespace}/${destination.name}${port} ${to}`;
}

function ipFact(ip: string): Dependency {
  return `ip:${ip}`;
}

function profileFact(namespace: string, name: string): Dependency {
  return `profile:${namespace}/${name}`;
}

function serviceFact(namespace: string, name: string): Dependency {
  return `service:${namespace}/${name}`;
}
