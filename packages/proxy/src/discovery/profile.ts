import type {
  DestinationProfile,
  RequestMatch,
  ResponseMatch,
  RetryBudget,
  Route,
} from "@heddle/api/gen/destination_pb";
import { parseDnsName } from "@heddle/model/dns-name";
import { compilePattern } from "@heddle/model/pattern";
import type { ProfileClass } from "../http/classify.ts";
import type { RetryBudgetConfig } from "../http/retry-budget.ts";
import { durationMs, type EndpointInfo, parseWeightedAddr } from "./endpoint.ts";
import { parseDstPath } from "./wire-outbound.ts";
import { parseMethod } from "./wire-routes.ts";

/** What a ServiceProfile says of a target. */
export interface Profile {
  /** The name that the target stands for; undefined: none. */
  readonly name: string | undefined;
  readonly isOpaque: boolean;
  readonly routes: readonly ProfileRoute[];
  readonly budget: RetryBudgetConfig | undefined;
  /** Where requests go instead, by weight; never with a weight of zero. */
  readonly targets: readonly ProfileTarget[];
  readonly endpoint: EndpointInfo | undefined;
}

export interface ProfileRoute {
  readonly matches: (method: string, path: string) => boolean;
  readonly labels: Readonly<Record<string, string>>;
  readonly classes: readonly ProfileClass[];
  /** Only with a budget. */
  readonly isRetryable: boolean;
  /** Until the head of the answer, all attempts together; undefined: unbounded. */
  readonly timeoutMs: number | undefined;
}

export interface ProfileTarget {
  /** `name:port`. */
  readonly path: string;
  readonly weight: number;
}

/** Whatever of a profile does not parse is left out; nothing makes the whole invalid. */
export function parseProfile(from: DestinationProfile): Profile {
  const budget = parseBudget(from.retryBudget);
  const routes: ProfileRoute[] = [];
  for (const route of from.routes) {
    const parsed = parseRoute(route, budget !== undefined);
    if (parsed !== undefined) routes.push(parsed);
  }
  const targets: ProfileTarget[] = [];
  for (const { authority, weight } of from.dstOverrides) {
    const path = tolerant(() => parseDstPath(authority));
    if (path !== undefined && weight > 0) targets.push({ path, weight });
  }
  return {
    name: parseDnsName(from.fullyQualifiedName),
    isOpaque: from.opaqueProtocol,
    routes,
    budget,
    targets,
    endpoint: from.endpoint === undefined ? undefined : parseWeightedAddr(from.endpoint),
  };
}

function parseBudget(from: RetryBudget | undefined): RetryBudgetConfig | undefined {
  const ttlMs = from?.ttl === undefined ? undefined : durationMs(from.ttl);
  if (from === undefined || ttlMs === undefined || ttlMs < 1_000 || ttlMs > 60_000) {
    return undefined;
  }
  const { retryRatio: ratio, minRetriesPerSecond: minPerSecond } = from;
  if (!(ratio >= 0 && ratio <= 1_000) || minPerSecond > 0x7fffffff) return undefined;
  return { ttlMs, ratio, minPerSecond };
}

function parseRoute(from: Route, hasBudget: boolean): ProfileRoute | undefined {
  const matches = from.condition === undefined ? undefined : parseRequestMatch(from.condition);
  if (matches === undefined) return undefined;
  const classes: ProfileClass[] = [];
  for (const { condition, isFailure } of from.responseClasses) {
    const match = condition === undefined ? undefined : parseResponseMatch(condition);
    if (match !== undefined) classes.push({ matches: match, isFailure });
  }
  const labels: Record<string, string> = {};
  for (const name of Object.keys(from.metricsLabels).sort()) {
    labels[name] = from.metricsLabels[name]!;
  }
  return {
    matches,
    labels,
    classes,
    isRetryable: from.isRetryable && hasBudget,
    timeoutMs: from.timeout === undefined ? undefined : durationMs(from.timeout),
  };
}

type RequestPredicate = (method: string, path: string) => boolean;

/** Undefined if it does not parse. Members of sequences that do not are skipped. */
function parseRequestMatch(from: RequestMatch): RequestPredicate | undefined {
  const { match } = from;
  switch (match.case) {
    case "all": {
      const members = parsed(match.value.matches, parseRequestMatch);
      return (method, path) => members.every((member) => member(method, path));
    }
    case "any": {
      const members = parsed(match.value.matches, parseRequestMatch);
      return (method, path) => members.some((member) => member(method, path));
    }
    case "not": {
      const inner = parseRequestMatch(match.value);
      return inner && ((method, path) => !inner(method, path));
    }
    case "path":
      return parsePathMatch(match.value.regex);
    case "method": {
      const wanted = tolerant(() => parseMethod(match.value));
      return wanted === undefined ? undefined : (method) => method === wanted;
    }
    default:
      return undefined;
  }
}

/** The pattern is anchored, and matched against the path without its query. */
function parsePathMatch(regex: string): RequestPredicate | undefined {
  const bare = regex.trim().replace(/^\^/, "").replace(/\$$/, "");
  const pattern = tolerant(() => compilePattern(bare));
  if (pattern === undefined) return undefined;
  return (_method, path) => {
    const query = path.indexOf("?");
    return pattern.matches(query < 0 ? path : path.slice(0, query));
  };
}

type StatusPredicate = (status: number) => boolean;

function parseResponseMatch(from: ResponseMatch): StatusPredicate | undefined {
  const { match } = from;
  switch (match.case) {
    case "all": {
      const members = parsed(match.value.matches, parseResponseMatch);
      if (members.length === 0) return undefined;
      return (status) => members.every((member) => member(status));
    }
    case "any": {
      const members = parsed(match.value.matches, parseResponseMatch);
      if (members.length === 0) return undefined;
      return (status) => members.some((member) => member(status));
    }
    case "not": {
      const inner = parseResponseMatch(match.value);
      return inner && ((status) => !inner(status));
    }
    case "status": {
      const { min, max } = match.value;
      // Both must be status codes; an unset one voids the class, whatever the API's comment says.
      if (min < 100 || max < 100 || min > 999 || max > 999) return undefined;
      return (status) => status >= min && status <= max;
    }
    default:
      return undefined;
  }
}

function parsed<W, T>(members: readonly W[], parse: (member: W) => T | undefined): T[] {
  const found: T[] = [];
  for (const member of members) {
    const value = parse(member);
    if (value !== undefined) found.push(value);
  }
  return found;
}

function tolerant<T>(parse: () => T): T | undefined {
  try {
    return parse();
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
