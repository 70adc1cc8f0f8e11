import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { DestinationProfile } from "@heddle/api/gen/destination_pb";
import { PODS, SERVICES } from "@heddle/kube/types/core";
import { SERVERS, SERVICE_PROFILES, type ServiceProfile } from "@heddle/kube/types/linkerd";
import type { GrpcClient } from "@heddle/net/grpc/client";
import type { GrpcError } from "@heddle/net/grpc/error";
import { GrpcStatus } from "@heddle/net/grpc/status";
import { ApiStore } from "@heddle/testkit/api-store";
import { ControlHost } from "../testing/control-host.ts";
import { TestNamespace } from "../testing/objects.ts";
import { endpointWords, getProfile, type TestStream } from "../testing/streams.ts";

let host: ControlHost;
let client: GrpcClient;

before(async () => {
  host = await ControlHost.start(await ApiStore.start());
  client = await host.client("destination");
});

after(() => host?.[Symbol.asyncDispose]());

function open(path: string, token?: object | string): TestStream<DestinationProfile> {
  return getProfile({ client, path, ...(token === undefined ? {} : { token }) });
}

/** The stream from the first profile on that satisfies; earlier ones are of a state not caught up. */
async function openWhen(
  path: string,
  isIt: (profile: DestinationProfile) => boolean,
  token?: object | string,
): Promise<{ stream: TestStream<DestinationProfile>; profile: DestinationProfile }> {
  for (;;) {
    const stream = open(path, token);
    try {
      const profile = await stream.next();
      if (profile !== undefined && isIt(profile)) return { stream, profile };
    } catch (error) {
      // Not known yet.
      const { status } = error as GrpcError;
      if (status !== GrpcStatus.unknown && status !== GrpcStatus.notFound) throw error;
    }
    await stream[Symbol.asyncDispose]();
  }
}

async function refusal(path: string): Promise<GrpcError> {
  try {
    await open(path).next();
  } catch (error) {
    return error as GrpcError;
  }
  throw new Error(`${path} was not refused`);
}

function serviceProfile(
  namespace: string,
  name: string,
  spec: NonNullable<ServiceProfile["spec"]>,
): Promise<ServiceProfile> {
  return host.kube.create(SERVICE_PROFILES, { metadata: { name, namespace }, spec });
}

const ROUTE = { name: "get-all", condition: { pathRegex: "/.*", method: "get" } };
const isNamed = (profile: DestinationProfile): boolean => profile.fullyQualifiedName !== "";
const hasEndpoint =
  (pod: string) =>
  (profile: DestinationProfile): boolean =>
    profile.endpoint?.metricLabels["pod"] === pod;

for (const [id, path] of [
  ["DP01", "name:80"],
  ["DP01", "name.ns:80"],
  ["DP01", ""],
  ["DP02", "web.ns.svc.other.domain:80"],
] as const) {
  test(`[${id}] GetProfile refuses "${path}" with InvalidArgument`, async () => {
    assert.equal((await refusal(path)).status, GrpcStatus.invalidArgument);
  });
}

test("GetProfile of a Service that does not exist is Unknown", async () => {
  assert.equal((await refusal("no.where.svc.cluster.local:80")).status, GrpcStatus.unknown);
});

test("[DP31] [DP06] [DP07] [DT33] a Service by name and by each cluster IP has the default profile", async () => {
  const ns = await TestNamespace.create(host.kube, "dp06");
  const service = await ns.service("web", { ports: [{ name: "http", port: 80 }] });
  const name = "web.dp06.svc.cluster.local";
  const ips = service.spec?.clusterIPs ?? [];
  assert.ok(ips.length > 0);
  for (const target of [name, ...ips]) {
    const { stream, profile } = await openWhen(`${target}:80`, isNamed);
    await stream[Symbol.asyncDispose]();
    assert.equal(profile.fullyQualifiedName, name);
    assert.equal(profile.opaqueProtocol, false);
    assert.deepEqual(profile.routes, []);
    assert.deepEqual(profile.dstOverrides, []);
    assert.equal(profile.endpoint, undefined);
    const { retryRatio = 0, minRetriesPerSecond, ttl } = profile.retryBudget ?? {};
    assert.deepEqual(
      [retryRatio.toFixed(3), minRetriesPerSecond, ttl?.seconds],
      ["0.200", 10, 10n],
    );
    assert.deepEqual(plain(profile.parentRef?.kind.value), {
      group: "core",
      kind: "Service",
      name: "web",
      namespace: "dp06",
      section: "",
      port: 80,
    });
  }
});

test("a port that the Service does not have gives an empty profile, until it has it", async () => {
  const ns = await TestNamespace.create(host.kube, "dp-port");
  const service = await ns.service("web", { ports: [{ name: "http", port: 80 }] });
  const path = "web.dp-port.svc.cluster.local:81";
  const { stream, profile } = await openWhen(path, () => true);
  await using _ = stream;
  assert.equal(profile.fullyQualifiedName, "");
  assert.equal(profile.retryBudget, undefined);
  const ports = [...(service.spec?.ports ?? []), { name: "more", port: 81 }];
  await host.kube.update(SERVICES, { ...service, spec: { ...service.spec, ports } });
  assert.equal((await stream.next())?.fullyQualifiedName, "web.dp-port.svc.cluster.local");
});

test("[DP03] [DP05] [DP04] [DP28] [DP29] [DP30] [DT37] [DT39] [DT40] [DT41] the client's ServiceProfile comes before the Service's", async () => {
  const ns = await TestNamespace.create(host.kube, "dp05");
  await TestNamespace.create(host.kube, "dp05-client");
  await ns.service("web", { ports: [{ name: "http", port: 80 }] });
  const name = "web.dp05.svc.cluster.local";
  const routed =
    (route: string) =>
    (profile: DestinationProfile): boolean =>
      profile.routes[0]?.metricsLabels["route"] === route;
  await serviceProfile("dp05", name, { routes: [{ ...ROUTE, name: "server" }] });
  for (const token of [{ ns: "dp05-client" }, "ns:dp05-client", "neither of the two"]) {
    const { stream } = await openWhen(`${name}:80`, routed("server"), token);
    await stream[Symbol.asyncDispose]();
  }
  const { stream } = await openWhen(`${name}:80`, routed("server"), { ns: "dp05-client" });
  await using _ = stream;
  await serviceProfile("dp05-client", name, { routes: [{ ...ROUTE, name: "client" }] });
  const profile = await stream.next();
  assert.ok(routed("client")(profile!));
  const reference = profile!.profileRef?.kind.value as never as Record<string, string>;
  assert.deepEqual(
    [reference["group"], reference["kind"], reference["namespace"], reference["name"]],
    ["linkerd.io", "ServiceProfile", "dp05-client", name],
  );
  // The other one changes unseen.
  const other = await host.kube.get(SERVICE_PROFILES, { name, namespace: "dp05" });
  await host.kube.update(SERVICE_PROFILES, {
    ...other,
    spec: { routes: [{ ...ROUTE, name: "changed" }] },
  });
  await host.kube.delete(SERVICE_PROFILES, { name, namespace: "dp05-client" });
  assert.ok(routed("changed")((await stream.next())!));
});

test("[DT35] [DT36] [DT38] [DW39] [DW40] either ServiceProfile is told alone, and its going", async () => {
  const ns = await TestNamespace.create(host.kube, "dt35");
  await TestNamespace.create(host.kube, "dt35-client");
  await ns.service("web", { ports: [{ name: "http", port: 80 }] });
  const name = "web.dt35.svc.cluster.local";
  const { stream, profile } = await openWhen(`${name}:80`, isNamed, { ns: "dt35-client" });
  await using _ = stream;
  assert.deepEqual(profile.routes, []);
  for (const namespace of ["dt35-client", "dt35"]) {
    await serviceProfile(namespace, name, { routes: [{ ...ROUTE, name: namespace }] });
    assert.equal((await stream.next())?.routes[0]?.metricsLabels["route"], namespace);
    await host.kube.delete(SERVICE_PROFILES, { name, namespace });
    assert.deepEqual((await stream.next())?.routes, []);
  }
});

test("[DT26] [DT27] [DT29] [DT32] [DT34] a ServiceProfile is told in full", async () => {
  const ns = await TestNamespace.create(host.kube, "dt26");
  await ns.service("web", { ports: [{ name: "http", port: 80 }] });
  const name = "web.dt26.svc.cluster.local";
  await serviceProfile("dt26", name, {
    routes: [
      {
        name: "all",
        condition: { method: "GET", pathRegex: "/a/.*" },
        isRetryable: true,
        timeout: "1m0.25s",
        responseClasses: [
          { condition: { status: { min: 500, max: 599 } }, isFailure: true },
          { condition: { all: [{ status: { min: 404 } }, { not: { status: { max: 403 } } }] } },
          { condition: { not: { status: { min: 410 } }, any: [{ status: { min: 410 } }] } },
        ],
      },
      { name: "odd", condition: { any: [{ method: "brew" }, { pathRegex: "/b" }] } },
    ],
    retryBudget: { retryRatio: 0.5, minRetriesPerSecond: 3, ttl: "15s" },
    dstOverrides: [
      { authority: "v1.dt26.svc.cluster.local:81", weight: "500m" },
      { authority: "v2.dt26.svc.cluster.local", weight: 2 },
    ],
  });
  const { stream, profile } = await openWhen(`${name}:80`, (one) => one.routes.length > 0);
  await stream[Symbol.asyncDispose]();
  assert.deepEqual(plain(profile.routes), [
    {
      condition: {
        all: [{ method: 0 }, { path: { regex: "/a/.*" } }],
      },
      responseClasses: [
        { condition: { status: { min: 500, max: 599 } }, isFailure: true },
        {
          condition: {
            all: [{ status: { min: 404, max: 404 } }, { not: { status: { min: 403, max: 403 } } }],
          },
          isFailure: false,
        },
        {
          condition: {
            all: [
              { any: [{ status: { min: 410, max: 410 } }] },
              { not: { status: { min: 410, max: 410 } } },
            ],
          },
          isFailure: false,
        },
      ],
      metricsLabels: { route: "all" },
      isRetryable: true,
      timeout: { seconds: 60n, nanos: 250_000_000 },
    },
    {
      condition: { any: [{ method: "BREW" }, { path: { regex: "/b" } }] },
      responseClasses: [],
      metricsLabels: { route: "odd" },
      isRetryable: false,
    },
  ]);
  assert.deepEqual(plain(profile.dstOverrides), [
    { authority: "v1.dt26.svc.cluster.local:81", weight: 5_000 },
    { authority: "v2.dt26.svc.cluster.local:80", weight: 20_000 },
  ]);
  assert.deepEqual(plain(profile.retryBudget), {
    retryRatio: 0.5,
    minRetriesPerSecond: 3,
    ttl: { seconds: 15n, nanos: 0 },
  });
});

/** Without type names; a oneof by its case; sequences and methods as what they hold. */
function plain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== "object" || value === null) return value;
  const { $typeName: _, ...fields } = value as Record<string, unknown>;
  const { match, type } = fields as Record<string, { case?: string; value?: unknown }>;
  if (match?.case !== undefined) return { [match.case]: plain(match.value) };
  if (type?.case !== undefined) return plain(type.value);
  if (Array.isArray(fields["matches"])) return plain(fields["matches"]);
  return Object.fromEntries(
    Object.entries(fields)
      .filter(([, inner]) => inner !== undefined)
      .map(([name, inner]) => [name, plain(inner)]),
  );
}

test("[DT28] [DT30] [DT31] a ServiceProfile that turns wrong leaves what was told before", async () => {
  const ns = await TestNamespace.create(host.kube, "dt28");
  await ns.service("web", { ports: [{ name: "http", port: 80 }] });
  const name = "web.dt28.svc.cluster.local";
  let current = await serviceProfile("dt28", name, { routes: [ROUTE] });
  const { stream } = await openWhen(`${name}:80`, (one) => one.routes.length === 1);
  await using _ = stream;
  const put = async (routes: object[]): Promise<void> => {
    const spec = { routes } as NonNullable<ServiceProfile["spec"]>;
    current = await host.kube.update(SERVICE_PROFILES, { ...current, spec });
  };
  await put([ROUTE, { name: "no-field", condition: {} }]);
  await put([ROUTE, { ...ROUTE, responseClasses: [{ condition: {} }] }]);
  await put([ROUTE, { ...ROUTE, responseClasses: [{ condition: { status: { min: 600 } } }] }]);
  await put([
    ROUTE,
    { ...ROUTE, responseClasses: [{ condition: { status: { min: 5, max: 4 } } }] },
  ]);
  await put([{ ...ROUTE, name: "good-again" }]);
  assert.equal((await stream.next())?.routes[0]?.metricsLabels["route"], "good-again");
});

test("[DP18] [DP20] [DW33] [DW34] [DW35] [DW36] [DW37] [DW38] a Service's opaque ports are annotated, or the default", async () => {
  const ns = await TestNamespace.create(host.kube, "dp20");
  const key = "config.linkerd.io/opaque-ports";
  const ports = [
    { name: "http", port: 80 },
    { name: "db", port: 3306 },
  ];
  let service = await ns.service("web", { ports });
  const path = (port: number): string => `web.dp20.svc.cluster.local:${port}`;
  const byDefault = await openWhen(path(3306), isNamed);
  await using _ = byDefault.stream;
  assert.equal(byDefault.profile.opaqueProtocol, true);
  const { stream, profile } = await openWhen(path(80), isNamed);
  await using __ = stream;
  assert.equal(profile.opaqueProtocol, false);
  const annotate = async (value: string): Promise<void> => {
    const metadata = { ...service.metadata, annotations: { [key]: value } };
    service = await host.kube.update(SERVICES, { ...service, metadata });
  };
  await annotate("nonsense,70-90,db");
  assert.equal((await stream.next())?.opaqueProtocol, true);
  await annotate("");
  assert.equal((await stream.next())?.opaqueProtocol, false);
  assert.equal((await byDefault.stream.next())?.opaqueProtocol, false);
  await annotate("http");
  assert.equal((await stream.next())?.opaqueProtocol, true);
});

test("[DP09] [DP10] [DP19] pod IPs have the pod as endpoint; opaque ports go through its proxy", async () => {
  const ns = await TestNamespace.create(host.kube, "dp09");
  const annotations = { "config.linkerd.io/opaque-ports": "db,9000-9001" };
  await ns.pod({
    name: "web-1",
    ips: ["10.40.0.1", "fd00:40::1"],
    annotations,
    ports: [{ name: "db", containerPort: 5000 }],
  });
  for (const [path, isOpaque] of [
    ["10.40.0.1:8080", false],
    ["[fd00:40::1]:8080", false],
    ["10.40.0.1:5000", true],
    ["10.40.0.1:9001", true],
  ] as const) {
    const { stream, profile } = await openWhen(path, hasEndpoint("web-1"));
    await stream[Symbol.asyncDispose]();
    assert.equal(profile.opaqueProtocol, isOpaque, path);
    assert.equal(profile.fullyQualifiedName, "");
    const id = "web.dp09.serviceaccount.identity.linkerd.cluster.local";
    assert.deepEqual(endpointWords(profile.endpoint!), {
      at: path,
      labels: {
        control_plane_ns: "linkerd",
        namespace: "dp09",
        pod: "web-1",
        serviceaccount: "web",
      },
      identity: id,
      serverName: id,
      hint: isOpaque ? "opaque+4143" : "h2+4143",
      hasHttp2: true,
    });
  }
});

test("[DP11] [DT24] a pod's profile follows its life, and says nothing twice", async () => {
  const ns = await TestNamespace.create(host.kube, "dp11");
  const pod = await ns.pod({ name: "late", ips: ["10.41.0.1"], phase: "Pending" });
  const { stream, profile } = await openWhen("10.41.0.1:8080", () => true);
  await using _ = stream;
  assert.deepEqual(endpointWords(profile.endpoint!), { at: "10.41.0.1:8080", labels: {} });
  const running = await ns.setPodStatus(pod, "Running", ["10.41.0.1"]);
  assert.equal((await stream.next())?.endpoint?.metricLabels["pod"], "late");
  // Readiness and the like say nothing new.
  const labelled = await host.kube.update(PODS, {
    ...running,
    metadata: { ...running.metadata, labels: { ...running.metadata.labels, x: "y" } },
  });
  await ns.setPodStatus(labelled, "Succeeded", ["10.41.0.1"]);
  assert.deepEqual((await stream.next())?.endpoint?.metricLabels, {});
});

test("[DP14] [DP25] [DP26] an unknown IP is an endpoint without anything, opaque by its port only", async () => {
  for (const [path, isOpaque] of [
    ["203.0.113.9:80", false],
    ["203.0.113.9:3306", true],
    ["[2001:db8::9]:80", false],
  ] as const) {
    await using stream = open(path);
    const profile = await stream.next();
    assert.equal(profile?.opaqueProtocol, isOpaque);
    assert.deepEqual(endpointWords(profile!.endpoint!), { at: path, labels: {} });
    assert.equal(profile?.retryBudget?.minRetriesPerSecond, 10);
  }
});

test("[DP15] [DP16] [DP17] a pod outside the mesh has no hint, opaque port or not", async () => {
  const ns = await TestNamespace.create(host.kube, "dp17");
  await ns.pod({ name: "plain", ips: ["10.42.0.1"], meshed: false });
  for (const [port, isOpaque] of [
    [80, false],
    [3306, true],
  ] as const) {
    const { stream, profile } = await openWhen(`10.42.0.1:${port}`, hasEndpoint("plain"));
    await stream[Symbol.asyncDispose]();
    assert.equal(profile.opaqueProtocol, isOpaque);
    assert.equal(profile.endpoint?.protocolHint, undefined);
    assert.equal(profile.endpoint?.tlsIdentity, undefined);
  }
});

test("[DP21] a skipped inbound port has neither hint nor identity", async () => {
  const ns = await TestNamespace.create(host.kube, "dp21");
  const annotations = { "config.linkerd.io/skip-inbound-ports": "8080" };
  await ns.pod({ name: "skips", ips: ["10.43.0.1"], annotations });
  const { stream, profile } = await openWhen("10.43.0.1:8080", hasEndpoint("skips"));
  await stream[Symbol.asyncDispose]();
  assert.equal(profile.endpoint?.protocolHint, undefined);
  assert.equal(profile.endpoint?.tlsIdentity, undefined);
});

test("[DP08] a pod by its hostname", async () => {
  const ns = await TestNamespace.create(host.kube, "dp08");
  await ns.service("db", { clusterIP: "None", ports: [{ name: "http", port: 80 }] });
  await ns.pod({ name: "db-0", ips: ["10.44.0.1"] });
  await ns.slice("db", "db-a", [{ ...ns.target("Pod", "db-0", "10.44.0.1"), hostname: "db-0" }]);
  const path = "db-0.db.dp08.svc.cluster.local:80";
  const { stream, profile } = await openWhen(path, hasEndpoint("db-0"));
  await using _ = stream;
  assert.equal(endpointWords(profile.endpoint!).at, "10.44.0.1:80");
  const error = await refusal("db-1.db.dp08.svc.cluster.local:80");
  assert.equal(error.status, GrpcStatus.notFound);
});

test("[DP13] [DP22] [DP24] a machine by its IP has its SPIFFE id, and its opaque ports", async () => {
  const ns = await TestNamespace.create(host.kube, "dp13");
  await ns.workload("vm", { workloadIPs: [{ ip: "192.0.2.13" }] }, { labels: { app: "vm" } });
  const isVm = (one: DestinationProfile): boolean =>
    one.endpoint?.metricLabels["external_workload"] === "vm";
  const { stream, profile } = await openWhen("192.0.2.13:8080", isVm);
  await using _ = stream;
  assert.deepEqual(endpointWords(profile.endpoint!), {
    at: "192.0.2.13:8080",
    labels: { external_workload: "vm", namespace: "dp13" },
    identity: "spiffe://cluster.local/ns/dp13/external/vm",
    serverName: "vm.dp13.external.cluster.local",
    hint: "h2+4143",
    hasHttp2: true,
  });
  await host.kube.create(SERVERS, {
    metadata: { name: "opaque", namespace: "dp13" },
    spec: {
      externalWorkloadSelector: { matchLabels: { app: "vm" } },
      port: "http",
      proxyProtocol: "opaque",
    },
  });
  const next = await stream.next();
  assert.equal(next?.opaqueProtocol, true);
  assert.equal(endpointWords(next!.endpoint!).hint, "opaque+4143");
});

test("[DP23] a pod selected by an opaque Server is opaque on that port", async () => {
  const ns = await TestNamespace.create(host.kube, "dp23");
  await ns.pod({ name: "web-1", ips: ["10.45.0.1"], labels: { app: "web" } });
  const { stream, profile } = await openWhen("10.45.0.1:8080", hasEndpoint("web-1"));
  await using _ = stream;
  assert.equal(profile.opaqueProtocol, false);
  await host.kube.create(SERVERS, {
    metadata: { name: "opaque", namespace: "dp23" },
    spec: { podSelector: { matchLabels: { app: "web" } }, port: 8080, proxyProtocol: "opaque" },
  });
  assert.equal((await stream.next())?.opaqueProtocol, true);
});

test("[DP12] a native sidecar's port is opaque by its name in a Server", async () => {
  const ns = await TestNamespace.create(host.kube, "dp12");
  const sidecar = {
    name: "helper",
    image: "helper",
    restartPolicy: "Always",
    ports: [{ name: "admin", containerPort: 8081, protocol: "TCP" }],
  };
  const labels = { app: "web" };
  await ns.pod({ name: "web-1", ips: ["10.47.0.1"], labels, initContainers: [sidecar] });
  await host.kube.create(SERVERS, {
    metadata: { name: "opaque", namespace: "dp12" },
    spec: { podSelector: { matchLabels: labels }, port: "admin", proxyProtocol: "opaque" },
  });
  const isOpaque = (one: DestinationProfile): boolean => one.opaqueProtocol;
  const { stream, profile } = await openWhen("10.47.0.1:8081", isOpaque);
  await stream[Symbol.asyncDispose]();
  assert.equal(endpointWords(profile.endpoint!).hint, "opaque+4143");
  const other = await openWhen("10.47.0.1:8080", hasEndpoint("web-1"));
  await other.stream[Symbol.asyncDispose]();
  assert.equal(other.profile.opaqueProtocol, false);
});

test("[DP27] [DW41] a pod by its node's IP and host port", async () => {
  const ns = await TestNamespace.create(host.kube, "dp27");
  await ns.pod({
    name: "hosted",
    ips: ["10.46.0.1"],
    hostIp: "192.168.46.1",
    ports: [{ containerPort: 8080, hostPort: 7777 }],
  });
  const { stream, profile } = await openWhen("192.168.46.1:7777", hasEndpoint("hosted"));
  await stream[Symbol.asyncDispose]();
  // The node's own inbound port would not be the pod's: no transport header.
  assert.equal(endpointWords(profile.endpoint!).hint, "h2");
  await using other = open("192.168.46.1:7778");
  assert.deepEqual((await other.next())?.endpoint?.metricLabels, {});
});

test("a cluster IP that changes hands ends the streams that asked for it", async () => {
  const ns = await TestNamespace.create(host.kube, "moves");
  const service = await ns.service("web", { ports: [{ name: "http", port: 80 }] });
  const ip = service.spec?.clusterIP ?? "";
  const { stream } = await openWhen(`${ip}:80`, isNamed);
  await using _ = stream;
  await host.kube.delete(SERVICES, { name: "web", namespace: "moves" });
  assert.equal(await stream.next(), undefined);
  await using again = open(`${ip}:80`);
  assert.equal((await again.next())?.fullyQualifiedName, "");
});

test("a Service that merges its routes leaves its profile's to the policy API, back and forth", async () => {
  const ns = await TestNamespace.create(host.kube, "merged");
  await ns.service("web", { ports: [{ port: 80 }] });
  const name = "web.merged.svc.cluster.local";
  const dstOverrides = [{ authority: name, weight: 1 }];
  await serviceProfile("merged", name, { routes: [ROUTE], dstOverrides });
  const { stream } = await openWhen(`${name}:80`, ({ routes }) => routes.length === 1);
  await using _ = stream;
  const merge = async (value: string | null): Promise<void> => {
    const body = { metadata: { annotations: { "config.heddle.dev/route-merge": value } } };
    const ref = { namespace: "merged", name: "web" };
    await host.kube.patch(SERVICES, ref, { type: "merge", body });
  };
  await merge("true");
  const merged = await stream.next();
  assert.deepEqual([merged?.routes, merged?.dstOverrides], [[], []]);
  assert.equal(merged?.fullyQualifiedName, name);
  await merge(null);
  assert.equal((await stream.next())?.routes.length, 1);
});
