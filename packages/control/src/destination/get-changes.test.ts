import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { ENDPOINT_SLICES, NODES, SERVICES, type SliceEndpoint } from "@heddle/kube/types/core";
import type { GrpcClient } from "@heddle/net/grpc/client";
import { ApiStore } from "@heddle/testkit/api-store";
import { ControlHost } from "../testing/control-host.ts";
import { TestNamespace } from "../testing/objects.ts";
import {
  getEndpoints,
  nextWords,
  serviceKnown,
  type TestStream,
  type UpdateWords,
} from "../testing/streams.ts";

let host: ControlHost;
let client: GrpcClient;

before(async () => {
  host = await ControlHost.start(await ApiStore.start(), {
    env: { HEDDLE_CONTROL_ENABLE_IPV6: "true", HEDDLE_CONTROL_EXT_ENDPOINT_ZONE_WEIGHTS: "true" },
  });
  client = await host.client("destination");
});

after(() => host?.[Symbol.asyncDispose]());

function get(namespace: TestNamespace, token?: object): TestStream<UpdateWords> {
  const path = `web.${namespace.name}.svc.cluster.local:80`;
  return getEndpoints({ client, path, ...(token === undefined ? {} : { token }) });
}

/** A Service `web` that the control plane knows. */
async function web(namespace: TestNamespace, more: object = {}): Promise<void> {
  await namespace.service("web", { ports: [{ name: "http", port: 80 }], ...more });
  await serviceKnown({ client, path: `web.${namespace.name}.svc.cluster.local:80` });
}

async function node(name: string, zone: string): Promise<void> {
  const labels = { "topology.kubernetes.io/zone": zone };
  await host.kube.create(NODES, { metadata: { name, labels } });
}

test("[D604] [D605] [D606] what happens to IPv4 beside IPv6 is not told", async () => {
  const ns = await TestNamespace.create(host.kube, "d604");
  await ns.pod({ name: "a", ips: ["10.64.0.1", "fd00:64::1"] });
  await ns.pod({ name: "b", ips: ["10.64.0.2", "fd00:64::2"] });
  const families = { ipFamilyPolicy: "PreferDualStack", ipFamilies: ["IPv6", "IPv4"] };
  await web(ns, { clusterIP: "None", ...families });
  const a = ns.target("Pod", "a", "fd00:64::1");
  const slice = await ns.slice("web", "web-6", [a], { addressType: "IPv6" });
  await using stream = get(ns);
  assert.deepEqual(await nextWords(stream), ["+[fd00:64::1]:8080"]);
  await ns.slice("web", "web-4", [ns.target("Pod", "a", "10.64.0.1")]);
  await host.kube.delete(ENDPOINT_SLICES, { name: "web-4", namespace: "d604" });
  const service = await host.kube.get(SERVICES, { name: "web", namespace: "d604" });
  const single = { ...service.spec, ipFamilyPolicy: "SingleStack", ipFamilies: ["IPv6"] } as const;
  await host.kube.update(SERVICES, { ...service, spec: single });
  const endpoints = [a, ns.target("Pod", "b", "fd00:64::2")];
  await host.kube.update(ENDPOINT_SLICES, { ...slice, endpoints });
  // The first thing that is said since.
  assert.deepEqual(await nextWords(stream), ["+[fd00:64::2]:8080"]);
});

test("[DT14] machines come and go as differences", async () => {
  const ns = await TestNamespace.create(host.kube, "dt14");
  for (const [name, ip] of [
    ["one", "192.0.2.1"],
    ["two", "192.0.2.2"],
  ] as const) {
    await ns.workload(name, { workloadIPs: [{ ip }] });
  }
  await web(ns);
  await using stream = get(ns);
  const one = ns.target("ExternalWorkload", "one", "192.0.2.1");
  const two = ns.target("ExternalWorkload", "two", "192.0.2.2");
  let slice = await ns.slice("web", "web-a", [one]);
  assert.deepEqual(await nextWords(stream), ["+192.0.2.1:8080"]);
  slice = await host.kube.update(ENDPOINT_SLICES, { ...slice, endpoints: [one, two] });
  assert.deepEqual(await nextWords(stream), ["+192.0.2.2:8080"]);
  await host.kube.update(ENDPOINT_SLICES, { ...slice, endpoints: [two] });
  assert.deepEqual(await nextWords(stream), ["-192.0.2.1:8080"]);
});

test("[DT21] where zones have weights, machines in the own one weigh ten times", async () => {
  const ns = await TestNamespace.create(host.kube, "dt21");
  await node("dt21-node", "east");
  const at = [
    ["near", "192.0.2.11", "east"],
    ["far", "192.0.2.12", "west"],
  ] as const;
  for (const [name, ip] of at) await ns.workload(name, { workloadIPs: [{ ip }] });
  await web(ns);
  const endpoints = at.map(([name, ip, zone]) => ({
    ...ns.target("ExternalWorkload", name, ip),
    zone,
  }));
  await ns.slice("web", "web-a", endpoints);
  await using weighted = get(ns, { ns: "dt21", nodeName: "dt21-node" });
  const weights = (update: UpdateWords | undefined): unknown =>
    update?.add?.map(({ labels, weight }) => [labels["external_workload"], weight]);
  // Weights of 10,000 have no words.
  assert.deepEqual(weights(await weighted.next()), [
    ["near", 100_000],
    ["far", undefined],
  ]);
});

test("[DT22] changes of many slices at once leave what they add up to, and say nothing twice", async () => {
  const ns = await TestNamespace.create(host.kube, "dt22");
  const names = Array.from({ length: 12 }, (_, i) => `p${i}`);
  const ipOf = (name: string): string => `10.65.0.${names.indexOf(name) + 1}`;
  await Promise.all(names.map((name) => ns.pod({ name, ips: [ipOf(name)] })));
  await web(ns);
  await using stream = get(ns);
  const churn = names.map(async (name, i) => {
    const endpoint = ns.target("Pod", name, ipOf(name));
    let slice = await ns.slice("web", `web-${name}`, [endpoint]);
    for (const endpoints of [[], [endpoint], i % 2 === 0 ? [endpoint] : []]) {
      slice = await host.kube.update(ENDPOINT_SLICES, { ...slice, endpoints });
    }
  });
  const wanted = new Set(names.filter((_, i) => i % 2 === 0).map((name) => `${ipOf(name)}:8080`));
  await Promise.all(churn);
  // Comes last, so whoever has seen it has seen all.
  await ns.pod({ name: "last", ips: ["10.65.1.1"] });
  await ns.slice("web", "web-last", [ns.target("Pod", "last", "10.65.1.1")]);
  const held = new Set<string>();
  while (!held.has("10.65.1.1:8080")) {
    for (const word of await nextWords(stream)) {
      const at = word.slice(1);
      assert.equal(held.has(at), word.startsWith("-"), word);
      if (word.startsWith("+")) held.add(at);
      else held.delete(at);
    }
  }
  held.delete("10.65.1.1:8080");
  assert.deepEqual(held, wanted);
});

test("[DT23] the inbound port is read from the proxy's environment", async () => {
  const ns = await TestNamespace.create(host.kube, "dt23");
  const env = (inbound: string): object[] => [
    ...(inbound === "" ? [] : [{ name: "LINKERD2_PROXY_INBOUND_LISTEN_ADDR", value: inbound }]),
    { name: "LINKERD2_PROXY_ADMIN_LISTEN_ADDR", value: "0.0.0.0:4191" },
    { name: "LINKERD2_PROXY_CONTROL_LISTEN_ADDR", value: "0.0.0.0:4190" },
  ];
  await ns.pod({ name: "odd", ips: ["10.66.0.1"], proxyEnv: env("0.0.0.0:5143") });
  await ns.pod({ name: "none", ips: ["10.66.0.2"], proxyEnv: env("") });
  await ns.pod({ name: "usual", ips: ["10.66.0.3"] });
  await web(ns);
  await using stream = get(ns);
  await ns.slice("web", "web-a", [
    ns.target("Pod", "odd", "10.66.0.1"),
    ns.target("Pod", "none", "10.66.0.2"),
    ns.target("Pod", "usual", "10.66.0.3"),
  ]);
  const words = (await stream.next())?.add?.map(({ at, hint }) => `${at} ${hint}`);
  // Where it is not said, there is no way in: the endpoint is left out.
  assert.deepEqual(words, ["10.66.0.1:8080 h2+5143", "10.66.0.3:8080 h2+4143"]);
});

test("[DW02] an unnamed port of a NodePort Service is the endpoints' own", async () => {
  const ns = await TestNamespace.create(host.kube, "dw02");
  await ns.pod({ name: "a", ips: ["10.67.0.1"] });
  await web(ns, { type: "NodePort", ports: [{ port: 80, targetPort: 8989 }] });
  await using stream = get(ns);
  await ns.slice("web", "web-a", [ns.target("Pod", "a", "10.67.0.1")], {
    ports: [{ name: "", port: 8989, protocol: "TCP" }],
  });
  assert.deepEqual(await nextWords(stream), ["+10.67.0.1:8989"]);
});

test("[DW05] of a Service without endpoints nothing is said until it has some", async () => {
  const ns = await TestNamespace.create(host.kube, "dw05");
  await ns.pod({ name: "a", ips: ["10.68.0.1"] });
  await web(ns);
  await using stream = get(ns);
  const slice = await ns.slice("web", "web-a", []);
  const endpoints = [ns.target("Pod", "a", "10.68.0.1")];
  await host.kube.update(ENDPOINT_SLICES, { ...slice, endpoints });
  assert.deepEqual(await nextWords(stream), ["+10.68.0.1:8080"]);
});

test("[DW28] [DW29] zones come before families", async () => {
  const ns = await TestNamespace.create(host.kube, "dw28");
  await node("dw28-node", "east");
  const token = { ns: "dw28", nodeName: "dw28-node" };
  await ns.pod({ name: "a", ips: ["10.69.0.1", "fd00:69::1"] });
  await web(ns, { clusterIP: "None" });
  const hinted = (ip: string, zone: string): SliceEndpoint => ({
    ...ns.target("Pod", "a", ip),
    zone,
    hints: { forZones: [{ name: zone }] },
  });
  await ns.slice("web", "web-4", [hinted("10.69.0.1", "east")]);
  const v6 = { addressType: "IPv6" } as const;
  const slice = await ns.slice("web", "web-6", [hinted("fd00:69::1", "east")], v6);
  await using both = get(ns, token);
  let held = new Set<string>();
  while (!held.has("[fd00:69::1]:8080") || held.size !== 1)
    held = follow(held, await nextWords(both));
  // IPv6 is in another zone now: the client keeps to its own, and has IPv4 there.
  await host.kube.update(ENDPOINT_SLICES, { ...slice, endpoints: [hinted("fd00:69::1", "west")] });
  while (!held.has("10.69.0.1:8080") || held.size !== 1) held = follow(held, await nextWords(both));
  await using later = get(ns, token);
  assert.deepEqual(await nextWords(later), ["+10.69.0.1:8080"]);
});

function follow(held: ReadonlySet<string>, words: readonly string[]): Set<string> {
  assert.ok(words.length > 0, "the stream has ended");
  const next = new Set(held);
  for (const word of words) {
    if (word.startsWith("+")) next.add(word.slice(1));
    else next.delete(word.slice(1));
  }
  return next;
}

test("[DT43] a control plane ends though a client takes nothing of its stream", async () => {
  const stalled = await ControlHost.start(await ApiStore.start());
  const ns = await TestNamespace.create(stalled.kube, "dt43");
  await ns.service("web", { ports: [{ name: "http", port: 80 }] });
  const path = "web.dt43.svc.cluster.local:80";
  const reader = await stalled.client("destination");
  await serviceKnown({ client: reader, path });
  const endpointsOf = (change: number): SliceEndpoint[] =>
    Array.from({ length: 1_000 }, (_, i) => ({
      addresses: [`10.${70 + change}.${i >> 8}.${i & 255}`],
      conditions: { ready: true },
    }));
  let slice = await ns.slice("web", "web-a", endpointsOf(0));
  const stream = getEndpoints({ client: await stalled.client("destination"), path });
  assert.equal((await stream.next())?.add?.length, 1_000);
  await using other = getEndpoints({ client: reader, path });
  await other.next();
  const changes = 8;
  for (let change = 1; change <= changes; change++) {
    slice = await stalled.kube.update(ENDPOINT_SLICES, {
      ...slice,
      endpoints: endpointsOf(change),
    });
    // Added, and removed: when the one has heard it all, the other's window is long full.
    assert.equal((await other.next())?.add?.length, 1_000);
    assert.equal((await other.next())?.remove?.length, 1_000);
  }
  await stalled.control[Symbol.asyncDispose]();
  let heard = 0;
  await assert.rejects(async () => {
    while ((await stream.next()) !== undefined) heard++;
  });
  assert.ok(heard < 2 * changes, `${heard} updates came through: the client was not behind`);
  await stalled[Symbol.asyncDispose]();
});
