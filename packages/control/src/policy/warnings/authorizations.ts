import { formatSelector } from "@heddle/kube/selector";
import {
  type AuthorizationPolicy,
  HTTP_LOCAL_RATE_LIMIT_POLICIES,
  type HttpLocalRateLimitPolicy,
  MESH_TLS_AUTHENTICATIONS,
  NETWORK_AUTHENTICATIONS,
  SERVERS,
  type ServerAuthorization,
  type TargetRef,
} from "@heddle/kube/types/linkerd";
import type { KubeObject, Resource } from "@heddle/kube/types/meta";
import {
  GATEWAY_GRPC_ROUTES,
  GATEWAY_HTTP_ROUTES,
  POLICY_HTTP_ROUTES,
} from "@heddle/kube/types/routes";
import { byAge, GATEWAY_GROUP, identityOf, POLICY_GROUP, refersTo } from "../refs.ts";
import type { Subject, Warn } from "./subject.ts";
import type { Surroundings } from "./surroundings.ts";

/** What policies refer to, and where that is. */
const REFERRED: readonly (readonly [string, Resource<KubeObject>])[] = [
  [POLICY_GROUP, SERVERS],
  [POLICY_GROUP, POLICY_HTTP_ROUTES],
  [GATEWAY_GROUP, GATEWAY_HTTP_ROUTES],
  [GATEWAY_GROUP, GATEWAY_GRPC_ROUTES],
  [POLICY_GROUP, MESH_TLS_AUTHENTICATIONS],
  [POLICY_GROUP, NETWORK_AUTHENTICATIONS],
];

/** Warns of a target and of authentications that are not there. */
export async function warnOfAuthorizationPolicy(
  spec: AuthorizationPolicy["spec"],
  { namespace }: Subject,
  around: Surroundings,
  warn: Warn,
): Promise<void> {
  const { targetRef, requiredAuthenticationRefs: refs } = spec;
  if (await isMissing(targetRef, namespace, around)) {
    warn(`spec.targetRef: ${targetRef.kind} ${targetRef.name} is not in ${namespace} yet`);
  }
  for (const [index, ref] of refs.entries()) {
    const from = ref.namespace || namespace;
    if (!(await isMissing(ref, from, around))) continue;
    const what = `${ref.kind} ${ref.name} is not in ${from} yet`;
    warn(`spec.requiredAuthenticationRefs[${index}]: ${what}: until it is, nobody is admitted`);
  }
}

/** Warns of a Server, or of labels of Servers, that are not there. */
export async function warnOfServerAuthorization(
  spec: ServerAuthorization["spec"],
  { namespace }: Subject,
  around: Surroundings,
  warn: Warn,
): Promise<void> {
  warnOfClients(spec.client, warn);
  const { name, selector } = spec.server;
  if (name !== undefined && (await around.find(SERVERS, namespace, name)) === undefined) {
    warn(`spec.server.name: Server ${name} is not in ${namespace} yet`);
  }
  if (selector === undefined) return;
  const servers = await around.list(SERVERS, namespace, formatSelector(selector));
  if (servers.length > 0) return;
  warn(`spec.server.selector: matches no Server in ${namespace} yet: check its labels`);
}

function warnOfClients(
  { unauthenticated, meshTLS }: ServerAuthorization["spec"]["client"],
  warn: Warn,
): void {
  if (unauthenticated === true || meshTLS?.unauthenticatedTLS === true) return;
  const named = (meshTLS?.identities?.length ?? 0) + (meshTLS?.serviceAccounts?.length ?? 0);
  if (named === 0) warn("spec.client: names no clients: nobody is admitted by it");
}

/** Warns of a Server that is not there, or that an older limit holds for. */
export async function warnOfRateLimit(
  { targetRef }: HttpLocalRateLimitPolicy["spec"],
  subject: Subject,
  around: Surroundings,
  warn: Warn,
): Promise<void> {
  const { namespace } = subject;
  const server = targetRef.name;
  if ((await around.find(SERVERS, namespace, server)) === undefined) {
    warn(`spec.targetRef: Server ${server} is not in ${namespace} yet`);
  }
  for (const other of await around.list(HTTP_LOCAL_RATE_LIMIT_POLICIES, namespace)) {
    const identity = identityOf(other);
    const isRival =
      identity.name !== subject.name &&
      other.spec.targetRef.name === server &&
      refersTo(other.spec.targetRef, POLICY_GROUP, "Server");
    if (!isRival || byAge(identity, subject) > 0) continue;
    warn(
      `spec.targetRef: Server ${server} has the limit ${identity.name}, which is older and wins`,
    );
    return;
  }
}

async function isMissing(
  ref: TargetRef,
  namespace: string,
  around: Surroundings,
): Promise<boolean> {
  const found = REFERRED.find(([group, of]) => refersTo(ref, group, of.kind));
  if (found === undefined) return false;
  return (await around.find(found[1], namespace, ref.name)) === undefined;
}
