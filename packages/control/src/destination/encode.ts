import {
  DestinationProfileSchema,
  type RequestMatchSchema,
  type ResponseMatchSchema,
  UpdateSchema,
  type WeightedAddrSchema,
} from "@heddle/api/gen/destination_pb";
import { HttpMethod_Registered, type HttpMethodSchema } from "@heddle/api/gen/http_types_pb";
import type { TcpAddressSchema } from "@heddle/api/gen/net_pb";
import { ipv6Halves, parseIp } from "@heddle/model/network";
import { EncodedMessage } from "@heddle/net/grpc/encoded-message";
import type { Endpoint, EndpointAddress } from "./endpoint.ts";
import type { SetLabels } from "./endpoint-view.ts";
import type { Profile } from "./profile.ts";
import {
  DEFAULT_BUDGET,
  type RequestMatch,
  type ResponseMatch,
  type RetryBudget,
} from "./profile-rules.ts";

type Init<S extends Parameters<typeof EncodedMessage.of>[0]> = Parameters<
  typeof EncodedMessage.of<S>
>[1];

/** What meshed peers' HTTP/2 connections are to be made with; the same for all of them. */
export interface Http2Params {
  readonly flowControl?: {
    readonly initialConnectionWindowSize?: number;
    readonly initialStreamWindowSize?: number;
    readonly adaptiveFlowControl?: boolean;
  };
  readonly keepAlive?: {
    readonly intervalMs?: number;
    readonly timeoutMs?: number;
    readonly whileIdle?: boolean;
  };
  readonly internals?: {
    readonly maxConcurrentResetStreams?: number;
    readonly maxFrameSize?: number;
    readonly maxSendBufSize?: number;
  };
}

/** A message may have 4 MiB; an endpoint has some 400 bytes. */
const MAX_ADDRESSES = 4_000;

/** In pieces, where one message would be too large: the first replaces, the others add. */
export function encodeAdd(
  endpoints: readonly Endpoint[],
  labels: SetLabels,
  http2: Http2Params | undefined,
): EncodedMessage[] {
  const metricLabels = Object.fromEntries(labels);
  return pieces(endpoints).map((piece) => {
    const addrs = piece.map((endpoint) => weightedAddr(endpoint, http2));
    return EncodedMessage.of(UpdateSchema, {
      update: { case: "add", value: { addrs, metricLabels } },
    });
  });
}

export function encodeRemove(addresses: readonly EndpointAddress[]): EncodedMessage[] {
  return pieces(addresses).map((piece) =>
    EncodedMessage.of(UpdateSchema, {
      update: { case: "remove", value: { addrs: piece.map(tcpAddress) } },
    }),
  );
}

export function encodeProfile(profile: Profile, http2: Http2Params | undefined): EncodedMessage {
  return EncodedMessage.of(DestinationProfileSchema, profileMessage(profile, http2));
}

function profileMessage(
  profile: Profile,
  http2: Http2Params | undefined,
): Init<typeof DestinationProfileSchema> {
  if (profile.type === "empty") return {};
  if (profile.type === "endpoint") {
    const { endpoint, isOpaque: opaqueProtocol } = profile;
    return {
      retryBudget: budgetMessage(DEFAULT_BUDGET),
      endpoint: weightedAddr(endpoint, http2),
      opaqueProtocol,
    };
  }
  const { name, isOpaque, service, profile: own, routes, budget, overrides } = profile;
  return {
    fullyQualifiedName: name,
    opaqueProtocol: isOpaque,
    retryBudget: budgetMessage(budget),
    routes: routes.map((route) => ({
      condition: requestMatch(route.condition),
      responseClasses: route.responseClasses.map(({ condition, isFailure }) => ({
        condition: responseMatch(condition),
        isFailure,
      })),
      metricsLabels: { route: route.name },
      isRetryable: route.isRetryable,
      ...(route.timeoutMs === undefined ? {} : { timeout: duration(route.timeoutMs) }),
    })),
    dstOverrides: overrides.map(({ authority, weight }) => ({ authority, weight })),
    parentRef: {
      kind: { case: "resource", value: { group: "core", kind: "Service", ...service } },
    },
    ...(own === undefined
      ? {}
      : {
          profileRef: { kind: { case: "resource", value: { group: "linkerd.io", ...own } } },
        }),
  };
}

function weightedAddr(
  endpoint: Endpoint,
  http2: Http2Params | undefined,
): Init<typeof WeightedAddrSchema> {
  const { weight, labels, identity, hint, authorityOverride, hasHttp2Params } = endpoint;
  return {
    addr: tcpAddress(endpoint),
    weight,
    metricLabels: Object.fromEntries(labels),
    ...(identity === undefined ? {} : { tlsIdentity: tlsIdentity(identity) }),
    ...(hint === undefined ? {} : { protocolHint: protocolHint(hint) }),
    ...(authorityOverride === undefined ? {} : { authorityOverride: { authorityOverride } }),
    ...(hasHttp2Params && http2 !== undefined ? { http2: http2Message(http2) } : {}),
  };
}

function tlsIdentity(
  identity: NonNullable<Endpoint["identity"]>,
): NonNullable<Init<typeof WeightedAddrSchema>["tlsIdentity"]> {
  const { serverName } = identity;
  const sni = serverName === undefined ? {} : { serverName: { name: serverName } };
  return identity.type === "dns"
    ? { strategy: { case: "dnsLikeIdentity", value: { name: identity.name } }, ...sni }
    : { strategy: { case: "uriLikeIdentity", value: { uri: identity.uri } }, ...sni };
}

function protocolHint(
  hint: NonNullable<Endpoint["hint"]>,
): NonNullable<Init<typeof WeightedAddrSchema>["protocolHint"]> {
  const { protocol, transportPort } = hint;
  return {
    ...(protocol === "h2" ? { protocol: { case: "h2", value: {} } } : {}),
    ...(protocol === "opaque" ? { protocol: { case: "opaque", value: {} } } : {}),
    ...(transportPort === undefined ? {} : { opaqueTransport: { inboundPort: transportPort } }),
  };
}

function http2Message(params: Http2Params): NonNullable<Init<typeof WeightedAddrSchema>["http2"]> {
  const { flowControl, keepAlive, internals } = params;
  return {
    ...(flowControl === undefined ? {} : { flowControl }),
    ...(keepAlive === undefined
      ? {}
      : {
          keepAlive: {
            ...(keepAlive.intervalMs === undefined
              ? {}
              : { interval: duration(keepAlive.intervalMs) }),
            ...(keepAlive.timeoutMs === undefined
              ? {}
              : { timeout: duration(keepAlive.timeoutMs) }),
            whileIdle: keepAlive.whileIdle === true,
          },
        }),
    ...(internals === undefined ? {} : { internals }),
  };
}

/** An address without an IP that parses goes without: proxies drop it. */
function tcpAddress({ ip, port }: EndpointAddress): Init<typeof TcpAddressSchema> {
  const address = parseIp(ip);
  if (address === undefined) return { port };
  return address.version === 4
    ? { ip: { ip: { case: "ipv4", value: address.a } }, port }
    : { ip: { ip: { case: "ipv6", value: ipv6Halves(address) } }, port };
}

function requestMatch(match: RequestMatch): Init<typeof RequestMatchSchema> {
  switch (match.type) {
    case "all":
    case "any":
      return { match: { case: match.type, value: { matches: match.matches.map(requestMatch) } } };
    case "not":
      return { match: { case: "not", value: requestMatch(match.match) } };
    case "path":
      return { match: { case: "path", value: { regex: match.regex } } };
    case "method":
      return { match: { case: "method", value: httpMethod(match.method) } };
  }
}

function responseMatch(match: ResponseMatch): Init<typeof ResponseMatchSchema> {
  switch (match.type) {
    case "all":
    case "any":
      return { match: { case: match.type, value: { matches: match.matches.map(responseMatch) } } };
    case "not":
      return { match: { case: "not", value: responseMatch(match.match) } };
    case "status":
      return { match: { case: "status", value: { min: match.min, max: match.max } } };
  }
}

function httpMethod(method: string): Init<typeof HttpMethodSchema> {
  const registered = Object.hasOwn(HttpMethod_Registered, method)
    ? HttpMethod_Registered[method as keyof typeof HttpMethod_Registered]
    : undefined;
  return registered === undefined
    ? { type: { case: "unregistered", value: method } }
    : { type: { case: "registered", value: registered } };
}

function budgetMessage(budget: RetryBudget): {
  retryRatio: number;
  minRetriesPerSecond: number;
  ttl: ReturnType<typeof duration>;
} {
  const { retryRatio, minRetriesPerSecond, ttlMs } = budget;
  return { retryRatio, minRetriesPerSecond, ttl: duration(ttlMs) };
}

function duration(ms: number): { seconds: bigint; nanos: number } {
  const seconds = Math.trunc(ms / 1_000);
  return { seconds: BigInt(seconds), nanos: Math.trunc((ms - seconds * 1_000) * 1e6) };
}

function pieces<T>(all: readonly T[]): (readonly T[])[] {
  const found: (readonly T[])[] = [];
  for (let at = 0; at < all.length; at += MAX_ADDRESSES) {
    found.push(all.slice(at, at + MAX_ADDRESSES));
  }
  return found;
}
