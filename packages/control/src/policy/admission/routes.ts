import type {
  BackendRef,
  GrpcRoute,
  HttpRoute,
  ParentRef,
  RouteFilter,
  RouteRule,
  RouteTimeouts,
} from "@heddle/kube/types/routes";
import { parseGoDuration } from "@heddle/model/go-duration";
import { type Annotations, parseGrpcRetry, parseHttpRetry, parseTimeouts } from "../annotations.ts";
import { parentKindOf } from "../outbound/route.ts";
import { refersTo } from "../refs.ts";
import { filterOf, newGrpcMatchOf, newHttpMatchOf } from "../route-spec.ts";
import { parentsProblem } from "./parents.ts";

// Each function says why a route is denied, or undefined.

/** Filters that proxies have; others of the Gateway API are taken, and not done. */
const KNOWN_FILTERS = ["RequestHeaderModifier", "ResponseHeaderModifier", "RequestRedirect"];

export function policyHttpRouteProblem(
  spec: HttpRoute["spec"],
  annotations: Annotations,
): string | undefined {
  const matchOf = newHttpMatchOf();
  const problemOf: RuleProblem<HttpRoute> = (rule, path) => ruleProblem(rule, path, matchOf);
  return routeProblem(spec, annotations, parseHttpRetry, problemOf);
}

export function gatewayHttpRouteProblem(
  spec: HttpRoute["spec"],
  annotations: Annotations,
): string | undefined {
  const matchOf = newHttpMatchOf();
  const problemOf: RuleProblem<HttpRoute> = (rule, path) => gatewayRuleProblem(rule, path, matchOf);
  return routeProblem(spec, annotations, parseHttpRetry, problemOf);
}

export function grpcRouteProblem(
  spec: GrpcRoute["spec"],
  annotations: Annotations,
): string | undefined {
  const matchOf = newGrpcMatchOf();
  const problemOf: RuleProblem<GrpcRoute> = (rule, path) => gatewayRuleProblem(rule, path, matchOf);
  return routeProblem(spec, annotations, parseGrpcRetry, problemOf);
}

type RuleOf<R extends HttpRoute | GrpcRoute> = NonNullable<R["spec"]["rules"]>[number];
type RuleProblem<R extends HttpRoute | GrpcRoute> = (
  rule: RuleOf<R>,
  path: string,
) => string | undefined;

function routeProblem<R extends HttpRoute | GrpcRoute>(
  spec: { readonly parentRefs?: readonly ParentRef[]; readonly rules?: readonly RuleOf<R>[] },
  annotations: Annotations,
  parseRetry: (annotations: Annotations) => unknown,
  problemOf: RuleProblem<R>,
): string | undefined {
  return (
    parentsProblem(spec) ??
    annotationsProblem(spec, annotations, parseRetry) ??
    firstRule(spec.rules, problemOf)
  );
}

/** Only outbound reads them: on a route for Servers alone they mean nothing. */
function annotationsProblem(
  spec: { readonly parentRefs?: readonly ParentRef[] },
  annotations: Annotations,
  parseRetry: (annotations: Annotations) => unknown,
): string | undefined {
  const isOutbound = (spec.parentRefs ?? []).some((ref) => parentKindOf(ref) !== undefined);
  if (!isOutbound) return undefined;
  return (
    attempt("metadata.annotations[retry.linkerd.io]", () => parseRetry(annotations)) ??
    attempt("metadata.annotations[timeout.linkerd.io]", () => parseTimeouts(annotations))
  );
}

function ruleProblem<M>(
  { matches, filters, timeouts }: RouteRule<M>,
  path: string,
  matchOf: (match: M) => unknown,
): string | undefined {
  return (
    first(matches, `${path}.matches`, matchOf) ??
    first(filters, `${path}.filters`, filterOf) ??
    timeoutsProblem(timeouts ?? {}, `${path}.timeouts`)
  );
}

function gatewayRuleProblem<M>(
  { matches, filters, backendRefs = [] }: RouteRule<M>,
  path: string,
  matchOf: (match: M) => unknown,
): string | undefined {
  const known = (filter: RouteFilter): unknown =>
    KNOWN_FILTERS.includes(filter.type) ? filterOf(filter) : undefined;
  const problem =
    first(matches, `${path}.matches`, matchOf) ?? first(filters, `${path}.filters`, known);
  if (problem !== undefined) return problem;
  const index = backendRefs.findIndex((ref) => isService(ref) && !ref.port);
  if (index < 0) return undefined;
  return `${path}.backendRefs[${index}].port: is missing: a Service as backend needs one`;
}

function isService({ group, kind = "Service" }: BackendRef): boolean {
  return refersTo({ group, kind }, "core", "Service");
}

function timeoutsProblem(timeouts: RouteTimeouts, path: string): string | undefined {
  const ms: { request?: number; backendRequest?: number } = {};
  for (const key of ["request", "backendRequest"] as const) {
    const text = timeouts[key];
    if (text === undefined) continue;
    const problem = attempt(`${path}.${key}`, () => {
      ms[key] = parseGoDuration(text);
      if (ms[key] < 0) throw new SyntaxError(`${text} is negative: write 0 or more`);
    });
    if (problem !== undefined) return problem;
  }
  const { request, backendRequest } = ms;
  if (request === undefined || backendRequest === undefined || backendRequest <= request) {
    return undefined;
  }
  return `${path}.backendRequest: ${timeouts.backendRequest} is longer than request, which is ${timeouts.request}: lower it`;
}

function firstRule<R>(
  rules: readonly R[] | undefined,
  problemOf: (rule: R, path: string) => string | undefined,
): string | undefined {
  for (const [index, rule] of (rules ?? []).entries()) {
    const problem = problemOf(rule, `spec.rules[${index}]`);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

function first<T>(
  values: readonly T[] | undefined,
  path: string,
  read: (value: T) => unknown,
): string | undefined {
  for (const [index, value] of (values ?? []).entries()) {
    const problem = attempt(`${path}[${index}]`, () => read(value));
    if (problem !== undefined) return problem;
  }
  return undefined;
}

/** What a parser has against a field; its own messages say what would be right. */
function attempt(path: string, parse: () => unknown): string | undefined {
  try {
    parse();
    return undefined;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return `${path}: ${error.message}`;
  }
}
