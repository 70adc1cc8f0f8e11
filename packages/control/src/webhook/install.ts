import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Clock } from "@heddle/base/clock";
import type { KubeClient } from "@heddle/kube/client";
import { hasReason } from "@heddle/kube/errors";
import {
  VALIDATING_WEBHOOKS,
  type Webhook,
  type WebhookConfiguration,
  type WebhookRule,
} from "@heddle/kube/types/webhooks";
import { GATEWAY_GROUP, POLICY_GROUP } from "../policy/refs.ts";
import { createWebhookPair } from "./certificate.ts";

/** Made at every start; ten years, so that no mesh outlives it without one. */
const LIFETIME_MS = 3_650 * 86_400_000;

/**
 * Makes the certificate of webhooks that are called by address, and nobody's but theirs: its key is
 * in the folder alone.
 *
 * @param folder - Where webhooks look for `tls.crt` and `tls.key`; made if it is not there.
 * @returns what callers must trust, as PEM.
 */
export async function createWebhookCertificate(
  folder: string,
  ip: string,
  clock: Clock,
): Promise<string> {
  const name = { type: "ip", value: ip } as const;
  const { certificate: pem, key } = await createWebhookPair(name, clock.wallMs(), LIFETIME_MS);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  writeFileSync(join(folder, "tls.key"), key, { mode: 0o600 });
  writeFileSync(join(folder, "tls.crt"), pem, { mode: 0o600 });
  return pem;
}

export interface ValidatorAddresses {
  /** `https://ADDRESS:PORT/`. */
  readonly policyUrl: string;
  readonly profileUrl: string;
  /** PEM. */
  readonly caPem: string;
}

/** The policy validator's rule: all versions of what it judges. */
const POLICY_RULES: readonly WebhookRule[] = [
  rule(
    [POLICY_GROUP],
    ["*"],
    [
      "authorizationpolicies",
      "httplocalratelimitpolicies",
      "httproutes",
      "networkauthentications",
      "meshtlsauthentications",
      "serverauthorizations",
      "servers",
      "egressnetworks",
    ],
  ),
  rule([GATEWAY_GROUP], ["*"], ["httproutes", "grpcroutes", "tlsroutes", "tcproutes"]),
];
const PROFILE_RULES = [rule(["linkerd.io"], ["v1alpha1", "v1alpha2"], ["serviceprofiles"])];

/**
 * Tells the API of validators that it reaches by address, under Linkerd's names. A chart tells of
 * those that it reaches through Services.
 *
 * @param failurePolicy - What holds while they do not answer.
 */
export async function installValidators(
  client: KubeClient,
  { policyUrl, profileUrl, caPem }: ValidatorAddresses,
  failurePolicy: "Ignore" | "Fail",
): Promise<void> {
  const caBundle = Buffer.from(caPem).toString("base64");
  const configuration = (
    name: string,
    url: string,
    rules: readonly WebhookRule[],
  ): WebhookConfiguration => {
    const webhook: Webhook = {
      name: `${name}.linkerd.io`,
      clientConfig: { url, caBundle },
      rules,
      failurePolicy,
      sideEffects: "None",
      admissionReviewVersions: ["v1", "v1beta1"],
      namespaceSelector: {
        matchExpressions: [
          {
            key: "config.linkerd.io/admission-webhooks",
            operator: "NotIn",
            values: ["disabled"],
          },
        ],
      },
    };
    return { metadata: { name: `${name}-webhook-config` }, webhooks: [webhook] };
  };
  await put(client, configuration("linkerd-policy-validator", policyUrl, POLICY_RULES));
  await put(client, configuration("linkerd-sp-validator", profileUrl, PROFILE_RULES));
}

function rule(
  apiGroups: readonly string[],
  apiVersions: readonly string[],
  resources: readonly string[],
): WebhookRule {
  return { operations: ["CREATE", "UPDATE"], apiGroups, apiVersions, resources };
}

async function put(client: KubeClient, configuration: WebhookConfiguration): Promise<void> {
  try {
    await client.create(VALIDATING_WEBHOOKS, configuration);
  } catch (error) {
    if (!hasReason(error, "AlreadyExists")) throw error;
    const { name } = configuration.metadata;
    await client.patch(
      VALIDATING_WEBHOOKS,
      { name: name! },
      {
        type: "merge",
        body: { webhooks: configuration.webhooks },
      },
    );
  }
}
