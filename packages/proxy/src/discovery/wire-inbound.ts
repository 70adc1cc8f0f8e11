import type {
  Authz,
  GrpcRoute_Filter,
  HttpLocalRateLimit,
  HttpRoute_Filter,
  Network,
  Server,
  GrpcRoute as WireGrpcRoute,
  HttpRoute as WireHttpRoute,
} from "@heddle/api/gen/inbound_pb";
import type { IPNetwork } from "@heddle/api/gen/net_pb";
import type { Authentication, Authorization } from "@heddle/model/authorization";
import { IdentityMatch } from "@heddle/model/identity";
import { IpNetwork, NetworkMatch, parseNetwork } from "@heddle/model/network";
import { RateLimiter } from "@heddle/model/rate-limit";
import { GrpcRoutes } from "@heddle/model/route/grpc-routes";
import { HttpRoutes } from "@heddle/model/route/http-routes";
import {
  catchAll,
  type InboundFilter,
  type InboundPolicy,
  type InboundRoutes,
} from "../inbound/policy.ts";
import { defaultMeta, type Meta } from "../meta.ts";
import { parseIpAddress } from "./endpoint.ts";
import {
  parseGrpcMatch,
  parseHeaderModifier,
  parseHost,
  parseHttpMatch,
  parseMeta,
  parseRatio,
  parseRedirect,
  requiredMs,
  within,
} from "./wire-routes.ts";

export interface InboundParsing {
  /** For protocols that carry no timeout of their own. */
  readonly detectTimeoutMs: number;
  readonly nowMs: number;
  /** Loopback clients are always admitted, unless their address counts as network. */
  readonly localNetworks: readonly NetworkMatch[];
}

/** 127.0.0.1 and ::1 themselves, as the synthetic `localhost` authorization has them. */
export const LOCALHOST: readonly NetworkMatch[] = ["127.0.0.1/32", "::1/128"].map(
  (text) => new NetworkMatch(parseNetwork(text)),
);

/**
 * Reads a Server as it came from the controller.
 *
 * @throws SyntaxError that says what is wrong; an invalid policy then takes its place.
 */
export function parseInboundPolicy(from: Server, parsing: InboundParsing): InboundPolicy {
  const { detectTimeoutMs, nowMs, localNetworks } = parsing;
  const server = serverMeta(from.labels);
  const authorizations = [
    ...parseAuthorizations(from.authorizations),
    {
      metadata: defaultMeta("localhost"),
      networks: localNetworks,
      authentication: { kind: "unauthenticated" } as const,
    },
  ];
  const base = { server, authorizations, detectTimeoutMs };
  const kind = from.protocol?.kind;
  switch (kind?.case) {
    case "detect": {
      const { timeout, httpRoutes, httpLocalRateLimit } = kind.value;
      return {
        ...base,
        protocol: "detect",
        detectTimeoutMs: requiredMs(timeout, "missing protocol detection timeout"),
        routes: parseHttpRoutes(httpRoutes, authorizations),
        rateLimit: parseRateLimit(httpLocalRateLimit, nowMs),
      };
    }
    case "http1":
    case "http2":
      return {
        ...base,
        protocol: kind.case,
        routes: parseHttpRoutes(kind.value.routes, authorizations),
        rateLimit: parseRateLimit(kind.value.localRateLimit, nowMs),
      };
    case "grpc":
      return {
        ...base,
        protocol: "grpc",
        routes: parseGrpcRoutes(kind.value.routes, authorizations),
        rateLimit: undefined,
      };
    case "opaque":
    case "tls":
      return { ...base, protocol: kind.case, routes: undefined, rateLimit: undefined };
    default:
      // Linkerd's own words, which its users search for.
      throw new SyntaxError("missing protocol detection timeout");
  }
}

/** The name of a Server stands in labels; older controllers wrote `default:x` or `kind:name`. */
function serverMeta(labels: Readonly<Record<string, string>>): Meta {
  return labelMeta(labels, "server");
}

function labelMeta(labels: Readonly<Record<string, string>>, defaultKind: string): Meta {
  const name = labels["name"];
  if (name === undefined) throw new SyntaxError("invalid label: missing 'name' label");
  const group = labels["group"] ?? "policy.linkerd.io";
  const kind = labels["kind"];
  if (kind !== undefined) {
    if (kind === "default" && (labels["group"] ?? "") === "") return defaultMeta(name);
    return { group, kind, namespace: "", name, section: "", port: 0 };
  }
  const colon = name.indexOf(":");
  if (colon < 0) return { group, kind: defaultKind, namespace: "", name, section: "", port: 0 };
  const [before, after] = [name.slice(0, colon), name.slice(colon + 1)];
  if (before === "default") return defaultMeta(after);
  return { group, kind: before, namespace: "", name: after, section: "", port: 0 };
}

function parseAuthorizations(from: readonly Authz[]): Authorization<Meta>[] {
  return from.map((authz) => within("invalid authorization", () => parseAuthz(authz)));
}

function parseAuthz(from: Authz): Authorization<Meta> {
  const metadata =
    from.metadata === undefined
      ? labelMeta(from.labels, "serverauthorization")
      : parseMeta(from.metadata, "missing metadata", true);
  if (from.networks.length === 0) throw new SyntaxError("missing networks");
  const permit = from.authentication?.permit;
  if (permit?.case === undefined) throw new SyntaxError("missing authentications");
  return {
    metadata,
    networks: from.networks.map(parseNetworkMatch),
    authentication:
      permit.case === "unauthenticated"
        ? { kind: "unauthenticated" }
        : parseClients(permit.value.clients),
  };
}

type WireClients = NonNullable<
  Extract<NonNullable<Authz["authentication"]>["permit"], { readonly case: "meshTLS" }>["value"]
>["clients"];

function parseClients(clients: WireClients): Authentication {
  if (clients.case === undefined) throw new SyntaxError("no clients permitted");
  if (clients.case === "unauthenticated") return { kind: "tls" };
  const { identities, suffixes, heddleSpiffeTrustDomains } = clients.value;
  return {
    kind: "identities",
    identities: new IdentityMatch(
      identities.map(({ name }) => name),
      suffixes.map(({ parts }) => parts),
      heddleSpiffeTrustDomains,
    ),
  };
}

function parseNetworkMatch(from: Network): NetworkMatch {
  if (from.net === undefined) throw new SyntaxError("missing network");
  return new NetworkMatch(parseIpNetwork(from.net), from.except.map(parseIpNetwork));
}

function parseIpNetwork(from: IPNetwork): IpNetwork {
  const ip = from.ip === undefined ? undefined : parseIpAddress(from.ip);
  if (ip === undefined) throw new SyntaxError("network has no address");
  if (from.prefixLen > (ip.version === 4 ? 32 : 128)) throw new SyntaxError("prefix is too long");
  return new IpNetwork(ip, from.prefixLen);
}

function parseHttpRoutes(
  from: readonly WireHttpRoute[],
  serverAuthorizations: readonly Authorization<Meta>[],
): InboundRoutes {
  if (from.length === 0) return defaultRoute(serverAuthorizations);
  const routes = from.map((route) =>
    within("invalid HTTP route", () => {
      const meta = within("invalid labels", () => parseMeta(route.metadata, "missing", true));
      const authorizations = [
        ...parseAuthorizations(route.authorizations),
        ...serverAuthorizations,
      ];
      return {
        hosts: route.hosts.map(parseHost),
        rules: route.rules.map((rule) => ({
          matches: rule.matches.map(parseHttpMatch),
          value: { meta, authorizations, filters: rule.filters.map(parseHttpFilter) },
        })),
      };
    }),
  );
  return { kind: "http", routes: new HttpRoutes(routes) };
}

function parseGrpcRoutes(
  from: readonly WireGrpcRoute[],
  serverAuthorizations: readonly Authorization<Meta>[],
): InboundRoutes {
  if (from.length === 0) return defaultRoute(serverAuthorizations);
  const routes = from.map((route) =>
    within("invalid gRPC route", () => {
      const meta = within("invalid labels", () => parseMeta(route.metadata, "missing", true));
      const authorizations = [
        ...parseAuthorizations(route.authorizations),
        ...serverAuthorizations,
      ];
      return {
        hosts: route.hosts.map(parseHost),
        rules: route.rules.map((rule) => ({
          matches: rule.matches.map(parseGrpcMatch),
          value: { meta, authorizations, filters: rule.filters.map(parseGrpcFilter) },
        })),
      };
    }),
  );
  return { kind: "grpc", routes: new GrpcRoutes(routes) };
}

function defaultRoute(authorizations: readonly Authorization<Meta>[]): InboundRoutes {
  return catchAll({ meta: defaultMeta("default"), authorizations, filters: [] });
}

/** A kind that we do not know must not pass requests on: they get an error that says so. */
const UNKNOWN_FILTER: InboundFilter = { kind: "internal_error", message: "unknown filter" };

function parseHttpFilter(from: HttpRoute_Filter): InboundFilter {
  const { kind } = from;
  switch (kind.case) {
    case "requestHeaderModifier":
      return { kind: "request_headers", modifier: parseHeaderModifier(kind.value) };
    case "redirect":
      return { kind: "redirect", redirect: parseRedirect(kind.value) };
    case "failureInjector":
      return { kind: "fail", message: kind.value.message, ratio: parseRatio(kind.value.ratio) };
    default:
      return UNKNOWN_FILTER;
  }
}

function parseGrpcFilter(from: GrpcRoute_Filter): InboundFilter {
  const { kind } = from;
  switch (kind.case) {
    case "requestHeaderModifier":
      return { kind: "request_headers", modifier: parseHeaderModifier(kind.value) };
    case "failureInjector":
      return { kind: "fail", message: kind.value.message, ratio: parseRatio(kind.value.ratio) };
    default:
      return UNKNOWN_FILTER;
  }
}

function parseRateLimit(
  from: HttpLocalRateLimit | undefined,
  nowMs: number,
): InboundPolicy["rateLimit"] {
  if (from === undefined) return undefined;
  const meta =
    from.metadata === undefined
      ? { group: "", kind: "", namespace: "", name: "", section: "", port: 0 }
      : parseMeta(from.metadata, "rate limit is missing metadata", true);
  const limiter = new RateLimiter(
    {
      total: from.total?.requestsPerSecond,
      identity: from.identity?.requestsPerSecond,
      overrides: from.overrides.map(({ limit, clients }) => ({
        perSecond: limit?.requestsPerSecond ?? 0,
        identities: (clients?.identities ?? []).map(({ name }) => name),
      })),
    },
    nowMs,
  );
  return { meta, limiter };
}
