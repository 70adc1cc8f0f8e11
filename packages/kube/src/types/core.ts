/** Kinds that Kubernetes itself defines. */
import type { Condition, KubeObject, LabelSelector } from "./meta.ts";
import { type Resource, resource } from "./meta.ts";

/** A port's number, or the name of a port of whatever it points at. */
export type IntOrString = number | string;

export interface ServicePort {
  readonly name?: string;
  readonly protocol?: string;
  readonly port: number;
  readonly targetPort?: IntOrString;
  readonly appProtocol?: string;
  readonly nodePort?: number;
}

export interface Service extends KubeObject {
  readonly spec?: {
    readonly type?: "ClusterIP" | "NodePort" | "LoadBalancer" | "ExternalName";
    /** An address, `None` for a headless Service, or empty. */
    readonly clusterIP?: string;
    readonly clusterIPs?: readonly string[];
    readonly externalName?: string;
    readonly ipFamilies?: readonly ("IPv4" | "IPv6")[];
    readonly ports?: readonly ServicePort[];
    readonly selector?: Readonly<Record<string, string>>;
    readonly internalTrafficPolicy?: "Cluster" | "Local";
    readonly publishNotReadyAddresses?: boolean;
  };
}

export interface EnvVar {
  readonly name: string;
  readonly value?: string;
}

export interface HttpGetAction {
  readonly path?: string;
  readonly port?: IntOrString;
}

export interface Probe {
  readonly httpGet?: HttpGetAction;
  readonly grpc?: { readonly port: number; readonly service?: string | null };
}

export interface Container {
  readonly name: string;
  readonly env?: readonly EnvVar[];
  readonly restartPolicy?: string;
  readonly ports?: readonly {
    readonly name?: string;
    readonly containerPort: number;
    readonly hostPort?: number;
    readonly protocol?: string;
  }[];
  readonly livenessProbe?: Probe;
  readonly readinessProbe?: Probe;
  readonly startupProbe?: Probe;
}

export interface Pod extends KubeObject {
  readonly spec?: {
    readonly nodeName?: string;
    readonly hostNetwork?: boolean;
    readonly serviceAccountName?: string;
    readonly containers?: readonly Container[];
    readonly initContainers?: readonly Container[];
  };
  readonly status?: {
    readonly phase?: "Pending" | "Running" | "Succeeded" | "Failed" | "Unknown";
    readonly podIP?: string;
    readonly podIPs?: readonly { readonly ip?: string }[];
    readonly hostIP?: string;
    readonly hostIPs?: readonly { readonly ip?: string }[];
    readonly conditions?: readonly Condition[];
    readonly initContainerStatuses?: readonly ContainerStatus[];
  };
}

/** Only what somebody here reads of it. */
export interface ContainerStatus {
  readonly name: string;
  readonly lastState?: { readonly terminated?: { readonly exitCode?: number } | null } | null;
}

export interface Node extends KubeObject {
  readonly spec?: { readonly podCIDR?: string; readonly podCIDRs?: readonly string[] };
}

export interface Secret extends KubeObject {
  readonly type?: string;
  /** Values in base64. */
  readonly data?: Readonly<Record<string, string>>;
  readonly stringData?: Readonly<Record<string, string>>;
}

export interface ConfigMap extends KubeObject {
  readonly data?: Readonly<Record<string, string>>;
}

export interface ServiceAccount extends KubeObject {}

export interface Namespace extends KubeObject {}

export interface ObjectReference {
  readonly apiVersion?: string;
  readonly kind?: string;
  readonly namespace?: string;
  readonly name?: string;
  readonly uid?: string;
}

export interface KubeEvent extends KubeObject {
  readonly involvedObject: ObjectReference;
  readonly type?: "Normal" | "Warning";
  readonly reason?: string;
  readonly message?: string;
  readonly count?: number;
  readonly firstTimestamp?: string;
  readonly lastTimestamp?: string;
  readonly source?: { readonly component?: string; readonly host?: string };
  readonly reportingComponent?: string;
  readonly reportingInstance?: string;
}

/** An event of `events.k8s.io`, where the older names of fields are gone. */
export interface NewEvent extends KubeObject {
  readonly eventTime: string;
  readonly reportingController: string;
  readonly reportingInstance: string;
  readonly action: string;
  readonly reason: string;
  readonly type: "Normal" | "Warning";
  readonly note?: string;
  readonly regarding?: ObjectReference;
}

export interface SliceEndpoint {
  readonly addresses: readonly string[];
  readonly conditions?: {
    readonly ready?: boolean | null;
    readonly serving?: boolean | null;
    readonly terminating?: boolean | null;
  };
  readonly hostname?: string | null;
  readonly nodeName?: string | null;
  readonly zone?: string | null;
  readonly hints?: { readonly forZones?: readonly { readonly name: string }[] | null };
  readonly targetRef?: ObjectReference | null;
}

export interface SlicePort {
  readonly name?: string | null;
  readonly port?: number | null;
  readonly protocol?: string | null;
  readonly appProtocol?: string | null;
}

export interface EndpointSlice extends KubeObject {
  readonly addressType: "IPv4" | "IPv6" | "FQDN";
  readonly endpoints?: readonly SliceEndpoint[] | null;
  readonly ports?: readonly SlicePort[] | null;
}

export interface Lease extends KubeObject {
  readonly spec?: {
    readonly holderIdentity?: string;
    readonly leaseDurationSeconds?: number;
    /** RFC 3339 with microseconds. */
    readonly acquireTime?: string;
    readonly renewTime?: string;
    readonly leaseTransitions?: number;
  };
}

export interface TokenReview extends KubeObject {
  readonly spec: { readonly token: string; readonly audiences?: readonly string[] };
  readonly status?: {
    readonly authenticated?: boolean;
    readonly user?: {
      readonly username?: string;
      readonly uid?: string;
      readonly groups?: readonly string[];
    };
    readonly audiences?: readonly string[];
    readonly error?: string;
  };
}

/** A subresource of ServiceAccount: `createBelow(SERVICE_ACCOUNTS, ref, "token", request)`. */
export interface TokenRequest extends KubeObject {
  readonly spec: { readonly audiences: readonly string[]; readonly expirationSeconds?: number };
  readonly status?: { readonly token: string; readonly expirationTimestamp: string };
}

export interface CustomResourceDefinition extends KubeObject {
  readonly spec: {
    readonly group: string;
    readonly scope: "Namespaced" | "Cluster";
    readonly names: {
      readonly kind: string;
      readonly plural: string;
      readonly singular?: string;
      readonly listKind?: string;
      readonly shortNames?: readonly string[];
      readonly categories?: readonly string[];
    };
    readonly versions: readonly CrdVersion[];
  };
  readonly status?: { readonly conditions?: readonly Condition[] };
}

export interface CrdVersion {
  readonly name: string;
  readonly served: boolean;
  readonly storage: boolean;
  readonly deprecated?: boolean;
  readonly deprecationWarning?: string;
  readonly schema: { readonly openAPIV3Schema: object };
  readonly subresources?: { readonly status?: object };
  readonly additionalPrinterColumns?: readonly {
    readonly name: string;
    readonly type: string;
    readonly jsonPath: string;
    readonly description?: string;
    readonly priority?: number;
  }[];
}

/** Only what owner resolution needs of ReplicaSets, Jobs and Deployments. */
export interface OwnedObject extends KubeObject {
  readonly spec?: { readonly selector?: LabelSelector };
}

export const SERVICES: Resource<Service> = resource("v1", "Service", "services");
export const PODS: Resource<Pod> = resource("v1", "Pod", "pods");
export const NODES: Resource<Node> = resource("v1", "Node", "nodes", "Cluster");
export const SECRETS: Resource<Secret> = resource("v1", "Secret", "secrets");
export const CONFIG_MAPS: Resource<ConfigMap> = resource("v1", "ConfigMap", "configmaps");
export const EVENTS: Resource<KubeEvent> = resource("v1", "Event", "events");
export const NEW_EVENTS: Resource<NewEvent> = resource("events.k8s.io/v1", "Event", "events");
export const NAMESPACES: Resource<Namespace> = resource("v1", "Namespace", "namespaces", "Cluster");
export const SERVICE_ACCOUNTS: Resource<ServiceAccount> = resource(
  "v1",
  "ServiceAccount",
  "serviceaccounts",
);
export const ENDPOINT_SLICES: Resource<EndpointSlice> = resource(
  "discovery.k8s.io/v1",
  "EndpointSlice",
  "endpointslices",
);
export const LEASES: Resource<Lease> = resource("coordination.k8s.io/v1", "Lease", "leases");
export const TOKEN_REVIEWS: Resource<TokenReview> = resource(
  "authentication.k8s.io/v1",
  "TokenReview",
  "tokenreviews",
  "Cluster",
);
export const CUSTOM_RESOURCE_DEFINITIONS: Resource<CustomResourceDefinition> = resource(
  "apiextensions.k8s.io/v1",
  "CustomResourceDefinition",
  "customresourcedefinitions",
  "Cluster",
);
export const REPLICA_SETS: Resource<OwnedObject> = resource("apps/v1", "ReplicaSet", "replicasets");
export const DEPLOYMENTS: Resource<OwnedObject> = resource("apps/v1", "Deployment", "deployments");
export const JOBS: Resource<OwnedObject> = resource("batch/v1", "Job", "jobs");
