import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Log } from "@heddle/base/log";
import { SERVICE_PROFILES } from "@heddle/kube/types/linkerd";
import { ApiStore } from "@heddle/testkit/api-store";
import { installDefinitions } from "../../crds/install.ts";
import { TestNamespace } from "../../testing/objects.ts";
import type { AdmissionResponse } from "../../webhook/review.ts";
import { warningOfServices } from "./services.ts";
import { Warnings } from "./warnings.ts";

let store: ApiStore;
before(async () => {
  store = await ApiStore.start();
  await installDefinitions(store.client);
});
after(() => store?.[Symbol.asyncDispose]());

function ask(
  answer: Omit<AdmissionResponse, "uid">,
  kind: string,
  metadata: unknown,
): Promise<AdmissionResponse> {
  const warnings = new Warnings(store.client, "cluster.local", Log.silent());
  const handler = warningOfServices(async () => ({ uid: "1", ...answer }), warnings);
  const request = {
    uid: "1",
    kind: { group: "", version: "v1", kind },
    name: "web",
    namespace: "shop",
  };
  return handler({ request: { ...request, object: { metadata } } });
}

test("a Service's annotations that do nothing are told, beside what the webhook says", async () => {
  const patched = { allowed: true, patchType: "JSONPatch", patch: "W10=" } as const;
  const annotations = {
    "balancer.linkerd.io/failure-acrual": "consecutive",
    "config.linkerd.io/opaque-ports": "80,http",
    "retry.linkerd.io/http": "5xx",
    "timeout.linkerd.io/idle": "5",
  };
  const answer = await ask(patched, "Service", { annotations });
  assert.deepEqual(answer, {
    uid: "1",
    ...patched,
    warnings: [
      'metadata.annotations[timeout.linkerd.io]: "5" is not a duration: try "5s" or "5ms", and does nothing',
      "metadata.annotations[balancer.linkerd.io/failure-acrual]: does nothing on a Service: did you mean balancer.linkerd.io/failure-accrual?",
    ],
  });
  const good = { annotations: { "retry.linkerd.io/http": "5xx" } };
  assert.equal((await ask(patched, "Service", good)).warnings, undefined);
  const ns = await TestNamespace.create(store.client, "shop");
  const name = "web.shop.svc.cluster.local";
  const spec = { routes: [{ name: "r", condition: { method: "GET" } }] };
  await store.client.create(SERVICE_PROFILES, { metadata: { name, namespace: ns.name }, spec });
  assert.deepEqual((await ask(patched, "Service", good)).warnings, [
    `metadata.annotations: the ServiceProfile ${name} goes before retry.linkerd.io/http`,
  ]);
});

test("denials, pods and odd objects are left as they are", async () => {
  const annotations = { "retry.linkerd.io/x": "1" };
  const denied = { allowed: false, status: { message: "no" } };
  assert.deepEqual(await ask(denied, "Service", { annotations }), { uid: "1", ...denied });
  assert.equal((await ask({ allowed: true }, "Pod", { annotations })).warnings, undefined);
  for (const metadata of [null, 5, [], { annotations: 7 }, { annotations: { a: {} } }]) {
    assert.deepEqual(await ask({ allowed: true }, "Service", metadata), {
      uid: "1",
      allowed: true,
    });
  }
});
