import {
  digArray,
  digObject,
  digString,
  equal,
  type JsonObject,
  own,
} from "@heddle/apiserver/json/value";
import type { Target } from "@heddle/apiserver/objects/target";
import { forbidden, notFound } from "@heddle/apiserver/status-error";
import { type Authorizer, isMaster } from "../authorizer.ts";
import type { User } from "../user.ts";
import {
  CLUSTER_ROLE_BINDINGS,
  CLUSTER_ROLES,
  ROLE_BINDINGS,
  ROLES,
  type RoleIndex,
} from "./role-index.ts";
import { describeRules, missingRules, quoted, type Rule, readRules } from "./rule.ts";

const EVERYTHING: readonly Rule[] = [
  { verbs: ["*"], apiGroups: ["*"], resources: ["*"], resourceNames: [], nonResourceURLs: [] },
  { verbs: ["*"], apiGroups: [], resources: [], resourceNames: [], nonResourceURLs: ["*"] },
];

/** Keeps people from giving themselves, or others, more than they have. */
export class EscalationGuard {
  readonly #authorizer: Authorizer;
  readonly #roles: RoleIndex;

  constructor(authorizer: Authorizer, roles: RoleIndex) {
    this.#authorizer = authorizer;
    this.#roles = roles;
  }

  /**
   * What must be asked before a role or binding is stored; undefined for other kinds, and for those
   * who may do everything.
   *
   * @throws StatusError 403, from what is returned.
   */
  of(
    user: User,
    target: Target,
  ): ((object: JsonObject, old: JsonObject | undefined) => void) | undefined {
    if (isMaster(user)) return undefined;
    switch (target.type.key) {
      case ROLES:
      case CLUSTER_ROLES:
        return (object, old) => this.#checkRole(user, target, object, old);
      case ROLE_BINDINGS:
      case CLUSTER_ROLE_BINDINGS:
        return (object, old) => this.#checkBinding(user, target, object, old);
      default:
        return undefined;
    }
  }

  #checkRole(user: User, target: Target, object: JsonObject, old: JsonObject | undefined): void {
    if (old !== undefined && isSameBeside(object, old, "finalizers", "ownerReferences")) return;
    const { type, namespace } = target;
    const name = nameOf(object);
    const on = { group: type.group, resource: type.plural, subresource: "", namespace, name };
    if (this.#authorizer.allowsVerb(user, "escalate", on)) return;
    this.#confirm(user, target, name, readRules(object));
    const aggregates = hasAggregation(object) || (old !== undefined && hasAggregation(old));
    if (!aggregates || this.#missing(user, namespace, EVERYTHING).length === 0) return;
    throw forbidden(type, name, "must have cluster-admin privileges to use the aggregationRule");
  }

  #checkBinding(user: User, target: Target, object: JsonObject, old: JsonObject | undefined): void {
    if (old !== undefined && isSameBeside(object, old, "finalizers", "ownerReferences")) return;
    const { namespace } = target;
    const roleRef = digObject(object, "roleRef");
    const role = digString(roleRef, "name") ?? "";
    const resource = digString(roleRef, "kind") === "Role" ? "roles" : "clusterroles";
    const { group } = target.type;
    const on = { group, resource, subresource: "", namespace, name: role };
    if (this.#authorizer.allowsVerb(user, "bind", on)) return;
    const rules = this.#roles.rulesOfRole(roleRef, namespace);
    if (rules === undefined) throw notFound(target.type, role);
    this.#confirm(user, target, nameOf(object), rules);
  }

  #confirm(user: User, target: Target, name: string, rules: readonly Rule[]): void {
    const missing = this.#missing(user, target.namespace, rules);
    if (missing.length === 0) return;
    const who = `user ${JSON.stringify(user.name)} (groups=${quoted(user.groups)})`;
    const lines = describeRules(missing).join("\n");
    const why = `${who} is attempting to grant RBAC permissions not currently held:\n${lines}`;
    throw forbidden(target.type, name, why);
  }

  #missing(user: User, namespace: string, rules: readonly Rule[]): Rule[] {
    return missingRules(this.#authorizer.rulesOf(user, namespace), rules);
  }
}

function hasAggregation(role: JsonObject): boolean {
  return digArray(role, "aggregationRule", "clusterRoleSelectors").length > 0;
}

function nameOf(object: JsonObject): string {
  return digString(object, "metadata", "name") ?? "";
}

/** Whether only these parts of the metadata differ: what the garbage collector needs to change. */
function isSameBeside(a: JsonObject, b: JsonObject, ...keys: readonly string[]): boolean {
  const rest = (object: JsonObject): JsonObject => {
    const metadata = { ...digObject(object, "metadata") };
    for (const key of [...keys, "managedFields", "resourceVersion"]) delete metadata[key];
    return { ...object, metadata };
  };
  return own(a, "kind") === own(b, "kind") && equal(rest(a), rest(b));
}
