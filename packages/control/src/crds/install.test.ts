import assert from "node:assert/strict";
import { test } from "node:test";
import type { MeshError } from "@heddle/base/errors";
import { CUSTOM_RESOURCE_DEFINITIONS } from "@heddle/kube/types/core";
import { EXTERNAL_WORKLOADS, SERVERS } from "@heddle/kube/types/linkerd";
import { resource } from "@heddle/kube/types/meta";
import { POLICY_HTTP_ROUTES } from "@heddle/kube/types/routes";
import { ApiStore } from "@heddle/testkit/api-store";
import { gatewayDefinitions, installDefinitions, linkerdDefinitions } from "./install.ts";

test("each definition stores exactly one of its versions", () => {
  for (const { metadata, spec } of linkerdDefinitions()) {
    assert.equal(metadata.name, `${spec.names.plural}.${spec.group}`);
    assert.equal(spec.versions.filter(({ storage }) => storage).length, 1, metadata.name);
  }
});

test("installDefinitions() may run again, and leaves what others installed", async () => {
  await using store = await ApiStore.start();
  const { client } = store;
  await installDefinitions(client);
  const name = "httproutes.gateway.networking.k8s.io";
  const before = await client.get(CUSTOM_RESOURCE_DEFINITIONS, { name });
  await installDefinitions(client);
  const after = await client.get(CUSTOM_RESOURCE_DEFINITIONS, { name });
  assert.equal(after.metadata.resourceVersion, before.metadata.resourceVersion);
  const all = await client.list(CUSTOM_RESOURCE_DEFINITIONS);
  assert.equal(all.items.length, linkerdDefinitions().length + gatewayDefinitions().length);
});

test("schemas default, keep and refuse as Linkerd's do", async () => {
  await using store = await ApiStore.start();
  const { client } = store;
  await installDefinitions(client);
  const metadata = { name: "one", namespace: "default" };
  const labels = { "a/b": "c" };
  const spec = { podSelector: { matchLabels: labels }, port: "http" };
  const server = await client.create(SERVERS, { metadata, spec });
  assert.equal(server.spec.accessPolicy, "deny");
  assert.equal(server.spec.proxyProtocol, "unknown");
  assert.deepEqual(server.spec.podSelector?.matchLabels, labels);

  const route = await client.create(POLICY_HTTP_ROUTES, {
    metadata,
    spec: { parentRefs: [{ name: "one" }], rules: [{}] },
  });
  assert.deepEqual(route.spec, {
    parentRefs: [{ group: "policy.linkerd.io", kind: "Gateway", name: "one" }],
    rules: [{ matches: [{ path: { type: "PathPrefix", value: "/" } }] }],
  });

  const refused = async (creating: Promise<unknown>): Promise<void> => {
    await assert.rejects(creating, (error: MeshError) => error.code === "kube_invalid");
  };
  const other = { ...metadata, name: "two" };
  await refused(client.create(SERVERS, { metadata: other, spec: { port: 80 } }));
  const both = { ...spec, externalWorkloadSelector: {} };
  await refused(client.create(SERVERS, { metadata: other, spec: both }));
  const meshTLS = { identity: "spiffe://td/x", serverName: "x" };
  const ips = ["10.0.0.1", "10.0.0.2", "10.0.0.3"].map((ip) => ({ ip }));
  const workload = { metadata: other, spec: { meshTLS, workloadIPs: ips } };
  await refused(client.create(EXTERNAL_WORKLOADS, workload));
  // An old version reads the same objects.
  const old = resource("policy.linkerd.io/v1beta1", "Server", "servers");
  assert.equal((await client.get(old, metadata)).metadata.uid, server.metadata.uid);
});
