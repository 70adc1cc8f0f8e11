import { startInjector } from "./injector/main.ts";
import { newProfileValidator } from "./policy/admission/profile-validator.ts";
import { newPolicyValidator } from "./policy/admission/validator.ts";
import { warningOfServices } from "./policy/warnings/services.ts";
import { Warnings } from "./policy/warnings/warnings.ts";
import { startWebhooks, type WebhookRole } from "./webhook/main.ts";
import type { Wiring } from "./wiring.ts";

/** Without certificates of the mesh: the API server knows the webhooks by some of their own. */
export async function startWebhookRole(wiring: Wiring): Promise<WebhookRole> {
  const { settings, parts, client, log } = wiring;
  const { roles, ip, ports, controlNamespace } = settings;
  const injector = roles.has("injector")
    ? parts.use(
        startInjector({
          ...wiring,
          controlNamespace,
          version: wiring.version ?? "unknown",
          files: settings.injector,
          log: log.child("injector"),
        }),
      )
    : undefined;
  const warnings = new Warnings(client, settings.clusterDomain, log.child("warnings"));
  const policies = roles.has("policy-validator")
    ? newPolicyValidator(log.child("policy-validator"), warnings)
    : undefined;
  return parts.use(
    await startWebhooks({
      handlers: {
        ...(injector === undefined
          ? {}
          : { injector: warningOfServices(injector.handler, warnings) }),
        ...(roles.has("sp-validator") ? { profiles: newProfileValidator(warnings) } : {}),
        ...(policies === undefined ? {} : { policies }),
      },
      shared: { at: { ip, port: ports.webhooks }, tlsFolder: settings.webhookTlsFolder },
      policy: { at: { ip, port: ports.policyWebhook }, tlsFolder: settings.policyWebhookTlsFolder },
      log: log.child("webhooks"),
    }),
  );
}
