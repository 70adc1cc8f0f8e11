import type { KubeClient } from "@heddle/kube/client";
import { hasReason } from "@heddle/kube/errors";
import { matchesSelector } from "@heddle/kube/selector";
import type { Pod } from "@heddle/kube/types/core";
import {
  AUTHORIZATION_POLICIES,
  type AuthorizationPolicy,
  SERVER_AUTHORIZATIONS,
  SERVERS,
  type Server,
  type ServerAuthorization,
} from "@heddle/kube/types/linkerd";
import type { KubeObject, Resource } from "@heddle/kube/types/meta";
import { type HttpRoute, POLICY_HTTP_ROUTES } from "@heddle/kube/types/routes";

/** Who may talk to a Server, or to one of its routes. */
export interface AuthorizationRow {
  /** `*`: the whole Server. */
  readonly route: string;
  readonly server: string;
  readonly authorizationPolicy: string;
  readonly serverAuthorization: string;
}

/** The policy resources of one namespace. */
export interface PolicyObjects {
  readonly servers: readonly Server[];
  readonly serverAuthorizations: readonly ServerAuthorization[];
  readonly authorizationPolicies: readonly AuthorizationPolicy[];
  readonly httpRoutes: readonly HttpRoute[];
}

/** What of the policies is in a namespace. A kind that the API does not know has no objects. */
export async function policyObjects(client: KubeClient, namespace: string): Promise<PolicyObjects> {
  const list = async <T extends KubeObject>(of: Resource<T>): Promise<readonly T[]> => {
    try {
      return (await client.list(of, { namespace })).items;
    } catch (error) {
      if (hasReason(error, "NotFound")) return [];
      throw error;
    }
  };
  const [servers, serverAuthorizations, authorizationPolicies, httpRoutes] = await Promise.all([
    list(SERVERS),
    list(SERVER_AUTHORIZATIONS),
    list(AUTHORIZATION_POLICIES),
    list(POLICY_HTTP_ROUTES),
  ]);
  return { servers, serverAuthorizations, authorizationPolicies, httpRoutes };
}

/** The authorizations that hold for any of the pods, by Server, route and name. */
export function authorizationsOf(
  pods: readonly Pod[],
  objects: PolicyObjects,
): readonly AuthorizationRow[] {
  const selecting = objects.servers.filter((server) => pods.some((pod) => selects(server, pod)));
  const rows = selecting.flatMap((server) => [
    ...serverRows(server, objects.serverAuthorizations),
    ...policyRows(server, objects),
  ]);
  return rows.sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));
}

function keyOf(row: AuthorizationRow): string {
  return [row.server, row.route, row.authorizationPolicy, row.serverAuthorization].join("\0");
}

/** A port by its number is any pod's, declared or not; by its name it is a container's. */
function selects({ spec }: Server, pod: Pod): boolean {
  if (!matchesSelector(spec.podSelector, pod.metadata.labels ?? {})) return false;
  if (typeof spec.port === "number") return true;
  const containers = [...(pod.spec?.initContainers ?? []), ...(pod.spec?.containers ?? [])];
  return containers.some(({ ports }) => (ports ?? []).some(({ name }) => name === spec.port));
}

function nameOf({ metadata }: KubeObject): string {
  return metadata.name ?? "";
}

function serverRows(
  server: Server,
  authorizations: readonly ServerAuthorization[],
): readonly AuthorizationRow[] {
  const labels = server.metadata.labels ?? {};
  return authorizations
    .filter(({ spec }) => {
      if (spec.server.name !== undefined) return spec.server.name === nameOf(server);
      return matchesSelector(spec.server.selector, labels);
    })
    .map((authorization) => ({
      route: "*",
      server: nameOf(server),
      authorizationPolicy: "",
      serverAuthorization: nameOf(authorization),
    }));
}

function policyRows(
  server: Server,
  { authorizationPolicies, httpRoutes }: PolicyObjects,
): readonly AuthorizationRow[] {
  return authorizationPolicies.flatMap((policy) => {
    const row = (route: string): AuthorizationRow => ({
      route,
      server: nameOf(server),
      authorizationPolicy: nameOf(policy),
      serverAuthorization: "",
    });
    const { kind, name } = policy.spec.targetRef;
    if (kind === "Namespace") return name === server.metadata.namespace ? [row("*")] : [];
    if (kind === "Server") return name === nameOf(server) ? [row("*")] : [];
    if (kind !== "HTTPRoute") return [];
    return httpRoutes
      .filter((route) => nameOf(route) === name && isBelow(route, server))
      .map((route) => row(nameOf(route)));
  });
}

function isBelow({ spec }: HttpRoute, server: Server): boolean {
  return (spec.parentRefs ?? []).some(
    ({ kind, name }) => kind === "Server" && name === nameOf(server),
  );
}
