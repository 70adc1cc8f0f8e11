import type * as kube from "@heddle/kube/types/routes";
import type { HeaderModifier, RouteFilter, ValueMatch } from "@heddle/kube/types/routes";
import { compilePattern } from "@heddle/model/pattern";
import type { FieldMatch } from "@heddle/model/route/fields";
import {
  HeaderModifier as CheckedModifier,
  type HeaderModifierSpec,
  Redirect,
  type RedirectSpec,
} from "@heddle/model/route/filters";
import type { GrpcMatch } from "@heddle/model/route/grpc-routes";
import type { HttpMatch, PathMatch } from "@heddle/model/route/http-routes";

/** A filter as both sides understand it. */
export type FilterSpec =
  | { readonly kind: "request-headers"; readonly headers: HeaderModifierSpec }
  | { readonly kind: "response-headers"; readonly headers: HeaderModifierSpec }
  | { readonly kind: "redirect"; readonly redirect: RedirectSpec }
  | { readonly kind: "failure"; readonly status: number; readonly message: string };

/** @throws SyntaxError if a proxy could not take it: relative paths, patterns, names. */
export function httpMatchOf(match: kube.HttpMatch): HttpMatch {
  return {
    path: pathOf(match),
    headers: (match.headers ?? []).map(headerOf),
    queryParams: (match.queryParams ?? []).map(fieldOf),
    ...(match.method === undefined ? {} : { method: match.method }),
  };
}

function pathOf({ path }: kube.HttpMatch): PathMatch {
  const { type = "PathPrefix", value = "/" } = path ?? {};
  if (type === "RegularExpression") {
    compilePattern(value);
    return { kind: "regex", pattern: value };
  }
  if (!value.startsWith("/")) throw new SyntaxError(`the path "${value}" is not absolute`);
  return type === "Exact" ? { kind: "exact", path: value } : { kind: "prefix", prefix: value };
}

/** What could never be a header is no match that waits for it, but a mistake. */
function headerOf(match: ValueMatch): FieldMatch {
  if (!/^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/.test(match.name)) {
    throw new SyntaxError(`"${match.name}" is not a header's name`);
  }
  if (match.type !== "RegularExpression" && !/^[\t\x20-\x7e]*$/.test(match.value)) {
    throw new SyntaxError(`the value of header ${match.name} is not visible ASCII`);
  }
  return fieldOf(match);
}

function fieldOf({ type, name, value }: ValueMatch): FieldMatch {
  if (type !== "RegularExpression") return { name, exact: value };
  compilePattern(value);
  return { name, regex: value };
}

/** @throws SyntaxError for methods matched by pattern, which no proxy does. */
export function grpcMatchOf({ method, headers }: kube.GrpcMatch): GrpcMatch {
  if (method?.type === "RegularExpression") {
    throw new SyntaxError("a gRPC method cannot be matched by a regular expression");
  }
  return {
    service: method?.service ?? "",
    method: method?.method ?? "",
    headers: (headers ?? []).map(headerOf),
  };
}

/** @throws SyntaxError for filters that Linkerd has not, so that a route is taken whole or not. */
export function filterOf(filter: RouteFilter): FilterSpec {
  switch (filter.type) {
    case "RequestHeaderModifier":
      return { kind: "request-headers", headers: headersOf(filter.requestHeaderModifier) };
    case "ResponseHeaderModifier":
      return { kind: "response-headers", headers: headersOf(filter.responseHeaderModifier) };
    case "RequestRedirect":
      return { kind: "redirect", redirect: redirectOf(filter.requestRedirect) };
    default:
      throw new SyntaxError(`the filter ${filter.type} is not supported`);
  }
}

function headersOf(modifier: HeaderModifier | undefined): HeaderModifierSpec {
  const pairs = (fields: readonly kube.HeaderValue[] | undefined) =>
    (fields ?? []).map(({ name, value }): [string, string] => [name, value]);
  const spec = {
    add: pairs(modifier?.add),
    set: pairs(modifier?.set),
    remove: modifier?.remove ?? [],
  };
  new CheckedModifier(spec);
  return spec;
}

function redirectOf(redirect: kube.RequestRedirect | undefined): RedirectSpec {
  const { scheme, hostname, port, statusCode, path } = redirect ?? {};
  const spec: RedirectSpec = {
    ...(scheme === undefined ? {} : { scheme }),
    ...(hostname === undefined ? {} : { host: hostname }),
    ...(port === undefined ? {} : { port }),
    ...(statusCode === undefined ? {} : { status: statusCode }),
    ...(path === undefined ? {} : { path: pathModifierOf(path) }),
  };
  new Redirect(spec);
  return spec;
}

function pathModifierOf(
  path: NonNullable<kube.RequestRedirect["path"]>,
): NonNullable<RedirectSpec["path"]> {
  return path.type === "ReplaceFullPath"
    ? { kind: "full", path: path.replaceFullPath ?? "/" }
    : { kind: "prefix", prefix: path.replacePrefixMatch ?? "/" };
}
