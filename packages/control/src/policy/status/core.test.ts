import assert from "node:assert/strict";
import { test } from "node:test";
import type { Service } from "@heddle/kube/types/core";
import type { EgressNetwork, HttpLocalRateLimitPolicy, Server } from "@heddle/kube/types/linkerd";
import type { Condition, KubeObject } from "@heddle/kube/types/meta";
import type { Route, RouteParentStatus } from "@heddle/kube/types/routes";
import { parseNetworks } from "@heddle/model/network";
import { object } from "../test-objects.ts";
import { StatusIndex } from "./core.ts";
import type { RouteCollection, StatusKey } from "./keys.ts";

const NOW = "2026-06-01T00:00:00Z";
const ACCEPTED: readonly Condition[] = [{ type: "Accepted", status: "True" }];
const SERVER = { group: "policy.linkerd.io", kind: "Server", name: "parent" };
const SERVICE = { group: "core", kind: "Service", name: "parent", port: 80 };
const EGRESS = { group: "policy.linkerd.io", kind: "EgressNetwork", name: "parent", port: 80 };
type Ref = Readonly<Record<string, unknown>>;

class World {
  readonly index = new StatusIndex(parseNetworks("10.0.0.0/8"));

  server(name = "parent"): void {
    const spec = { podSelector: {}, port: 80 };
    this.index.setServer(object<Server>(name, { spec }));
  }

  service(name = "parent", spec: object = { clusterIP: "10.1.0.1" }): void {
    this.index.setService(object<Service>(name, { spec }));
  }

  egress(name = "parent", conditions = ACCEPTED): void {
    this.index.setEgressNetwork(
      object<EgressNetwork>(name, { spec: { trafficPolicy: "Allow" }, status: { conditions } }),
    );
  }

  route(
    kind: RouteCollection,
    parentRefs: readonly Ref[],
    backendRefs: readonly Ref[] = [],
    more: { name?: string; status?: object; metadata?: Partial<KubeObject["metadata"]> } = {},
  ): void {
    const { name = "route", status, metadata } = more;
    const spec = { parentRefs, rules: [{ backendRefs }] };
    const fields = { spec, ...(status === undefined ? {} : { status }) } as never;
    this.index.setRoute(kind, object<Route<unknown>>(name, fields, metadata));
  }

  parents(kind: RouteCollection, name = "route", namespace = "ns"): RouteParentStatus[] {
    const change = this.index.change({ kind, namespace, name }, NOW);
    return (change!.status as { parents: RouteParentStatus[] }).parents;
  }

  /** Routes whose status is not right. */
  pending(): StatusKey[] {
    return [...this.index.pending()].filter(({ kind }) => kind !== "server");
  }

  /** `Accepted=True/Accepted`, … of the first parent. */
  conditions(kind: RouteCollection, name = "route", namespace = "ns"): string[] {
    return (this.parents(kind, name, namespace)[0]?.conditions ?? []).map(
      ({ type, status, reason }) => `${type}=${status}/${reason}`,
    );
  }
}

const YES = "Accepted=True/Accepted";
const CONFLICT = "Accepted=False/RouteReasonConflicted";
const NO_PARENT = "Accepted=False/NoMatchingParent";
const RESOLVED = "ResolvedRefs=True/ResolvedRefs";

const KIND_OF: Readonly<Record<string, RouteCollection>> = {
  GRPC: "grpc",
  HTTP: "gateway-http",
  TLS: "tls",
  TCP: "tcp",
};

/** Which id says what of a route beside another one on the same parent. */
const CONFLICTS: readonly [id: string, kind: string, beside: readonly string[], verdict: string][] =
  [
    ["UC01 UC11", "GRPC", ["HTTP", "TLS", "TCP"], YES],
    ["UC02 UC12", "HTTP", ["GRPC"], CONFLICT],
    ["UC03 UC13", "HTTP", ["TLS", "TCP"], YES],
    ["UC04 UC14", "TLS", ["HTTP"], CONFLICT],
    ["UC05 UC15", "TLS", ["GRPC"], CONFLICT],
    ["UC06 UC16", "TLS", ["TCP"], YES],
    ["UC07 UC17", "TCP", ["GRPC"], CONFLICT],
    ["UC08 UC18", "TCP", ["HTTP"], CONFLICT],
    ["UC09 UC19", "TCP", ["TLS"], CONFLICT],
    ["UC10 UC20", "TCP", [], YES],
  ];

for (const [ids, kind, beside, verdict] of CONFLICTS) {
  const title = ids.replace(/\w+/g, "[$&]");
  test(`${title} a ${kind}Route beside ${beside.join(", ") || "nothing"}: ${verdict}`, () => {
    for (const parent of [SERVICE, EGRESS]) {
      const world = new World();
      world.service();
      world.egress();
      for (const other of beside) world.route(KIND_OF[other]!, [parent], [], { name: "other" });
      world.route(KIND_OF[kind]!, [parent]);
      assert.equal(world.conditions(KIND_OF[kind]!)[0], verdict, parent.kind);
      // Another port of the same parent is another parent.
      world.route(KIND_OF[kind]!, [{ ...parent, port: 81 }]);
      assert.equal(world.conditions(KIND_OF[kind]!)[0], YES, parent.kind);
    }
  });
}

test("[UR11] [UR12] [UR33] [UR34] a conflict turns both ways as the other route comes and goes", () => {
  for (const parent of [SERVICE, EGRESS]) {
    const world = new World();
    world.service();
    world.egress();
    for (const [strong, weak] of [
      ["grpc", "gateway-http"],
      ["gateway-http", "tls"],
    ] as const) {
      world.route(weak, [parent]);
      assert.equal(world.conditions(weak)[0], YES);
      world.route(strong, [parent]);
      assert.equal(world.conditions(weak)[0], CONFLICT);
      assert.equal(world.conditions(strong)[0], YES);
      world.index.deleteRoute(strong, "ns", "route");
      assert.equal(world.conditions(weak)[0], YES);
      world.index.deleteRoute(weak, "ns", "route");
    }
  }
});

test("a route of a third namespace turns nobody else's routes off", () => {
  const world = new World();
  world.service();
  const parent = { ...SERVICE, namespace: "ns" };
  const stronger = (namespace: string): void =>
    world.route("grpc", [parent], [], { name: namespace, metadata: { namespace } });
  world.route("gateway-http", [parent]);
  stronger("evil");
  assert.equal(world.conditions("gateway-http")[0], YES);
  world.route("gateway-http", [parent], [], { metadata: { namespace: "evil" } });
  assert.equal(world.conditions("gateway-http", "route", "evil")[0], CONFLICT);
  // The parent's own namespace decides for all.
  stronger("ns");
  assert.equal(world.conditions("gateway-http")[0], CONFLICT);
  world.route("gateway-http", [parent], [], { metadata: { namespace: "third" } });
  assert.equal(world.conditions("gateway-http", "route", "third")[0], CONFLICT);
});

test("[UE01] [UE02] [UE03] an EgressNetwork is accepted unless it overlaps the cluster", () => {
  const verdict = (networks: object[] | undefined): string => {
    const { index } = new World();
    const spec = { trafficPolicy: "Allow", ...(networks === undefined ? {} : { networks }) };
    index.setEgressNetwork(object<EgressNetwork>("egress", { spec } as never));
    const change = index.change({ kind: "egress", namespace: "ns", name: "egress" }, NOW);
    const [condition] = (change!.status as { conditions: Condition[] }).conditions;
    return `${condition?.status}/${condition?.reason}`;
  };
  const overlap = "False/EgressReasonNetworkOverlap";
  assert.equal(verdict(undefined), "True/Accepted");
  assert.equal(verdict([{ cidr: "192.0.2.0/24" }]), "True/Accepted");
  assert.equal(verdict([{ cidr: "10.1.0.0/16" }]), overlap);
  assert.equal(verdict([{ cidr: "0.0.0.0/0" }]), overlap);
  assert.equal(verdict([{ cidr: "0.0.0.0/0", except: ["10.0.0.0/8"] }]), "True/Accepted");
  assert.equal(verdict([{ cidr: "0.0.0.0/0", except: ["10.0.0.0/9"] }]), overlap);
});

test("[UE04] [UE05] [UE06] of several rate limits on a Server the oldest is accepted", () => {
  const world = new World();
  const limit = (name: string, month: number): void => {
    const spec = { targetRef: SERVER, total: { requestsPerSecond: 1 } };
    const creationTimestamp = `2026-0${month}-01T00:00:00Z`;
    world.index.setRateLimitPolicy(
      object<HttpLocalRateLimitPolicy>(name, { spec }, { creationTimestamp }),
    );
  };
  const verdict = (name: string): string => {
    const change = world.index.change({ kind: "rate-limit", namespace: "ns", name }, NOW);
    const status = change?.status as { conditions: Condition[]; targetRef: object };
    assert.deepEqual(status.targetRef, SERVER);
    return status.conditions[0]!.reason!;
  };
  limit("young", 2);
  assert.equal(verdict("young"), "NoMatchingTarget");
  world.server();
  assert.equal(verdict("young"), "Accepted");
  limit("old", 1);
  assert.equal(verdict("young"), "RateLimitReasonAlreadyExists");
  assert.equal(verdict("old"), "Accepted");
});

/** The ids of one kind's routes, in the order of the tests below. */
const KINDS: readonly [kind: RouteCollection, ids: readonly string[]][] = [
  ["grpc", "UR01 UR02 UR03 UR04 UR05 UR06 UR07 UR08 UR09 UR10".split(" ")],
  ["tcp", "UR13 UR14 UR15 UR16 UR17 UR18 UR19 UR20 UR21 UR22".split(" ")],
  ["tls", "UR23 UR24 UR25 UR26 UR27 UR28 UR29 UR30 UR31 UR32".split(" ")],
  ["policy-http", "UR36 UR37 UR38 UR39 UR40 UR41 UR42 UR43 UR44 UR45".split(" ")],
  ["gateway-http", "UR47 UR48 UR49 UR50 UR51 UR52 UR53 UR54 UR55 UR56".split(" ")],
];

const backend = (name: string, more: Ref = {}): Ref => ({ name, port: 80, ...more });
const egressBackend = (name: string): Ref =>
  backend(name, { group: "policy.linkerd.io", kind: "EgressNetwork" });

for (const [kind, ids] of KINDS) {
  test(`[${ids[0]}] [${ids[2]}] a ${kind} route's Services must be there`, () => {
    const world = new World();
    world.service();
    world.service("backend");
    world.route(kind, [SERVICE], [backend("backend"), backend("parent", { group: "core" })]);
    assert.deepEqual(world.conditions(kind), [YES, RESOLVED]);
    world.route(kind, [SERVICE], [backend("backend"), backend("missing")]);
    assert.deepEqual(world.conditions(kind), [YES, "ResolvedRefs=False/BackendNotFound"]);
  });

  test(`[${ids[1]}] [${ids[3]}] [${ids[4]}] [${ids[5]}] a ${kind} route sends on to its own EgressNetwork only`, () => {
    const world = new World();
    world.service();
    world.egress();
    world.egress("other");
    world.route(kind, [EGRESS], [egressBackend("parent")]);
    assert.deepEqual(world.conditions(kind), [YES, RESOLVED]);
    world.route(kind, [EGRESS], [egressBackend("other")]);
    assert.deepEqual(world.conditions(kind), [YES, "ResolvedRefs=False/InvalidKind"]);
    world.route(kind, [SERVICE], [egressBackend("parent")]);
    assert.deepEqual(world.conditions(kind), [YES, "ResolvedRefs=False/InvalidKind"]);
    world.route(kind, [EGRESS], [backend("parent")]);
    assert.deepEqual(world.conditions(kind), [YES, RESOLVED]);
    world.route(kind, [EGRESS], [egressBackend("missing")]);
    assert.deepEqual(world.conditions(kind), [YES, "ResolvedRefs=False/BackendNotFound"]);
  });

  test(`[${ids[6]}] [${ids[7]}] [${ids[8]}] [${ids[9]}] a ${kind} route is accepted while its parent is there`, () => {
    for (const parent of [SERVER, SERVICE, EGRESS]) {
      const world = new World();
      world.route(kind, [parent]);
      assert.equal(world.conditions(kind)[0], NO_PARENT, parent.kind);
      world.server();
      world.service();
      world.egress();
      assert.equal(world.conditions(kind)[0], YES, parent.kind);
      world.index.deleteServer("ns", "parent");
      world.index.deleteService("ns", "parent");
      world.index.deleteEgressNetwork("ns", "parent");
      assert.equal(world.conditions(kind)[0], NO_PARENT, parent.kind);
    }
  });
}

test("[UR35] [UR46] a route without backends has nothing to resolve", () => {
  const world = new World();
  world.service();
  for (const kind of ["policy-http", "gateway-http"] as const) {
    world.route(kind, [SERVICE]);
    assert.deepEqual(world.conditions(kind), [YES, RESOLVED]);
  }
});

test("[UR59] [UR60] [UR61] [UR62] [UR63] [UR64] [UR65] [UR66] backends are Services by default, and nothing else resolves", () => {
  for (const [kind] of KINDS) {
    const world = new World();
    world.service();
    const resolved = (ref: Ref): string | undefined => {
      world.route(kind, [SERVICE], [ref]);
      return world.conditions(kind)[1];
    };
    for (const ref of [
      {},
      { namespace: "ns" },
      { group: "" },
      { group: "core", kind: "Service" },
    ]) {
      assert.equal(resolved({ name: "parent", ...ref }), RESOLVED, JSON.stringify(ref));
    }
    assert.equal(
      resolved({ name: "parent", namespace: "x" }),
      "ResolvedRefs=False/BackendNotFound",
    );
    const server = { name: "parent", group: "policy.linkerd.io", kind: "Server" };
    assert.equal(resolved(server), "ResolvedRefs=False/InvalidKind");
  }
});

test("a Service without a cluster address is no parent, and the status says why", () => {
  const world = new World();
  world.route("policy-http", [SERVICE]);
  for (const spec of [
    { clusterIP: "None" },
    {},
    { type: "ExternalName", externalName: "example.com", clusterIP: "" },
  ]) {
    world.service("parent", spec);
    const [condition] = world.parents("policy-http")[0]!.conditions!;
    assert.equal(condition?.reason, "NoMatchingParent");
    assert.match(condition?.message ?? "", /ClusterIP/);
  }
  world.egress("parent", []);
  world.route("policy-http", [EGRESS]);
  assert.equal(world.conditions("policy-http")[0], NO_PARENT);
});

test("a status names its parent whole, with `core` for Services and no port for Servers", () => {
  const world = new World();
  const parentRefs = [SERVER, { kind: "Service", group: "", name: "parent" }, EGRESS];
  world.route("gateway-http", [...parentRefs, { name: "gateway" }, SERVER]);
  assert.deepEqual(
    world.parents("gateway-http").map(({ parentRef }) => parentRef),
    [
      { group: "policy.linkerd.io", kind: "Server", namespace: "ns", name: "parent" },
      { group: "core", kind: "Service", namespace: "ns", name: "parent" },
      {
        group: "policy.linkerd.io",
        kind: "EgressNetwork",
        namespace: "ns",
        name: "parent",
        port: 80,
      },
    ],
  );
  assert.equal(world.parents("gateway-http")[0]?.controllerName, "linkerd.io/policy-controller");
});

test("[UR57] [UR58] a status that says the same already is left alone, whatever its times", () => {
  const world = new World();
  world.server();
  for (const kind of ["grpc", "policy-http", "gateway-http"] as const) {
    const metadata = { generation: 3 };
    world.route(kind, [SERVER, { ...SERVER, name: "missing" }], [], { metadata });
    const parents = world.parents(kind).toReversed();
    assert.deepEqual(
      world.pending().map((key) => key.kind),
      [kind],
    );
    world.route(kind, [SERVER, { ...SERVER, name: "missing" }], [], {
      metadata,
      status: { parents },
    });
    assert.deepEqual(world.pending(), []);
    // The order of conditions counts, and so does the generation that they are about.
    world.route(kind, [SERVER, { ...SERVER, name: "missing" }], [], {
      metadata: { generation: 4 },
      status: { parents },
    });
    assert.equal(world.pending().length, 1);
    world.index.deleteRoute(kind, "ns", "route");
  }
});

test("entries of other controllers stay; ours go when the parents go", () => {
  const world = new World();
  world.server();
  const other = { controllerName: "example.com/gateway", parentRef: { name: "g" }, conditions: [] };
  world.route("gateway-http", [SERVER], [], { status: { parents: [other] } });
  const parents = world.parents("gateway-http");
  assert.deepEqual(parents[0], other);
  assert.equal(parents.length, 2);
  world.route("gateway-http", [], [], { status: { parents } });
  assert.deepEqual(world.parents("gateway-http"), [other]);
  world.route("gateway-http", [{ name: "gateway" }], [], { status: { parents: [other] } });
  assert.deepEqual(world.pending(), []);
});

test("a condition is dated when it turns, and keeps its date otherwise", () => {
  const world = new World();
  world.service();
  const earlier = "2026-01-01T00:00:00Z";
  world.route("policy-http", [SERVICE]);
  const parents = world.parents("policy-http").map((parent) => ({
    ...parent,
    conditions: parent.conditions?.map((made) => ({ ...made, lastTransitionTime: earlier })),
  }));
  world.route("policy-http", [SERVICE], [backend("missing")], { status: { parents } });
  const times = world.parents("policy-http")[0]?.conditions?.map((made) => made.lastTransitionTime);
  assert.deepEqual(times, [earlier, NOW]);
});
