import { patternSteps } from "@heddle/model/pattern";
import type { HttpMatch } from "@heddle/model/route/http-routes";
import type { ProfileRoute, ResponseMatch } from "../../destination/profile-rules.ts";
import type { Retry, StatusRange, Timeouts } from "../annotations.ts";
import { PatternBudget } from "../pattern-budget.ts";
import type { OutboundHttpRoute, OutboundRule } from "./policy.ts";
import { type Alternative, alternativesOf, meet } from "./profile-match.ts";

type HttpRule = OutboundRule<HttpMatch, StatusRange>;

/** Whose profile it is, and what becomes of routes that cannot be merged. */
export interface MergeOptions {
  /** Of the profile. */
  readonly namespace: string;
  /** Told of a route of the profile that is void, and why. */
  readonly onVoid: (route: string, problem: string) => void;
}

/**
 * What it may cost to hold a profile against routes, in matches looked at; one with a large pattern
 * costs as many as it has eights of steps. More would keep the control plane busy.
 */
const MAX_COST = 20_000;
const STEPS_PER_MATCH = 8;
/** Proxies try so often again where nobody says how often: a profile only says that they may. */
const DEFAULT_LIMIT = 3;
const SERVER_ERRORS: readonly StatusRange[] = [{ start: 500, end: 599 }];

interface Met {
  readonly route: OutboundHttpRoute;
  /** How much of a path the route's own match takes; more goes first. */
  readonly reach: number;
  readonly weight: number;
}

/**
 * Refines routes by those of a ServiceProfile. Where requests go stays as the routes say; for the
 * requests that a profile's route means too its timeout and retries hold, and its name.
 */
export function mergeRoutes(
  routes: readonly OutboundHttpRoute[],
  profile: readonly ProfileRoute[],
  options: MergeOptions,
): OutboundHttpRoute[] {
  const patterns = new PatternBudget();
  const matches = routes.reduce((count, { rules }) => count + matchCount(rules), 0);
  const refined: Met[] = [];
  let cost = 0;
  for (const route of profile) {
    try {
      const alternatives = alternativesOf(route.condition, patterns);
      cost += matches * alternatives.reduce((sum, one) => sum + costOf(one), 0);
      if (cost > MAX_COST) {
        throw new SyntaxError(`the Service's routes have too many matches for it: ${matches}`);
      }
      refined.push(...refine(routes, route, alternatives, options.namespace));
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
      options.onVoid(route.name, error.message);
    }
  }
  refined.sort((a, b) => b.reach - a.reach);
  return [...refined.map(({ route }) => route), ...routes];
}

function costOf({ path }: Alternative): number {
  return path?.kind === "regex" ? 1 + Math.ceil(patternSteps(path.pattern) / STEPS_PER_MATCH) : 1;
}

function matchCount(rules: readonly HttpRule[]): number {
  return rules.reduce((count, { matches }) => count + Math.max(1, matches.length), 0);
}

function refine(
  routes: readonly OutboundHttpRoute[],
  route: ProfileRoute,
  alternatives: readonly Alternative[],
  namespace: string,
): Met[] {
  const found: Met[] = [];
  for (const { hosts, rules } of routes) {
    for (const rule of rules) {
      const settings = settingsOf(rule, route);
      for (const match of rule.matches.length === 0 ? [{}] : rule.matches) {
        const matches = alternatives.flatMap((one) => meet(match, one) ?? []);
        if (matches.length === 0) continue;
        const meta = {
          kind: "resource",
          group: "linkerd.io",
          resource: "ServiceProfile",
          namespace,
          name: route.name,
        } as const;
        found.push({
          route: { meta, hosts, rules: [{ ...rule, ...settings, matches }] },
          reach: reachOf(match),
          weight: weightOf(match),
        });
      }
    }
  }
  checkOrder(found);
  return found;
}

/**
 * With one path in common the route whose own path reaches further must still win.
 *
 * @throws SyntaxError if one that reaches less far asks for more besides the path.
 */
function checkOrder(found: readonly Met[]): void {
  const byReach = found.toSorted((a, b) => b.reach - a.reach);
  let least = Number.POSITIVE_INFINITY;
  for (let at = 0, from = 0; at < byReach.length; at++) {
    const { reach, weight } = byReach[at]!;
    if (byReach[from]!.reach !== reach) {
      for (; from < at; from++) least = Math.min(least, byReach[from]!.weight);
    }
    if (weight > least) {
      throw new SyntaxError("rules with longer paths and rules with more headers apply to it");
    }
  }
}

/** Exact paths and patterns take all of it. */
function reachOf({ path }: HttpMatch): number {
  if (path === undefined) return 1;
  return path.kind === "prefix" ? path.prefix.length : Number.MAX_SAFE_INTEGER;
}

/** Headers, then parameters, then a method, as proxies weigh them. */
function weightOf({ headers = [], queryParams = [], method }: HttpMatch): number {
  return headers.length * 1_000 + queryParams.length * 10 + (method === undefined ? 0 : 1);
}

/** What a profile's route says goes before what the rule says, field by field. */
function settingsOf(
  { timeouts, retry }: HttpRule,
  route: ProfileRoute,
): { readonly timeouts: Timeouts | undefined; readonly retry: Retry<StatusRange> | undefined } {
  return { timeouts: timeoutsOf(timeouts, route), retry: retryOf(retry, route) };
}

function timeoutsOf(timeouts: Timeouts | undefined, { timeoutMs }: ProfileRoute) {
  if (timeoutMs === undefined) return timeouts;
  return { responseMs: undefined, idleMs: undefined, ...timeouts, requestMs: timeoutMs };
}

function retryOf(
  retry: Retry<StatusRange> | undefined,
  { isRetryable, responseClasses }: ProfileRoute,
): Retry<StatusRange> | undefined {
  if (!isRetryable) return retry;
  const failures = responseClasses
    .filter(({ isFailure }) => isFailure)
    .flatMap(({ condition }) => rangesOf(condition));
  return {
    limit: retry?.limit ?? DEFAULT_LIMIT,
    timeoutMs: retry?.timeoutMs,
    conditions: failures.length > 0 ? failures : (retry?.conditions ?? SERVER_ERRORS),
  };
}

/** @throws SyntaxError for what is no list of codes. */
function rangesOf(condition: ResponseMatch): readonly StatusRange[] {
  switch (condition.type) {
    case "status":
      return [{ start: condition.min, end: condition.max }];
    case "any":
      return condition.matches.flatMap(rangesOf);
    default:
      throw new SyntaxError(`retries cannot say \`${condition.type}\` of a response`);
  }
}
