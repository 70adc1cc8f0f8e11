import type {
  RequestMatchSpec,
  ResponseMatchSpec,
  ServiceProfile,
} from "@heddle/kube/types/linkerd";
import { parseGoDuration } from "@heddle/model/go-duration";
import { parseMilliQuantity } from "@heddle/model/quantity";

export type RequestMatch =
  | { readonly type: "all" | "any"; readonly matches: readonly RequestMatch[] }
  | { readonly type: "not"; readonly match: RequestMatch }
  | { readonly type: "path"; readonly regex: string }
  /** In upper case. */
  | { readonly type: "method"; readonly method: string };

export type ResponseMatch =
  | { readonly type: "all" | "any"; readonly matches: readonly ResponseMatch[] }
  | { readonly type: "not"; readonly match: ResponseMatch }
  | { readonly type: "status"; readonly min: number; readonly max: number };

export interface ProfileRoute {
  readonly name: string;
  readonly condition: RequestMatch;
  readonly responseClasses: readonly {
    readonly condition: ResponseMatch;
    readonly isFailure: boolean;
  }[];
  readonly isRetryable: boolean;
  readonly timeoutMs: number | undefined;
}

export interface RetryBudget {
  readonly retryRatio: number;
  readonly minRetriesPerSecond: number;
  readonly ttlMs: number;
}

export interface ProfileOverride {
  /** As written: maybe without a port. */
  readonly authority: string;
  readonly weight: number;
}

/** What a ServiceProfile says, checked. */
export interface ProfileRules {
  readonly routes: readonly ProfileRoute[];
  readonly budget: RetryBudget;
  readonly overrides: readonly ProfileOverride[];
}

export const DEFAULT_BUDGET: RetryBudget = {
  retryRatio: 0.2,
  minRetriesPerSecond: 10,
  ttlMs: 10_000,
};

export const NO_RULES: ProfileRules = { routes: [], budget: DEFAULT_BUDGET, overrides: [] };

/** Conditions nest; nobody writes them this deep by hand. */
const MAX_DEPTH = 32;

/** @throws SyntaxError that says which field is wrong, and how. */
export function parseProfileRules(spec: ServiceProfile["spec"]): ProfileRules {
  const { routes = [], retryBudget, dstOverrides = [] } = spec ?? {};
  return {
    routes: listOf(routes).map((route, index) => parseRoute(route, `routes[${index}]`)),
    budget:
      retryBudget === undefined || retryBudget === null
        ? DEFAULT_BUDGET
        : {
            retryRatio: retryBudget.retryRatio,
            minRetriesPerSecond: retryBudget.minRetriesPerSecond,
            ttlMs: within("retryBudget.ttl", () => parseGoDuration(retryBudget.ttl)),
          },
    overrides: listOf(dstOverrides).map(({ authority, weight }, index) => ({
      authority,
      weight: within(`dstOverrides[${index}].weight`, () => weightOf(weight)),
    })),
  };
}

type RouteSpec = NonNullable<NonNullable<ServiceProfile["spec"]>["routes"]>[number];

function parseRoute(route: RouteSpec, path: string): ProfileRoute {
  return {
    name: route.name,
    condition: parseRequestMatch(route.condition, `${path}.condition`, 0),
    responseClasses: listOf(route.responseClasses).map(({ condition, isFailure }, index) => ({
      condition: parseResponseMatch(condition, `${path}.responseClasses[${index}].condition`, 0),
      isFailure: isFailure === true,
    })),
    isRetryable: route.isRetryable === true,
    timeoutMs: timeoutOf(route.timeout),
  };
}

/** Zero and text that is no duration mean no timeout, as in Linkerd. */
function timeoutOf(text: string | undefined): number | undefined {
  if (text === undefined || text === "") return undefined;
  try {
    const ms = parseGoDuration(text);
    return ms > 0 ? ms : undefined;
  } catch {
    // The validating webhook refuses these; one that slipped through must not cost the routes.
    return undefined;
  }
}

function parseRequestMatch(
  spec: RequestMatchSpec | undefined,
  path: string,
  depth: number,
): RequestMatch {
  checkDepth(depth, path);
  const { all, any, method, not, pathRegex } = spec ?? {};
  const matches: RequestMatch[] = [];
  const nested = (name: string, specs: readonly RequestMatchSpec[]): RequestMatch[] =>
    listOf(specs).map((one, i) => parseRequestMatch(one, `${path}.${name}[${i}]`, depth + 1));
  if (isSet(all)) matches.push({ type: "all", matches: nested("all", all) });
  if (isSet(any)) matches.push({ type: "any", matches: nested("any", any) });
  if (isSet(method) && method !== "") {
    matches.push({ type: "method", method: method.toUpperCase() });
  }
  if (isSet(not)) {
    // The schema says list, the Go type says object: a list of one is taken for its item.
    const one = Array.isArray(not) ? (not as RequestMatchSpec[])[0] : not;
    matches.push({ type: "not", match: parseRequestMatch(one, `${path}.not`, depth + 1) });
  }
  if (isSet(pathRegex) && pathRegex !== "") matches.push({ type: "path", regex: pathRegex });
  return combined(matches, path);
}

function parseResponseMatch(
  spec: ResponseMatchSpec | undefined,
  path: string,
  depth: number,
): ResponseMatch {
  checkDepth(depth, path);
  const { all, any, status, not } = spec ?? {};
  const matches: ResponseMatch[] = [];
  const nested = (name: string, specs: readonly ResponseMatchSpec[]): ResponseMatch[] =>
    listOf(specs).map((one, i) => parseResponseMatch(one, `${path}.${name}[${i}]`, depth + 1));
  if (isSet(all)) matches.push({ type: "all", matches: nested("all", all) });
  if (isSet(any)) matches.push({ type: "any", matches: nested("any", any) });
  if (isSet(status)) matches.push(statusMatch(status, `${path}.status`));
  if (isSet(not)) {
    matches.push({ type: "not", match: parseResponseMatch(not, `${path}.not`, depth + 1) });
  }
  return combined(matches, path);
}

/** A bound left out takes the other's value: proxies drop ranges that lack one. */
function statusMatch(
  range: { readonly min?: number; readonly max?: number },
  path: string,
): ResponseMatch {
  const { min = 0, max = 0 } = range;
  const isBound = (code: number): boolean => code === 0 || (code >= 100 && code <= 599);
  if (!isBound(min) || !isBound(max)) throw new SyntaxError(`${path}: codes are 100 to 599`);
  if (min === 0 && max === 0) throw new SyntaxError(`${path}: neither min nor max is set`);
  if (max !== 0 && max < min) throw new SyntaxError(`${path}: max is below min`);
  return { type: "status", min: min === 0 ? max : min, max: max === 0 ? min : max };
}

/** Several fields mean all of them. */
function combined<M>(
  matches: readonly M[],
  path: string,
): M | { readonly type: "all"; readonly matches: readonly M[] } {
  if (matches.length === 0) throw new SyntaxError(`${path}: no field is set`);
  return matches.length === 1 ? matches[0]! : { type: "all", matches };
}

function weightOf(quantity: number | string): number {
  const weight = parseMilliQuantity(quantity) * 10;
  if (weight < 0 || weight > 0xffff_ffff) throw new SyntaxError(`${quantity} is out of range`);
  return weight;
}

function within<T>(path: string, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    throw new SyntaxError(`${path}: ${message}`, { cause: error });
  }
}

function checkDepth(depth: number, path: string): void {
  if (depth > MAX_DEPTH) throw new SyntaxError(`${path}: conditions nest too deeply`);
}

/** Conditions are schemaless below their first level, so a list may be anything. */
function listOf<T>(value: readonly T[] | undefined | null): readonly T[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) throw new SyntaxError("a list is expected");
  return value;
}

function isSet<T>(value: T | undefined | null): value is T {
  return value !== undefined && value !== null;
}
