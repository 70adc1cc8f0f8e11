import assert from "node:assert/strict";
import { test } from "node:test";
import {
  CONFIG_MAPS,
  CUSTOM_RESOURCE_DEFINITIONS,
  SERVICE_ACCOUNTS,
  SERVICES,
} from "@heddle/kube/types/core";
import type { KubeObject, ObjectRef, Resource } from "@heddle/kube/types/meta";
import { MUTATING_WEBHOOKS, VALIDATING_WEBHOOKS } from "@heddle/kube/types/webhooks";
import { ApiStore } from "@heddle/testkit/api-store";
import { TestCa } from "@heddle/testkit/ca";
import {
  CHECKED_DEPLOYMENTS,
  CHECKED_NODES,
  CHECKED_PODS,
  CHECKED_REPLICA_SETS,
  CLUSTER_ROLE_BINDINGS,
  CLUSTER_ROLES,
} from "../resources.ts";
import { MeshWorld, readyStatus } from "../testing/mesh-world.ts";

async function startWorld(values: object = {}): Promise<MeshWorld> {
  return MeshWorld.start(await ApiStore.start(), await TestCa.root(), values);
}

test("check without a kubeconfig, or without an answer, ends with the first category", async () => {
  await using world = await startWorld();
  const unknown = await world.check("--kubeconfig", "/nonexistent/kubeconfig");
  assert.equal(unknown.code, 1);
  assert.deepEqual(
    unknown.results.map(({ description }) => description),
    ["can initialize the client"],
  );
  assert.match(unknown.problems[0]!, /\/nonexistent\/kubeconfig cannot be read/);
});

test("check says that nothing is installed, and stops there", async () => {
  await using world = await startWorld();
  const { code, results, problems } = await world.check("-L", "elsewhere");
  assert.equal(code, 1);
  assert.equal(results.at(-1)?.hint, "https://linkerd.io/2/checks/#l5d-existence-linkerd-config");
  assert.match(problems.at(-1)!, /Cannot find ConfigMap elsewhere\/linkerd-config/);
});

test("check takes no linkerd-config that it does not understand, and says what of it", async () => {
  await using world = await startWorld();
  for (const [values, why] of [
    ["- a", /its values are no map/],
    ["{", /not YAML/],
    ["clusterNetworks: [1]", /clusterNetworks is not text/],
    ["highAvailability: maybe", /highAvailability is neither true nor false/],
    ["identity: {issuer: {scheme: mine}}", /scheme is neither linkerd.io\/tls nor/],
  ] as const) {
    await world.put(CONFIG_MAPS, {
      metadata: { name: "linkerd-config", namespace: "linkerd" },
      data: { values },
    });
    const { code, of } = await world.check();
    assert.equal(code, 1);
    assert.match(of("'linkerd-config' config map exists")?.error ?? "", why);
  }
});

test("[HC12] extensions of one name are told, those of different names are not", async () => {
  await using world = await startWorld();
  const label = (name: string, extension: string): Promise<unknown> =>
    world.namespace(name, { "linkerd.io/extension": extension });
  await label("one", "mine");
  await label("two", "other");
  const description = "namespace configuration for extensions";
  assert.equal((await world.check()).of(description)?.result, "success");
  await label("three", "mine");
  const { of, code } = await world.check();
  assert.equal(of(description)?.result, "warning");
  assert.match(of(description)?.error ?? "", /\* mine: one, three$/);
  assert.equal(code, 0);
});

const MISSING: readonly (readonly [Resource<KubeObject>, ObjectRef, string])[] = [
  [CLUSTER_ROLES, { name: "linkerd-linkerd-identity" }, "ClusterRoles"],
  [CLUSTER_ROLE_BINDINGS, { name: "linkerd-linkerd-proxy-injector" }, "ClusterRoleBindings"],
  [SERVICE_ACCOUNTS, { name: "linkerd-destination", namespace: "linkerd" }, "ServiceAccounts"],
  [CUSTOM_RESOURCE_DEFINITIONS, { name: "servers.policy.linkerd.io" }, "CustomResourceDefinitions"],
  [
    MUTATING_WEBHOOKS,
    { name: "linkerd-proxy-injector-webhook-config" },
    "MutatingWebhookConfigurations",
  ],
  [
    VALIDATING_WEBHOOKS,
    { name: "linkerd-sp-validator-webhook-config" },
    "ValidatingWebhookConfigurations",
  ],
];

for (const [of, ref, kinds] of MISSING) {
  test(`[HC13] check names what is missing of the ${kinds}, and goes no further`, async () => {
    await using world = await startWorld();
    await world.client.delete(of, ref);
    const { code, problems, results } = await world.check();
    assert.equal(code, 1);
    assert.equal(results.at(-1)?.description, `control plane ${kinds} exist`);
    assert.equal(problems.length, 1);
    assert.ok(problems[0]!.includes(`\t* ${ref.name}`), String(problems[0]));
  });
}

test("[HC13] what belongs to the CNI plugin is not the control plane's", async () => {
  await using world = await startWorld();
  const name = "linkerd-linkerd-identity";
  await world.put(CLUSTER_ROLES, {
    metadata: {
      name,
      labels: { "linkerd.io/control-plane-ns": "linkerd", "linkerd.io/cni-resource": "true" },
    },
  });
  assert.match(
    (await world.check()).problems[0]!,
    /missing ClusterRoles:\n\t\* linkerd-linkerd-id/,
  );
});

const READY = "control plane pods are ready";
const COMPONENT = "linkerd.io/control-plane-component";

test("[HC14] check misses a component that has no running pod, whatever else has its label", async () => {
  await using world = await startWorld();
  const labels = { [COMPONENT]: "destination" };
  await world.client.delete(CHECKED_PODS, {
    name: "linkerd-destination-6d5f8b7c9-abcde",
    namespace: "linkerd",
  });
  await world.putPod("linkerd", "destination-6d5f8b7c9-abcde", { labels });
  await world.putPod("linkerd", "linkerd-destination", { labels });
  await world.putPod("linkerd", "linkerd-destination-6d5f8b7c9-later", {
    labels,
    status: { phase: "Pending" },
  });
  const { code, of } = await world.check();
  assert.equal(code, 1);
  assert.equal(of(READY)?.error, 'no running pods for "linkerd-destination"');
});

test("[HC14] one ready pod of a component is enough, and none names the container", async () => {
  await using world = await startWorld({ highAvailability: true });
  const labels = { [COMPONENT]: "identity" };
  const status = {
    ...readyStatus("10.1.2.9"),
    containerStatuses: [{ name: "identity", ready: false, state: { waiting: {} } }],
  };
  await world.putPod("linkerd", "linkerd-identity-6d5f8b7c9-fghij", { labels, status });
  assert.equal((await world.check()).of(READY)?.result, "success");
  await world.putPod("linkerd", "linkerd-identity-6d5f8b7c9-abcde", { labels, status });
  const { of } = await world.check();
  assert.match(
    of(READY)?.error ?? "",
    /^pod\/linkerd-identity-\S+ container identity is not ready$/,
  );
});

test("[HC14] several replicas are asked for where high availability is", async () => {
  await using world = await startWorld();
  const description = "multiple replicas of control plane pods";
  assert.equal((await world.check()).of(description), undefined);
  await world.configure({ highAvailability: true });
  for (const part of ["destination", "identity"]) {
    const ref = { name: `linkerd-${part}`, namespace: "linkerd" };
    const deployment = await world.client.get(CHECKED_DEPLOYMENTS, ref);
    const status = { replicas: 3, readyReplicas: 2, availableReplicas: 2 };
    await world.client.update(
      CHECKED_DEPLOYMENTS,
      { ...deployment, status },
      {
        subresource: "status",
      },
    );
  }
  const { of, code } = await world.check();
  assert.equal(of(description)?.result, "warning");
  assert.match(of(description)?.error ?? "", /:\n\t\* linkerd-proxy-injector \(1 available\)$/);
  assert.equal(code, 0);
});

test("check tells of pods without a node and of replica sets that cannot make theirs", async () => {
  await using world = await startWorld();
  const labels = { [COMPONENT]: "destination" };
  await world.putPod("linkerd", "linkerd-destination-6d5f8b7c9-later", {
    labels,
    status: {
      phase: "Pending",
      conditions: [
        { type: "PodScheduled", status: "False", reason: "Unschedulable", message: "no memory" },
      ],
    },
  });
  const { of } = await world.check();
  const unschedulable = of("no unschedulable pods");
  assert.equal(unschedulable?.result, "warning");
  assert.match(unschedulable?.error ?? "", /linkerd-destination-6d5f8b7c9-later: no memory/);

  const template = { metadata: { labels }, spec: { containers: [{ name: "a", image: "a:1" }] } };
  await world.put(CHECKED_REPLICA_SETS, {
    metadata: { name: "linkerd-destination-6d5f8b7c9", namespace: "linkerd" },
    spec: { replicas: 0, selector: { matchLabels: labels }, template },
    status: {
      replicas: 0,
      conditions: [
        { type: "ReplicaFailure", status: "True", reason: "FailedCreate", message: "quota" },
      ],
    },
  } as never);
  const failing = await world.check();
  assert.equal(failing.code, 1);
  const sets = failing.of("control plane replica sets are ready");
  assert.match(sets?.error ?? "", /linkerd-destination-6d5f8b7c9: FailedCreate: quota/);
});

test("the heartbeat's account is missed, unless there is no heartbeat", async () => {
  await using world = await startWorld();
  const ref = { name: "linkerd-heartbeat", namespace: "linkerd" };
  await world.client.delete(SERVICE_ACCOUNTS, ref);
  const description = "heartbeat ServiceAccount exist";
  assert.equal((await world.check()).of(description)?.result, "error");
  await world.configure({ disableHeartBeat: true });
  const { of, code } = await world.check();
  assert.equal(of(description), undefined);
  assert.equal(code, 0);
});

const RANGES = "cluster networks contains all node podCIDRs";

test("[HC15] check holds clusterNetworks against the nodes' ranges", async () => {
  await using world = await startWorld();
  await world.put(CHECKED_NODES, { metadata: { name: "none" } });
  for (const [clusterNetworks, podCIDR, isInside] of [
    ["10.0.0.0/8", "10.1.0.0/16", true],
    ["10.0.0.0/8", "10.0.0.0/8", true],
    ["10.1.0.0/16", "10.0.0.0/8", false],
    ["10.0.0.0/8", "11.0.0.0/16", false],
    ["10.0.0.0/8, 192.168.0.0/16", "192.168.4.0/24", true],
    ["10.0.0.0/8,fd00::/8", "fd00:1::/64", true],
    ["10.0.0.0/8", "fd00:1::/64", false],
  ] as const) {
    await world.configure({ clusterNetworks });
    await world.put(CHECKED_NODES, { metadata: { name: "east" }, spec: { podCIDR } });
    const found = (await world.check()).of(RANGES);
    const name = `${podCIDR} in ${clusterNetworks}`;
    assert.equal(found?.result, isInside ? "success" : "error", name);
    if (!isInside)
      assert.ok(found?.error?.endsWith(`:\n\t* east (${podCIDR})`), String(found?.error));
  }
});

test("[HC15] without ranges of nodes there is nothing to compare; pods and services are compared", async () => {
  await using world = await startWorld({ clusterNetworks: "10.0.0.0/8" });
  await world.put(CHECKED_NODES, { metadata: { name: "none" } });
  await world.namespace("shop");
  const pod = (name: string, podIP: string, hostNetwork: boolean): Promise<unknown> =>
    world.put(CHECKED_PODS, {
      metadata: { name, namespace: "shop" },
      spec: { hostNetwork, containers: [{ name: "app", image: "app:1" }] },
      status: { phase: "Running", podIP },
    });
  await pod("inside", "10.1.2.3", false);
  await pod("host", "172.20.0.1", true);
  const inside = await world.check();
  assert.equal(inside.of(RANGES), undefined);
  assert.equal(inside.of("cluster networks contains all pods")?.result, "success");
  await pod("outside", "172.20.0.2", false);
  const { of, code } = await world.check();
  assert.equal(code, 1);
  assert.match(
    of("cluster networks contains all pods")?.error ?? "",
    /:\n\t\* shop\/outside \(172\.20\.0\.2\)$/,
  );
  const made = await world.client.create(SERVICES, {
    metadata: { name: "web", namespace: "shop" },
    spec: { ports: [{ port: 80 }] },
  });
  await world.client.create(SERVICES, {
    metadata: { name: "headless", namespace: "shop" },
    spec: { clusterIP: "None", ports: [{ port: 80 }] },
  });
  await world.configure({ clusterNetworks: "192.0.2.0/24" });
  const services = (await world.check()).of("cluster networks contains all services");
  assert.ok(
    services?.error?.includes(`* shop/web (${made.spec?.clusterIP})`),
    String(services?.error),
  );
  assert.doesNotMatch(services?.error ?? "", /headless/);
});

test("Docker's nodes need an init container that runs as root", async () => {
  await using world = await startWorld();
  const nodeInfo = { containerRuntimeVersion: "docker://19.3.1" };
  await world.put(CHECKED_NODES, {
    metadata: { name: "old" },
    status: { nodeInfo: { ...nodeInfo, architecture: "amd64" } as object },
  });
  const description = "proxy-init container runs as root user if docker container runtime is used";
  const { of, code } = await world.check();
  assert.equal(code, 1);
  assert.match(of(description)?.error ?? "", /runAsRoot to true.*\n\t\* old$/s);
  await world.configure({ proxyInit: { runAsRoot: true } });
  assert.equal((await world.check()).of(description)?.result, "success");
});

const OTHER = "no other control plane serves this cluster";

test("controllers of two makers in one namespace are told, those of one are not", async () => {
  await using world = await startWorld();
  assert.equal((await world.check()).of(OTHER), undefined);
  const ref = { name: "linkerd-destination", namespace: "linkerd" };
  const deployment = await world.client.get(CHECKED_DEPLOYMENTS, ref);
  const annotations = { "linkerd.io/created-by": "linkerd/helm edge-26.6.3" };
  const metadata = { ...deployment.metadata, annotations };
  await world.client.update(CHECKED_DEPLOYMENTS, { ...deployment, metadata });
  const { of, code } = await world.check();
  assert.equal(code, 1);
  assert.match(of(OTHER)?.error ?? "", /\* linkerd\/linkerd-destination \(linkerd\)/);
  assert.match(of(OTHER)?.error ?? "", /\* linkerd\/linkerd-identity \(heddle\)/);
});
