import type { JsonObject } from "@heddle/apiserver/json/value";
import { AUTHENTICATED_GROUP, CONTROL_GROUP } from "../user.ts";

/** A role that every server has from the start. */
export interface DefaultRole {
  readonly name: string;
  readonly rules: readonly JsonObject[];
  /** Gathers the rules of all cluster roles that say so by this label. */
  readonly gathers?: string;
  /** Roles that gather this one's rules. */
  readonly gatheredBy?: readonly string[];
  /** Groups that have it everywhere. */
  readonly groups?: readonly string[];
}

const READ = "get list watch";
const WRITE = "create delete deletecollection patch update";
const ALL_VERBS = "create delete deletecollection get list patch update watch";

/** Words are separated by spaces; `core` is the group without a name. */
function on(groups: string, resources: string, verbs: string): JsonObject {
  return {
    apiGroups: words(groups).map((group) => (group === "core" ? "" : group)),
    resources: words(resources),
    verbs: words(verbs),
  };
}

function paths(urls: string, verbs = "get"): JsonObject {
  return { nonResourceURLs: words(urls), verbs: words(verbs) };
}

function words(text: string): string[] {
  return text.split(/\s+/).filter((word) => word !== "");
}

const UNAUTHENTICATED_GROUP = "system:unauthenticated";
const WORKLOADS = `daemonsets deployments deployments/rollback deployments/scale replicasets
  replicasets/scale statefulsets statefulsets/scale`;
const EXTENSIONS = `daemonsets deployments deployments/rollback deployments/scale ingresses
  networkpolicies replicasets replicasets/scale replicationcontrollers/scale`;
const WITH_STATUS = `daemonsets daemonsets/status deployments deployments/scale deployments/status`;

/** Those of Kubernetes that mean something to whoever works with this server. */
const KUBERNETES: readonly DefaultRole[] = [
  {
    name: "cluster-admin",
    rules: [on("*", "*", "*"), paths("*", "*")],
    groups: ["system:masters"],
  },
  { name: "admin", rules: [], gathers: "admin" },
  { name: "edit", rules: [], gathers: "edit", gatheredBy: ["admin"] },
  { name: "view", rules: [], gathers: "view", gatheredBy: ["edit"] },
  {
    name: "system:aggregate-to-admin",
    gatheredBy: ["admin"],
    rules: [
      on("authorization.k8s.io", "localsubjectaccessreviews", "create"),
      on("rbac.authorization.k8s.io", "rolebindings roles", ALL_VERBS),
    ],
  },
  {
    name: "system:aggregate-to-edit",
    gatheredBy: ["edit"],
    rules: [
      on("core", "pods/attach pods/exec pods/portforward pods/proxy secrets services/proxy", READ),
      on("core", "serviceaccounts", "impersonate"),
      on("core", "pods pods/attach pods/exec pods/portforward pods/proxy", WRITE),
      on("core", "pods/eviction", "create"),
      on(
        "core",
        `configmaps persistentvolumeclaims replicationcontrollers replicationcontrollers/scale
          secrets serviceaccounts services services/proxy`,
        WRITE,
      ),
      on("core", "serviceaccounts/token", "create"),
      on("core events.k8s.io", "events", WRITE),
      on("apps", WORKLOADS, WRITE),
      on("autoscaling", "horizontalpodautoscalers", WRITE),
      on("batch", "cronjobs jobs", WRITE),
      on("extensions", EXTENSIONS, WRITE),
      on("policy", "poddisruptionbudgets", WRITE),
      on("networking.k8s.io", "ingresses networkpolicies", WRITE),
      on("coordination.k8s.io", "leases", ALL_VERBS),
      on("resource.k8s.io", "resourceclaims resourceclaimtemplates", WRITE),
    ],
  },
  {
    name: "system:aggregate-to-view",
    gatheredBy: ["view"],
    rules: [
      on(
        "core",
        `configmaps endpoints persistentvolumeclaims persistentvolumeclaims/status pods
          replicationcontrollers replicationcontrollers/scale serviceaccounts services
          services/status`,
        READ,
      ),
      on(
        "core",
        `bindings limitranges namespaces/status pods/log pods/status
          replicationcontrollers/status resourcequotas resourcequotas/status`,
        READ,
      ),
      on("core", "namespaces", READ),
      on("core events.k8s.io", "events", READ),
      on("discovery.k8s.io", "endpointslices", READ),
      on(
        "apps",
        `controllerrevisions ${WITH_STATUS} replicasets replicasets/scale replicasets/status
          statefulsets statefulsets/scale statefulsets/status`,
        READ,
      ),
      on("autoscaling", "horizontalpodautoscalers horizontalpodautoscalers/status", READ),
      on("batch", "cronjobs cronjobs/status jobs jobs/status", READ),
      on(
        "extensions",
        `${WITH_STATUS} ingresses ingresses/status networkpolicies replicasets replicasets/scale
          replicasets/status replicationcontrollers/scale`,
        READ,
      ),
      on("policy", "poddisruptionbudgets poddisruptionbudgets/status", READ),
      on("networking.k8s.io", "ingresses ingresses/status networkpolicies", READ),
      on("resource.k8s.io", "resourceclaims resourceclaims/status resourceclaimtemplates", READ),
    ],
  },
  {
    name: "system:auth-delegator",
    rules: [
      on("authentication.k8s.io", "tokenreviews", "create"),
      on("authorization.k8s.io", "subjectaccessreviews", "create"),
    ],
  },
  {
    name: "system:basic-user",
    rules: [
      on("authorization.k8s.io", "selfsubjectaccessreviews selfsubjectrulesreviews", "create"),
      on("authentication.k8s.io", "selfsubjectreviews", "create"),
    ],
    groups: [AUTHENTICATED_GROUP],
  },
  {
    name: "system:discovery",
    rules: [
      paths(
        "/api /api/* /apis /apis/* /healthz /livez /openapi /openapi/* /readyz /version /version/",
      ),
    ],
    groups: [AUTHENTICATED_GROUP],
  },
  {
    name: "system:public-info-viewer",
    rules: [paths("/healthz /livez /readyz /version /version/")],
    groups: [AUTHENTICATED_GROUP, UNAUTHENTICATED_GROUP],
  },
];

export const CONTROL_ROLE = "heddle:control-plane";
/** Where the control plane keeps its trust and the invitations of machines. */
export const CONTROL_NAMESPACE = "linkerd";

/** What the parts of the control plane do, and nothing else. */
const CONTROL: DefaultRole = {
  name: CONTROL_ROLE,
  rules: [
    on("authentication.k8s.io", "tokenreviews", "create"),
    on("authorization.k8s.io", "subjectaccessreviews", "create"),
    on("core events.k8s.io", "events", "create patch"),
    on("core", "namespaces nodes pods services endpoints serviceaccounts", READ),
    on("apps batch", "*", READ),
    on("apiextensions.k8s.io", "customresourcedefinitions", READ),
    on("linkerd.io policy.linkerd.io workload.linkerd.io multicluster.linkerd.io", "*", READ),
    on("gateway.networking.k8s.io", "*", READ),
    on(
      "policy.linkerd.io gateway.networking.k8s.io workload.linkerd.io",
      "*/status",
      "patch update",
    ),
    on("discovery.k8s.io", "endpointslices", `${READ} create patch update delete`),
    // Who is leader, and which machines are alive.
    on("coordination.k8s.io", "leases", `${READ} create patch update delete`),
    // Machines that join and leave.
    on("workload.linkerd.io", "externalworkloads", "create patch update delete"),
  ],
  groups: [CONTROL_GROUP],
};

export const DEFAULT_ROLES: readonly DefaultRole[] = [...KUBERNETES, CONTROL];

/** In its own namespace: its issuer, the trust roots, and invitations, which are used up. */
export const CONTROL_NAMESPACE_RULES: readonly JsonObject[] = [
  on("core", "secrets", `${READ} delete`),
  on("core", "configmaps", `${READ} create patch`),
];
