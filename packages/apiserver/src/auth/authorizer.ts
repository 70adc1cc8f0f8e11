import { ADMIN_GROUP, AUTHENTICATED_GROUP, accountOf, CONTROL_GROUP, type User } from "./user.ts";

/** What somebody wants to do to a resource. */
export interface ResourceAccess {
  readonly kind: "resource";
  /** `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`. */
  readonly verb: string;
  readonly group: string;
  readonly resource: string;
  readonly subresource: string;
  /** Empty: all namespaces, or none. */
  readonly namespace: string;
  /** Empty: all names. */
  readonly name: string;
}

/** What somebody wants to read beside resources: `/version`, discovery, `/openapi/v3`. */
export interface PathAccess {
  readonly kind: "path";
  readonly verb: string;
  readonly path: string;
}

export type Access = ResourceAccess | PathAccess;

/** What anybody may read, without being known. */
export const PUBLIC_PATHS: readonly string[] = ["/healthz", "/livez", "/readyz", "/version"];

/** What everybody who is known may ask about themselves. */
const SELF_REVIEWS: readonly string[] = [
  "selfsubjectreviews",
  "selfsubjectaccessreviews",
  "selfsubjectrulesreviews",
];

/**
 * Whether a user may do that. The one place that decides: administrators may do everything, the
 * control plane what its parts need, workloads next to nothing, and everybody else nothing.
 */
export function authorize(user: User, access: Access): boolean {
  if (user.groups.includes(ADMIN_GROUP)) return true;
  const isKnown = user.groups.includes(AUTHENTICATED_GROUP);
  if (access.kind === "path") return isPublic(access) || (isKnown && isDiscovery(access));
  if (!isKnown) return false;
  if (access.verb === "create" && SELF_REVIEWS.includes(access.resource)) return true;
  if (user.groups.includes(CONTROL_GROUP)) return mayControl(access);
  return mayWork(user, access);
}

function isPublic({ path, verb }: PathAccess): boolean {
  return (
    verb === "get" && PUBLIC_PATHS.some((root) => path === root || path.startsWith(`${root}/`))
  );
}

function isDiscovery({ path, verb }: PathAccess): boolean {
  if (verb !== "get") return false;
  return ["/api", "/apis", "/openapi"].some((root) => path === root || path.startsWith(`${root}/`));
}

const READ = ["get", "list", "watch"];
const WRITE = ["create", "update", "patch", "delete"];

/** `group/resource` or `group/*`, and what the control plane may do there. */
const CONTROL_RULES: readonly (readonly [
  resources: readonly string[],
  verbs: readonly string[],
])[] = [
  [["authentication.k8s.io/tokenreviews"], ["create"]],
  [["authorization.k8s.io/subjectaccessreviews"], ["create"]],
  [
    ["/events", "events.k8s.io/events"],
    ["create", "patch", "update"],
  ],
  [
    [
      "/namespaces",
      "/nodes",
      "/pods",
      "/services",
      "/endpoints",
      "/configmaps",
      "/secrets",
      "/serviceaccounts",
      "apps/*",
      "batch/*",
      "apiextensions.k8s.io/customresourcedefinitions",
      "discovery.k8s.io/endpointslices",
      "policy.linkerd.io/*",
      "gateway.networking.k8s.io/*",
      "linkerd.io/*",
      "workload.linkerd.io/*",
      "multicluster.linkerd.io/*",
      "heddle.dev/*",
    ],
    READ,
  ],
  [
    ["discovery.k8s.io/endpointslices", "coordination.k8s.io/leases"],
    [...READ, ...WRITE],
  ],
  // Machines that join: their workloads, the secrets and maps in which invitations are kept.
  [["workload.linkerd.io/externalworkloads", "heddle.dev/*"], WRITE],
  [
    ["/secrets", "/configmaps"],
    ["create", "update", "patch", "delete"],
  ],
];

/** Groups whose status the control plane writes. */
const STATUS_GROUPS: readonly string[] = [
  "policy.linkerd.io",
  "gateway.networking.k8s.io",
  "workload.linkerd.io",
  "multicluster.linkerd.io",
  "heddle.dev",
];

function mayControl({ verb, group, resource, subresource }: ResourceAccess): boolean {
  if (subresource === "status") {
    return STATUS_GROUPS.includes(group) && [...READ, "update", "patch"].includes(verb);
  }
  if (subresource !== "") return false;
  return CONTROL_RULES.some(
    ([resources, verbs]) =>
      verbs.includes(verb) &&
      (resources.includes(`${group}/${resource}`) || resources.includes(`${group}/*`)),
  );
}

/** A workload reads its own account, its namespace, and the anchors that everybody is given. */
function mayWork(user: User, { verb, group, resource, ...access }: ResourceAccess): boolean {
  const account = accountOf(user);
  if (account === undefined || group !== "" || access.subresource !== "" || verb !== "get") {
    return false;
  }
  if (resource === "namespaces") return access.name === account.namespace;
  if (access.namespace !== account.namespace) return false;
  if (resource === "serviceaccounts") return access.name === account.name;
  if (resource === "configmaps") return access.name === "kube-root-ca.crt";
  if (resource === "pods") {
    return user.extra?.["authentication.kubernetes.io/pod-name"]?.[0] === access.name;
  }
  return false;
}
