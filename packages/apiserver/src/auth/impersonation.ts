import type { IncomingHttpHeaders } from "node:http";
import { badRequest, forbidden } from "@heddle/apiserver/status-error";
import type { ResourceAccess } from "./access.ts";
import type { Authorizer } from "./authorizer.ts";
import { ANONYMOUS, AUTHENTICATED_GROUP, accountGroups, accountOf, type User } from "./user.ts";

const EXTRA = "impersonate-extra-";

/**
 * As whom somebody wants to act, by their headers, if they may.
 *
 * @throws StatusError 400 on headers that do not go together, 403 on what is not allowed.
 */
export function impersonate(
  user: User,
  headers: IncomingHttpHeaders,
  authorizer: Authorizer,
): User {
  if (!isMeant(headers)) return user;
  const name = one(headers["impersonate-user"]) ?? "";
  const groups = list(headers["impersonate-group"]);
  const uid = one(headers["impersonate-uid"]);
  const extra = Object.entries(headers).filter(([header]) => header.startsWith(EXTRA));
  if (name === "") {
    throw badRequest("impersonation needs the name of a user, in the header Impersonate-User");
  }
  const check = (access: Partial<ResourceAccess> & { readonly resource: string }): void => {
    const all = { ...NOWHERE, ...access };
    if (authorizer.allows(user, all)) return;
    const of = { group: all.group, plural: all.resource };
    throw forbidden(of, all.name, authorizer.refusal(user, all));
  };
  const account = accountOf({ name, groups: [] });
  if (account === undefined) check({ resource: "users", name });
  else check({ resource: "serviceaccounts", ...account });
  for (const group of groups) check({ resource: "groups", name: group });
  if (uid !== undefined) check({ group: "authentication.k8s.io", resource: "uids", name: uid });
  const told: Record<string, string[]> = {};
  for (const [header, value] of extra) {
    const key = decodeKey(header.slice(EXTRA.length));
    for (const text of list(value)) {
      const resource = "userextras";
      check({ group: "authentication.k8s.io", resource, subresource: key, name: text });
    }
    told[key] = list(value);
  }
  return {
    name,
    groups: groupsOf(name, groups, account?.namespace),
    ...(uid === undefined ? {} : { uid }),
    ...(extra.length === 0 ? {} : { extra: told }),
  };
}

/** Hot: asked of every request. */
function isMeant(headers: IncomingHttpHeaders): boolean {
  for (const header in headers) if (header.startsWith("impersonate-")) return true;
  return false;
}

const NOWHERE: ResourceAccess = {
  kind: "resource",
  verb: "impersonate",
  group: "",
  resource: "",
  subresource: "",
  namespace: "",
  name: "",
};

function groupsOf(
  name: string,
  groups: readonly string[],
  namespace: string | undefined,
): string[] {
  const own = groups.length === 0 && namespace !== undefined ? accountGroups(namespace) : groups;
  if (name === ANONYMOUS.name) return [...new Set([...own, ...ANONYMOUS.groups])];
  return [...new Set([...own, AUTHENTICATED_GROUP])];
}

function one(header: string | string[] | undefined): string | undefined {
  return Array.isArray(header) ? header[0] : header;
}

/** Node joins repeated headers by a comma and a space; groups have none in their names. */
function list(header: string | string[] | undefined): string[] {
  if (header === undefined) return [];
  return Array.isArray(header) ? header : header.split(", ");
}

function decodeKey(text: string): string {
  try {
    return decodeURIComponent(text).toLowerCase();
  } catch (error) {
    throw badRequest("a header Impersonate-Extra-… has escapes that cannot be decoded", error);
  }
}
