import type { BackendRef, ParentRef, Route, RouteRule } from "@heddle/kube/types/routes";
import { parseGoDuration } from "@heddle/model/go-duration";
import { type HostMatch, parseHostMatch } from "@heddle/model/route/host";
import {
  type Annotations,
  type GrpcCondition,
  parseGrpcRetry,
  parseHttpRetry,
  parseTimeouts,
  type Retry,
  type StatusRange,
  type Timeouts,
} from "../annotations.ts";
import { type Aged, identityOf, POLICY_GROUP, refersTo } from "../refs.ts";
import { type FilterSpec, filterOf } from "../route-spec.ts";
import type { ParentKind } from "./policy.ts";

/** A parent that has accepted the route. Without port, all of a Service's. */
export interface AttachedParent {
  readonly kind: ParentKind;
  readonly namespace: string;
  readonly name: string;
  readonly port: number | undefined;
}

export interface AttachedRule<M, C> {
  readonly matches: readonly M[];
  readonly filters: readonly FilterSpec[];
  readonly backendRefs: readonly BackendRef[];
  /** Undefined: the parent's. */
  readonly timeouts: Timeouts | undefined;
  readonly retry: Retry<C> | undefined;
}

/** A route as its parents' clients may come to use it. */
export interface AttachedRoute<M, C> extends Aged {
  readonly group: string;
  readonly kind: string;
  readonly namespace: string;
  readonly parents: readonly AttachedParent[];
  readonly hosts: readonly HostMatch[];
  readonly rules: readonly AttachedRule<M, C>[];
}

interface Reading<K, M, C> {
  readonly group: string;
  readonly kind: string;
  readonly matchOf: (match: K) => M;
  readonly retryOf: (annotations: Annotations) => Retry<C> | undefined;
}

/**
 * Reads a route of any kind.
 *
 * @throws SyntaxError if a part of it could not be honoured; then the route stays as it was.
 */
export function attachedRouteOf<K, M, C>(
  route: Route<K>,
  reading: Reading<K, M, C>,
): AttachedRoute<M, C> {
  const parents = acceptedParents(route);
  const annotations = route.metadata.annotations ?? {};
  const { group, kind } = reading;
  const common = { ...identityOf(route), group, kind, parents };
  // A route for other parents only may use what outbound has not.
  if (parents.length === 0) return { ...common, hosts: [], rules: [] };
  const timeouts = parseTimeouts(annotations);
  const retry = reading.retryOf(annotations);
  return {
    ...common,
    hosts: (route.spec.hostnames ?? []).map(parseHostMatch),
    rules: (route.spec.rules ?? []).map((rule) => ({
      matches: (rule.matches ?? []).map(reading.matchOf),
      filters: (rule.filters ?? []).map(filterOf),
      backendRefs: rule.backendRefs ?? [],
      timeouts: withRuleTimeout(timeouts, rule),
      retry,
    })),
  };
}

/** Streams have no requests to match: their one rule says where they go. */
export function attachedStreamOf(
  route: Route<unknown>,
  group: string,
  kind: string,
): AttachedRoute<never, never> {
  const count = (route.spec.rules ?? []).length;
  if (count !== 1) throw new SyntaxError(`it has ${count} rules, not one`);
  const read = attachedRouteOf<unknown, unknown, never>(route, {
    group,
    kind,
    matchOf: (match) => match,
    retryOf: () => undefined,
  });
  return { ...read, rules: read.rules.map((rule) => ({ ...rule, matches: [], filters: [] })) };
}

export const httpRetryOf: (annotations: Annotations) => Retry<StatusRange> | undefined =
  parseHttpRetry;
export const grpcRetryOf: (annotations: Annotations) => Retry<GrpcCondition> | undefined =
  parseGrpcRetry;

/** The route's annotation wins over the rule's own field; zero is no timeout. */
function withRuleTimeout<K>(
  annotated: Timeouts | undefined,
  rule: RouteRule<K>,
): Timeouts | undefined {
  const text = rule.timeouts?.request;
  if (annotated?.requestMs !== undefined || text === undefined) return annotated;
  const requestMs = parseGoDuration(text);
  if (requestMs < 0) throw new SyntaxError(`the timeout ${text} is negative`);
  if (requestMs === 0) return annotated;
  return { responseMs: undefined, idleMs: undefined, ...annotated, requestMs };
}

/** Which kind of parent a reference names; undefined for those that are not outbound's. */
export function parentKindOf(parent: ParentRef): ParentKind | undefined {
  if (parent.kind === undefined) return undefined;
  if (refersTo(parent, "core", "Service")) return "Service";
  return refersTo(parent, POLICY_GROUP, "EgressNetwork") ? "EgressNetwork" : undefined;
}

function acceptedParents(route: Route<unknown>): AttachedParent[] {
  const { namespace: own } = identityOf(route);
  const parents: AttachedParent[] = [];
  for (const parent of route.spec.parentRefs ?? []) {
    const kind = parentKindOf(parent);
    if (kind === undefined || !isAccepted(route, kind, parent)) continue;
    const { name, port, namespace = own } = parent;
    // An EgressNetwork has no ports of its own that a route could stand for.
    if (kind === "EgressNetwork" && port === undefined) continue;
    parents.push({ kind, namespace, name, port });
  }
  return parents;
}

function isAccepted(route: Route<unknown>, kind: ParentKind, parent: ParentRef): boolean {
  return (route.status?.parents ?? []).some(({ parentRef, conditions }) => {
    const isSame =
      parentKindOf(parentRef) === kind &&
      parentRef.name === parent.name &&
      (parent.port === undefined || parentRef.port === undefined || parentRef.port === parent.port);
    return (
      isSame &&
      (conditions ?? []).some(({ type, status }) => type === "Accepted" && status === "True")
    );
  });
}
