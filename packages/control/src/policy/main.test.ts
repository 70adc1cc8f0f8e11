import assert from "node:assert/strict";
import { test } from "node:test";
import { InboundServerPolicies } from "@heddle/api/gen/inbound_pb";
import { OutboundPolicies } from "@heddle/api/gen/outbound_pb";
import { systemClock } from "@heddle/base/clock";
import { Log } from "@heddle/base/log";
import { Registry } from "@heddle/base/metrics";
import { KubeClient } from "@heddle/kube/client";
import { PODS } from "@heddle/kube/types/core";
import { AUTHORIZATION_POLICIES, SERVERS } from "@heddle/kube/types/linkerd";
import { POLICY_HTTP_ROUTES } from "@heddle/kube/types/routes";
import { GrpcClient } from "@heddle/net/grpc/client";
import { GrpcServer } from "@heddle/net/grpc/server";
import { ApiStore } from "@heddle/testkit/api-store";
import { GrpcHost } from "@heddle/testkit/grpc-host";
import { grpcMetadata } from "@heddle/testkit/grpc-metadata";
import { startPolicy } from "./main.ts";
import { parsePortSet } from "./port-set.ts";
import { OUTSIDE_IP, PolicyMesh, trafficSpec } from "./test-mesh.ts";

const KIT = { ApiStore, GrpcHost, grpcMetadata };
const { getPort, watchPort } = InboundServerPolicies.method;

test("what is not loaded yet is not answered: nothing fails open", async () => {
  // Nobody listens there: no list is ever read.
  const cluster = {
    server: new URL("https://127.0.0.1:1"),
    namespace: "default",
    tls: {},
    credentials: { current: async () => ({}), refused: () => undefined },
  };
  const kube = new KubeClient({ cluster });
  const server = new GrpcServer();
  await using host = await GrpcHost.start(server);
  await using role = await startPolicy({
    kube,
    metrics: new Registry(),
    log: Log.silent(),
    clock: systemClock,
    trustDomain: "mesh.example",
    identityDomain: "cluster.local",
    clusterDomain: "cluster.local",
    clusterNetworks: [],
    controlNamespace: "linkerd",
    defaultPolicy: "all-unauthenticated",
    defaultOpaquePorts: parsePortSet(""),
    probeNetworks: [],
    grpc: server,
    holder: "test",
  });
  await using connection = await host.connect();
  const client = new GrpcClient(connection, { authority: host.authority });
  const refused = { code: "grpc_unavailable", retryable: true };
  const spec = { workload: "ns:pod", port: 80 };
  await assert.rejects(client.unary(getPort, spec), refused);
  await assert.rejects(client.serverStream(watchPort, spec).next(), refused);
  const { get, watch } = OutboundPolicies.method;
  const target = trafficSpec("ns", OUTSIDE_IP, 80);
  await assert.rejects(client.unary(get, target), refused);
  await assert.rejects(client.serverStream(watch, target).next(), refused);
  await role.close();
  kube.close();
});

test("who asks amiss is told so", async () => {
  await using mesh = await PolicyMesh.start(KIT);
  for (const [workload, port] of [
    ["", 80],
    ["ns", 80],
    ["{", 80],
    ["ns:pod", 0],
    ["ns:pod", 65_536],
  ] as const) {
    await assert.rejects(mesh.grpc.unary(getPort, { workload, port }), {
      code: "grpc_invalid_argument",
    });
  }
  await assert.rejects(mesh.grpc.unary(getPort, { workload: "ns:nobody", port: 80 }), {
    code: "grpc_not_found",
    message: /unknown server/,
  });
  await assert.rejects(
    mesh.grpc.serverStream(watchPort, { workload: "ns:nobody", port: 80 }).next(),
    { code: "grpc_not_found" },
  );
});

test("a stream ends in order when its pod goes, and when the controller closes", async () => {
  await using mesh = await PolicyMesh.start(KIT);
  const ns = await mesh.namespace();
  const workload = await mesh.pausePod(ns);
  const first = await mesh.watchPort(workload, 80);
  await first.next();
  await mesh.delete(PODS, ns, "pause");
  await first.over();
  const outbound = await mesh.watchOutbound(ns, OUTSIDE_IP, 80);
  await outbound.next();
  await mesh.role.close();
  await outbound.over();
});

test("objects come and go in a storm, and what is heard last is what holds", async () => {
  await using mesh = await PolicyMesh.start(KIT);
  const ns = await mesh.namespace();
  const workload = await mesh.pausePod(ns);
  await using watch = await mesh.watchPort(workload, 80);
  let last = await watch.next();
  const spec = {
    podSelector: { matchLabels: { app: "pause" } },
    port: 80,
    proxyProtocol: "HTTP/1",
  };
  const policy = (name: string) => ({
    spec: {
      targetRef: { group: "policy.linkerd.io", kind: "Server", name },
      requiredAuthenticationRefs: [],
    },
  });
  const storm: Promise<unknown>[] = [];
  for (let i = 0; i < 20; i++) {
    storm.push(mesh.create(SERVERS, ns, `s-${i}`, { spec }));
    storm.push(mesh.create(AUTHORIZATION_POLICIES, ns, `p-${i}`, policy(`s-${i}`)));
  }
  await Promise.all(storm);
  await Promise.all(Array.from({ length: 19 }, (_, i) => mesh.delete(SERVERS, ns, `s-${i}`)));
  const seen: string[] = [];
  while (last.labels["name"] !== "s-19" || last.authorizations.length !== 1) {
    last = await watch.next();
    const text = JSON.stringify([last.labels, last.authorizations.length]);
    assert.notEqual(text, seen.at(-1), "the same policy twice in a row");
    seen.push(text);
  }
  await mesh.fence();
  assert.equal(watch.waiting, 0);
});

test("while the store is away what is known is answered; when it is back, streams go on", async () => {
  await using mesh = await PolicyMesh.start(KIT);
  const ns = await mesh.namespace();
  const workload = await mesh.pausePod(ns);
  await using watch = await mesh.watchPort(workload, 80);
  await watch.next();
  await mesh.store.stop();
  const known = await mesh.grpc.unary(getPort, { workload, port: 80 });
  assert.equal(known.labels["name"], "all-unauthenticated");
  await using late = await mesh.watchPort(workload, 81);
  await late.next();
  await mesh.store.restart();
  const spec = { podSelector: {}, port: 80 };
  await mesh.create(SERVERS, ns, "server", { spec });
  assert.equal((await watch.next()).labels["name"], "server");
  await mesh.fence();
  assert.deepEqual([watch.waiting, late.waiting], [0, 0]);
});

test("of two controllers one writes, and the other takes over", async () => {
  await using mesh = await PolicyMesh.start(KIT, { holder: "one" });
  const ns = await mesh.namespace();
  const server = new GrpcServer();
  const metrics = new Registry();
  await using second = await startPolicy({
    kube: mesh.client,
    metrics,
    log: Log.silent(),
    clock: systemClock,
    trustDomain: "mesh.example",
    identityDomain: "cluster.local",
    clusterDomain: "cluster.local",
    clusterNetworks: [],
    controlNamespace: "linkerd",
    defaultPolicy: "all-unauthenticated",
    defaultOpaquePorts: parsePortSet(""),
    probeNetworks: [],
    grpc: server,
    holder: "two",
  });
  await second.synced;
  const route = async (name: string): Promise<void> => {
    const parentRefs = [{ group: "policy.linkerd.io", kind: "Server", name: "missing" }];
    await mesh.create(POLICY_HTTP_ROUTES, ns, name, { spec: { parentRefs, rules: [{}] } });
    await mesh.accepted(POLICY_HTTP_ROUTES as never, ns, name, "False");
  };
  const patches = (registry: Registry): string =>
    /^resource_status_patches_total (\d+)/m.exec(registry.expose())?.[1] ?? "";
  // A status is seen before its writer has heard that it is written.
  const counted = (first: string, second: string): Promise<true> =>
    mesh.eventually(`${first} and ${second} patches`, async () =>
      patches(mesh.metrics) === first && patches(metrics) === second ? true : undefined,
    );
  await route("a");
  await counted("1", "0");
  await mesh.role.close();
  await route("b");
  await counted("1", "1");
});

test("the sizes of the indexes are measured", async () => {
  await using mesh = await PolicyMesh.start(KIT);
  const ns = await mesh.namespace();
  const workload = await mesh.pausePod(ns);
  await (await mesh.watchPort(workload, 80))[Symbol.asyncDispose]();
  const exposed = mesh.metrics.expose();
  assert.match(exposed, new RegExp(`^inbound_index_pod_index_size{namespace="${ns}"} 1$`, "m"));
  assert.match(exposed, new RegExp(`^inbound_index_server_index_size{namespace="${ns}"} 0$`, "m"));
  assert.match(exposed, /^outbound_index_service_index_size \d+$/m);
});
