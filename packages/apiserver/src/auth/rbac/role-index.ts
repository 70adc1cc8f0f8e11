import { digArray, digString, type JsonObject, own } from "@heddle/apiserver/json/value";
import type { Store } from "@heddle/apiserver/store/store";
import type { User } from "../user.ts";
import { type Rule, readRules } from "./rule.ts";

const GROUP = "rbac.authorization.k8s.io";
export const CLUSTER_ROLES: string = `${GROUP}/clusterroles`;
export const CLUSTER_ROLE_BINDINGS: string = `${GROUP}/clusterrolebindings`;
export const ROLES: string = `${GROUP}/roles`;
export const ROLE_BINDINGS: string = `${GROUP}/rolebindings`;

/** A rule that somebody has, and by which binding. */
export interface Granted {
  readonly rule: Rule;
  readonly source: string;
}

/** What all bindings of one scope give to one subject. */
interface Grant {
  readonly granted: Granted[];
  /** Of bindings to roles that are not there. */
  readonly problems: string[];
}

type Grants = Map<string, Grant>;

/** Who has which rules. Read from the store when asked, and kept until a role or binding changes. */
export class RoleIndex {
  readonly #store: Store;
  /** By namespace; those of the whole cluster stand under the empty name. */
  readonly #scopes = new Map<string, Grants>();

  constructor(store: Store) {
    this.#store = store;
    const forget = (): void => this.#scopes.clear();
    for (const resource of [CLUSTER_ROLES, CLUSTER_ROLE_BINDINGS, ROLES, ROLE_BINDINGS]) {
      // As long as the store.
      store.subscribe({ resource, namespace: "", onEvent: forget });
    }
  }

  /** What a user may do everywhere, then what in this namespace. */
  *rulesOf(user: User, namespace: string): Generator<Granted> {
    for (const grant of this.#of(user, namespace)) yield* grant.granted;
  }

  /** Why some of a user's bindings give nothing. */
  problemsOf(user: User, namespace: string): string[] {
    return [...this.#of(user, namespace)].flatMap(({ problems }) => problems);
  }

  /** Rules of the role that a binding names; undefined if there is no such role. */
  rulesOfRole(roleRef: JsonObject | undefined, namespace: string): Rule[] | undefined {
    const kind = digString(roleRef, "kind");
    const name = digString(roleRef, "name") ?? "";
    const entry =
      kind === "Role"
        ? this.#store.get({ resource: ROLES, namespace, name })
        : this.#store.get({ resource: CLUSTER_ROLES, namespace: "", name });
    return entry === undefined ? undefined : readRules(entry.object);
  }

  *#of(user: User, namespace: string): Generator<Grant> {
    for (const scope of namespace === "" ? [""] : ["", namespace]) {
      const grants = this.#grants(scope);
      if (grants.size === 0) continue;
      for (const subject of subjectsOf(user)) {
        const grant = grants.get(subject);
        if (grant !== undefined) yield grant;
      }
    }
  }

  #grants(scope: string): Grants {
    const known = this.#scopes.get(scope);
    if (known !== undefined) return known;
    const made: Grants = new Map();
    const resource = scope === "" ? CLUSTER_ROLE_BINDINGS : ROLE_BINDINGS;
    for (const { object } of this.#store.scan(resource, scope)) this.#add(made, object, scope);
    this.#scopes.set(scope, made);
    return made;
  }

  #add(grants: Grants, binding: JsonObject, scope: string): void {
    const roleRef = own(binding, "roleRef") as JsonObject | undefined;
    const rules = this.rulesOfRole(roleRef, scope);
    for (const subject of digArray(binding, "subjects") as JsonObject[]) {
      const key = subjectKey(subject, scope);
      if (key === undefined) continue;
      const grant = grants.get(key) ?? { granted: [], problems: [] };
      grants.set(key, grant);
      if (rules === undefined) {
        const kind = digString(roleRef, "kind")?.toLowerCase();
        const name = JSON.stringify(digString(roleRef, "name") ?? "");
        grant.problems.push(`${kind}.${GROUP} ${name} not found`);
        continue;
      }
      const source = `${bindingText(binding, scope)} of ${roleText(roleRef)} to ${subjectText(subject, scope)}`;
      for (const rule of rules) grant.granted.push({ rule, source });
    }
  }
}

function* subjectsOf({ name, groups }: User): Generator<string> {
  yield `User ${name}`;
  for (const group of groups) yield `Group ${group}`;
}

/** Service accounts are users by another name. */
function subjectKey(subject: JsonObject, scope: string): string | undefined {
  const name = digString(subject, "name") ?? "";
  switch (subject["kind"]) {
    case "User":
    case "Group":
      return `${subject["kind"]} ${name}`;
    case "ServiceAccount": {
      const namespace = accountNamespace(subject, scope);
      return namespace === "" ? undefined : `User system:serviceaccount:${namespace}:${name}`;
    }
    default:
      return undefined;
  }
}

function accountNamespace(subject: JsonObject, scope: string): string {
  const namespace = digString(subject, "namespace") ?? "";
  return namespace === "" ? scope : namespace;
}

function bindingText(binding: JsonObject, scope: string): string {
  const name = digString(binding, "metadata", "name") ?? "";
  if (scope === "") return `ClusterRoleBinding ${JSON.stringify(name)}`;
  return `RoleBinding ${JSON.stringify(`${name}/${scope}`)}`;
}

function roleText(roleRef: JsonObject | undefined): string {
  return `${digString(roleRef, "kind")} ${JSON.stringify(digString(roleRef, "name") ?? "")}`;
}

function subjectText(subject: JsonObject, scope: string): string {
  const kind = String(subject["kind"]);
  const name = digString(subject, "name") ?? "";
  const shown = kind === "ServiceAccount" ? `${name}/${accountNamespace(subject, scope)}` : name;
  return `${kind} ${JSON.stringify(shown)}`;
}
