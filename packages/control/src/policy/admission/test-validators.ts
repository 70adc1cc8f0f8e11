import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { systemClock } from "@heddle/base/clock";
import { Log } from "@heddle/base/log";
import type { KubeClient } from "@heddle/kube/client";
import { SERVICE_PROFILES } from "@heddle/kube/types/linkerd";
import { installDefinitions } from "../../crds/install.ts";
import { startControl } from "../../main.ts";
import { controlSettings } from "../../testing/control-host.ts";
import { createWebhookCertificate, installValidators } from "../../webhook/install.ts";
import { TCP_ROUTES } from "../resources.ts";

const PATIENCE_MS = 30_000;

/**
 * For tests only: all kinds, and both validators as roles of a control plane, which the store must
 * ask before it takes anything of them.
 */
export async function startValidators(store: {
  readonly client: KubeClient;
  controlClient(): KubeClient;
}): Promise<AsyncDisposable> {
  await using parts = new AsyncDisposableStack();
  const { client } = store;
  await installDefinitions(client);
  const folder = mkdtempSync(join(tmpdir(), "heddle-validators-"));
  parts.defer(() => rmSync(folder, { recursive: true, force: true }));
  const caPem = await createWebhookCertificate(folder, "127.0.0.1", systemClock);
  const settings = controlSettings({
    HEDDLE_CONTROL_ROLES: "sp-validator,policy-validator",
    HEDDLE_CONTROL_WEBHOOK_TLS_DIR: folder,
    HEDDLE_CONTROL_POLICY_WEBHOOK_TLS_DIR: folder,
  });
  const log = Log.silent();
  const control = parts.use(await startControl({ settings, client, log, clock: systemClock }));
  await control.ready;
  const { policyWebhook, webhooks } = control.addresses;
  const urls = {
    policyUrl: `https://127.0.0.1:${policyWebhook!.port}/`,
    profileUrl: `https://127.0.0.1:${webhooks!.port}/`,
  };
  await installValidators(client, { ...urls, caPem }, "Fail");
  await untilAsked(client);
  return parts.move();
}

/** A real API server asks webhooks only some time after it was told of them. */
async function untilAsked(client: KubeClient): Promise<void> {
  const metadata = { name: "probe", namespace: "default" };
  const dryRun = true;
  const routes = [{ name: "r", condition: {} }];
  const attempts = [
    () => client.create(TCP_ROUTES, { metadata, spec: { rules: [{}, {}] } }, { dryRun }),
    () => client.create(SERVICE_PROFILES, { metadata, spec: { routes } }, { dryRun }),
  ];
  const deadline = performance.now() + PATIENCE_MS;
  for (const attempt of attempts) {
    for (;;) {
      const why = await attempt().then(() => "taken", String);
      if (why.includes("denied the request")) break;
      if (performance.now() > deadline) throw new Error(`waited in vain for webhooks: ${why}`);
      await sleep(20);
    }
  }
}
