import { type Access, describeAccess, type ResourceAccess } from "./access.ts";
import type { RoleIndex } from "./rbac/role-index.ts";
import { type Rule, ruleAllows } from "./rbac/rule.ts";
import { ADMIN_GROUP, type User } from "./user.ts";

/** What anybody may ask for, without being known; whether they are answered, roles say. */
export const PUBLIC_PATHS: readonly string[] = ["/healthz", "/livez", "/readyz", "/version"];

export interface Decision {
  readonly isAllowed: boolean;
  /** By which binding, or which bindings lead nowhere; empty if there is nothing to say. */
  readonly reason: string;
}

/**
 * Whether a user may do something. The one place that decides: members of `system:masters` may do
 * everything, everybody else what their roles say.
 */
export class Authorizer {
  readonly #roles: RoleIndex;

  constructor(roles: RoleIndex) {
    this.#roles = roles;
  }

  allows(user: User, access: Access): boolean {
    return this.decide(user, access).isAllowed;
  }

  decide(user: User, access: Access): Decision {
    if (isMaster(user)) return { isAllowed: true, reason: "" };
    const namespace = access.kind === "resource" ? access.namespace : "";
    for (const { rule, source } of this.#roles.rulesOf(user, namespace)) {
      if (ruleAllows(rule, access))
        return { isAllowed: true, reason: `RBAC: allowed by ${source}` };
    }
    const problem = this.problemOf(user, namespace);
    return { isAllowed: false, reason: problem === "" ? "" : `rbac: RBAC: ${problem}` };
  }

  /** Why some of a user's bindings give nothing; empty if they all give something. */
  problemOf(user: User, namespace: string): string {
    const problems = this.#roles.problemsOf(user, namespace);
    return problems.length > 1 ? `[${problems.join(", ")}]` : (problems[0] ?? "");
  }

  /** Everything that roles let a user do in a namespace. */
  rulesOf(user: User, namespace: string): Rule[] {
    return [...this.#roles.rulesOf(user, namespace)].map(({ rule }) => rule);
  }

  /** Why a request was refused, as its author is told. */
  refusal(user: User, access: Access): string {
    const { reason } = this.decide(user, access);
    const why = reason === "" ? "" : `: ${reason}`;
    return `User "${user.name}" cannot ${describeAccess(access)}${why}`;
  }

  /** Whether the user may use this verb, which is no request of its own, on a resource. */
  allowsVerb(user: User, verb: string, on: Omit<ResourceAccess, "kind" | "verb">): boolean {
    return this.allows(user, { ...on, kind: "resource", verb });
  }
}

export function isMaster(user: User): boolean {
  return user.groups.includes(ADMIN_GROUP);
}
