import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Destination } from "@heddle/api/gen/destination_pb";
import {
  ENDPOINT_SLICES,
  NODES,
  PODS,
  SERVICES,
  type SliceEndpoint,
} from "@heddle/kube/types/core";
import { EXTERNAL_WORKLOADS, SERVERS } from "@heddle/kube/types/linkerd";
import type { GrpcClient } from "@heddle/net/grpc/client";
import type { GrpcError } from "@heddle/net/grpc/error";
import { GrpcStatus } from "@heddle/net/grpc/status";
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
    env: {
      HEDDLE_CONTROL_OUTBOUND_TRANSPORT_MODE: "transparent",
      HEDDLE_CONTROL_ENABLE_IPV6: "true",
    },
  });
  client = await host.client("destination");
});

after(() => host?.[Symbol.asyncDispose]());

const WEB_ID = (namespace: string): string =>
  `web.${namespace}.serviceaccount.identity.linkerd.cluster.local`;

function get(name: string, namespace: TestNamespace, token?: object): TestStream<UpdateWords> {
  const path = `${name}.${namespace.name}.svc.cluster.local:80`;
  return getEndpoints({ client, path, ...(token === undefined ? {} : { token }) });
}

function known(name: string, namespace: TestNamespace): Promise<void> {
  return serviceKnown({ client, path: `${name}.${namespace.name}.svc.cluster.local:80` });
}

async function web(namespace: TestNamespace, more: object = {}): Promise<void> {
  await namespace.service("web", { ports: [{ name: "http", port: 80 }], ...more });
  await known("web", namespace);
}

async function refused(path: string): Promise<GrpcError> {
  try {
    await client.serverStream(Destination.method.get, { path }).next();
  } catch (error) {
    return error as GrpcError;
  }
  throw new Error(`${path} was not refused`);
}

for (const path of [
  "",
  "web",
  "web.ns:80",
  "a.b.c.ns.svc.cluster.local:80",
  "web.ns.svc.cluster.local:0",
  "web.ns.svc.cluster.local:65536",
  "web.ns.svc.cluster.local:http",
  "web.ns.svc.other.domain:80",
  "10.0.0.1:80",
  "[::1]:80",
]) {
  test(`[DG01] Get refuses "${path}" with InvalidArgument`, async () => {
    const error = await refused(path);
    assert.equal(error.status, GrpcStatus.invalidArgument);
    if (path.endsWith("domain:80")) assert.equal(error.message, `Invalid authority: ${path}`);
  });
}

test("Get of a Service that does not exist is NotFound", async () => {
  const error = await refused("no.where.svc.cluster.local:80");
  assert.equal(error.status, GrpcStatus.notFound);
  assert.equal(error.message, "Service no.where not found");
});

test("[DG02] [DW06] Get of an ExternalName Service is InvalidArgument", async () => {
  const ns = await TestNamespace.create(host.kube, "dg02");
  await ns.service("web", { type: "ExternalName", externalName: "example.org" });
  await known("web", ns);
  const error = await refused("web.dg02.svc.cluster.local:80");
  assert.equal(error.status, GrpcStatus.invalidArgument);
});

test("[DG03] [DG06] [DW01] [DW10] [DT10] [DT11] Get tells of ready pods, with labels, identity and hint", async () => {
  const ns = await TestNamespace.create(host.kube, "dg03");
  await host.kube.create(NODES, {
    metadata: { name: "dg03-node", labels: { "topology.kubernetes.io/zone": "west" } },
  });
  const owner = await ns.replicaSet("web", "web-5d4f");
  await ns.pod({
    name: "web-1",
    ips: ["10.1.0.1"],
    labels: { "pod-template-hash": "5d4f" },
    owner,
  });
  await ns.pod({ name: "web-2", ips: ["10.1.0.2"] });
  await web(ns);
  await using stream = get("web", ns, { ns: "dg03", nodeName: "dg03-node" });
  await ns.slice("web", "web-a", [
    { ...ns.target("Pod", "web-1", "10.1.0.1"), zone: "west" },
    { ...ns.target("Pod", "web-2", "10.1.0.2"), conditions: { ready: false } },
  ]);
  assert.deepEqual(await stream.next(), {
    labels: { namespace: "dg03", service: "web" },
    add: [
      {
        at: "10.1.0.1:8080",
        labels: {
          control_plane_ns: "linkerd",
          deployment: "web",
          pod: "web-1",
          pod_template_hash: "5d4f",
          serviceaccount: "web",
          zone: "west",
          zone_locality: "local",
        },
        identity: WEB_ID("dg03"),
        serverName: WEB_ID("dg03"),
        hint: "h2",
        hasHttp2: true,
      },
    ],
  });
});

test("[DG07] [DP16] an unmeshed pod has no identity, hint or HTTP/2 parameters", async () => {
  const ns = await TestNamespace.create(host.kube, "dg07");
  await ns.pod({ name: "plain", ips: ["10.7.0.1"], meshed: false });
  await web(ns);
  await using stream = get("web", ns);
  await ns.slice("web", "web-a", [ns.target("Pod", "plain", "10.7.0.1")]);
  const labels = {
    pod: "plain",
    serviceaccount: "web",
    zone: "",
    zone_locality: "unknown",
  };
  assert.deepEqual((await stream.next())?.add, [{ at: "10.7.0.1:8080", labels }]);
});

test("[DG08] a skipped inbound port has neither identity nor hint", async () => {
  const ns = await TestNamespace.create(host.kube, "dg08");
  const annotations = { "config.linkerd.io/skip-inbound-ports": "8000-8080" };
  await ns.pod({ name: "web-1", ips: ["10.8.0.1"], annotations });
  await web(ns);
  await using stream = get("web", ns);
  await ns.slice("web", "web-a", [ns.target("Pod", "web-1", "10.8.0.1")]);
  const [endpoint] = (await stream.next())?.add ?? [];
  assert.equal(endpoint?.at, "10.8.0.1:8080");
  assert.deepEqual(
    [endpoint?.identity, endpoint?.hint, endpoint?.hasHttp2],
    [undefined, undefined, undefined],
  );
});

test("[DG09] [DT08] [DT12] an opaque Server switches the hint live, and back", async () => {
  const ns = await TestNamespace.create(host.kube, "dg09");
  await ns.pod({ name: "web-1", ips: ["10.9.0.1"], labels: { app: "web" } });
  await web(ns);
  await using stream = get("web", ns);
  await ns.slice("web", "web-a", [ns.target("Pod", "web-1", "10.9.0.1")]);
  const hintOf = async (): Promise<string | undefined> => (await stream.next())?.add?.[0]?.hint;
  assert.equal(await hintOf(), "h2");
  const spec = {
    podSelector: { matchLabels: { app: "web" } },
    port: 8080,
    proxyProtocol: "opaque",
  };
  // Neither of these concerns the pod's port.
  await host.kube.create(SERVERS, {
    metadata: { name: "other-port", namespace: "dg09" },
    spec: { ...spec, port: 8081 },
  });
  await host.kube.create(SERVERS, {
    metadata: { name: "not-opaque", namespace: "dg09" },
    spec: { ...spec, proxyProtocol: "HTTP/1" },
  });
  await host.kube.create(SERVERS, { metadata: { name: "opaque", namespace: "dg09" }, spec });
  assert.equal(await hintOf(), "opaque+4143");
  await host.kube.delete(SERVERS, { name: "opaque", namespace: "dg09" });
  assert.equal(await hintOf(), "h2");
});

test("[DG10] an opaque Server names a port of a native sidecar container", async () => {
  const ns = await TestNamespace.create(host.kube, "dg10");
  const metadata = {
    name: "web-1",
    namespace: "dg10",
    labels: { app: "web", "linkerd.io/control-plane-ns": "linkerd" },
  };
  const sidecar = {
    name: "helper",
    image: "helper",
    restartPolicy: "Always",
    ports: [{ name: "http", containerPort: 8080, protocol: "TCP" }],
  };
  const proxy = {
    name: "linkerd-proxy",
    image: "proxy",
    restartPolicy: "Always",
    env: ["INBOUND:4143", "ADMIN:4191", "CONTROL:4190"].map((item) => {
      const [name, port] = item.split(":");
      return { name: `LINKERD2_PROXY_${name}_LISTEN_ADDR`, value: `[::]:${port}` };
    }),
  };
  const pod = await host.kube.create(PODS, {
    metadata,
    spec: { containers: [{ name: "app", image: "app" }], initContainers: [sidecar, proxy] },
  } as never);
  await ns.setPodStatus(pod as never, "Running", ["10.10.0.1"]);
  await host.kube.create(SERVERS, {
    metadata: { name: "opaque", namespace: "dg10" },
    spec: { podSelector: { matchLabels: { app: "web" } }, port: "http", proxyProtocol: "opaque" },
  });
  await web(ns);
  await using stream = get("web", ns);
  await ns.slice("web", "web-a", [ns.target("Pod", "web-1", "10.10.0.1")]);
  assert.equal((await stream.next())?.add?.[0]?.hint, "opaque+4143");
});

test("[DT06] [DT07] [DW20] [DW23] [DW24] [DW25] changes come as differences, Add before Remove, nothing twice", async () => {
  const ns = await TestNamespace.create(host.kube, "dt07");
  for (const [name, ip] of [
    ["a", "10.2.0.1"],
    ["b", "10.2.0.2"],
    ["c", "10.2.0.3"],
  ] as const) {
    await ns.pod({ name, ips: [ip] });
  }
  await web(ns);
  await using stream = get("web", ns);
  const a = ns.target("Pod", "a", "10.2.0.1");
  const b = ns.target("Pod", "b", "10.2.0.2");
  const c = ns.target("Pod", "c", "10.2.0.3");
  let slice = await ns.slice("web", "web-a", [a, b]);
  const put = async (endpoints: readonly SliceEndpoint[], labels = {}): Promise<void> => {
    const metadata = { ...slice.metadata, labels: { ...slice.metadata.labels, ...labels } };
    slice = await host.kube.update(ENDPOINT_SLICES, { ...slice, metadata, endpoints });
  };
  const words = (): Promise<readonly string[]> => nextWords(stream);
  assert.deepEqual(await words(), ["+10.2.0.1:8080", "+10.2.0.2:8080"]);
  // A change that says nothing new.
  await put([a, b], { irrelevant: "yes" });
  await put([b, c]);
  assert.deepEqual(await words(), ["+10.2.0.3:8080"]);
  assert.deepEqual(await words(), ["-10.2.0.1:8080"]);
  await put([{ ...b, conditions: { ready: false } }, c]);
  assert.deepEqual(await words(), ["-10.2.0.2:8080"]);
  await put([b, c]);
  assert.deepEqual(await words(), ["+10.2.0.2:8080"]);
});

test("[DW04] a target that is not known yet is told of as soon as it is", async () => {
  const ns = await TestNamespace.create(host.kube, "dw04");
  await web(ns);
  await using stream = get("web", ns);
  await ns.slice("web", "web-a", [ns.target("Pod", "late", "10.4.0.1")]);
  await ns.pod({ name: "late", ips: ["10.4.0.1"] });
  // Once as it was created, once as the API told its labels; never without the pod.
  assert.equal((await stream.next())?.add?.[0]?.labels["pod"], "late");
});

test("[DW03] [DW09] the Service port's name finds the slice's port", async () => {
  const ns = await TestNamespace.create(host.kube, "dw09");
  await ns.pod({ name: "old", ips: ["10.5.0.1"] });
  await ns.pod({ name: "new", ips: ["10.5.0.2"] });
  await web(ns);
  await using stream = get("web", ns);
  const ports = [{ name: "other", port: 9000, protocol: "TCP" }];
  await ns.slice("web", "web-a", [ns.target("Pod", "old", "10.5.0.1")], { ports });
  await ns.slice("web", "web-b", [ns.target("Pod", "new", "10.5.0.2")], {
    ports: [{ name: "http", port: 9001, protocol: "TCP" }],
  });
  assert.deepEqual(
    (await stream.next())?.add?.map(({ at }) => at),
    ["10.5.0.2:9001"],
  );
});

test("a port that the Service does not have is taken as the endpoints' own", async () => {
  const ns = await TestNamespace.create(host.kube, "own-port");
  await ns.pod({ name: "a", ips: ["10.6.0.1"] });
  await ns.service("web", { ports: [{ name: "http", port: 81 }] });
  await known("web", ns);
  await using stream = get("web", ns);
  await ns.slice("web", "web-a", [ns.target("Pod", "a", "10.6.0.1")]);
  assert.deepEqual(
    (await stream.next())?.add?.map(({ at }) => at),
    ["10.6.0.1:80"],
  );
});

test("[DW08] a hostname picks its pod", async () => {
  const ns = await TestNamespace.create(host.kube, "dw08");
  await ns.pod({ name: "db-0", ips: ["10.8.1.1"] });
  await ns.pod({ name: "db-1", ips: ["10.8.1.2"] });
  await web(ns, { clusterIP: "None" });
  await using stream = get("db-1.web", ns);
  await ns.slice("web", "web-a", [
    { ...ns.target("Pod", "db-0", "10.8.1.1"), hostname: "db-0" },
    { ...ns.target("Pod", "db-1", "10.8.1.2"), hostname: "db-1" },
  ]);
  assert.deepEqual(
    (await stream.next())?.add?.map(({ at }) => at),
    ["10.8.1.2:8080"],
  );
});

test("[DW12] deleting the slice, and the Service, removes everything, and the stream goes on", async () => {
  const ns = await TestNamespace.create(host.kube, "dw12");
  await ns.pod({ name: "a", ips: ["10.12.0.1"] });
  await web(ns);
  await using stream = get("web", ns);
  const endpoints = [ns.target("Pod", "a", "10.12.0.1")];
  await ns.slice("web", "web-a", endpoints);
  assert.equal((await stream.next())?.add?.length, 1);
  await host.kube.delete(ENDPOINT_SLICES, { name: "web-a", namespace: "dw12" });
  assert.deepEqual(await stream.next(), { remove: ["10.12.0.1:8080"] });
  await ns.slice("web", "web-b", endpoints);
  assert.equal((await stream.next())?.add?.length, 1);
  await host.kube.delete(SERVICES, { name: "web", namespace: "dw12" });
  assert.deepEqual(await stream.next(), { remove: ["10.12.0.1:8080"] });
});

test("[DG04] [DG05] [D601] [D602] [D603] of both families only IPv6 is told, as long as it is there", async () => {
  const ns = await TestNamespace.create(host.kube, "dg05");
  await ns.pod({ name: "a", ips: ["10.13.0.1", "fd00:13::1"] });
  const v6 = [ns.target("Pod", "a", "fd00:13::1")];
  const metadata = { name: "web-6", namespace: "dg05" };
  await web(ns);
  await ns.slice("web", "web-6", v6, { addressType: "IPv6" });
  await using stream = get("web", ns);
  const words = (): Promise<readonly string[]> => nextWords(stream);
  assert.deepEqual(await words(), ["+[fd00:13::1]:8080"]);
  // [D604] Nothing is said of the other family meanwhile.
  await ns.slice("web", "web-4", [ns.target("Pod", "a", "10.13.0.1")]);
  await host.kube.delete(ENDPOINT_SLICES, metadata);
  assert.deepEqual(await words(), ["+10.13.0.1:8080"]);
  assert.deepEqual(await words(), ["-[fd00:13::1]:8080"]);
  await ns.slice("web", "web-6", v6, { addressType: "IPv6" });
  assert.deepEqual(await words(), ["+[fd00:13::1]:8080"]);
  assert.deepEqual(await words(), ["-10.13.0.1:8080"]);
});

test("[DW26] [DW27] [DW30] hints keep a client in its zone, and go with the hints", async () => {
  const ns = await TestNamespace.create(host.kube, "dw30");
  await host.kube.create(NODES, {
    metadata: { name: "dw30-node", labels: { "topology.kubernetes.io/zone": "east" } },
  });
  await ns.pod({ name: "e", ips: ["10.30.0.1"] });
  await ns.pod({ name: "w", ips: ["10.30.0.2"] });
  await web(ns);
  const east = { ...ns.target("Pod", "e", "10.30.0.1"), zone: "east" };
  const west = { ...ns.target("Pod", "w", "10.30.0.2"), zone: "west" };
  let slice = await ns.slice("web", "web-a", [east, west]);
  const hinted = (endpoint: SliceEndpoint, zone: string): SliceEndpoint => ({
    ...endpoint,
    hints: { forZones: [{ name: zone }] },
  });
  await using stream = get("web", ns, { ns: "dw30", nodeName: "dw30-node" });
  assert.deepEqual(
    (await stream.next())?.add?.map(({ at }) => at),
    ["10.30.0.1:8080", "10.30.0.2:8080"],
  );
  slice = await host.kube.update(ENDPOINT_SLICES, {
    ...slice,
    endpoints: [hinted(east, "east"), hinted(west, "west")],
  });
  assert.deepEqual(await stream.next(), { remove: ["10.30.0.2:8080"] });
  await host.kube.update(ENDPOINT_SLICES, { ...slice, endpoints: [east, west] });
  const added = (await stream.next())?.add;
  assert.deepEqual(
    added?.map(({ at, labels }) => [at, labels["zone_locality"]]),
    [["10.30.0.2:8080", "remote"]],
  );
});

test("[DW31] [DW32] internalTrafficPolicy Local keeps to the client's node", async () => {
  const ns = await TestNamespace.create(host.kube, "dw32");
  await ns.pod({ name: "here", ips: ["10.32.0.1"], nodeName: "here" });
  await ns.pod({ name: "there", ips: ["10.32.0.2"], nodeName: "there" });
  await web(ns);
  const here = ns.target("Pod", "here", "10.32.0.1");
  const slice = await ns.slice("web", "web-a", [here, ns.target("Pod", "there", "10.32.0.2")]);
  await using stream = get("web", ns, { ns: "dw32", nodeName: "here" });
  assert.equal((await stream.next())?.add?.length, 2);
  const service = await host.kube.get(SERVICES, { name: "web", namespace: "dw32" });
  await host.kube.update(SERVICES, {
    ...service,
    spec: { ...service.spec, internalTrafficPolicy: "Local" },
  });
  assert.deepEqual(await stream.next(), { remove: ["10.32.0.2:8080"] });
  // The other one goes unseen; then the own one.
  const without = await host.kube.update(ENDPOINT_SLICES, { ...slice, endpoints: [here] });
  await host.kube.update(ENDPOINT_SLICES, { ...without, endpoints: [] });
  assert.deepEqual(await stream.next(), { remove: ["10.32.0.1:8080"] });
});

test("[DW11] [DT13] [DT15] [DT16] [DT17] [DT20] a machine has its SPIFFE id, its server name and HTTP/2", async () => {
  const ns = await TestNamespace.create(host.kube, "dw11");
  await host.kube.create(NODES, {
    metadata: { name: "dw11-node", labels: { "topology.kubernetes.io/zone": "east" } },
  });
  await ns.workload("vm", { workloadIPs: [{ ip: "192.0.2.1" }] });
  await web(ns);
  await using stream = get("web", ns, { ns: "dw11", nodeName: "dw11-node" });
  const vmTarget = ns.target("ExternalWorkload", "vm", "192.0.2.1");
  await ns.slice("web", "web-a", [{ ...vmTarget, zone: "east" }]);
  // Whose weight has no words: it is 10,000, in the client's zone too.
  assert.deepEqual((await stream.next())?.add, [
    {
      at: "192.0.2.1:8080",
      labels: { external_workload: "vm", zone: "east", zone_locality: "local" },
      identity: "spiffe://cluster.local/ns/dw11/external/vm",
      serverName: "vm.dw11.external.cluster.local",
      hint: "h2",
      hasHttp2: true,
    },
  ]);
  const vm = await host.kube.get(EXTERNAL_WORKLOADS, { name: "vm", namespace: "dw11" });
  const annotations = { "config.linkerd.io/opaque-ports": "http" };
  await host.kube.update(EXTERNAL_WORKLOADS, { ...vm, metadata: { ...vm.metadata, annotations } });
  assert.equal((await stream.next())?.add?.[0]?.hint, "opaque+4143");
});

test("[DW14] [DW15] [DW17] [DW19] addresses without target take what the slice's annotations say", async () => {
  const ns = await TestNamespace.create(host.kube, "dw14");
  await web(ns);
  await using stream = get("web", ns);
  const annotations = {
    "mirror.linkerd.io/remote-svc-fq-name": "web.far.svc.cluster.local",
    "mirror.linkerd.io/remote-gateway-identity": "gateway.far",
  };
  const labels = { "mirror.linkerd.io/cluster-name": "far" };
  const endpoint = { addresses: ["198.51.100.1"], conditions: { ready: true } };
  const slice = await ns.slice("web", "web-a", [endpoint], { metadata: { annotations, labels } });
  assert.deepEqual(await stream.next(), {
    labels: {
      namespace: "dw14",
      service: "web",
      target_cluster: "far",
      target_service: "web",
      target_service_namespace: "far",
    },
    add: [
      {
        at: "198.51.100.1:8080",
        labels: {},
        identity: "gateway.far",
        hint: "h2",
        authority: "web.far.svc.cluster.local:80",
        hasHttp2: true,
      },
    ],
  });
  const changed = { ...annotations, "mirror.linkerd.io/remote-gateway-identity": "other.far" };
  await host.kube.update(ENDPOINT_SLICES, {
    ...slice,
    metadata: { ...slice.metadata, annotations: changed },
  });
  assert.equal((await stream.next())?.add?.[0]?.identity, "other.far");
});

test("[DW22] a Server of another namespace cannot make pods opaque", async () => {
  const ns = await TestNamespace.create(host.kube, "dw22");
  const other = await TestNamespace.create(host.kube, "dw22-other");
  await host.kube.create(SERVERS, {
    metadata: { name: "opaque", namespace: other.name },
    spec: { podSelector: {}, port: 8080, proxyProtocol: "opaque" },
  });
  await ns.pod({ name: "a", ips: ["10.22.0.1"] });
  await web(ns);
  await using stream = get("web", ns);
  await ns.slice("web", "web-a", [ns.target("Pod", "a", "10.22.0.1")]);
  assert.equal((await stream.next())?.add?.[0]?.hint, "h2");
});

test("[DT09] [DT18] [DT19] with transport headers on, the proxy's own ports are still reached directly", async () => {
  await using forced = await ControlHost.start(await ApiStore.start());
  const ns = await TestNamespace.create(forced.kube, "dt09");
  await ns.pod({ name: "a", ips: ["10.1.9.1"] });
  await ns.workload("vm", {
    workloadIPs: [{ ip: "192.0.2.9" }],
    ports: [{ port: 8080 }, { name: "linkerd-proxy", port: 4999 }],
  });
  await ns.workload("unnamed", { workloadIPs: [{ ip: "192.0.2.10" }], ports: [{ port: 8080 }] });
  const ports = [
    { name: "http", port: 80 },
    { name: "admin", port: 81 },
  ];
  await ns.service("web", { ports });
  const endpoints = [
    ns.target("Pod", "a", "10.1.9.1"),
    ns.target("ExternalWorkload", "vm", "192.0.2.9"),
    ns.target("ExternalWorkload", "unnamed", "192.0.2.10"),
  ];
  await ns.slice("web", "web-a", endpoints, {
    ports: [
      { name: "http", port: 8080, protocol: "TCP" },
      { name: "admin", port: 4191, protocol: "TCP" },
    ],
  });
  const forcedClient = await forced.client("destination");
  const hints = async (port: number): Promise<unknown> => {
    const path = `web.dt09.svc.cluster.local:${port}`;
    for (;;) {
      try {
        await using stream = getEndpoints({ client: forcedClient, path });
        const add = (await stream.next())?.add ?? [];
        if (add.length === 3) return add.map(({ at, hint }) => `${at} ${hint}`);
      } catch (error) {
        // The Service has not been seen yet.
        if ((error as GrpcError).status !== GrpcStatus.notFound) throw error;
      }
    }
  };
  assert.deepEqual(await hints(80), [
    "10.1.9.1:8080 h2+4143",
    "192.0.2.9:8080 h2+4999",
    "192.0.2.10:8080 h2+4143",
  ]);
  assert.deepEqual(await hints(81), [
    "10.1.9.1:4191 h2",
    "192.0.2.9:4191 h2+4999",
    "192.0.2.10:4191 h2+4143",
  ]);
});
