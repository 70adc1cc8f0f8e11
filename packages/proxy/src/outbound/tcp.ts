import { MeshError } from "@heddle/base/errors";
import type { Socket } from "@heddle/net/transport";
import { Balancer, type PoolEndpoint } from "../balance/balancer.ts";
import { type Distribution, FirstAvailable, RandomAvailable } from "../balance/distribution.ts";
import { DEFAULT_LOAD, type LoadConfig, type LoadEstimator, PeakEwma } from "../balance/load.ts";
import { BalancerMetrics, UNMEASURED } from "../balance/metrics.ts";
import { Waiter } from "../balance/queue.ts";
import type { Watch } from "../discovery/discovery.ts";
import { EndpointInfo } from "../discovery/endpoint.ts";
import { type Meta, portedLabels, routeLabels } from "../meta.ts";
import type { Runtime } from "../runtime.ts";
import { type Splice, splice } from "../tcp/splice.ts";
import type { TransportFamilies } from "../tcp/transport-metrics.ts";
import type { OutboundConfig } from "./config.ts";
import { dialEndpoint } from "./connect.ts";
import { endpointLabels, type OutboundMetrics } from "./metrics.ts";
import type { Backend, OpaquePolicy, TcpFilter, TcpRoute } from "./policy.ts";

export interface TcpParts {
  readonly config: OutboundConfig;
  readonly runtime: Runtime;
  readonly metrics: OutboundMetrics;
  readonly transport: TransportFamilies;
}

/**
 * The opaque stack of one target: a route, its filters, the choice of a backend and of an endpoint,
 * a connection to that, and then bytes both ways. Connections that are up stay when policy changes.
 */
export class TcpLogical {
  readonly #name: string;
  readonly #parts: TcpParts;
  readonly #protocol: "tcp" | "tls";
  #backends = new Map<string, TcpBackend>();

  /** @param protocol - `tls` for connections that are routed by their SNI. */
  constructor(name: string, protocol: "tcp" | "tls", parts: TcpParts) {
    this.#name = name;
    this.#protocol = protocol;
    this.#parts = parts;
  }

  get isStale(): boolean {
    for (const backend of this.#backends.values()) if (backend.isStale) return true;
    return false;
  }

  /** Keeps the backends that the routes still name, and drops the others. */
  retain(routes: readonly TcpRoute[], parent: Meta): void {
    const kept = new Map<string, TcpBackend>();
    for (const { distribution } of routes) {
      if (distribution.kind === "empty") continue;
      for (const { backend } of distribution.backends) {
        if (kept.has(backend.key)) continue;
        const known = this.#backends.get(backend.key);
        kept.set(backend.key, known ?? this.#newBackend(backend, parent));
      }
    }
    for (const [key, backend] of this.#backends) if (!kept.has(key)) backend.close();
    this.#backends = kept;
  }

  /**
   * Takes the client's connection to where the route says.
   *
   * @throws MeshError; the client's socket is the caller's to destroy then.
   */
  async forward(
    client: Socket,
    route: TcpRoute | undefined,
    parent: Meta,
    onClose: (error: MeshError | undefined) => void,
  ): Promise<Splice> {
    if (route === undefined) {
      throw new MeshError("no_route", "control", `${this.#name}: no route`);
    }
    refuseBy(route.filters);
    const chosen = this.#distribution(route).pick();
    if (chosen === undefined) {
      throw new MeshError("load_shed", "server", `${this.#name}: service unavailable`);
    }
    refuseBy(chosen.filters);
    const { endpoint, socket } = await chosen.backend.connect(client);
    const labels = {
      ...portedLabels("parent", parent),
      ...routeLabels(route.meta),
      target_ip: endpoint.facts.ip,
      target_port: String(endpoint.facts.port),
    };
    const { tcpOpens, tcpCloses } = this.#parts.metrics;
    tcpOpens.with(labels).inc();
    return splice(client, socket, (error) => {
      tcpCloses.with({ ...labels, error: error === undefined ? "" : "unexpected" }).inc();
      onClose(error);
    });
  }

  close(): void {
    for (const backend of this.#backends.values()) backend.close();
    this.#backends.clear();
  }

  #distribution(route: TcpRoute): Distribution<BoundTcp> {
    const { distribution } = route;
    if (distribution.kind === "empty") return new FirstAvailable([]);
    const bound = distribution.backends.map(({ backend, filters }) => {
      return new BoundTcp(this.#backends.get(backend.key)!, filters);
    });
    if (distribution.kind === "first_available") return new FirstAvailable(bound);
    return new RandomAvailable(bound, distribution.weights, this.#parts.runtime.random);
  }

  #newBackend(backend: Backend, parent: Meta): TcpBackend {
    const { metrics } = this.#parts;
    const labels = { ...portedLabels("parent", parent), ...portedLabels("backend", backend.meta) };
    const isBalanced = backend.dispatcher.kind === "balance";
    const observer = isBalanced
      ? new BalancerMetrics(
          metrics.registry,
          `outbound_${this.#protocol}_balancer`,
          this.#protocol === "tls"
            ? { concrete: this.#name }
            : { ...labels, logical: this.#name, concrete: concreteName(backend) },
        )
      : UNMEASURED;
    return new TcpBackend(backend, this.#parts, observer);
  }
}

function concreteName(backend: Backend): string {
  return backend.dispatcher.kind === "balance" ? backend.dispatcher.path : "";
}

function refuseBy(filters: readonly TcpFilter[]): void {
  const [filter] = filters;
  if (filter === undefined) return;
  if (filter.kind === "forbidden") {
    throw new MeshError("forbidden", "control", "Cannot forward connection: the route forbids it");
  }
  throw new MeshError("invalid_policy", "control", `Cannot forward connection: ${filter.message}`);
}

class BoundTcp {
  readonly backend: TcpBackend;
  readonly filters: readonly TcpFilter[];

  constructor(backend: TcpBackend, filters: readonly TcpFilter[]) {
    this.backend = backend;
    this.filters = filters;
  }

  get isReady(): boolean {
    return this.backend.isReady;
  }
}

interface Connected {
  readonly endpoint: EndpointInfo;
  readonly socket: Socket;
}

/** Where connections of a route go: a balancer, one endpoint, or nowhere. */
class TcpBackend {
  readonly #parts: TcpParts;
  readonly #failure: string | undefined;
  readonly #balancer: Balancer<EndpointInfo, TcpEndpoint>;
  readonly #watch: Watch | undefined;

  constructor(backend: Backend, parts: TcpParts, observer: BalancerMetrics | typeof UNMEASURED) {
    const { config, runtime } = parts;
    const { dispatcher } = backend;
    this.#parts = parts;
    this.#failure = dispatcher.kind === "fail" ? dispatcher.message : undefined;
    this.#balancer = new Balancer<EndpointInfo, TcpEndpoint>({
      name: dispatcher.kind === "balance" ? dispatcher.path : backend.meta.name,
      make: (info) => new TcpEndpoint(info, dispatcher.kind === "balance", parts),
      clock: runtime.clock,
      timers: runtime.timers,
      random: runtime.random,
      metrics: observer,
      queueCapacity: config.tcpQueueCapacity,
      failFastMs: config.tcpFailFastMs,
    });
    if (dispatcher.kind === "forward") {
      this.#balancer.update({ kind: "reset", endpoints: [dispatcher.endpoint] });
    }
    this.#watch =
      dispatcher.kind === "balance"
        ? runtime.discovery.watchEndpoints(dispatcher.path, (update) => {
            this.#balancer.update(update);
          })
        : undefined;
  }

  get isReady(): boolean {
    return this.#balancer.isReady;
  }

  get isStale(): boolean {
    return this.#watch?.isStale === true;
  }

  async connect(_client: Socket): Promise<Connected> {
    if (this.#failure !== undefined) {
      throw new MeshError("no_dispatcher", "control", this.#failure);
    }
    const endpoint = await new Promise<TcpEndpoint>((resolve, reject) => {
      this.#balancer.submit(new ConnectionWaiter(resolve, reject));
    });
    const socket = await endpoint.connect(this.#parts);
    return { endpoint: endpoint.info, socket };
  }

  close(): void {
    this.#watch?.close();
    this.#balancer.close();
  }
}

class ConnectionWaiter extends Waiter<TcpEndpoint> {
  readonly #resolve: (endpoint: TcpEndpoint) => void;
  readonly #reject: (error: MeshError) => void;

  constructor(resolve: (endpoint: TcpEndpoint) => void, reject: (error: MeshError) => void) {
    super();
    this.#resolve = resolve;
    this.#reject = reject;
  }

  override dispatch(endpoint: TcpEndpoint): void {
    this.#resolve(endpoint);
  }

  override fail(error: MeshError): void {
    this.#reject(error);
  }
}

/** Always ready: whether it can be reached shows when a connection wants it. */
class TcpEndpoint implements PoolEndpoint {
  readonly isReady = true;
  readonly info: EndpointInfo;
  readonly load: LoadEstimator;
  readonly #labels: Record<string, string>;

  constructor(info: EndpointInfo, isBalanced: boolean, parts: TcpParts) {
    const { runtime } = parts;
    const { defaultRttMs, decayMs }: LoadConfig = DEFAULT_LOAD;
    // Endpoints at our own address are reached as they are, unless a controller forwards there.
    const isOwn = isBalanced && runtime.ownIps.has(info.facts.ip);
    this.info = isOwn ? withoutMesh(info) : info;
    this.load = new PeakEwma(defaultRttMs, decayMs, runtime.clock.nowMs());
    this.#labels = {
      direction: "outbound",
      peer: "dst",
      ...withoutDirection(endpointLabels(this.info.facts, undefined)),
    };
  }

  /** The load is that of connecting; connections that are up cost nothing. */
  async connect(parts: TcpParts): Promise<Socket> {
    const { runtime, config, transport } = parts;
    const startedMs = runtime.clock.nowMs();
    const signal = new AbortController().signal;
    this.load.started();
    try {
      const dialing = dialEndpoint(this.info.facts, undefined, config, runtime, signal);
      return await transport.bind(this.#labels).dialed(dialing);
    } finally {
      const nowMs = runtime.clock.nowMs();
      this.load.finished(nowMs - startedMs, nowMs);
    }
  }

  close(): void {}
}

/** The same address, in plaintext and without hints. */
export function withoutMesh(info: EndpointInfo): EndpointInfo {
  return new EndpointInfo({
    ...info.facts,
    tls: undefined,
    hint: undefined,
    opaqueTransportPort: undefined,
    authority: undefined,
  });
}

function withoutDirection(labels: Record<string, string>): Record<string, string> {
  const { direction: _, ...rest } = labels;
  return rest;
}

/** All backends of an opaque policy. */
export function opaqueRoutes(policy: OpaquePolicy): readonly TcpRoute[] {
  return policy.route === undefined ? [] : [policy.route];
}
