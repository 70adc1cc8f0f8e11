/** Linkerd's own kinds, in the versions that are stored. */

import type { IntOrString } from "./core.ts";
import type { Condition, KubeObject, LabelSelector } from "./meta.ts";
import { type Resource, resource } from "./meta.ts";

export interface Server extends KubeObject {
  readonly spec: {
    readonly podSelector?: LabelSelector;
    readonly externalWorkloadSelector?: LabelSelector;
    readonly port: IntOrString;
    readonly proxyProtocol?: string;
    readonly accessPolicy?: string;
  };
  /** Ours alone. */
  readonly status?: MatchedStatus;
}

/** Of objects that stand for workloads. */
export interface MatchedStatus {
  readonly conditions?: readonly Condition[];
  readonly matchedWorkloads?: number;
}

export interface NetworkRule {
  readonly cidr: string;
  readonly except?: readonly string[];
}

export interface ServerAuthorization extends KubeObject {
  readonly spec: {
    readonly server: { readonly name?: string; readonly selector?: LabelSelector };
    readonly client: {
      readonly networks?: readonly NetworkRule[];
      readonly unauthenticated?: boolean;
      readonly meshTLS?: {
        readonly unauthenticatedTLS?: boolean;
        readonly identities?: readonly string[];
        readonly serviceAccounts?: readonly {
          readonly name: string;
          readonly namespace?: string;
        }[];
      };
    };
  };
}

/** A reference within the namespace, unless it has a field for one. */
export interface TargetRef {
  readonly group?: string;
  readonly kind: string;
  readonly name: string;
  readonly namespace?: string;
}

export interface AuthorizationPolicy extends KubeObject {
  readonly spec: {
    readonly targetRef: TargetRef;
    readonly requiredAuthenticationRefs: readonly TargetRef[];
  };
  /** Ours alone. */
  readonly status?: MatchedStatus;
}

export interface MeshTlsAuthentication extends KubeObject {
  readonly spec: {
    readonly identities?: readonly string[];
    readonly identityRefs?: readonly {
      readonly group?: string;
      readonly kind: string;
      readonly name?: string;
      readonly namespace?: string;
    }[];
  };
}

export interface NetworkAuthentication extends KubeObject {
  readonly spec: { readonly networks: readonly NetworkRule[] };
}

export interface HttpLocalRateLimitPolicy extends KubeObject {
  readonly spec: {
    readonly targetRef: TargetRef;
    readonly total?: { readonly requestsPerSecond: number };
    readonly identity?: { readonly requestsPerSecond: number };
    readonly overrides?: readonly {
      readonly requestsPerSecond: number;
      readonly clientRefs: readonly TargetRef[];
    }[];
  };
  readonly status?: { readonly conditions?: readonly Condition[]; readonly targetRef: TargetRef };
}

export interface EgressNetwork extends KubeObject {
  readonly spec: {
    readonly trafficPolicy: "Allow" | "Deny";
    readonly networks?: readonly NetworkRule[];
  };
  readonly status?: { readonly conditions?: readonly Condition[] };
}

export interface ExternalWorkloadPort {
  readonly name?: string;
  readonly port: number;
  readonly protocol?: string;
}

export interface ExternalWorkload extends KubeObject {
  readonly spec: {
    readonly meshTLS: { readonly identity: string; readonly serverName: string };
    readonly ports?: readonly ExternalWorkloadPort[];
    readonly workloadIPs?: readonly { readonly ip?: string }[];
  };
  readonly status?: { readonly conditions?: readonly Condition[] };
}

export interface RequestMatchSpec {
  readonly pathRegex?: string;
  readonly method?: string;
  readonly all?: readonly RequestMatchSpec[];
  readonly any?: readonly RequestMatchSpec[];
  readonly not?: RequestMatchSpec;
}

export interface ResponseMatchSpec {
  readonly all?: readonly ResponseMatchSpec[];
  readonly any?: readonly ResponseMatchSpec[];
  readonly not?: ResponseMatchSpec;
  readonly status?: { readonly min?: number; readonly max?: number };
}

export interface ServiceProfile extends KubeObject {
  readonly spec?: {
    readonly routes?: readonly {
      readonly name: string;
      readonly condition: RequestMatchSpec;
      readonly isRetryable?: boolean;
      /** A Go duration. */
      readonly timeout?: string;
      readonly responseClasses?: readonly {
        readonly condition: ResponseMatchSpec;
        readonly isFailure?: boolean;
      }[];
    }[];
    readonly retryBudget?: {
      readonly retryRatio: number;
      readonly minRetriesPerSecond: number;
      /** A Go duration. */
      readonly ttl: string;
    };
    /** `weight` is a Kubernetes quantity. */
    readonly dstOverrides?: readonly { readonly authority: string; readonly weight: IntOrString }[];
    readonly opaquePorts?: readonly string[];
  };
}

const POLICY = "policy.linkerd.io";

export const SERVERS: Resource<Server> = resource(`${POLICY}/v1beta3`, "Server", "servers");
export const SERVER_AUTHORIZATIONS: Resource<ServerAuthorization> = resource(
  `${POLICY}/v1beta1`,
  "ServerAuthorization",
  "serverauthorizations",
);
export const AUTHORIZATION_POLICIES: Resource<AuthorizationPolicy> = resource(
  `${POLICY}/v1alpha1`,
  "AuthorizationPolicy",
  "authorizationpolicies",
);
export const MESH_TLS_AUTHENTICATIONS: Resource<MeshTlsAuthentication> = resource(
  `${POLICY}/v1alpha1`,
  "MeshTLSAuthentication",
  "meshtlsauthentications",
);
export const NETWORK_AUTHENTICATIONS: Resource<NetworkAuthentication> = resource(
  `${POLICY}/v1alpha1`,
  "NetworkAuthentication",
  "networkauthentications",
);
export const HTTP_LOCAL_RATE_LIMIT_POLICIES: Resource<HttpLocalRateLimitPolicy> = resource(
  `${POLICY}/v1alpha1`,
  "HTTPLocalRateLimitPolicy",
  "httplocalratelimitpolicies",
);
export const EGRESS_NETWORKS: Resource<EgressNetwork> = resource(
  `${POLICY}/v1alpha1`,
  "EgressNetwork",
  "egressnetworks",
);
export const EXTERNAL_WORKLOADS: Resource<ExternalWorkload> = resource(
  "workload.linkerd.io/v1beta1",
  "ExternalWorkload",
  "externalworkloads",
);
export const SERVICE_PROFILES: Resource<ServiceProfile> = resource(
  "linkerd.io/v1alpha2",
  "ServiceProfile",
  "serviceprofiles",
);
