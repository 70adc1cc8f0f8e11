import type { HttpLocalRateLimitPolicy } from "@heddle/kube/types/linkerd";
import type { Condition } from "@heddle/kube/types/meta";
import { byAge, identityOf, POLICY_GROUP, refersTo } from "../refs.ts";
import { Entries } from "../store.ts";
import { accepted, notAccepted, sameConditions, withTimes } from "./conditions.ts";
import { factOf, type StatusChange } from "./keys.ts";
import type { ServerMatches } from "./server-matches.ts";

/** What the statuses of rate limits should be. */
export class LimitStatuses {
  readonly #servers: ServerMatches;
  readonly #touched: (fact: string) => void;
  readonly #limits = new Entries<HttpLocalRateLimitPolicy>();
  /** Those that a Server has, by namespace and name of that. */
  readonly #byServer = new Entries<Set<HttpLocalRateLimitPolicy>>();

  constructor(servers: ServerMatches, touched: (fact: string) => void) {
    this.#servers = servers;
    this.#touched = touched;
  }

  /** @returns the facts that its status rests on. */
  set(policy: HttpLocalRateLimitPolicy): string[] {
    const { namespace, name } = identityOf(policy);
    // Before anything changes: it throws for an object that no schema should have let through.
    const server = serverOf(policy);
    this.delete(namespace, name);
    this.#limits.set(namespace, name, policy);
    if (server === undefined) return [];
    const limits = this.#byServer.get(namespace, server);
    if (limits === undefined) this.#byServer.set(namespace, server, new Set([policy]));
    else limits.add(policy);
    this.#touched(factOf.limits(namespace, server));
    return [factOf.server(namespace, server), factOf.limits(namespace, server)];
  }

  delete(namespace: string, name: string): void {
    const before = this.#limits.delete(namespace, name);
    const server = before === undefined ? undefined : serverOf(before);
    if (before === undefined || server === undefined) return;
    const limits = this.#byServer.get(namespace, server);
    limits?.delete(before);
    if (limits?.size === 0) this.#byServer.delete(namespace, server);
    this.#touched(factOf.limits(namespace, server));
  }

  all(): IterableIterator<HttpLocalRateLimitPolicy> {
    return this.#limits.all();
  }

  change(namespace: string, name: string, now: string): StatusChange | undefined {
    const policy = this.#limits.get(namespace, name);
    const server = policy === undefined ? undefined : serverOf(policy);
    if (policy === undefined || server === undefined) return undefined;
    const before = policy.status?.conditions ?? [];
    const wanted = [this.#condition(policy, namespace, server)];
    if (sameConditions(before, wanted)) return undefined;
    return {
      resourceVersion: policy.metadata.resourceVersion,
      status: {
        conditions: withTimes(wanted, before, now),
        targetRef: { group: POLICY_GROUP, kind: "Server", name: server },
      },
      isMinor: false,
    };
  }

  /** Of several limits on a Server the oldest holds. */
  #condition(policy: HttpLocalRateLimitPolicy, namespace: string, server: string): Condition {
    if (!this.#servers.has(namespace, server)) return notAccepted("NoMatchingTarget", "");
    const own = identityOf(policy);
    for (const other of this.#byServer.get(namespace, server) ?? []) {
      if (other !== policy && byAge(identityOf(other), own) < 0) {
        return notAccepted("RateLimitReasonAlreadyExists", "");
      }
    }
    return accepted();
  }
}

/** Undefined for a target of another kind, which gets no status. */
function serverOf({ spec }: HttpLocalRateLimitPolicy): string | undefined {
  return refersTo(spec.targetRef, POLICY_GROUP, "Server") ? spec.targetRef.name : undefined;
}
