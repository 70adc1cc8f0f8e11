import assert from "node:assert/strict";
import { test } from "node:test";
import { CoreV1Api, KubeConfig, makeInformer, type V1ConfigMap } from "@kubernetes/client-node";
import { TestClient } from "./testing/client.ts";
import { startFixture } from "./testing/fixture.ts";

const MAPS = "/api/v1/namespaces/default/configmaps";

test("an informer of @kubernetes/client-node lists, follows, and resumes after a restart", async () => {
  await using first = await startFixture();
  const config = new KubeConfig();
  config.loadFromString(first.server.adminKubeconfig());
  const api = config.makeApiClient(CoreV1Api);
  await api.createNamespacedConfigMap({
    namespace: "default",
    body: { metadata: { name: "before" }, data: { k: "1" } },
  });
  const informer = makeInformer<V1ConfigMap>(config, MAPS, () =>
    api.listNamespacedConfigMap({ namespace: "default" }),
  );
  const seen: string[] = [];
  let wake = (): void => {};
  for (const verb of ["add", "update", "delete"] as const) {
    informer.on(verb, (map) => {
      if (map.metadata?.name !== "kube-root-ca.crt") seen.push(`${verb} ${map.metadata?.name}`);
      wake();
    });
  }
  let isOver = false;
  informer.on("error", () => {
    // Its connection is gone while the server is: it is for us to start it again.
    if (!isOver) void informer.start();
  });
  const until = async (count: number): Promise<void> => {
    while (seen.length < count) {
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  };
  await informer.start();
  await until(1);
  await api.patchNamespacedConfigMap({
    namespace: "default",
    name: "before",
    body: [{ op: "replace", path: "/data/k", value: "2" }],
  });
  await until(2);
  await api.deleteNamespacedConfigMap({ namespace: "default", name: "before" });
  await until(3);
  assert.deepEqual(seen, ["add before", "update before", "delete before"]);
  assert.equal(informer.get("before", "default"), undefined);
  const port = Number(new URL(first.server.url).port);
  await first.server.close(0);
  await using second = await startFixture({ dataDir: first.dataDir, port });
  using admin = new TestClient({
    url: second.server.url,
    caPem: second.server.caPem,
    token: second.server.adminToken,
  });
  await admin.post(MAPS, { metadata: { name: "after" } });
  await until(4);
  assert.equal(seen[3], "add after");
  isOver = true;
  await informer.stop();
});
