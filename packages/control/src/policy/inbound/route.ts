import type { Route, RouteFilter, RouteRule } from "@heddle/kube/types/routes";
import { type HostMatch, parseHostMatch } from "@heddle/model/route/host";
import { type Aged, CONTROLLER_NAME, identityOf, POLICY_GROUP, refersTo } from "../refs.ts";
import { type FilterSpec, filterOf } from "../route-spec.ts";

/** A route as it stands for the Servers that it is attached to. */
export interface InboundRoute<M> extends Aged {
  readonly group: string;
  readonly kind: string;
  readonly namespace: string;
  /** Names of the Servers whose status says that the route is accepted. */
  readonly servers: ReadonlySet<string>;
  readonly hosts: readonly HostMatch[];
  readonly rules: readonly {
    readonly matches: readonly M[];
    readonly filters: readonly FilterSpec[];
  }[];
}

/** @throws SyntaxError if a part of it could not be honoured; then none of it is. */
export function inboundRouteOf<K, M>(
  group: string,
  kind: string,
  route: Route<K>,
  matchOf: (match: K) => M,
): InboundRoute<M> {
  const servers = acceptedServers(route);
  return {
    ...identityOf(route),
    group,
    kind,
    servers,
    hosts: (route.spec.hostnames ?? []).map(parseHostMatch),
    // A route for other parents only may use what inbound has not.
    rules: servers.size === 0 ? [] : (route.spec.rules ?? []).map((rule) => ruleOf(rule, matchOf)),
  };
}

function acceptedServers(route: Route<unknown>): Set<string> {
  const { namespace } = identityOf(route);
  const servers = new Set<string>();
  for (const parent of route.spec.parentRefs ?? []) {
    if (!refersTo(parent, POLICY_GROUP, "Server")) continue;
    if ((parent.namespace ?? namespace) !== namespace) {
      throw new SyntaxError(`its parent ${parent.name} is in another namespace`);
    }
    if (parent.port !== undefined || parent.sectionName !== undefined) {
      throw new SyntaxError(`its parent ${parent.name} is a Server, which has no port nor section`);
    }
    if (isAcceptedBy(route, parent.name)) servers.add(parent.name);
  }
  return servers;
}

function isAcceptedBy(route: Route<unknown>, server: string): boolean {
  return (route.status?.parents ?? []).some(
    ({ controllerName, parentRef, conditions }) =>
      controllerName === CONTROLLER_NAME &&
      parentRef.kind?.toLowerCase() === "server" &&
      parentRef.name === server &&
      (conditions ?? []).some(({ type, status }) => type === "Accepted" && status === "True"),
  );
}

function ruleOf<K, M>(
  rule: RouteRule<K>,
  matchOf: (match: K) => M,
): InboundRoute<M>["rules"][number] {
  return {
    matches: (rule.matches ?? []).map(matchOf),
    filters: (rule.filters ?? []).flatMap(inboundFilterOf),
  };
}

/** Changes to responses are understood, but inbound proxies have no such filter. */
function inboundFilterOf(filter: RouteFilter): FilterSpec[] {
  const spec = filterOf(filter);
  return spec.kind === "response-headers" ? [] : [spec];
}
