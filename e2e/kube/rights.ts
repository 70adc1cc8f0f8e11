import type { KubeClient } from "@heddle/kube/client";
import { type KubeObject, type Resource, resource } from "@heddle/kube/types/meta";

const READ = ["list", "watch"];

function rights(
  verbs: readonly string[],
  group: string,
  resources: readonly string[],
  names = "",
): string[] {
  return verbs.flatMap((verb) =>
    resources.map((one) => `${verb} ${group}/${one}${names === "" ? "" : ` [${names}]`}`),
  );
}

function inNamespace(all: readonly string[]): string[] {
  return all.map((right) => `own: ${right}`);
}

/** What the validators look for, to warn of what is not there. */
const LOOKED_FOR: readonly string[] = [
  ...rights(["get"], "", ["services"]),
  ...rights(["get"], "linkerd.io", ["serviceprofiles"]),
  ...rights(["get"], "policy.linkerd.io", [
    "egressnetworks",
    "httproutes",
    "meshtlsauthentications",
    "networkauthentications",
    "servers",
  ]),
  ...rights(["get"], "gateway.networking.k8s.io", ["grpcroutes", "httproutes"]),
];

/**
 * All that each account of the control plane may do, besides what everybody may: in every namespace,
 * or, with `own:`, in its own alone. Everything else is denied.
 */
export const ALLOWED: Readonly<Record<string, readonly string[]>> = {
  "linkerd-identity": [
    ...rights(["create"], "authentication.k8s.io", ["tokenreviews"]),
    ...rights(["create", "patch"], "", ["events"]),
    ...inNamespace(rights(["get", ...READ], "", ["secrets"], "linkerd-identity-issuer")),
    ...inNamespace(rights(["get", ...READ], "", ["configmaps"], "linkerd-identity-trust-roots")),
  ],
  "linkerd-destination": [
    ...LOOKED_FOR,
    ...rights(READ, "", ["nodes", "pods", "services"]),
    ...rights(READ, "apps", ["replicasets"]),
    ...rights(READ, "batch", ["jobs"]),
    ...rights([...READ, "create", "update", "delete"], "discovery.k8s.io", ["endpointslices"]),
    ...rights(READ, "linkerd.io", ["serviceprofiles"]),
    ...rights(READ, "workload.linkerd.io", ["externalworkloads"]),
    ...rights(READ, "policy.linkerd.io", [
      "authorizationpolicies",
      "egressnetworks",
      "httplocalratelimitpolicies",
      "httproutes",
      "meshtlsauthentications",
      "networkauthentications",
      "serverauthorizations",
      "servers",
    ]),
    ...rights(["patch"], "policy.linkerd.io", [
      "authorizationpolicies/status",
      "egressnetworks/status",
      "httplocalratelimitpolicies/status",
      "httproutes/status",
      "servers/status",
    ]),
    ...rights(READ, "gateway.networking.k8s.io", [
      "grpcroutes",
      "httproutes",
      "tcproutes",
      "tlsroutes",
    ]),
    ...rights(["patch"], "gateway.networking.k8s.io", [
      "grpcroutes/status",
      "httproutes/status",
      "tcproutes/status",
      "tlsroutes/status",
    ]),
    ...inNamespace(rights(["get", ...READ], "", ["configmaps"], "linkerd-identity-trust-roots")),
    ...inNamespace(rights(["get", "create", "update"], "coordination.k8s.io", ["leases"])),
  ],
  "linkerd-proxy-injector": [
    ...rights(["get"], "", ["namespaces"]),
    ...rights(["get"], "apps", ["replicasets"]),
    ...rights(["get"], "batch", ["jobs"]),
    ...rights(["create", "patch"], "", ["events"]),
    ...rights(["get"], "linkerd.io", ["serviceprofiles"]),
  ],
};

/** What identity's account may do besides, where machines may join. */
export const EXPANSION_ALLOWED: readonly string[] = [
  ...rights(["get", "list", "create", "delete"], "workload.linkerd.io", ["externalworkloads"]),
  ...rights(["patch"], "workload.linkerd.io", ["externalworkloads/status"]),
  ...rights(["get", "list", "create", "update", "patch", "delete"], "coordination.k8s.io", [
    "leases",
  ]),
  ...inNamespace(rights(["get", "delete"], "", ["secrets"])),
  ...inNamespace(rights(["create", "patch"], "", ["configmaps"])),
];

/** What the suite does not make the control plane do. */
export const UNUSED: ReadonlySet<string> = new Set([
  // Whatever may be referred to; the suite refers to few of them.
  ...LOOKED_FOR,
  // Only what repeats is counted by a patch.
  "patch /events",
  // Once a minute, in case the watch has missed something.
  "get /secrets",
  "get /configmaps",
  // A control plane that starts again tells again where machines join.
  "patch /configmaps",
  // A lease is renewed after longer than the suite lasts.
  "update coordination.k8s.io/leases",
  // The suite makes no routes of these kinds.
  ...rights(["patch"], "gateway.networking.k8s.io", ["tcproutes/status", "tlsroutes/status"]),
]);

interface RulesReview extends KubeObject {
  readonly spec: { readonly namespace: string };
  readonly status?: {
    readonly incomplete: boolean;
    readonly resourceRules: readonly {
      readonly verbs: readonly string[];
      readonly apiGroups?: readonly string[];
      readonly resources?: readonly string[];
      readonly resourceNames?: readonly string[];
    }[];
  };
}

const REVIEWS: Resource<RulesReview> = resource(
  "authorization.k8s.io/v1",
  "SelfSubjectRulesReview",
  "selfsubjectrulesreviews",
  "Cluster",
);

/** What a real API server says that an account may do, as `ALLOWED` writes it, sorted. */
export async function rulesOf(
  clientOf: (account: string) => Promise<KubeClient>,
  namespace: string,
  account: string,
): Promise<readonly string[]> {
  using nobody = await clientOf("default");
  using somebody = await clientOf(account);
  const everybody = new Set(await review(nobody, namespace));
  const everywhere = new Set(await review(somebody, "kube-public"));
  return (await review(somebody, namespace))
    .filter((right) => !everybody.has(right))
    .map((right) => (everywhere.has(right) ? right : `own: ${right}`))
    .sort();
}

async function review(client: KubeClient, namespace: string): Promise<readonly string[]> {
  const { status } = await client.create(REVIEWS, { metadata: {}, spec: { namespace } });
  if (status?.incomplete !== false) throw new Error("Cannot list rights: the answer is incomplete");
  return status.resourceRules.flatMap(
    ({ verbs, apiGroups = [], resources = [], resourceNames = [] }) =>
      apiGroups.flatMap((group) => rights(verbs, group, resources, resourceNames.join(","))),
  );
}
