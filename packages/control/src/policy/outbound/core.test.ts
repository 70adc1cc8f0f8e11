import assert from "node:assert/strict";
import { test } from "node:test";
import type { Service } from "@heddle/kube/types/core";
import type { EgressNetwork, NetworkRule } from "@heddle/kube/types/linkerd";
import type { KubeObject } from "@heddle/kube/types/meta";
import type { Route } from "@heddle/kube/types/routes";
import { parseNetworks } from "@heddle/model/network";
import { parseSocketAddress, type SocketAddress } from "@heddle/model/socket-address";
import { Cells } from "../cells.ts";
import { parsePortSet } from "../port-set.ts";
import { acceptedBy, object } from "../test-objects.ts";
import { type Destination, keyOfDestination, OutboundIndex } from "./core.ts";
import { encodePolicy } from "./encode.ts";
import type { OutboundPolicy, OutboundRoute, RouteBackend } from "./policy.ts";

type Meta = Partial<KubeObject["metadata"]>;
type RouteKind = "http" | "grpc" | "tls" | "tcp";
const ROUTE_KINDS: readonly RouteKind[] = ["http", "grpc", "tls", "tcp"];
const SVC = { group: "core", kind: "Service", name: "svc", port: 80 };
const EGRESS = { group: "policy.linkerd.io", kind: "EgressNetwork", name: "egress", port: 443 };

function address(text: string): SocketAddress {
  return parseSocketAddress(text)!;
}

class World {
  readonly unreadable: string[] = [];
  readonly cells = new Cells<ReturnType<typeof encodePolicy>>(
    () => undefined,
    (error) => {
      throw error;
    },
  );
  readonly index = new OutboundIndex(
    {
      clusterDomain: "cluster.local",
      clusterNetworks: parseNetworks("10.0.0.0/8,fd00::/8"),
      defaultOpaquePorts: parsePortSet("3306"),
      globalEgressNamespace: "linkerd-egress",
      allowL5dRequestHeaders: false,
    },
    {
      touched: (fact) => this.cells.touch(fact),
      unreadable: (kind, ref, problem) => this.unreadable.push(`${kind} ${ref}: ${problem}`),
    },
  );

  service(name = "svc", metadata: Meta = {}, spec: object = {}): void {
    const clusterIP = { svc: "10.1.0.1", backend: "10.1.0.2" }[name] ?? "10.1.0.3";
    const ports = [{ port: 80 }, { port: 81 }];
    const whole = { clusterIP, clusterIPs: [clusterIP], ports, ...spec };
    this.index.setService(object<Service>(name, { spec: whole }, metadata));
  }

  egress(name = "egress", networks?: NetworkRule[], metadata: Meta = {}, policy = "Allow"): void {
    const spec = { trafficPolicy: policy, ...(networks === undefined ? {} : { networks }) };
    const fields = { spec } as Omit<EgressNetwork, "metadata">;
    this.index.setEgressNetwork(object<EgressNetwork>(name, fields, metadata));
  }

  route(
    kind: RouteKind,
    parent: typeof SVC | Omit<typeof SVC, "port">,
    spec: object = {},
    metadata: Meta = {},
  ): void {
    const name = metadata.name ?? "route";
    const whole = { parentRefs: [parent], rules: [{}], ...spec };
    const status = acceptedBy({ ...parent });
    const route = object<Route<never>>(name, { spec: whole, status } as never, metadata);
    if (kind === "http") this.index.setHttpRoute("gateway.networking.k8s.io", route);
    else if (kind === "grpc") this.index.setGrpcRoute(route);
    else if (kind === "tls") this.index.setTlsRoute(route);
    else this.index.setTcpRoute(route);
  }

  lookup(text: string, namespace = "ns"): Destination | undefined {
    return this.index.lookupAddress(address(text), namespace);
  }

  policy(text = "10.1.0.1:80", namespace = "ns"): OutboundPolicy {
    const found = this.lookup(text, namespace);
    assert.ok(found, `${text} is known`);
    const policy = this.index.policy(found, namespace, () => undefined);
    assert.ok(policy !== "gone");
    return policy;
  }

  /** What a stream hears. */
  watch(text = "10.1.0.1:80", namespace = "ns"): string[] {
    const heard: string[] = [];
    const found = this.lookup(text, namespace)!;
    this.cells.subscribe(
      `${namespace} ${keyOfDestination(found)}`,
      (track) => {
        const policy = this.index.policy(found, namespace, track);
        return policy === "gone" ? "gone" : encodePolicy(policy);
      },
      { value: () => heard.push("value"), gone: () => heard.push("gone") },
    );
    return heard;
  }
}

/** Routes of whatever protocol. */
function routesOf(policy: OutboundPolicy): readonly OutboundRoute<unknown, unknown>[] {
  const { protocol } = policy;
  return protocol.kind === "detect" ? protocol.http : protocol.routes;
}

function names(policy: OutboundPolicy): string[] {
  return routesOf(policy).map(({ meta }) => meta.name);
}

function backendsOf(policy: OutboundPolicy, route = 0): readonly RouteBackend[] {
  const distribution = routesOf(policy)[route]!.rules[0]!.distribution;
  return distribution.kind === "empty" ? [] : distribution.backends;
}

test("[UO01] of the networks around an address the smallest block counts", () => {
  const world = new World();
  world.egress("wide", [{ cidr: "192.0.0.0/8" }]);
  world.egress("narrow", [{ cidr: "192.0.2.0/24" }]);
  assert.match(keyOfDestination(world.lookup("192.0.2.1:80")!), /ns\/narrow/);
  assert.match(keyOfDestination(world.lookup("192.1.0.1:80")!), /ns\/wide/);
});

test("[UO02] [UO03] a network of the client's namespace goes before a global one, others do not count", () => {
  const world = new World();
  world.egress("global", [{ cidr: "192.0.2.0/24" }], { namespace: "linkerd-egress" });
  world.egress("elsewhere", [{ cidr: "192.0.2.0/30" }], { namespace: "other" });
  assert.match(keyOfDestination(world.lookup("192.0.2.1:80")!), /linkerd-egress\/global/);
  world.egress("own", [{ cidr: "192.0.0.0/8" }]);
  assert.match(keyOfDestination(world.lookup("192.0.2.1:80")!), /ns\/own/);
  assert.equal(world.lookup("8.8.8.8:53")?.kind, "external");
});

test("[UO04] [UO05] of equal blocks the oldest counts, then the first by name", () => {
  const world = new World();
  const networks = [{ cidr: "192.0.2.0/24" }];
  world.egress("b", networks, { creationTimestamp: "2026-02-01T00:00:00Z" });
  world.egress("c", networks);
  assert.match(keyOfDestination(world.lookup("192.0.2.1:80")!), /ns\/c/);
  world.egress("a", networks);
  assert.match(keyOfDestination(world.lookup("192.0.2.1:80")!), /ns\/a/);
});

test("[UO06] an exception is not in its network; the whole outside leaves the cluster out", () => {
  const world = new World();
  world.egress("egress", [{ cidr: "192.0.2.0/24", except: ["192.0.2.128/25"] }]);
  assert.equal(world.lookup("192.0.2.1:80")?.kind, "egress");
  assert.equal(world.lookup("192.0.2.129:80")?.kind, "external");
  world.egress("egress");
  assert.equal(world.lookup("1.1.1.1:80")?.kind, "egress");
  assert.equal(world.lookup("[2001:db8::1]:80")?.kind, "egress");
  assert.equal(world.lookup("10.9.9.9:80"), undefined);
  assert.equal(world.lookup("[fd00::1]:80"), undefined);
});

test("[UO07] a stream ends when another network takes its address", () => {
  const world = new World();
  world.egress("wide", [{ cidr: "192.0.0.0/8" }]);
  const heard = world.watch("192.0.2.1:80");
  world.egress("far", [{ cidr: "198.51.100.0/24" }]);
  world.cells.flush();
  assert.deepEqual(heard, ["value"]);
  world.egress("narrow", [{ cidr: "192.0.2.0/24" }]);
  world.cells.flush();
  assert.deepEqual(heard, ["value", "gone"]);
});

test("[UO08] a stream of the fallback ends when a network takes its address", () => {
  const world = new World();
  const heard = world.watch("1.1.1.1:80");
  world.egress();
  world.cells.flush();
  assert.deepEqual(heard, ["value", "gone"]);
});

test("[UO09] a stream of the fallback ends when a network goes and leaves its address to another", () => {
  const world = new World();
  world.egress("own", [{ cidr: "192.0.2.0/24" }]);
  world.egress("global", [{ cidr: "0.0.0.0/0" }], { namespace: "linkerd-egress" });
  const fallback = world.watch("1.1.1.1:80");
  const elsewhere = world.watch("1.1.1.1:80", "linkerd-egress");
  world.index.deleteEgressNetwork("ns", "own");
  world.cells.flush();
  assert.deepEqual(fallback, ["value", "gone"]);
  assert.match(keyOfDestination(world.lookup("1.1.1.1:80")!), /linkerd-egress\/global/);
  // Whose address stands for what it did is not disturbed.
  assert.deepEqual(elsewhere, ["value"]);
});

test("a stream ends when its network is deleted, and the address falls back", () => {
  const world = new World();
  world.egress();
  const heard = world.watch("1.1.1.1:80");
  world.index.deleteEgressNetwork("ns", "egress");
  world.cells.flush();
  assert.deepEqual(heard, ["value", "gone"]);
  assert.equal(world.policy("1.1.1.1:80").meta.name, "egress-fallback");
});

test("a new status of an EgressNetwork tells nobody", () => {
  const world = new World();
  world.egress();
  const heard = world.watch("1.1.1.1:80");
  world.index.setEgressNetwork(
    object<EgressNetwork>("egress", {
      spec: { trafficPolicy: "Allow" },
      status: { conditions: [{ type: "Accepted", status: "True" }] },
    }),
  );
  world.cells.flush();
  assert.deepEqual(heard, ["value"]);
});

test("a stream ends when its address becomes another Service's, not when its Service is deleted", () => {
  const world = new World();
  world.service();
  const heard = world.watch();
  world.index.deleteService("ns", "svc");
  world.cells.flush();
  assert.deepEqual(heard, ["value"]);
  world.service("heir", {}, { clusterIP: "10.1.0.1", clusterIPs: ["10.1.0.1"] });
  world.cells.flush();
  assert.deepEqual(heard, ["value", "gone"]);
});

test("a port that a Service has not is forbidden, until the Service gets it", () => {
  const world = new World();
  world.service();
  const policy = world.policy("10.1.0.1:99");
  assert.deepEqual(names(policy), ["undefined-port"]);
  assert.equal(routesOf(policy)[0]?.rules[0]?.forbidden, true);
  const heard = world.watch("10.1.0.1:99");
  world.service("svc", {}, { ports: [{ port: 99 }] });
  world.cells.flush();
  assert.deepEqual(heard, ["value", "gone"]);
});

test("names are looked up by their labels, whether or not the Service is there", () => {
  const { index } = new World();
  for (const name of ["svc.ns.svc", "svc.ns.svc.cluster.local", "svc.ns.svc.cluster.local."]) {
    const found = index.lookupName(name, 80)!;
    assert.equal(keyOfDestination(found), "service ns/svc:80 ");
    const policy = index.policy(found, "ns", () => undefined);
    assert.ok(policy !== "gone" && names(policy)[0] === "http");
  }
  for (const name of ["svc", "svc.ns", "a.svc.ns.svc.cluster.local", ".ns.svc", "svc.ns.pod"]) {
    assert.equal(index.lookupName(name, 80), undefined, name);
  }
});

test("[UO10] a backend that comes reaches every port of a route without port", () => {
  const world = new World();
  world.service();
  const { port: _, ...portless } = SVC;
  world.route("http", portless, { rules: [{ backendRefs: [{ name: "backend", port: 80 }] }] });
  const heard = [world.watch("10.1.0.1:80"), world.watch("10.1.0.1:81")];
  world.service("backend");
  world.cells.flush();
  assert.deepEqual(heard, [
    ["value", "value"],
    ["value", "value"],
  ]);
});

const BACKEND_SERVICE: Readonly<Record<RouteKind, string>> = {
  http: "[UO11]",
  grpc: "[UO13]",
  tls: "[UO15]",
  tcp: "[UO17]",
};

for (const kind of ROUTE_KINDS) {
  test(`${BACKEND_SERVICE[kind]} a ${kind} route's Service fails while it is not there`, () => {
    const world = new World();
    world.service();
    const rules = [{ backendRefs: [{ name: "backend", port: 8888, weight: 7 }] }];
    world.route(kind, SVC, { rules });
    const heard = world.watch();
    const target = () => backendsOf(world.policy())[0]!.target;
    assert.match((target() as { problem: string }).problem, /ns\/backend/);
    world.service("backend");
    world.cells.flush();
    assert.deepEqual(target(), {
      kind: "balancer",
      path: "backend.ns.svc.cluster.local:8888",
      bias: undefined,
    });
    assert.equal(backendsOf(world.policy())[0]?.weight, 7);
    world.index.deleteService("ns", "backend");
    world.cells.flush();
    assert.equal(target().kind, "failing");
    assert.deepEqual(heard, ["value", "value", "value"]);
  });
}

const BACKEND_EGRESS: Readonly<Record<RouteKind, string>> = {
  http: "[UO12]",
  grpc: "[UO14]",
  tls: "[UO16]",
  tcp: "[UO18]",
};

for (const kind of ROUTE_KINDS) {
  test(`${BACKEND_EGRESS[kind]} a ${kind} route may send on to the EgressNetwork that it is for`, () => {
    const world = new World();
    const backend = (name: string) => ({
      rules: [{ backendRefs: [{ group: "policy.linkerd.io", kind: "EgressNetwork", name }] }],
    });
    world.egress();
    world.egress("other", [{ cidr: "198.51.100.0/24" }]);
    const target = () => backendsOf(world.policy("1.1.1.1:443"))[0]!.target;
    world.route(kind, EGRESS, backend("egress"));
    assert.deepEqual(target(), { kind: "forward", address: address("1.1.1.1:443") });
    world.route(kind, EGRESS, backend("other"));
    assert.match((target() as { problem: string }).problem, /not the route's parent/);
    world.route(kind, EGRESS, backend("missing"));
    assert.match((target() as { problem: string }).problem, /not known/);
    world.service();
    world.route(kind, SVC, backend("egress"));
    const ofService = backendsOf(world.policy())[0]!.target;
    assert.match((ofService as { problem: string }).problem, /not its own/);
  });
}

test("backends of other kinds, without port or with other filters fail with the reason", () => {
  const world = new World();
  world.service();
  world.service("backend");
  const refs: [object, RegExp][] = [
    [{ name: "x", group: "apps", kind: "Deployment", port: 80 }, /apps\/Deployment/],
    [{ name: "backend" }, /no port/],
    [{ name: "backend", port: 80, filters: [{ type: "URLRewrite" }] }, /URLRewrite/],
  ];
  const rules = [{ backendRefs: refs.map(([ref]) => ref) }];
  world.route("http", SVC, { rules });
  const found = backendsOf(world.policy());
  for (const [index, [, reason]] of refs.entries()) {
    const target = found[index]!.target;
    assert.match(target.kind === "failing" ? target.problem : "", reason);
  }
});

test("weights that are all zero are never sent", () => {
  const world = new World();
  world.service();
  world.service("backend");
  const ref = (weight: number) => ({ name: "backend", port: 80, weight });
  world.route("http", SVC, { rules: [{ backendRefs: [ref(0), ref(0)] }] });
  const none = routesOf(world.policy())[0]!.rules[0]!.distribution;
  assert.equal(none.kind, "first");
  assert.equal(backendsOf(world.policy())[0]?.target.kind, "failing");
  world.route("http", SVC, { rules: [{ backendRefs: [ref(0), ref(3)] }] });
  const some = routesOf(world.policy())[0]!.rules[0]!.distribution;
  assert.equal(some.kind, "random");
  assert.deepEqual(
    backendsOf(world.policy()).map(({ weight }) => weight),
    [0, 3],
  );
});

test("a producer's route is for all clients, a consumer's for its own namespace", () => {
  const world = new World();
  world.service();
  const parent = { ...SVC, namespace: "ns" };
  world.route("http", parent, {}, { name: "producer" });
  world.route("http", parent, {}, { name: "consumer", namespace: "client" });
  assert.deepEqual(names(world.policy("10.1.0.1:80", "ns")), ["producer"]);
  assert.deepEqual(names(world.policy("10.1.0.1:80", "other")), ["producer"]);
  assert.deepEqual(names(world.policy("10.1.0.1:80", "client")), ["consumer", "producer"]);
});

test("only routes that are accepted count, on the port that they name", () => {
  const world = new World();
  world.service();
  world.route("http", SVC);
  assert.deepEqual(names(world.policy("10.1.0.1:80")), ["route"]);
  assert.deepEqual(names(world.policy("10.1.0.1:81")), ["http"]);
  const pending = object<Route<never>>("route", { spec: { parentRefs: [SVC] } } as never);
  world.index.setHttpRoute("gateway.networking.k8s.io", pending);
  assert.deepEqual(names(world.policy("10.1.0.1:80")), ["http"]);
});

test("the protocol follows the port's appProtocol, then opaque ports, then the routes", () => {
  const protocol = (spec: object, metadata: Meta = {}, ...routes: RouteKind[]): string => {
    const world = new World();
    world.service("svc", metadata, spec);
    for (const kind of routes) world.route(kind, SVC);
    return world.policy().protocol.kind;
  };
  const port = (appProtocol: string) => ({ ports: [{ port: 80, appProtocol }] });
  const opaque = { annotations: { "config.linkerd.io/opaque-ports": "80" } };
  assert.equal(protocol(port("http")), "http1");
  assert.equal(protocol(port("HTTP"), opaque), "http1");
  assert.equal(protocol(port("kubernetes.io/h2c")), "http2");
  assert.equal(protocol(port("kubernetes.io/h2c"), {}, "grpc", "http"), "grpc");
  assert.equal(protocol(port("linkerd.io/tcp"), {}, "http"), "opaque");
  assert.equal(protocol(port("XMPP")), "opaque");
  assert.equal(protocol({}, opaque), "opaque");
  assert.equal(protocol({}), "detect");
  assert.equal(protocol({}, {}, "grpc", "http"), "grpc");
  assert.equal(protocol({}, {}, "http", "tls"), "detect");
  assert.equal(protocol({}, {}, "tls", "tcp"), "tls");
  assert.equal(protocol({}, {}, "tcp"), "opaque");
});

test("default opaque ports hold for Services that say nothing, and for no others", () => {
  const world = new World();
  const ports = { ports: [{ port: 3306 }] };
  world.service("svc", {}, ports);
  assert.equal(world.policy("10.1.0.1:3306").protocol.kind, "opaque");
  world.service("svc", { annotations: { "config.linkerd.io/opaque-ports": "" } }, ports);
  assert.equal(world.policy("10.1.0.1:3306").protocol.kind, "detect");
});

test("what an EgressNetwork does not name it allows or denies, by a route at the end", () => {
  for (const [policy, forbidden] of [
    ["Allow", false],
    ["Deny", true],
  ] as const) {
    const world = new World();
    world.egress("egress", undefined, {}, policy);
    const verdict = policy.toLowerCase();
    assert.deepEqual(names(world.policy("1.1.1.1:443")), [`http-egress-${verdict}`]);
    for (const kind of ["http", "grpc", "tls"] as const) {
      const other = new World();
      other.egress("egress", undefined, {}, policy);
      other.route(kind, EGRESS);
      const found = other.policy("1.1.1.1:443");
      assert.deepEqual(names(found), ["route", `${kind}-egress-${verdict}`]);
      assert.equal(routesOf(found)[1]?.rules[0]?.forbidden, forbidden);
    }
    const tcp = new World();
    tcp.egress("egress", undefined, {}, policy);
    tcp.route("tcp", EGRESS);
    assert.deepEqual(names(tcp.policy("1.1.1.1:443")), ["route"]);
  }
});

test("a rule's own timeout yields to the route's annotation, and a Service's to both", () => {
  const world = new World();
  const requestMs = () => routesOf(world.policy())[0]!.rules[0]!.timeouts;
  world.service("svc", { annotations: { "timeout.linkerd.io/response": "9s" } });
  const rules = [{ timeouts: { request: "1m30s" } }];
  world.route("http", SVC, { rules });
  assert.deepEqual(requestMs(), { requestMs: 90_000, responseMs: undefined, idleMs: undefined });
  world.route("http", SVC, { rules }, { annotations: { "timeout.linkerd.io/request": "2s" } });
  assert.equal(requestMs()?.requestMs, 2_000);
  world.route("http", SVC, { rules: [{ timeouts: { request: "0s" } }] });
  assert.deepEqual(requestMs(), { requestMs: undefined, responseMs: 9_000, idleMs: undefined });
  world.route("http", SVC, {}, { annotations: { "timeout.linkerd.io/request": "bogus" } });
  assert.equal(world.unreadable.length, 1);
});

test("equal policies are told once, and held once", () => {
  const world = new World();
  world.service();
  const heard = world.watch();
  world.watch("10.1.0.1:80", "other");
  assert.equal(world.cells.size, 2);
  assert.equal(world.cells.messages, 1);
  world.service("svc", { labels: { irrelevant: "true" } });
  world.cells.flush();
  assert.deepEqual(heard, ["value"]);
});
