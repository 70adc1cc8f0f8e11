import { createPrivateKey, type KeyObject, type X509Certificate } from "node:crypto";
import { hasReason } from "@heddle/kube/errors";
import { SECRETS } from "@heddle/kube/types/core";
import type { Resource } from "@heddle/kube/types/meta";
import {
  MUTATING_WEBHOOKS,
  VALIDATING_WEBHOOKS,
  type WebhookConfiguration,
} from "@heddle/kube/types/webhooks";
import { expiryProblem, parseCertificates, servingProblem } from "../certificates.ts";
import { type Category, type Check, failed, PASSED, SKIPPED, type Verdict } from "../check.ts";
import type { CheckedMesh } from "../checked-mesh.ts";
import { secretText } from "../identity.ts";

interface CheckedWebhook {
  /** Of its Service, and the beginning of the names of its Secret and configuration. */
  readonly name: string;
  readonly short: string;
  readonly of: Resource<WebhookConfiguration>;
  /** Older control planes have none. */
  readonly isOptional?: boolean;
}

const WEBHOOKS: readonly CheckedWebhook[] = [
  { name: "linkerd-proxy-injector", short: "proxy-injector", of: MUTATING_WEBHOOKS },
  { name: "linkerd-sp-validator", short: "sp-validator", of: VALIDATING_WEBHOOKS },
  {
    name: "linkerd-policy-validator",
    short: "policy-validator",
    of: VALIDATING_WEBHOOKS,
    isOptional: true,
  },
];

export const WEBHOOKS_TLS: Category = {
  name: "linkerd-webhooks-and-apisvc-tls",
  checks: WEBHOOKS.flatMap((webhook): Check[] => [
    {
      description: `${webhook.short} webhook has valid cert`,
      anchor: `l5d-${webhook.short}-webhook-cert-valid`,
      isFatal: true,
      run: (mesh, signal) => checkServing(mesh, webhook, signal),
    },
    {
      description: `${webhook.short} cert is valid for at least 60 days`,
      anchor: `l5d-${webhook.short}-webhook-cert-not-expiring-soon`,
      isWarning: true,
      async run(mesh, signal) {
        const serving = await servingMaterial(mesh, webhook, signal);
        if (serving === undefined) return SKIPPED;
        const problem = expiryProblem(serving.chain[0]!, mesh.clock.wallMs());
        return problem === undefined ? PASSED : failed(`the webhook's certificate ${problem}`);
      },
    },
  ]),
};

interface ServingMaterial {
  readonly chain: readonly X509Certificate[];
  readonly keyPem: string;
}

/** The certificate that the webhook serves with; undefined where there may be none, and is none. */
async function servingMaterial(
  mesh: CheckedMesh,
  { name, isOptional }: CheckedWebhook,
  signal: AbortSignal,
): Promise<ServingMaterial | undefined> {
  const ref = { name: `${name}-k8s-tls`, namespace: mesh.options.controlNamespace };
  try {
    const secret = await mesh.client.get(SECRETS, ref, { signal });
    const chain = await parseCertificates(
      secretText(secret, "tls.crt") ?? "",
      `tls.crt of Secret ${ref.namespace}/${ref.name}`,
    );
    return { chain, keyPem: secretText(secret, "tls.key") ?? "" };
  } catch (error) {
    if (isOptional === true && hasReason(error, "NotFound")) return undefined;
    throw error;
  }
}

async function checkServing(
  mesh: CheckedMesh,
  webhook: CheckedWebhook,
  signal: AbortSignal,
): Promise<Verdict> {
  const serving = await servingMaterial(mesh, webhook, signal);
  if (serving === undefined) return SKIPPED;
  const { name, of } = webhook;
  const configuration = `${name}-webhook-config`;
  const { webhooks } = await mesh.client.get(of, { name: configuration }, { signal });
  const found = webhooks ?? [];
  if (found.length !== 1) {
    return failed(`${of.kind} ${configuration} has ${found.length} webhooks instead of one`);
  }
  if (!isKeyOf(serving.keyPem, serving.chain[0]!)) {
    return failed(`tls.key of Secret ${name}-k8s-tls does not belong to its tls.crt`);
  }
  const bundle = Buffer.from(found[0]?.clientConfig.caBundle ?? "", "base64").toString("utf8");
  const problem = servingProblem({
    chain: serving.chain,
    roots: await parseCertificates(bundle, `caBundle of ${configuration}`),
    host: `${name}.${mesh.options.controlNamespace}.svc`,
    nowMs: mesh.clock.wallMs(),
  });
  return problem === undefined ? PASSED : failed(`the API server cannot call ${name}: ${problem}`);
}

function isKeyOf(pem: string, certificate: X509Certificate): boolean {
  let key: KeyObject;
  try {
    key = createPrivateKey(pem);
  } catch {
    // What does not parse belongs to nothing; the message says which text it is.
    return false;
  }
  return certificate.checkPrivateKey(key);
}
