import assert from "node:assert/strict";
import { test } from "node:test";
import { CONFIG_MAPS, SERVICE_ACCOUNTS } from "@heddle/kube/types/core";
import { ApiStore } from "@heddle/testkit/api-store";
import { TestCa } from "@heddle/testkit/ca";
import { CLUSTER_ROLE_BINDINGS, CLUSTER_ROLES, DAEMON_SETS } from "../resources.ts";
import { MeshWorld } from "../testing/mesh-world.ts";

const CNI = "linkerd-cni-plugin";

test("the CNI plugin is looked for, part by part, where pods are set up by it", async () => {
  const values = { cniEnabled: true };
  await using world = await MeshWorld.start(await ApiStore.start(), await TestCa.root(), values);
  const { client } = world;
  await world.namespace("nets");
  // A store that is emptied for us keeps its roles.
  await client.delete(CLUSTER_ROLES, { name: "linkerd-cni" });
  await client.delete(CLUSTER_ROLE_BINDINGS, { name: "linkerd-cni" });
  const metadata = { name: "linkerd-cni", namespace: "nets" };
  const roleRef = {
    apiGroup: "rbac.authorization.k8s.io",
    kind: "ClusterRole",
    name: "linkerd-cni",
  };
  const labels = { "k8s-app": "linkerd-cni" };
  const template = { metadata: { labels }, spec: { containers: [{ name: "a", image: "a:1" }] } };
  const putDaemonSet = (numberReady: number): Promise<unknown> =>
    world.put(DAEMON_SETS, {
      metadata,
      spec: { selector: { matchLabels: labels }, template },
      status: {
        desiredNumberScheduled: 2,
        numberReady,
        currentNumberScheduled: 2,
        numberMisscheduled: 0,
      },
    } as never);
  const steps: readonly (readonly [kind: string, add: () => Promise<unknown>])[] = [
    [
      "ConfigMap",
      () => client.create(CONFIG_MAPS, { metadata: { ...metadata, name: "linkerd-cni-config" } }),
    ],
    ["ClusterRole", () => client.create(CLUSTER_ROLES, { metadata: { name: "linkerd-cni" } })],
    [
      "ClusterRoleBinding",
      () =>
        client.create(CLUSTER_ROLE_BINDINGS, {
          metadata: { name: "linkerd-cni" },
          roleRef,
        } as never),
    ],
    ["ServiceAccount", () => client.create(SERVICE_ACCOUNTS, { metadata })],
    ["DaemonSet", () => putDaemonSet(1)],
  ];
  const names = steps.map(([kind]) => `cni plugin ${kind} exists`);
  for (const [index, [kind, add]] of steps.entries()) {
    const { code, results, problems } = await world.check("--cni-namespace", "nets");
    assert.equal(code, 1);
    const told = results.filter(({ category }) => category === CNI);
    assert.deepEqual(
      told.map(({ description }) => description),
      names.slice(0, index + 1),
    );
    assert.match(problems.at(-1)!, new RegExp(`missing ${kind} linkerd-cni`));
    await add();
  }
  const ready = "cni plugin pod is running on all nodes";
  const half = await world.check("--cni-namespace", "nets");
  assert.equal(half.of(ready)?.error, "the plugin is ready on 1 of 2 nodes");
  await putDaemonSet(2);
  assert.deepEqual((await world.check("--cni-namespace", "nets")).problems, []);
});
