import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { request } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { systemClock } from "@heddle/base/clock";
import { Log } from "@heddle/base/log";
import type { SocketAddress } from "@heddle/net/transport";
import { createWebhookCertificate } from "./install.ts";
import { startWebhooks, type WebhookHandlers, type WebhookRole } from "./main.ts";
import type { AdmissionHandler } from "./review.ts";

let folder: string;
let ca: string;
before(async () => {
  folder = mkdtempSync(join(tmpdir(), "heddle-webhooks-"));
  ca = await createWebhookCertificate(folder, "127.0.0.1", systemClock);
});
after(() => rmSync(folder, { recursive: true, force: true }));

function start(handlers: WebhookHandlers): Promise<WebhookRole> {
  const at = { ip: "127.0.0.1", port: 0 };
  const listen = { at, tlsFolder: folder };
  return startWebhooks({ handlers, shared: listen, policy: listen, log: Log.silent() });
}

/** Answers with its name as a warning. */
const named =
  (name: string): AdmissionHandler =>
  async ({ request: { uid } }) => ({ uid, allowed: true, warnings: [name] });

function ask(at: SocketAddress, group: string, kind: string): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const call = request(
    { host: at.ip, port: at.port, ca, method: "POST", agent: false },
    async (response) => {
      const text = Buffer.concat(await response.toArray()).toString();
      const { response: answer } = JSON.parse(text) as {
        readonly response: { readonly warnings?: string[]; readonly status?: { message: string } };
      };
      resolve(answer.warnings?.join() ?? answer.status!.message);
    },
  );
  call.on("error", reject);
  call.end(JSON.stringify({ request: { uid: "1", kind: { group, kind } } }));
  return promise;
}

test("webhooks that share a port are told apart by what they are asked about", async () => {
  await using role = await start({
    injector: named("injector"),
    profiles: named("profiles"),
    policies: named("policies"),
  });
  const { webhooks, policyWebhook } = role.addresses;
  for (const [group, kind, whose] of [
    ["", "Pod", "injector"],
    ["", "Service", "injector"],
    ["linkerd.io", "ServiceProfile", "profiles"],
    ["policy.linkerd.io", "Server", "policies"],
    ["gateway.networking.k8s.io", "HTTPRoute", "policies"],
  ] as const) {
    assert.equal(await ask(webhooks!, group, kind), whose);
    assert.equal(await ask(policyWebhook!, group, kind), "policies");
  }
});

test("the policy validator alone has its own port only", async () => {
  await using role = await start({ policies: named("policies") });
  assert.equal(role.addresses.webhooks, undefined);
  assert.equal(await ask(role.addresses.policyWebhook!, "", "Pod"), "policies");
});

test("what nobody here judges is not let through", async () => {
  await using role = await start({ profiles: named("profiles") });
  assert.match(await ask(role.addresses.webhooks!, "apps", "Deployment"), /no webhook here judges/);
});
