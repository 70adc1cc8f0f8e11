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
  return (
    parentsProblem(spec) ??
    annotationsProblem(spec, annotations, parseHttpRetry) ??
    firstRule(spec.rules, (rule, path) => ruleProblem(rule, path, matchOf))
  );
}

export function gatewayHttpRouteProblem(
  spec: HttpRoute["spec"],
  annotations: Annotations,
): string | undefined {
  const matchOf = newHttpMatchOf();
  return (
    parentsProblem(spec) ??
    annotationsProblem(spec, annotations, parseHttpRetry) ??
    firstRule(spec.rules, (rule, path) => gatewayRuleProblem(rule, path, matchOf))
  );
}

export function grpcRouteProblem(
  spec: GrpcRoute["spec"],
  annotations: Annotations,
): string | undefined {
  const matchOf = newGrpcMatchOf();
  return (
    parentsProblem(spec) ??
    annotationsProblem(spec, annotations, parseGrpcRetry) ??
    firstRule(spec.rules, (rule, path) => gatewayRuleProblem(rule, path, matchOf))
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
