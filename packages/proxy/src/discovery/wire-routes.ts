import type { GrpcFailureInjector, GrpcRouteMatch } from "@heddle/api/gen/grpc_route_pb";
import type {
  HeaderMatch,
  HttpFailureInjector,
  HttpRouteMatch,
  QueryParamMatch,
  RequestHeaderModifier,
  RequestRedirect,
  Timeouts,
  HostMatch as WireHostMatch,
} from "@heddle/api/gen/http_route_pb";
import {
  type Headers,
  type HttpMethod,
  HttpMethod_Registered,
  type Scheme,
  Scheme_Registered,
} from "@heddle/api/gen/http_types_pb";
import type { Metadata } from "@heddle/api/gen/meta_pb";
import type { SniMatch } from "@heddle/api/gen/tls_route_pb";
import type { FieldMatch } from "@heddle/model/route/fields";
import { ALWAYS, FailureRatio, HeaderModifier, Redirect } from "@heddle/model/route/filters";
import type { GrpcMatch } from "@heddle/model/route/grpc-routes";
import type { HostMatch } from "@heddle/model/route/host";
import type { HttpMatch, PathMatch } from "@heddle/model/route/http-routes";
import type { RouteTimeouts } from "../http/retry-policy.ts";
import { defaultMeta, type Meta } from "../meta.ts";
import { durationMs, type WireDuration } from "./endpoint.ts";

/**
 * The parts of routes that inbound and outbound policies share, from the wire. Each throws a
 * SyntaxError on what makes its policy invalid.
 */

/** Runs `parse`; what it throws says first where. */
export function within<T>(place: string, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    if (error instanceof SyntaxError) throw new SyntaxError(`${place}: ${error.message}`);
    throw error;
  }
}

/** Names of resources must be there, unless `lax` (inbound policies are not checked). */
export function parseMeta(from: Metadata | undefined, missing: string, lax = false): Meta {
  if (from === undefined || from.kind.case === undefined) throw new SyntaxError(missing);
  if (from.kind.case === "default") return defaultMeta(from.kind.value);
  const { group, kind, name, namespace, section, port } = from.kind.value;
  if (!lax) {
    for (const [key, value] of Object.entries({ group, kind, name, namespace })) {
      if (value === "") throw new SyntaxError(`invalid metadata: ${key} must not be empty`);
    }
  }
  return { group, kind, namespace, name, section, port: port > 65_535 ? 0 : port };
}

export function parseHost(from: WireHostMatch | SniMatch): HostMatch {
  switch (from.match.case) {
    case "exact":
      return { kind: "exact", name: from.match.value };
    case "suffix":
      return { kind: "suffix", reverseLabels: from.match.value.reverseLabels };
    default:
      throw new SyntaxError("missing host match");
  }
}

export function parseHttpMatch(from: HttpRouteMatch): HttpMatch {
  return {
    ...(from.path === undefined ? {} : { path: parsePath(from.path) }),
    headers: from.headers.map(parseHeaderMatch),
    queryParams: from.queryParams.map(parseQueryMatch),
    ...(from.method === undefined ? {} : { method: parseMethod(from.method) }),
  };
}

export function parseGrpcMatch(from: GrpcRouteMatch): GrpcMatch {
  if (from.rpc === undefined) throw new SyntaxError("missing RPC match");
  const { service, method } = from.rpc;
  return { service, method, headers: from.headers.map(parseHeaderMatch) };
}

function parsePath(from: NonNullable<HttpRouteMatch["path"]>): PathMatch {
  switch (from.kind.case) {
    case "exact":
      return { kind: "exact", path: from.kind.value };
    case "prefix":
      return { kind: "prefix", prefix: from.kind.value };
    case "regex":
      return { kind: "regex", pattern: from.kind.value };
    default:
      throw new SyntaxError("missing path match");
  }
}

function parseHeaderMatch(from: HeaderMatch): FieldMatch {
  switch (from.value.case) {
    case "exact":
      return { name: from.name, exact: latin1(from.value.value) };
    case "regex":
      return { name: from.name, regex: from.value.value };
    default:
      throw new SyntaxError(`missing header value match of ${from.name}`);
  }
}

function parseQueryMatch(from: QueryParamMatch): FieldMatch {
  switch (from.value.case) {
    case "exact":
      return { name: from.name, exact: from.value.value };
    case "regex":
      return { name: from.name, regex: from.value.value };
    default:
      throw new SyntaxError(`missing query value match of ${from.name}`);
  }
}

const METHODS: ReadonlyMap<number, string> = new Map(
  Object.entries(HttpMethod_Registered).map(([name, value]) => [value, name]),
);

export function parseMethod(from: HttpMethod): string {
  const { type } = from;
  const method = type.case === "registered" ? METHODS.get(type.value) : type.value;
  if (method === undefined || method === "") throw new SyntaxError("missing HTTP method");
  return method;
}

export function parseHeaderModifier(
  from: Pick<RequestHeaderModifier, "add" | "set" | "remove">,
): HeaderModifier {
  return new HeaderModifier({
    add: parseHeaders(from.add),
    set: parseHeaders(from.set),
    remove: from.remove,
  });
}

function parseHeaders(from: Headers | undefined): [string, string][] {
  return (from?.headers ?? []).map(({ name, value }) => [name, latin1(value)]);
}

/** Header values are bytes on the wire, and one character per byte inside. */
function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1");
}

export function parseRedirect(from: RequestRedirect): Redirect {
  const path = from.path?.replace;
  return new Redirect({
    ...(from.scheme === undefined ? {} : { scheme: parseScheme(from.scheme) }),
    ...(from.host === "" ? {} : { host: from.host }),
    ...(from.port === 0 ? {} : { port: from.port }),
    ...(from.status === 0 ? {} : { status: from.status }),
    ...(path?.case === "full" ? { path: { kind: "full" as const, path: path.value } } : {}),
    ...(path?.case === "prefix" ? { path: { kind: "prefix" as const, prefix: path.value } } : {}),
  });
}

function parseScheme(from: Scheme): string {
  switch (from.type.case) {
    case "registered":
      return from.type.value === Scheme_Registered.HTTPS ? "https" : "http";
    case "unregistered":
      return from.type.value;
    default:
      throw new SyntaxError("missing scheme");
  }
}

export function parseRatio(from: HttpFailureInjector["ratio"]): FailureRatio {
  return from === undefined ? ALWAYS : new FailureRatio(from.numerator, from.denominator);
}

export function parseInjectedStatus(from: HttpFailureInjector): number {
  if (from.status < 100 || from.status > 999) throw new SyntaxError("invalid failure status");
  return from.status;
}

export function parseInjectedCode(from: GrpcFailureInjector): number {
  if (from.code > 0xffff) throw new SyntaxError("invalid gRPC failure code");
  return from.code;
}

/** @param legacyRequest - The deprecated field of rules, which counts if the new one is unset. */
export function parseTimeouts(
  from: Timeouts | undefined,
  legacyRequest: WireDuration | undefined,
): RouteTimeouts {
  return {
    requestMs: optionalMs(from?.request ?? legacyRequest),
    responseMs: optionalMs(from?.response),
    idleMs: optionalMs(from?.idle),
  };
}

export function optionalMs(from: WireDuration | undefined): number | undefined {
  if (from === undefined) return undefined;
  const ms = durationMs(from);
  if (ms === undefined) throw new SyntaxError("invalid duration");
  return ms;
}

export function requiredMs(from: WireDuration | undefined, missing: string): number {
  const ms = optionalMs(from);
  if (ms === undefined) throw new SyntaxError(missing);
  return ms;
}
