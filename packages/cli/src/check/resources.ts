/** Kinds of Kubernetes as far as checks read them, and the labels they are found by. */
import type { Container, EnvVar, Pod } from "@heddle/kube/types/core";
import { type Condition, type KubeObject, type Resource, resource } from "@heddle/kube/types/meta";

export const CONTROL_PLANE_NS = "linkerd.io/control-plane-ns";
export const COMPONENT = "linkerd.io/control-plane-component";
export const EXTENSION = "linkerd.io/extension";
export const CREATED_BY = "linkerd.io/created-by";

export interface CheckedContainer extends Omit<Container, "env"> {
  readonly image?: string;
  readonly env?: readonly (EnvVar & { readonly valueFrom?: object })[];
}

export interface CheckedPod extends KubeObject {
  readonly spec?: Omit<NonNullable<Pod["spec"]>, "containers" | "initContainers"> & {
    readonly containers?: readonly CheckedContainer[];
    readonly initContainers?: readonly CheckedContainer[];
  };
  readonly status?: NonNullable<Pod["status"]> & {
    /** `Evicted`, `Shutdown`, …: why the pod as a whole is in its phase. */
    readonly reason?: string;
  };
}

export interface CheckedNode extends KubeObject {
  readonly spec?: { readonly podCIDR?: string };
  readonly status?: {
    readonly conditions?: readonly (Condition & { readonly lastHeartbeatTime?: string })[];
    readonly nodeInfo?: { readonly containerRuntimeVersion?: string };
  };
}

export interface CheckedReplicaSet extends KubeObject {
  readonly status?: { readonly conditions?: readonly Condition[] };
}

export interface CheckedDeployment extends KubeObject {
  readonly status?: { readonly availableReplicas?: number };
}

export interface CheckedDaemonSet extends KubeObject {
  readonly status?: {
    readonly desiredNumberScheduled?: number;
    readonly numberReady?: number;
  };
}

export interface SelfSubjectAccessReview extends KubeObject {
  readonly spec: {
    readonly resourceAttributes: {
      readonly namespace?: string;
      readonly verb: string;
      readonly group: string;
      readonly version: string;
      readonly resource: string;
    };
  };
  readonly status?: { readonly allowed?: boolean; readonly reason?: string };
}

const RBAC = "rbac.authorization.k8s.io/v1";

export const CHECKED_PODS: Resource<CheckedPod> = resource("v1", "Pod", "pods");
export const CHECKED_NODES: Resource<CheckedNode> = resource("v1", "Node", "nodes", "Cluster");
export const CHECKED_REPLICA_SETS: Resource<CheckedReplicaSet> = resource(
  "apps/v1",
  "ReplicaSet",
  "replicasets",
);
export const CHECKED_DEPLOYMENTS: Resource<CheckedDeployment> = resource(
  "apps/v1",
  "Deployment",
  "deployments",
);
export const DAEMON_SETS: Resource<CheckedDaemonSet> = resource(
  "apps/v1",
  "DaemonSet",
  "daemonsets",
);
export const CLUSTER_ROLES: Resource<KubeObject> = resource(
  RBAC,
  "ClusterRole",
  "clusterroles",
  "Cluster",
);
export const CLUSTER_ROLE_BINDINGS: Resource<KubeObject> = resource(
  RBAC,
  "ClusterRoleBinding",
  "clusterrolebindings",
  "Cluster",
);
export const ACCESS_REVIEWS: Resource<SelfSubjectAccessReview> = resource(
  "authorization.k8s.io/v1",
  "SelfSubjectAccessReview",
  "selfsubjectaccessreviews",
  "Cluster",
);
