import type { Json, JsonObject } from "@heddle/apiserver/json/value";

/** Who asks. */
export interface User {
  readonly name: string;
  readonly uid?: string;
  readonly groups: readonly string[];
  readonly extra?: Readonly<Record<string, readonly string[]>>;
}

export const ADMIN_GROUP = "system:masters";
/** Who runs Heddle's control plane. */
export const CONTROL_GROUP = "heddle:control-plane";
export const AUTHENTICATED_GROUP = "system:authenticated";
const ACCOUNTS_GROUP = "system:serviceaccounts";

/** Groups of all accounts of a namespace, but for the one of everybody who is known. */
export function accountGroups(namespace: string): string[] {
  return [ACCOUNTS_GROUP, `${ACCOUNTS_GROUP}:${namespace}`];
}

export const ANONYMOUS: User = { name: "system:anonymous", groups: ["system:unauthenticated"] };

export const ADMIN: User = { name: "heddle-admin", groups: [ADMIN_GROUP, AUTHENTICATED_GROUP] };

export const CONTROL: User = {
  name: "heddle-control-plane",
  groups: [CONTROL_GROUP, AUTHENTICATED_GROUP],
};

export function serviceAccountUser(
  namespace: string,
  name: string,
  uid: string,
  extra: User["extra"] = {},
): User {
  return {
    name: `system:serviceaccount:${namespace}:${name}`,
    uid,
    groups: [...accountGroups(namespace), AUTHENTICATED_GROUP],
    extra,
  };
}

/** Namespace and name of the account that a user is, if it is one. */
export function accountOf(
  user: User,
): { readonly namespace: string; readonly name: string } | undefined {
  const [system, kind, namespace, name] = user.name.split(":");
  if (system !== "system" || kind !== "serviceaccount") return undefined;
  return namespace === undefined || name === undefined ? undefined : { namespace, name };
}

/** Somebody as reviews tell of them. */
export function userInfo({ name, uid, groups, extra }: User): JsonObject {
  const info: JsonObject = { username: name };
  if (uid !== undefined) info["uid"] = uid;
  info["groups"] = [...groups];
  if (extra !== undefined && Object.keys(extra).length > 0)
    info["extra"] = extra as unknown as Json;
  return info;
}
