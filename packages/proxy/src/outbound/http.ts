import { MeshError } from "@heddle/base/errors";
import { GrpcRoutes } from "@heddle/model/route/grpc-routes";
import { HttpRoutes } from "@heddle/model/route/http-routes";
import {
  type BodySink,
  DISCARD,
  type Flow,
  type HttpService,
  type RequestHead,
  type ResponseSink,
} from "@heddle/net/http";
import { Http1Pool } from "@heddle/net/http1/pool";
import { Balancer } from "../balance/balancer.ts";
import type { AccrualConfig } from "../balance/breaker.ts";
import { DEFAULT_LOAD } from "../balance/load.ts";
import { BalancerMetrics, UNMEASURED } from "../balance/metrics.ts";
import type { EndpointFacts, EndpointInfo } from "../discovery/endpoint.ts";
import type { Profile } from "../discovery/profile.ts";
import { EndpointErrors } from "../http/endpoint-errors.ts";
import { OrigProtoUpgrade } from "../http/orig-proto.ts";
import { StreamTimeouts } from "../http/timeouts.ts";
import { type Meta, portedLabels } from "../meta.ts";
import type { Runtime } from "../runtime.ts";
import type { TransportFamilies } from "../tcp/transport-metrics.ts";
import type { OutboundConfig } from "./config.ts";
import { dialEndpoint } from "./connect.ts";
import { BalancedBackend, FailingBackend, type HttpBackend } from "./http-backend.ts";
import { type EndpointClient, Http2EndpointClient } from "./http-client.ts";
import { HttpEndpoint } from "./http-endpoint.ts";
import { newProfileRouter } from "./http-profile.ts";
import { HttpRouteService } from "./http-route.ts";
import { endpointLabels, type OutboundMetrics } from "./metrics.ts";
import type { Backend, HttpPolicy, OutboundPolicy, RoutePolicy } from "./policy.ts";
import { withoutMesh } from "./tcp.ts";

/** The HTTP version that a stack serves. HTTP/1.0 and 1.1 are one. */
export type StackVersion = "http1" | "http2";

export interface HttpParts {
  readonly config: OutboundConfig;
  readonly runtime: Runtime;
  readonly metrics: OutboundMetrics;
  readonly transport: TransportFamilies;
}

/** What a target's requests go through, below the edge; swapped as a whole when policy changes. */
export type Router = (head: RequestHead, flow: Flow, response: ResponseSink) => BodySink;

/**
 * The outbound HTTP stack of one target, for one version. A request runs through: the edge (one per
 * connection) → route → retries → filters → distribution → backend → balancer, queue, fail-fast →
 * endpoint (load, breaker, metrics) → errors → timeouts → orig-proto → connection.
 */
export class HttpLogical implements HttpService {
  readonly #name: string;
  readonly #version: StackVersion;
  readonly #parts: HttpParts;
  readonly #backends = new Map<string, HttpBackend>();
  #router: Router = refuse("no policy");

  /** @param name - Of the target: `10.0.0.1:80`. */
  constructor(name: string, version: StackVersion, parts: HttpParts) {
    this.#name = name;
    this.#version = version;
    this.#parts = parts;
  }

  /** Hot. */
  call(head: RequestHead, flow: Flow, response: ResponseSink): BodySink {
    return this.#router(head, flow, response);
  }

  get isStale(): boolean {
    for (const backend of this.#backends.values()) if (backend.isStale) return true;
    return false;
  }

  /**
   * Routes by the profile if it has routes or targets, else by the policy. Backends that stay the
   * same keep their endpoints and connections. A policy for other protocols changes nothing.
   */
  update(policy: OutboundPolicy, profile: Profile | undefined, port: number): void {
    const used = new Set<string>();
    if (profile?.name !== undefined && (profile.routes.length > 0 || profile.targets.length > 0)) {
      const path = `${profile.name}:${port}`;
      const backendOf = (backend: Backend): HttpBackend =>
        this.#backend(backend, policy.parent, undefined, path, used);
      this.#router = newProfileRouter(profile, path, this.#parts, backendOf);
    } else {
      const http = httpPolicy(policy, this.#version);
      if (http === undefined) return;
      const logical = profile?.name === undefined ? undefined : `${profile.name}:${port}`;
      const backendOf = (backend: Backend): HttpBackend =>
        this.#backend(backend, policy.parent, http.accrual, logical, used);
      this.#router = this.#policyRouter(policy.parent, http, backendOf);
    }
    for (const [key, backend] of this.#backends) {
      if (used.has(key)) continue;
      this.#backends.delete(key);
      backend.close();
    }
  }

  close(): void {
    this.#router = refuse("closed");
    for (const backend of this.#backends.values()) backend.close();
    this.#backends.clear();
  }

  #policyRouter(
    parent: Meta,
    http: HttpPolicy,
    backendOf: (backend: Backend) => HttpBackend,
  ): Router {
    const { metrics, runtime, config } = this.#parts;
    const kind = http.routes.kind;
    const serve = (policy: RoutePolicy): HttpRouteService =>
      new HttpRouteService({
        kind,
        parent,
        policy,
        metrics,
        runtime,
        hostnameLabels: config.hostnameLabels,
        backendOf,
      });
    const notFound = `logical service ${this.#name}: no route`;
    if (http.routes.kind === "grpc") {
      const routes = new GrpcRoutes(
        http.routes.routes.map(({ hosts, rules }) => ({
          hosts,
          rules: rules.map(({ matches, value }) => ({ matches, value: serve(value) })),
        })),
      );
      return (head, flow, response) => {
        const found = routes.find(head);
        if (found === undefined) return noRoute(response, notFound);
        return found.value.call(head, undefined, flow, response);
      };
    }
    const routes = new HttpRoutes(
      http.routes.routes.map(({ hosts, rules }) => ({
        hosts,
        rules: rules.map(({ matches, value }) => ({ matches, value: serve(value) })),
      })),
    );
    return (head, flow, response) => {
      const found = routes.find(head);
      if (found === undefined) return noRoute(response, notFound);
      return found.value.call(head, found.prefixLength, flow, response);
    };
  }

  #backend(
    backend: Backend,
    parent: Meta,
    accrual: AccrualConfig | undefined,
    logical: string | undefined,
    used: Set<string>,
  ): HttpBackend {
    const key = JSON.stringify([backend.key, accrual, logical]);
    used.add(key);
    const known = this.#backends.get(key);
    if (known !== undefined) return known;
    const made = newHttpBackend(backend, parent, accrual, logical, this.#version, this.#parts);
    this.#backends.set(key, made);
    return made;
  }
}

function noRoute(response: ResponseSink, message: string): BodySink {
  response.abort(new MeshError("no_route", "client", message));
  return DISCARD;
}

function refuse(why: string): Router {
  return (_head, _flow, response) => {
    response.abort(new MeshError("load_shed", "self", `service unavailable: ${why}`));
    return DISCARD;
  };
}

/** The part of a policy that is for this version; undefined: it is for other protocols. */
export function httpPolicy(
  { protocol }: OutboundPolicy,
  version: StackVersion,
): HttpPolicy | undefined {
  switch (protocol.kind) {
    case "detect":
      return version === "http1" ? protocol.http1 : protocol.http2;
    case "http1":
    case "http2":
    case "grpc":
      return protocol.http;
    default:
      return undefined;
  }
}

/** A backend with its balancer, and how its endpoints are made. */
function newHttpBackend(
  backend: Backend,
  parent: Meta,
  accrual: AccrualConfig | undefined,
  logical: string | undefined,
  version: StackVersion,
  parts: HttpParts,
): HttpBackend {
  const { dispatcher, meta } = backend;
  if (dispatcher.kind === "fail") return new FailingBackend(dispatcher.message);
  const { config, runtime, metrics } = parts;
  const isBalanced = dispatcher.kind === "balance";
  const authority = isBalanced ? (logical ?? dispatcher.path) : undefined;
  const balancer: Balancer<EndpointInfo, HttpEndpoint> = new Balancer({
    name: isBalanced ? `Service.${meta.namespace}.${meta.name}:${meta.port}` : meta.name,
    make: (info, changed) => {
      const facts = runtime.ownIps.has(info.facts.ip) ? withoutMesh(info).facts : info.facts;
      return new HttpEndpoint({
        key: info.key,
        facts,
        load: isBalanced ? dispatcher.load : DEFAULT_LOAD,
        accrual,
        metrics: metrics.endpoints.bind(endpointLabels(facts, authority)),
        runtime,
        newClient: (clientChanged) => newClient(facts, authority, version, parts, clientChanged),
        newStack: (client) => newEndpointStack(client, facts, isBalanced, parts),
        changed,
      });
    },
    clock: runtime.clock,
    timers: runtime.timers,
    random: runtime.random,
    metrics: isBalanced
      ? new BalancerMetrics(metrics.registry, "outbound_http_balancer", {
          ...portedLabels("parent", parent),
          ...portedLabels("backend", meta),
        })
      : UNMEASURED,
    queueCapacity: config.httpQueueCapacity,
    failFastMs: config.httpFailFastMs,
  });
  if (!isBalanced) {
    balancer.update({ kind: "reset", endpoints: [dispatcher.endpoint] });
    return new BalancedBackend(balancer, undefined);
  }
  const watch = runtime.discovery.watchEndpoints(dispatcher.path, (update) => {
    balancer.update(update);
  });
  return new BalancedBackend(balancer, watch);
}

/** What stands between an endpoint's metrics and its connections, innermost first. */
function newEndpointStack(
  client: EndpointClient,
  facts: EndpointFacts,
  isBalanced: boolean,
  { runtime, config }: HttpParts,
): HttpService {
  const timed = new StreamTimeouts(client, runtime.timers, runtime.clock);
  return new EndpointErrors(timed, {
    log: runtime.log,
    tellsWhy: () => !config.hidesErrors,
    isClosable: !isBalanced && facts.tls !== undefined,
    isRemote: true,
  });
}

/** HTTP/2 as it is; HTTP/1 by orig-proto where the endpoint has a proxy that knows it. */
function newClient(
  facts: EndpointFacts,
  authority: string | undefined,
  version: StackVersion,
  parts: HttpParts,
  changed: () => void,
): EndpointClient {
  const { config, runtime } = parts;
  const transport = parts.transport.bind(destinationLabels(facts, authority));
  if (version === "http2") {
    return new Http2EndpointClient({ facts, config, runtime, changed, transport });
  }
  const pool = new Http1Pool({
    dial: () => {
      const { signal } = new AbortController();
      return transport.dialed(dialEndpoint(facts, "http1", config, runtime, signal));
    },
    runtime: runtime.http1,
    idleTimeoutMs: config.poolIdleMs,
    maxIdle: config.maxIdleConnections,
    nowMs: () => runtime.clock.nowMs(),
  });
  if (facts.hint !== "h2") return new Http1EndpointClient(pool);
  const http2 = new Http2EndpointClient({ facts, config, runtime, changed, transport });
  return new OrigProtoClient(http2, pool);
}

function destinationLabels(
  facts: EndpointFacts,
  authority: string | undefined,
): Record<string, string> {
  const { direction, ...rest } = endpointLabels(facts, authority);
  return { direction: direction!, peer: "dst", ...rest };
}

/** A pool of connections, made as requests come: always ready. */
class Http1EndpointClient implements EndpointClient {
  readonly isReady = true;
  readonly #pool: Http1Pool;

  constructor(pool: Http1Pool) {
    this.#pool = pool;
  }

  call(head: RequestHead, flow: Flow, response: ResponseSink): BodySink {
    return this.#pool.call(head, flow, response);
  }

  close(): void {
    void this.#pool.close(CLOSE_GRACE_MS);
  }
}

/** HTTP/1 over HTTP/2; upgrades and CONNECT over HTTP/1 connections to the same proxy. */
class OrigProtoClient implements EndpointClient {
  readonly #http2: Http2EndpointClient;
  readonly #pool: Http1Pool;
  readonly #upgrade: OrigProtoUpgrade;

  constructor(http2: Http2EndpointClient, pool: Http1Pool) {
    this.#http2 = http2;
    this.#pool = pool;
    this.#upgrade = new OrigProtoUpgrade(http2);
  }

  get isReady(): boolean {
    return this.#http2.isReady;
  }

  call(head: RequestHead, flow: Flow, response: ResponseSink): BodySink {
    if (head.upgrade && head.version !== "2") return this.#pool.call(head, flow, response);
    return this.#upgrade.call(head, flow, response);
  }

  close(): void {
    this.#http2.close();
    void this.#pool.close(CLOSE_GRACE_MS);
  }
}

/** Endpoints that are gone finish what they have; connections that never end are cut in the end. */
const CLOSE_GRACE_MS = 600_000;
