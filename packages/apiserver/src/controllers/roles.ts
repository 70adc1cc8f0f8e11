import {
  CONTROL_NAMESPACE,
  CONTROL_NAMESPACE_RULES,
  CONTROL_ROLE,
  DEFAULT_ROLES,
  type DefaultRole,
} from "@heddle/apiserver/auth/rbac/default-roles";
import {
  CLUSTER_ROLE_BINDINGS,
  CLUSTER_ROLES,
  ROLE_BINDINGS,
  ROLES,
} from "@heddle/apiserver/auth/rbac/role-index";
import { missingRules, readRules } from "@heddle/apiserver/auth/rbac/rule";
import { CONTROL_GROUP } from "@heddle/apiserver/auth/user";
import {
  clone,
  digArray,
  digObject,
  digString,
  equal,
  type Json,
  type JsonObject,
  own,
} from "@heddle/apiserver/json/value";
import type { Registry } from "@heddle/apiserver/kinds/registry";
import { matchesLabels, selectorOf } from "@heddle/apiserver/objects/label-selector";
import type { ObjectWriter } from "@heddle/apiserver/objects/writer";
import { StatusError } from "@heddle/apiserver/status-error";
import type { Store } from "@heddle/apiserver/store/store";
import { targetOf } from "./bootstrap.ts";

export interface RoleParts {
  readonly store: Store;
  readonly registry: Registry;
  readonly writer: ObjectWriter;
}

const GROUP = "rbac.authorization.k8s.io";
const AGGREGATE = `${GROUP}/aggregate-to-`;
const AUTO_UPDATE = "rbac.authorization.kubernetes.io/autoupdate";
const DEFAULTS_LABEL = { "kubernetes.io/bootstrapping": "rbac-defaults" };

/** Makes the roles and bindings that every server has, and gives back what was taken from them. */
export async function createDefaultRoles(parts: RoleParts): Promise<void> {
  await Promise.all(
    DEFAULT_ROLES.flatMap((role) => {
      const wanted = { name: role.name, rules: role.rules, extra: extraOf(role) };
      const binding = { name: role.name, kind: "ClusterRole", groups: role.groups ?? [] };
      return [
        settleRole(parts, CLUSTER_ROLES, "", wanted),
        ...(binding.groups.length === 0
          ? []
          : [settleBinding(parts, CLUSTER_ROLE_BINDINGS, "", binding)]),
      ];
    }),
  );
}

/** What the control plane may do in its own namespace; nothing in any other one. */
export async function reconcileNamespaceRoles(parts: RoleParts, namespace: string): Promise<void> {
  if (namespace !== CONTROL_NAMESPACE) return;
  const place = { resource: "/namespaces", namespace: "", name: namespace };
  const found = parts.store.get(place);
  if (found === undefined) return;
  if (digString(found.object, "metadata", "deletionTimestamp") !== undefined) return;
  const role = { name: CONTROL_ROLE, rules: CONTROL_NAMESPACE_RULES, extra: {} };
  const binding = { name: CONTROL_ROLE, kind: "Role", groups: [CONTROL_GROUP] };
  await settleRole(parts, ROLES, namespace, role);
  await settleBinding(parts, ROLE_BINDINGS, namespace, binding);
}

/** Gathers the rules of those roles that a role's aggregation selects. */
export async function reconcileAggregation(
  { store, registry, writer }: RoleParts,
  name: string,
): Promise<void> {
  const found = store.get({ resource: CLUSTER_ROLES, namespace: "", name });
  if (found === undefined || digObject(found.object, "aggregationRule") === undefined) return;
  const rules: Json[] = [];
  const selectors = digArray(found.object, "aggregationRule", "clusterRoleSelectors");
  const seen = new Set<string>([name]);
  for (const selector of selectors) {
    const wanted = selectorOf(selector);
    for (const role of store.scan(CLUSTER_ROLES, "")) {
      const labels = digObject(role.object, "metadata", "labels") ?? {};
      if (seen.has(role.name) || !matchesLabels(wanted, labels)) continue;
      seen.add(role.name);
      for (const rule of digArray(role.object, "rules")) {
        if (!rules.some((known) => equal(known, rule))) rules.push(rule);
      }
    }
  }
  if (equal(digArray(found.object, "rules"), rules)) return;
  await unlessGone(
    writer.update(targetOf(registry, CLUSTER_ROLES, ""), name, "object", (current) => ({
      ...current,
      rules: clone(rules),
    })),
  );
}

/** Names of the roles whose rules may depend on others'. */
export function aggregatedRoles(store: Store): string[] {
  return [...store.all(CLUSTER_ROLES)]
    .filter(({ object }) => own(object, "aggregationRule") !== undefined)
    .map(({ name }) => name);
}

interface WantedRole {
  readonly name: string;
  readonly rules: readonly JsonObject[];
  readonly extra: JsonObject;
}

function extraOf({ gathers, gatheredBy = [] }: DefaultRole): JsonObject {
  const labels = Object.fromEntries(gatheredBy.map((role) => [`${AGGREGATE}${role}`, "true"]));
  const rule = { clusterRoleSelectors: [{ matchLabels: { [`${AGGREGATE}${gathers}`]: "true" } }] };
  return { labels, ...(gathers === undefined ? {} : { aggregationRule: rule }) };
}

async function settleRole(
  { store, registry, writer }: RoleParts,
  resource: string,
  namespace: string,
  { name, rules, extra }: WantedRole,
): Promise<void> {
  const target = targetOf(registry, resource, namespace);
  const found = store.get({ resource, namespace, name });
  if (found === undefined) {
    const { labels, ...rest } = extra as { labels?: JsonObject };
    const metadata = metadataOf(name, labels ?? {});
    await unlessGone(writer.create(target, { metadata, rules: clone([...rules]), ...rest }));
    return;
  }
  if (!mayUpdate(found.object)) return;
  const missing = missingRules(readRules(found.object), readRules({ rules: [...rules] }));
  if (missing.length === 0) return;
  await unlessGone(
    writer.update(target, name, "object", (current) => ({
      ...current,
      rules: [...digArray(current, "rules"), ...clone([...rules])],
    })),
  );
}

interface WantedBinding {
  readonly name: string;
  /** Of the role, which has the same name. */
  readonly kind: string;
  readonly groups: readonly string[];
}

async function settleBinding(
  { store, registry, writer }: RoleParts,
  resource: string,
  namespace: string,
  { name, kind, groups }: WantedBinding,
): Promise<void> {
  const target = targetOf(registry, resource, namespace);
  const found = store.get({ resource, namespace, name });
  const subjects = groups.map((group) => ({ apiGroup: GROUP, kind: "Group", name: group }));
  if (found === undefined) {
    const roleRef = { apiGroup: GROUP, kind, name };
    await unlessGone(writer.create(target, { metadata: metadataOf(name), roleRef, subjects }));
    return;
  }
  if (!mayUpdate(found.object)) return;
  const present = digArray(found.object, "subjects");
  const missing = subjects.filter((subject) => !present.some((one) => equal(one, subject)));
  if (missing.length === 0) return;
  await unlessGone(
    writer.update(target, name, "object", (current) => ({
      ...current,
      subjects: [...digArray(current, "subjects"), ...missing],
    })),
  );
}

function metadataOf(name: string, labels: JsonObject = {}): JsonObject {
  return {
    name,
    annotations: { [AUTO_UPDATE]: "true" },
    labels: { ...DEFAULTS_LABEL, ...labels },
  };
}

/** Administrators who want a default role to stay as they made it say so on it. */
function mayUpdate(object: JsonObject): boolean {
  return digString(object, "metadata", "annotations", AUTO_UPDATE) === "true";
}

/** Somebody else may have made or deleted it in the meantime, or its namespace may be ending. */
async function unlessGone(written: Promise<unknown>): Promise<void> {
  try {
    await written;
  } catch (error) {
    if (!(error instanceof StatusError) || ![403, 404, 409].includes(error.code)) throw error;
  }
}
