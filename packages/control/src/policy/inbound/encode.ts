import {
  type AuthnSchema,
  type AuthzSchema,
  type GrpcRouteSchema,
  type HttpLocalRateLimitSchema,
  type HttpRouteSchema,
  type ProxyProtocolSchema,
  ServerSchema,
} from "@heddle/api/gen/inbound_pb";
import type { MetadataSchema } from "@heddle/api/gen/meta_pb";
import { trustDomainOf } from "@heddle/model/identity";
import type { GrpcMatch } from "@heddle/model/route/grpc-routes";
import type { HttpMatch } from "@heddle/model/route/http-routes";
import type { EncodedMessage } from "@heddle/net/grpc/encoded-message";
import {
  duration,
  encode,
  grpcMatchMessage,
  headersMessage,
  hostMessage,
  httpMatchMessage,
  type Init,
  networkMessage,
  redirectMessage,
} from "../message.ts";
import { POLICY_GROUP } from "../refs.ts";
import type { FilterSpec } from "../route-spec.ts";
import type {
  AuthorizationRef,
  AuthorizationRule,
  ClientAuthentication,
  InboundServer,
  RateLimit,
  RouteRef,
  ServerRoute,
} from "./server.ts";

const DETECT_TIMEOUT_MS = 10_000;

/**
 * Who reads the message. SPIFFE ids match no suffix, so "any identity" would refuse every machine:
 * readers of our extension are told of trust domains, others of the machines that are known.
 */
export interface Audience {
  /** Sent to readers of `spiffe-trust-domains`; empty for others. */
  readonly trustDomains: readonly string[];
  /** SPIFFE ids of machines, sorted. */
  readonly machines: readonly string[];
}

export function encodeServer(server: InboundServer, audience: Audience): EncodedMessage {
  const encoder = new Encoder(audience);
  return encode(ServerSchema, {
    protocol: encoder.protocol(server),
    authorizations: server.authorizations.map((rule) => encoder.authorization(rule)),
    labels: serverLabels(server),
  });
}

class Encoder {
  readonly #audience: Audience;

  constructor(audience: Audience) {
    this.#audience = audience;
  }

  protocol(server: InboundServer): Init<typeof ProxyProtocolSchema> {
    const routes = server.httpRoutes.map((route) => this.#httpRoute(route));
    const limit = rateLimitMessage(server.rateLimit);
    switch (server.protocol) {
      case "detect":
        return {
          kind: {
            case: "detect",
            value: {
              timeout: duration(DETECT_TIMEOUT_MS),
              httpRoutes: routes,
              httpLocalRateLimit: limit,
            },
          },
        };
      case "http1":
        return { kind: { case: "http1", value: { routes, localRateLimit: limit } } };
      case "http2":
        return { kind: { case: "http2", value: { routes, localRateLimit: limit } } };
      case "grpc":
        return {
          kind: {
            case: "grpc",
            value: { routes: server.grpcRoutes.map((route) => this.#grpcRoute(route)) },
          },
        };
      case "opaque":
        return { kind: { case: "opaque", value: {} } };
      case "tls":
        return { kind: { case: "tls", value: {} } };
    }
  }

  authorization(rule: AuthorizationRule): Init<typeof AuthzSchema> {
    return {
      networks: rule.networks.map(({ network, except }) => ({
        net: networkMessage(network),
        except: except.map(networkMessage),
      })),
      authentication: this.#authentication(rule.authentication),
      labels: authorizationLabels(rule.ref),
      metadata: authorizationMetadata(rule.ref),
    };
  }

  #authentication(authentication: ClientAuthentication): Init<typeof AuthnSchema> {
    switch (authentication.kind) {
      case "unauthenticated":
        return { permit: { case: "unauthenticated", value: {} } };
      case "tls":
        return {
          permit: { case: "meshTLS", value: { clients: { case: "unauthenticated", value: {} } } },
        };
      case "identities": {
        const { names, suffixes } = authentication;
        const isAny = suffixes.some((parts) => parts.length === 0);
        const machines = isAny ? this.#machines() : [];
        return {
          permit: {
            case: "meshTLS",
            value: {
              clients: {
                case: "identities",
                value: {
                  identities: [...names, ...machines].map((name) => ({ name })),
                  suffixes: suffixes.map((parts) => ({ parts: [...parts] })),
                  heddleSpiffeTrustDomains: isAny ? [...this.#audience.trustDomains] : [],
                },
              },
            },
          },
        };
      }
    }
  }

  /** Those that no trust domain of the message covers already. */
  #machines(): string[] {
    const { trustDomains, machines } = this.#audience;
    return machines.filter((id) => {
      const domain = trustDomainOf(id);
      return domain !== undefined && !trustDomains.includes(domain);
    });
  }

  #httpRoute(route: ServerRoute<HttpMatch>): Init<typeof HttpRouteSchema> {
    return {
      metadata: routeMetadata(route.ref),
      hosts: route.hosts.map(hostMessage),
      authorizations: route.authorizations.map((rule) => this.authorization(rule)),
      rules: route.rules.map(({ matches, filters }) => ({
        matches: matches.map(httpMatchMessage),
        filters: filters.map(httpFilterMessage),
      })),
    };
  }

  #grpcRoute(route: ServerRoute<GrpcMatch>): Init<typeof GrpcRouteSchema> {
    return {
      metadata: routeMetadata(route.ref),
      hosts: route.hosts.map(hostMessage),
      authorizations: route.authorizations.map((rule) => this.authorization(rule)),
      rules: route.rules.map(({ matches, filters }) => ({
        matches: matches.map(grpcMatchMessage),
        filters: filters.flatMap(grpcFilterMessages),
      })),
    };
  }
}

type HttpFilter = NonNullable<
  NonNullable<Init<typeof HttpRouteSchema>["rules"]>[number]["filters"]
>[number];
type GrpcFilter = NonNullable<
  NonNullable<Init<typeof GrpcRouteSchema>["rules"]>[number]["filters"]
>[number];

function httpFilterMessage(filter: FilterSpec): HttpFilter {
  switch (filter.kind) {
    case "request-headers":
      return { kind: { case: "requestHeaderModifier", value: headersMessage(filter.headers) } };
    case "redirect":
      return { kind: { case: "redirect", value: redirectMessage(filter.redirect) } };
    case "failure": {
      const { status, message } = filter;
      return { kind: { case: "failureInjector", value: { status, message } } };
    }
    case "response-headers":
      throw new TypeError("inbound routes have no filter for responses");
  }
}

/** Inbound gRPC routes know this one filter. */
function grpcFilterMessages(filter: FilterSpec): GrpcFilter[] {
  if (filter.kind !== "request-headers") return [];
  return [{ kind: { case: "requestHeaderModifier", value: headersMessage(filter.headers) } }];
}

function rateLimitMessage(
  limit: RateLimit | undefined,
): Init<typeof HttpLocalRateLimitSchema> | undefined {
  if (limit === undefined) return undefined;
  const kind = "HTTPLocalRateLimitPolicy";
  const per = (requestsPerSecond: number | undefined) =>
    requestsPerSecond === undefined ? undefined : { requestsPerSecond };
  return {
    metadata: resource(POLICY_GROUP, kind, limit.name),
    total: per(limit.total),
    identity: per(limit.identity),
    overrides: limit.overrides.map(({ perSecond, identities }) => ({
      limit: { requestsPerSecond: perSecond },
      clients: { identities: identities.map((name) => ({ name })) },
    })),
  };
}

function serverLabels({ ref }: InboundServer): Record<string, string> {
  return ref.kind === "default"
    ? { group: "", kind: "default", name: ref.name }
    : { group: POLICY_GROUP, kind: "server", name: ref.name };
}

function authorizationLabels(ref: AuthorizationRef): Record<string, string> {
  const group = ref.kind === "default" ? "" : POLICY_GROUP;
  return { group, kind: ref.kind, name: ref.name };
}

function authorizationMetadata(ref: AuthorizationRef): Init<typeof MetadataSchema> {
  if (ref.kind === "default") return { kind: { case: "default", value: ref.name } };
  return resource(POLICY_GROUP, ref.kind, ref.name);
}

function routeMetadata(ref: RouteRef): Init<typeof MetadataSchema> {
  if (ref.kind === "default") return { kind: { case: "default", value: ref.name } };
  return resource(ref.group, ref.routeKind, ref.name);
}

/** Inbound metadata names no namespace: it is the workload's own. */
function resource(group: string, kind: string, name: string): Init<typeof MetadataSchema> {
  return { kind: { case: "resource", value: { group, kind, name } } };
}
