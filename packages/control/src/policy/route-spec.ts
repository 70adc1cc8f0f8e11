import type * as kube from "@heddle/kube/types/routes";
import type { HeaderModifier, RouteFilter, ValueMatch } from "@heddle/kube/types/routes";
import type { FieldMatch } from "@heddle/model/route/fields";
import {
  HeaderModifier as CheckedModifier,
  type HeaderModifierSpec,
  Redirect,
  type RedirectSpec,
} from "@heddle/model/route/filters";
import type { GrpcMatch } from "@heddle/model/route/grpc-routes";
import type { HttpMatch, PathMatch } from "@heddle/model/route/http-routes";
import { PatternBudget } from "./pattern-budget.ts";

/** A filter as both sides understand it. */
export type FilterSpec =
  | { readonly kind: "request-headers"; readonly headers: HeaderModifierSpec }
  | { readonly kind: "response-headers"; readonly headers: HeaderModifierSpec }
  | { readonly kind: "redirect"; readonly redirect: RedirectSpec }
  | { readonly kind: "failure"; readonly status: number; readonly message: string };

/** Reads the matches of one route. It throws a SyntaxError for what proxies could not take. */
export type MatchOf<K, M> = (match: K) => M;

/** For one route: its patterns have one budget. Relative paths, patterns and names are checked. */
export function newHttpMatchOf(): MatchOf<kube.HttpMatch, HttpMatch> {
  const patterns = new PatternBudget();
  return (match) => ({
    path: pathOf(match, patterns),
    headers: (match.headers ?? []).map((header) => headerOf(header, patterns)),
    queryParams: (match.queryParams ?? []).map((param) => fieldOf(param, patterns)),
    ...(match.method === undefined ? {} : { method: match.method }),
  });
}

function pathOf({ path }: kube.HttpMatch, patterns: PatternBudget): PathMatch {
  const { type = "PathPrefix", value = "/" } = path ?? {};
  if (type === "RegularExpression") {
    patterns.spend(value);
    return { kind: "regex", pattern: value };
  }
  if (!value.startsWith("/")) throw new SyntaxError(`the path "${value}" is not absolute`);
  return type === "Exact" ? { kind: "exact", path: value } : { kind: "prefix", prefix: value };
}

/** What could never be a header is no match that waits for it, but a mistake. */
function headerOf(match: ValueMatch, patterns: PatternBudget): FieldMatch {
  if (!/^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/.test(match.name)) {
    throw new SyntaxError(`"${match.name}" is not a header's name`);
  }
  if (match.type !== "RegularExpression" && !/^[\t\x20-\x7e]*$/.test(match.value)) {
    throw new SyntaxError(`the value of header ${match.name} is not visible ASCII`);
  }
  return fieldOf(match, patterns);
}

function fieldOf({ type, name, value }: ValueMatch, patterns: PatternBudget): FieldMatch {
  if (type !== "RegularExpression") return { name, exact: value };
  patterns.spend(value);
  return { name, regex: value };
}

/** For one route. Methods matched by pattern, which no proxy does, are refused. */
export function newGrpcMatchOf(): MatchOf<kube.GrpcMatch, GrpcMatch> {
  const patterns = new PatternBudget();
  return ({ method, headers }) => {
    if (method?.type === "RegularExpression") {
      throw new SyntaxError("a gRPC method cannot be matched by a regular expression");
    }
    return {
      service: method?.service ?? "",
      method: method?.method ?? "",
      headers: (headers ?? []).map((header) => headerOf(header, patterns)),
    };
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
