import type { GrpcRouteMatchSchema } from "@heddle/api/gen/grpc_route_pb";
import type { HttpRouteMatchSchema, RequestRedirectSchema } from "@heddle/api/gen/http_route_pb";
import { HttpMethod_Registered, Scheme_Registered } from "@heddle/api/gen/http_types_pb";
import type { IPAddressSchema, IPNetworkSchema } from "@heddle/api/gen/net_pb";
import { type IpAddress, type IpNetwork, ipv6Halves } from "@heddle/model/network";
import type { FieldMatch } from "@heddle/model/route/fields";
import type { HeaderModifierSpec, RedirectSpec } from "@heddle/model/route/filters";
import type { GrpcMatch } from "@heddle/model/route/grpc-routes";
import type { HostMatch } from "@heddle/model/route/host";
import type { HttpMatch, PathMatch } from "@heddle/model/route/http-routes";
import { EncodedMessage } from "@heddle/net/grpc/encoded-message";

/** The fields that a message of this schema is made from. */
export type Init<S extends Parameters<typeof EncodedMessage.of>[0]> = Parameters<
  typeof EncodedMessage.of<S>
>[1];

export const encode: typeof EncodedMessage.of = EncodedMessage.of;

/** A protobuf Duration. Fractions of a nanosecond are dropped. */
export function duration(ms: number): { readonly seconds: bigint; readonly nanos: number } {
  const seconds = Math.trunc(ms / 1_000);
  return { seconds: BigInt(seconds), nanos: Math.trunc((ms - seconds * 1_000) * 1e6) };
}

export function optionalDuration(ms: number | undefined): ReturnType<typeof duration> | undefined {
  return ms === undefined ? undefined : duration(ms);
}

export function ipMessage(ip: IpAddress): Init<typeof IPAddressSchema> {
  return ip.version === 4
    ? { ip: { case: "ipv4", value: ip.a } }
    : { ip: { case: "ipv6", value: ipv6Halves(ip) } };
}

export function networkMessage(network: IpNetwork): Init<typeof IPNetworkSchema> {
  return { ip: ipMessage(network.ip), prefixLen: network.prefixLength };
}

interface HostMessage {
  match: { case: "exact"; value: string } | { case: "suffix"; value: { reverseLabels: string[] } };
}

/** A host or an SNI: they have the same fields. */
export function hostMessage(host: HostMatch): HostMessage {
  return host.kind === "exact"
    ? { match: { case: "exact", value: host.name } }
    : { match: { case: "suffix", value: { reverseLabels: [...host.reverseLabels] } } };
}

export function httpMatchMessage(match: HttpMatch): Init<typeof HttpRouteMatchSchema> {
  return {
    path: pathMessage(match.path),
    headers: (match.headers ?? []).map(headerMessage),
    queryParams: (match.queryParams ?? []).map(({ name, exact, regex }) => ({
      name,
      value:
        exact === undefined
          ? { case: "regex", value: regex ?? "" }
          : { case: "exact", value: exact },
    })),
    method: methodMessage(match.method),
  };
}

function pathMessage(path: PathMatch | undefined): Init<typeof HttpRouteMatchSchema>["path"] {
  switch (path?.kind) {
    case undefined:
      return undefined;
    case "exact":
      return { kind: { case: "exact", value: path.path } };
    case "prefix":
      return { kind: { case: "prefix", value: path.prefix } };
    case "regex":
      return { kind: { case: "regex", value: path.pattern } };
  }
}

function headerMessage({ name, exact, regex }: FieldMatch): {
  name: string;
  value: { case: "exact"; value: Uint8Array } | { case: "regex"; value: string };
} {
  return {
    name,
    value:
      exact === undefined
        ? { case: "regex", value: regex ?? "" }
        : { case: "exact", value: Buffer.from(exact) },
  };
}

function methodMessage(method: string | undefined): Init<typeof HttpRouteMatchSchema>["method"] {
  if (method === undefined) return undefined;
  const registered = Object.hasOwn(HttpMethod_Registered, method)
    ? HttpMethod_Registered[method as keyof typeof HttpMethod_Registered]
    : undefined;
  return registered === undefined
    ? { type: { case: "unregistered", value: method } }
    : { type: { case: "registered", value: registered } };
}

export function grpcMatchMessage(match: GrpcMatch): Init<typeof GrpcRouteMatchSchema> {
  return {
    // Without it proxies refuse the whole policy, even where any RPC is meant.
    rpc: { service: match.service ?? "", method: match.method ?? "" },
    headers: (match.headers ?? []).map(headerMessage),
  };
}

interface HeadersMessage {
  add?: FieldsMessage;
  set?: FieldsMessage;
  remove: string[];
}

interface FieldsMessage {
  headers: { name: string; value: Uint8Array }[];
}

/** The modifier of a request's headers or of a response's: they have the same fields. */
export function headersMessage({ add, set, remove }: HeaderModifierSpec): HeadersMessage {
  return {
    ...(add.length === 0 ? {} : { add: fieldsMessage(add) }),
    ...(set.length === 0 ? {} : { set: fieldsMessage(set) }),
    remove: [...remove],
  };
}

function fieldsMessage(fields: HeaderModifierSpec["add"]): FieldsMessage {
  return { headers: fields.map(([name, value]) => ({ name, value: Buffer.from(value) })) };
}

/** What is not set is zero, or empty; to proxies that is the request's own, and status 301. */
export function redirectMessage(spec: RedirectSpec): Init<typeof RequestRedirectSchema> {
  return {
    scheme: schemeMessage(spec.scheme),
    host: spec.host ?? "",
    path: redirectPathMessage(spec.path),
    port: spec.port ?? 0,
    status: spec.status ?? 0,
  };
}

function schemeMessage(scheme: string | undefined): Init<typeof RequestRedirectSchema>["scheme"] {
  switch (scheme?.toLowerCase()) {
    case undefined:
      return undefined;
    case "http":
      return { type: { case: "registered", value: Scheme_Registered.HTTP } };
    case "https":
      return { type: { case: "registered", value: Scheme_Registered.HTTPS } };
    default:
      return { type: { case: "unregistered", value: scheme ?? "" } };
  }
}

function redirectPathMessage(
  path: RedirectSpec["path"],
): Init<typeof RequestRedirectSchema>["path"] {
  if (path === undefined) return undefined;
  return path.kind === "full"
    ? { replace: { case: "full", value: path.path } }
    : { replace: { case: "prefix", value: path.prefix } };
}
