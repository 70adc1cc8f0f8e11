/** Who is asked about changes of objects before they are stored. */
import type { KubeObject, LabelSelector, Resource } from "./meta.ts";
import { resource } from "./meta.ts";

export interface WebhookRule {
  readonly operations: readonly string[];
  readonly apiGroups: readonly string[];
  readonly apiVersions: readonly string[];
  readonly resources: readonly string[];
  readonly scope?: "*" | "Namespaced" | "Cluster";
}

export interface Webhook {
  readonly name: string;
  readonly clientConfig: {
    /** Base64 of PEM. */
    readonly caBundle?: string;
    readonly url?: string;
    readonly service?: {
      readonly namespace: string;
      readonly name: string;
      readonly path?: string;
      readonly port?: number;
    };
  };
  readonly rules: readonly WebhookRule[];
  readonly failurePolicy?: "Ignore" | "Fail";
  readonly sideEffects: "None" | "NoneOnDryRun";
  readonly admissionReviewVersions: readonly string[];
  readonly namespaceSelector?: LabelSelector;
  readonly objectSelector?: LabelSelector;
  readonly timeoutSeconds?: number;
}

export interface WebhookConfiguration extends KubeObject {
  readonly webhooks: readonly Webhook[];
}

const GROUP = "admissionregistration.k8s.io/v1";

export const MUTATING_WEBHOOKS: Resource<WebhookConfiguration> = resource(
  GROUP,
  "MutatingWebhookConfiguration",
  "mutatingwebhookconfigurations",
  "Cluster",
);
export const VALIDATING_WEBHOOKS: Resource<WebhookConfiguration> = resource(
  GROUP,
  "ValidatingWebhookConfiguration",
  "validatingwebhookconfigurations",
  "Cluster",
);
