import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { OutboundPolicies } from "@heddle/api/gen/outbound_pb";
import { EGRESS_NETWORKS } from "@heddle/kube/types/linkerd";
import { ApiStore } from "@heddle/testkit/api-store";
import { GrpcHost } from "@heddle/testkit/grpc-host";
import { grpcMetadata } from "@heddle/testkit/grpc-metadata";
import { OUTSIDE_IP, PolicyMesh, trafficSpec, UNUSED_IP } from "../test-mesh.ts";
import {
  BACKEND_PORT,
  backendOf,
  defaultsOf,
  makeParent,
  makeRoute,
  nameOf,
  namesIn,
  type ParentKind,
  type Plain,
  PORT,
  plain,
  ROUTES,
  type RouteKind,
  routesIn,
  ruleOf,
  watchParent,
} from "./test-parents.ts";

let mesh: PolicyMesh;
before(async () => {
  mesh = await PolicyMesh.start({ ApiStore, GrpcHost, grpcMetadata });
});
after(() => mesh?.[Symbol.asyncDispose]());

const BOTH: readonly ParentKind[] = ["S", "E"];
const ALL: readonly RouteKind[] = ["H", "L", "G", "T", "C"];

async function eachCase(
  parents: readonly ParentKind[],
  routes: readonly RouteKind[],
  run: (parent: ParentKind, route: RouteKind, namespace: string) => Promise<void>,
): Promise<void> {
  for (const parent of parents) {
    for (const route of routes) {
      try {
        await run(parent, route, await mesh.namespace());
      } catch (error) {
        throw new Error(`with parent ${parent} and route ${route}`, { cause: error });
      }
    }
  }
}

async function nothingElse(...watches: readonly { readonly waiting: number }[]): Promise<void> {
  await mesh.fence();
  assert.deepEqual(
    watches.map(({ waiting }) => waiting),
    watches.map(() => 0),
    "a message that changes nothing, or that is not for this client",
  );
}

test("[W02] [OA01] an address in the cluster that is nobody's is not found", async () => {
  const stream = mesh.grpc.serverStream(
    OutboundPolicies.method.watch,
    trafficSpec("some-namespace", UNUSED_IP, PORT),
  );
  await assert.rejects(stream.next(), { code: "grpc_not_found" });
  await assert.rejects(
    mesh.grpc.unary(OutboundPolicies.method.get, trafficSpec("some-namespace", UNUSED_IP, PORT)),
    { code: "grpc_not_found" },
  );
});

test("what cannot be understood is refused as an invalid argument", async () => {
  const { get } = OutboundPolicies.method;
  const good = trafficSpec("ns", OUTSIDE_IP, 80);
  const authority = (value: string) => ({
    sourceWorkload: "ns:a",
    target: { case: "authority", value } as const,
  });
  for (const bad of [
    { ...good, sourceWorkload: "" },
    { ...good, sourceWorkload: '{"ns":"a"}' },
    { sourceWorkload: "ns:a" },
    trafficSpec("ns", OUTSIDE_IP, 0),
    trafficSpec("ns", OUTSIDE_IP, 65_536),
    { sourceWorkload: "ns:a", target: { case: "addr", value: { port: 80 } } as const },
    authority(""),
    authority(":80"),
    authority("a.b.svc:99999"),
  ]) {
    await assert.rejects(mesh.grpc.unary(get, bad), { code: "grpc_invalid_argument" });
  }
  await assert.rejects(mesh.grpc.unary(get, authority("example.com:80")), {
    code: "grpc_not_found",
  });
});

test("[W02] [OA02] a parent without routes has one default route for HTTP/1 and HTTP/2", async () => {
  await eachCase(BOTH, ["H"], async (kind, _route, ns) => {
    const parent = await makeParent(mesh, kind, ns);
    const { watch, first } = await watchParent(mesh, parent);
    await using _ = watch;
    const { group, kind: resource, name } = parent.ref;
    assert.deepEqual(first.metadata.kind.resource, {
      group,
      kind: resource,
      name,
      namespace: ns,
      port: PORT,
      section: "",
    });
    const { detect } = first.protocol.kind;
    const expected = kind === "S" ? "http" : "http-egress-allow";
    for (const http of [detect.http1, detect.http2]) {
      assert.deepEqual(http.routes.map(nameOf), [expected]);
      const [rule] = http.routes[0].rules;
      assert.deepEqual(rule.matches[0].path.kind, { prefix: "/" });
      const [backend] = rule.backends.kind.firstAvailable.backends;
      assert.deepEqual(backend.backend.metadata, first.metadata);
    }
    assert.equal(detect.timeout.seconds, 10);
    assert.deepEqual(detect.opaque.routes.map(nameOf), [
      kind === "S" ? "opaq" : "tcp-egress-allow",
    ]);
  });
});

test("[W02] [OA03] a route without rules has none, and is heard of when it is accepted", async () => {
  await eachCase(BOTH, ["L", "G"], async (kind, route, ns) => {
    const parent = await makeParent(mesh, kind, ns);
    const { watch } = await watchParent(mesh, parent);
    await using _ = watch;
    await makeRoute(mesh, route, parent, { rules: [], awaits: false });
    const policy = plain(await watch.next());
    assert.deepEqual(namesIn(policy), ["foo-route", ...defaultsOf(parent, route)]);
    assert.deepEqual(routesIn(policy)[0].rules, []);
    await nothingElse(watch);
  });
});

test("[W02] [OA04] a rule without backends sends to its parent", async () => {
  await eachCase(BOTH, ["H", "L", "G"], async (kind, route, ns) => {
    const parent = await makeParent(mesh, kind, ns);
    const { watch } = await watchParent(mesh, parent);
    await using _ = watch;
    await makeRoute(mesh, route, parent);
    const policy = plain(await watch.next());
    const { firstAvailable } = ruleOf(policy).backends.kind;
    assert.equal(firstAvailable.backends.length, 1);
    assert.deepEqual(firstAvailable.backends[0].backend.metadata, policy.metadata);
    await nothingElse(watch);
  });
});

function balancerPath(backend: Plain): string | undefined {
  return backend.backend.kind.balancer?.discovery.kind.dst.path;
}

test("[W02] [OA05] a rule's backends have their weights and names", async () => {
  await eachCase(BOTH, ALL, async (kind, route, ns) => {
    const parent = await makeParent(mesh, kind, ns);
    const { watch } = await watchParent(mesh, parent);
    await using _ = watch;
    const backendRefs = [{ ...parent.backend, port: BACKEND_PORT, weight: 777 }];
    await makeRoute(mesh, route, parent, { rules: [{ backendRefs }] });
    const policy = plain(await watch.next());
    const { backends } = ruleOf(policy).backends.kind.randomAvailable;
    assert.deepEqual(
      backends.map(({ weight }: Plain) => weight),
      [777],
    );
    const [{ backend }] = backends;
    assert.deepEqual(backend.filters, []);
    assert.deepEqual(backend.backend.metadata.kind.resource, {
      ...parent.backend,
      namespace: ns,
      port: BACKEND_PORT,
      section: "",
    });
    assert.deepEqual(backend.backend.queue, {
      capacity: 100,
      failfastTimeout: { seconds: 3, nanos: 0 },
    });
    if (kind === "S") {
      assert.equal(balancerPath(backend), `backend.${ns}.svc.cluster.local:${BACKEND_PORT}`);
      assert.deepEqual(backend.backend.kind.balancer.load.peakEwma, {
        defaultRtt: { seconds: 0, nanos: 30_000_000 },
        decay: { seconds: 10, nanos: 0 },
      });
    } else {
      assert.deepEqual(backend.backend.kind.forward.addr, {
        ip: { ip: { ipv4: 0x01010101 } },
        port: PORT,
      });
    }
    await nothingElse(watch);
  });
});

test("[W02] [OA06] a backend may be in another namespace", async () => {
  await eachCase(["S"], ALL, async (kind, route, ns) => {
    const other = await mesh.namespace();
    const parent = await makeParent(mesh, kind, ns);
    await mesh.service(other, "far");
    const { watch } = await watchParent(mesh, parent);
    await using _ = watch;
    const backendRefs = [{ name: "far", namespace: other, port: BACKEND_PORT }];
    await makeRoute(mesh, route, parent, { rules: [{ backendRefs }] });
    const backend = backendOf(ruleOf(plain(await watch.next())));
    assert.equal(balancerPath(backend), `far.${other}.svc.cluster.local:${BACKEND_PORT}`);
    assert.deepEqual(backend.filters, []);
    await nothingElse(watch);
  });
});

test("[W02] [OA07] a backend that is not there fails what is sent to it, and says why", async () => {
  await eachCase(BOTH, ALL, async (kind, route, ns) => {
    const parent = await makeParent(mesh, kind, ns);
    const { watch } = await watchParent(mesh, parent);
    await using _ = watch;
    const backendRefs = [{ group: "core", kind: "Service", name: "invalid", port: BACKEND_PORT }];
    await makeRoute(mesh, route, parent, { rules: [{ backendRefs }] });
    const backend = backendOf(ruleOf(plain(await watch.next())));
    assert.equal(backend.filters.length, 1);
    const { failureInjector, invalid } = backend.filters[0].kind;
    if (route === "H" || route === "L") assert.equal(failureInjector.status, 500);
    if (route === "G") assert.equal(failureInjector.code, 500);
    assert.match((failureInjector ?? invalid).message, /invalid/);
    assert.equal(invalid !== undefined, route === "T" || route === "C");
    await nothingElse(watch);
  });
});

test("[W02] [OA08] routes come in the order of their creation", { timeout: 120_000 }, async () => {
  await eachCase(BOTH, ["H", "L", "G", "T"], async (kind, route, ns) => {
    const parent = await makeParent(mesh, kind, ns);
    const { watch } = await watchParent(mesh, parent);
    await using _ = watch;
    const backendRefs = [{ ...parent.backend, port: BACKEND_PORT }];
    await makeRoute(mesh, route, parent, { name: "b-route", rules: [{ backendRefs }] });
    const rest = defaultsOf(parent, route);
    assert.deepEqual(namesIn(plain(await watch.next())), ["b-route", ...rest]);
    await mesh.nextSecond();
    await makeRoute(mesh, route, parent, { name: "a-route", rules: [{ backendRefs }] });
    assert.deepEqual(namesIn(plain(await watch.next())), ["b-route", "a-route", ...rest]);
    await nothingElse(watch);
  });
});

test("[W02] [OT01] of several TCPRoutes only the oldest is sent", async () => {
  await eachCase(BOTH, ["C"], async (kind, route, ns) => {
    const parent = await makeParent(mesh, kind, ns);
    const { watch } = await watchParent(mesh, parent);
    await using _ = watch;
    const backendRefs = [{ ...parent.backend, port: BACKEND_PORT }];
    await makeRoute(mesh, route, parent, { name: "b-route", rules: [{ backendRefs }] });
    assert.deepEqual(namesIn(plain(await watch.next())), ["b-route"]);
    await mesh.nextSecond();
    await makeRoute(mesh, route, parent, { name: "a-route", rules: [{ backendRefs }] });
    await nothingElse(watch);
  });
});

test("[W02] [OA09] a port among a parent's opaque ports is opaque", async () => {
  await eachCase(BOTH, ["H"], async (kind, _route, ns) => {
    const annotations = { "config.linkerd.io/opaque-ports": String(PORT) };
    const parent = await makeParent(mesh, kind, ns, annotations);
    const { watch, first } = await watchParent(mesh, parent);
    await using _ = watch;
    assert.deepEqual(Object.keys(first.protocol.kind), ["opaque"]);
    assert.equal(routesIn(first).length, 1);
  });
});

test("[W02] [OA10] a route that names no port is for all of them", async () => {
  await eachCase(["S"], ALL, async (kind, route, ns) => {
    const parent = await makeParent(mesh, kind, ns);
    const one = await watchParent(mesh, parent, { port: 4191 });
    const two = await watchParent(mesh, parent, { port: 9999 });
    await using _one = one.watch;
    await using _two = two.watch;
    const backendRefs = [{ ...parent.backend, port: BACKEND_PORT }];
    await makeRoute(mesh, route, parent, { port: undefined, rules: [{ backendRefs }] });
    for (const { watch } of [one, two]) {
      assert.deepEqual(namesIn(plain(await watch.next())), ["foo-route"]);
    }
    await nothingElse(one.watch, two.watch);
  });
});

test("[W02] [OA11] a producer's route is for clients of every namespace", async () => {
  await eachCase(["S"], ALL, async (kind, route, ns) => {
    const parent = await makeParent(mesh, kind, ns);
    const producer = await watchParent(mesh, parent);
    const consumer = await watchParent(mesh, parent, { from: "consumer" });
    await using _producer = producer.watch;
    await using _consumer = consumer.watch;
    const backendRefs = [{ ...parent.backend, port: BACKEND_PORT }];
    await makeRoute(mesh, route, parent, { rules: [{ backendRefs }] });
    for (const { watch } of [producer, consumer]) {
      assert.deepEqual(namesIn(plain(await watch.next())), ["foo-route"]);
    }
    await nothingElse(producer.watch, consumer.watch);
  });
});

test("[W02] [OA12] a route that is there already is in the first message of a later stream", async () => {
  await eachCase(["S"], ALL, async (kind, route, ns) => {
    const parent = await makeParent(mesh, kind, ns);
    const early = await watchParent(mesh, parent);
    await using _early = early.watch;
    const backendRefs = [{ ...parent.backend, port: BACKEND_PORT }];
    await makeRoute(mesh, route, parent, { rules: [{ backendRefs }] });
    assert.deepEqual(namesIn(plain(await early.watch.next())), ["foo-route"]);
    for (const from of [ns, "consumer"]) {
      const late = await watchParent(mesh, parent, { from });
      await using _late = late.watch;
      assert.deepEqual(namesIn(late.first), ["foo-route"]);
    }
  });
});

test("[W02] [OA13] a consumer's route is for its own namespace, and nobody else hears of it", async () => {
  await eachCase(["S"], ALL, async (kind, route, ns) => {
    const consumerNs = await mesh.namespace();
    const parent = await makeParent(mesh, kind, ns);
    const producer = await watchParent(mesh, parent);
    const consumer = await watchParent(mesh, parent, { from: consumerNs });
    const third = await watchParent(mesh, parent, { from: "third" });
    await using _producer = producer.watch;
    await using _consumer = consumer.watch;
    await using _third = third.watch;
    const backendRefs = [{ ...parent.backend, namespace: ns, port: BACKEND_PORT }];
    await makeRoute(mesh, route, parent, { namespace: consumerNs, rules: [{ backendRefs }] });
    assert.deepEqual(namesIn(plain(await consumer.watch.next())), ["foo-route"]);
    await nothingElse(producer.watch, consumer.watch, third.watch);
  });
});

test("[W02] [OA14] a route follows its parentRef away and back", async () => {
  await eachCase(BOTH, ALL, async (kind, route, ns) => {
    const parent = await makeParent(mesh, kind, ns);
    const { watch, first } = await watchParent(mesh, parent);
    await using _ = watch;
    const backendRefs = [{ ...parent.backend, port: BACKEND_PORT }];
    await makeRoute(mesh, route, parent, { rules: [{ backendRefs }] });
    const attached = plain(await watch.next());
    assert.equal(nameOf(routesIn(attached)[0]), "foo-route");
    const parentRef = { ...parent.ref, namespace: ns, port: PORT };
    const move = (name: string) =>
      mesh.patch(ROUTES[route], ns, "foo-route", {
        spec: { parentRefs: [{ ...parentRef, name }] },
      });
    await move("other-name");
    assert.deepEqual(plain(await watch.next()), first);
    await mesh.accepted(ROUTES[route], ns, "foo-route", "False");
    await move(parent.name);
    assert.deepEqual(plain(await watch.next()), attached);
    await nothingElse(watch);
  });
});

const APP_PROTOCOLS: readonly [
  id: string,
  appProtocol: string,
  route: RouteKind | undefined,
  protocol: string,
  name: string,
][] = [
  ["OP01", "linkerd.io/opaque", undefined, "opaque", "opaq"],
  ["OP02", "XMPP", undefined, "opaque", "opaq"],
  ["OP03", "linkerd.io/opaque", "C", "opaque", "foo-route"],
  ["OP04", "http", undefined, "http1", "http"],
  ["OP05", "http", "H", "http1", "foo-route"],
  ["OP06", "kubernetes.io/h2c", undefined, "http2", "http"],
  ["OP07", "kubernetes.io/h2c", "H", "http2", "foo-route"],
  ["OP08", "kubernetes.io/h2c", "G", "grpc", "foo-route"],
];

for (const [id, appProtocol, route, protocol, name] of APP_PROTOCOLS) {
  test(`[W03] [${id}] a port of ${appProtocol} with ${route ?? "no"} route is ${protocol}`, async () => {
    const ns = await mesh.namespace();
    const service = await mesh.service(ns, "my-svc", { appProtocol });
    const ip = service.spec!.clusterIP!;
    const ref = { group: "core", kind: "Service", name: "my-svc" };
    await using watch = await mesh.watchOutbound(ns, ip, PORT);
    const first = plain(await watch.next());
    if (route !== undefined) {
      const parent = { kind: "S", namespace: ns, name: "my-svc", ip, ref } as const;
      const backendRefs = [{ ...ref, port: BACKEND_PORT }];
      await makeRoute(
        mesh,
        route,
        { ...parent, resource: ROUTES[route], backend: ref },
        { rules: [{ backendRefs }] },
      );
    }
    const policy = route === undefined ? first : plain(await watch.next());
    assert.deepEqual(Object.keys(policy.protocol.kind), [protocol]);
    assert.deepEqual(namesIn(policy), [name]);
    await nothingElse(watch);
  });
}

test("[OE01] a stream ends when its EgressNetwork is deleted, and the address falls back", async () => {
  const ns = await mesh.namespace();
  const parent = await makeParent(mesh, "E", ns);
  const { watch, first } = await watchParent(mesh, parent);
  assert.equal(first.metadata.kind.resource.name, "my-egress");
  await mesh.delete(EGRESS_NETWORKS, ns, "my-egress");
  await watch.over();
  await using again = await mesh.watchOutbound(ns, OUTSIDE_IP, PORT);
  const fallback = plain(await again.next());
  assert.deepEqual(fallback.metadata.kind, { default: "egress-fallback" });
  assert.deepEqual(namesIn(fallback), ["egress-fallback"]);
  const { addr, weight } = backendOf(ruleOf(fallback)).backend.kind.forward;
  assert.deepEqual(addr, { ip: { ip: { ipv4: 0x01010101 } }, port: PORT });
  assert.equal(weight, 1);
});

test("[OE02] a stream of the fallback ends when an EgressNetwork takes its address", async () => {
  const ns = await mesh.namespace();
  const watch = await mesh.watchOutbound(ns, OUTSIDE_IP, PORT);
  assert.deepEqual(plain(await watch.next()).metadata.kind, { default: "egress-fallback" });
  const parent = await makeParent(mesh, "E", ns);
  await watch.over();
  const again = await watchParent(mesh, parent);
  await using _ = again.watch;
  assert.equal(again.first.metadata.kind.resource.name, "my-egress");
});

test("a denying EgressNetwork forbids what no route speaks of", async () => {
  const ns = await mesh.namespace();
  await mesh.egress(ns, {}, { trafficPolicy: "Deny" });
  const { detect } = await mesh.eventually("the network is known", async () => {
    await using watch = await mesh.watchOutbound(ns, OUTSIDE_IP, PORT);
    const { metadata, protocol } = plain(await watch.next());
    return metadata.kind.default === "egress-fallback" ? undefined : protocol.kind;
  });
  const [http] = detect.http1.routes;
  assert.equal(nameOf(http), "http-egress-deny");
  const { failureInjector } = http.rules[0].filters[0].kind;
  assert.deepEqual([failureInjector.status, failureInjector.message], [403, "traffic not allowed"]);
  assert.deepEqual(detect.opaque.routes[0].rules[0].filters, [{ kind: { forbidden: {} } }]);
});

test("a Service is found by name before it is there, and by its address afterwards", async () => {
  const ns = await mesh.namespace();
  await using watch = await mesh.watchAuthority(ns, `later.${ns}.svc.cluster.local:${PORT}`);
  const first = plain(await watch.next());
  assert.deepEqual(namesIn(first), ["http"]);
  await mesh.service(ns, "later", { appProtocol: "http" });
  const second = plain(await watch.next());
  assert.deepEqual(Object.keys(second.protocol.kind), ["http1"]);
});
