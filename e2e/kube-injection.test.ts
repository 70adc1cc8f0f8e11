import assert from "node:assert/strict";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { systemClock } from "@heddle/base/clock";
import { Log } from "@heddle/base/log";
import { eventually } from "@heddle/cli/mesh";
import { startControl } from "@heddle/control/main";
import { controlSettings } from "@heddle/control/testing/control-host";
import { KubeClient } from "@heddle/kube/client";
import { loadKubeconfig } from "@heddle/kube/kubeconfig";
import {
  CONFIG_MAPS,
  NAMESPACES,
  PODS,
  type Pod,
  SERVICE_ACCOUNTS,
  SERVICES,
} from "@heddle/kube/types/core";
import type { KubeObject, Resource } from "@heddle/kube/types/meta";
import { TestCa } from "@heddle/testkit/ca";
import { toolPath } from "../scripts/tools.ts";
import { KUBE_API_TOOLS, startKubeApi } from "./kube/api-server.ts";

const absent = KUBE_API_TOOLS.filter((name) => !existsSync(toolPath(name)));
const skip = absent.length > 0 && `not built: ${absent.join(", ")}`;

/** What is waited for comes, or its patience is over. */
const NEVER = new AbortController().signal;

interface WebhookConfiguration extends KubeObject {
  readonly webhooks: readonly object[];
}

const MUTATING_WEBHOOKS: Resource<WebhookConfiguration> = {
  group: "admissionregistration.k8s.io",
  version: "v1",
  plural: "mutatingwebhookconfigurations",
  kind: "MutatingWebhookConfiguration",
  isNamespaced: false,
};

const POD_SPEC = {
  containers: [{ name: "app", image: "app:1", ports: [{ containerPort: 3306 }] }],
};

test("a real API server has its pods injected by our webhook", { skip }, async () => {
  await using parts = new AsyncDisposableStack();
  const folder = mkdtempSync(join(tmpdir(), "heddle-injection-"));
  parts.defer(() => rmSync(folder, { recursive: true, force: true }));
  const { kubeconfigPath } = parts.use(await startKubeApi(join(folder, "kube")));
  const client = parts.use(
    new KubeClient({ cluster: loadKubeconfig({ paths: [kubeconfigPath] }) }),
  );
  const ca = await TestCa.root();
  const leaf = await ca.leaf({ sans: [{ ip: "127.0.0.1" }] });
  writeFileSync(join(folder, "tls.crt"), leaf.chainPem);
  writeFileSync(join(folder, "tls.key"), leaf.keyPem);
  const settings = controlSettings({
    HEDDLE_CONTROL_ROLES: "injector",
    HEDDLE_CONTROL_WEBHOOK_TLS_DIR: folder,
  });
  const log = Log.silent();
  const control = parts.use(
    await startControl({ settings, client, log, clock: systemClock, version: "test" }),
  );
  await control.ready;
  const ready = await fetch(`http://127.0.0.1:${control.addresses.injectorAdmin!.port}/ready`);
  assert.equal(ready.status, 200);

  await client.create(NAMESPACES, { metadata: { name: "linkerd" } });
  await client.create(CONFIG_MAPS, {
    metadata: { name: "linkerd-config", namespace: "linkerd" },
    data: { values: `identityTrustAnchorsPEM: ${JSON.stringify(ca.pem)}\n` },
  });
  const annotations = { "linkerd.io/inject": "enabled" };
  await client.create(NAMESPACES, { metadata: { name: "meshed", annotations } });
  await client.create(NAMESPACES, { metadata: { name: "plain" } });
  await client.create(MUTATING_WEBHOOKS, {
    metadata: { name: "linkerd-proxy-injector-webhook-config" },
    webhooks: [
      {
        name: "linkerd-proxy-injector.linkerd.io",
        admissionReviewVersions: ["v1", "v1beta1"],
        sideEffects: "None",
        failurePolicy: "Fail",
        rules: [
          {
            operations: ["CREATE"],
            apiGroups: [""],
            apiVersions: ["v1"],
            resources: ["pods", "services"],
            scope: "Namespaced",
          },
        ],
        clientConfig: {
          url: `https://127.0.0.1:${control.addresses.webhooks!.port}/`,
          caBundle: Buffer.from(ca.pem).toString("base64"),
        },
      },
    ],
  });
  for (const namespace of ["meshed", "plain"]) {
    await client.create(SERVICE_ACCOUNTS, { metadata: { name: "web", namespace } });
  }
  const create = (namespace: string): Promise<Pod> =>
    client.create(PODS, {
      metadata: { name: "web", namespace },
      spec: { serviceAccountName: "web", ...POD_SPEC },
    } as Pod);

  // A webhook counts only some time after it was made.
  const pod = await eventually("the first injected pod", NEVER, async () => {
    await client.delete(PODS, { name: "web", namespace: "meshed" }, { gracePeriodSeconds: 0 });
    const created = await create("meshed");
    assert.notEqual(created.spec?.initContainers, undefined);
    return created;
  });
  assert.deepEqual(
    pod.spec?.initContainers?.map(({ name, restartPolicy }) => [name, restartPolicy]),
    [
      ["linkerd-init", undefined],
      ["linkerd-proxy", "Always"],
    ],
  );
  assert.equal(pod.metadata.labels?.["linkerd.io/control-plane-ns"], "linkerd");
  assert.equal(pod.metadata.annotations?.["config.linkerd.io/opaque-ports"], "3306");

  const plain = await create("plain");
  assert.equal(plain.spec?.initContainers, undefined);
  assert.equal(plain.metadata.annotations?.["config.linkerd.io/opaque-ports"], "3306");
  const service = await client.create(SERVICES, {
    metadata: { name: "db", namespace: "plain" },
    spec: { ports: [{ port: 3306 }] },
  });
  assert.equal(service.metadata.annotations?.["config.linkerd.io/opaque-ports"], "3306");
});
