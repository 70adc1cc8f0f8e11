import { MeshError } from "@heddle/base/errors";
import { authorize, type Client } from "@heddle/model/authorization";
import type { HttpFound } from "@heddle/model/route/http-routes";
import {
  type BodySink,
  DISCARD,
  type Flow,
  type HttpService,
  type RequestHead,
  type ResponseSink,
} from "@heddle/net/http";
import { FilterError } from "../http/errors.ts";
import { formatMeta, type Meta } from "../meta.ts";
import { recordOf } from "../record.ts";
import type { Runtime } from "../runtime.ts";
import type { AdmittedMetrics, TargetMetrics } from "./metrics.ts";
import type { InboundPolicy, InboundRoutes, InboundRule } from "./policy.ts";
import type { PortPolicy } from "./port-policies.ts";

/** Where admitted requests go. */
export interface AdmittedService {
  call(head: RequestHead, flow: Flow, response: ResponseSink, metrics: AdmittedMetrics): BodySink;
}

/**
 * Finds each request's route and admits it, or not, by the policy that holds at that moment:
 * authorization, then filters, then rate limits. One per connection.
 */
export class Admission implements HttpService {
  readonly #inner: AdmittedService;
  readonly #policy: PortPolicy;
  readonly #client: Client;
  readonly #clientText: string;
  readonly #metrics: TargetMetrics;
  readonly #runtime: Runtime;

  constructor(
    inner: AdmittedService,
    policy: PortPolicy,
    client: Client,
    clientText: string,
    metrics: TargetMetrics,
    runtime: Runtime,
  ) {
    this.#inner = inner;
    this.#policy = policy;
    this.#client = client;
    this.#clientText = clientText;
    this.#metrics = metrics;
    this.#runtime = runtime;
  }

  /** Hot: allocates only to refuse. */
  call(head: RequestHead, flow: Flow, response: ResponseSink): BodySink {
    const policy = this.#policy.current;
    const { server, routes } = policy;
    const record = recordOf(head);
    record.parent = server;
    const found = routes === undefined ? undefined : findRoute(routes, head);
    if (routes === undefined || found === undefined) {
      this.#metrics.notFound(server);
      return refuse(response, new MeshError("no_route", "client", "no route found for request"));
    }
    const rule = found.value;
    record.route = rule.meta;
    const authorization = authorize(rule.authorizations, this.#client);
    if (authorization === undefined) {
      this.#metrics.denied(server, rule.meta);
      return refuse(response, this.#unauthorized(server, rule.meta));
    }
    const failure = rule.filters.length === 0 ? undefined : this.#filter(found, head);
    if (failure !== undefined) return refuse(response, failure);
    const limited = this.#limit(policy);
    if (limited !== undefined) return refuse(response, limited);
    const admitted = this.#metrics.admitted(
      routes.kind,
      server,
      rule.meta,
      authorization.metadata,
      record.authority,
    );
    admitted.allowed.inc();
    return this.#inner.call(head, flow, response, admitted);
  }

  /** Names the rule that refused: what it is for, and who asked. */
  #unauthorized(server: Meta, route: Meta): MeshError {
    const message = `unauthorized request on route: ${this.#clientText} is admitted by no authorization of route ${formatMeta(route)} on server ${formatMeta(server)}`;
    const { log } = this.#runtime;
    log.info("Request denied", {
      server: formatMeta(server),
      route: formatMeta(route),
      client: this.#clientText,
      tls: this.#client.tls,
    });
    return new MeshError("unauthorized", "client", message);
  }

  #filter(found: HttpFound<InboundRule>, head: RequestHead): MeshError | undefined {
    const { filters } = found.value;
    for (let i = 0; i < filters.length; i++) {
      const filter = filters[i]!;
      switch (filter.kind) {
        case "request_headers":
          filter.modifier.apply(head.headers);
          break;
        case "redirect": {
          const failure = redirected(() => filter.redirect.apply(head, found.prefixLength));
          if (failure !== undefined) return failure;
          break;
        }
        case "fail":
          if (filter.ratio.fails(this.#runtime.random())) {
            return new MeshError("injected_failure", "self", filter.message);
          }
          break;
        case "internal_error":
          return new FilterError("invalid_policy", filter.message, { status: 500, grpcStatus: 13 });
      }
    }
    return undefined;
  }

  #limit({ rateLimit, server }: InboundPolicy): MeshError | undefined {
    if (rateLimit === undefined) return undefined;
    const { tlsId } = this.#client;
    const limited = rateLimit.limiter.check(tlsId, this.#runtime.clock.nowMs());
    if (limited === undefined) return undefined;
    const scope = limited === "total" ? "total" : "identity";
    this.#metrics.rateLimited(server, rateLimit.meta, scope);
    return new MeshError("rate_limited", "client", `rate limit exceeded (${scope})`);
  }
}

function findRoute(routes: InboundRoutes, head: RequestHead): HttpFound<InboundRule> | undefined {
  if (routes.kind === "http") return routes.routes.find(head);
  const found = routes.routes.find(head);
  return found === undefined ? undefined : { value: found.value, prefixLength: undefined };
}

/** A redirect that leads elsewhere, as the error that answers so. */
function redirected(
  apply: () => { readonly status: number; readonly location: string } | undefined,
): MeshError | undefined {
  let to: ReturnType<typeof apply>;
  try {
    to = apply();
  } catch (error) {
    if (error instanceof MeshError) return error;
    throw error;
  }
  if (to === undefined) return undefined;
  const { status, location } = to;
  return new FilterError("redirect", "redirected", { status, grpcStatus: 5, location });
}

function refuse(response: ResponseSink, error: MeshError): BodySink {
  response.abort(error);
  return DISCARD;
}
