import assert from "node:assert/strict";
import { test } from "node:test";
import type {
  ExternalWorkload,
  HttpLocalRateLimitPolicy,
  MeshTlsAuthentication,
  ServerAuthorization,
} from "@heddle/kube/types/linkerd";
import { object } from "../test-objects.ts";
import type { InboundIndex } from "./core.ts";
import type { DefaultPolicy } from "./default-policy.ts";
import { authenticatedTwin, parseDefaultPolicy } from "./default-policy.ts";
import {
  authorizationPolicy,
  meshTls,
  NETWORK_REF,
  networkAuthentication,
  SERVER,
  TLS_REF,
  World,
} from "./test-world.ts";

const POLICIES: readonly DefaultPolicy[] = [
  "all-unauthenticated",
  "all-authenticated",
  "cluster-unauthenticated",
  "cluster-authenticated",
  "deny",
  "audit",
];

test("[UA01] only workloads that are known have a policy", () => {
  const world = new World();
  assert.equal(
    world.index.server("pod", "ns", "pod", 8080, () => undefined),
    undefined,
  );
  world.pod();
  assert.deepEqual(world.at().ref, { kind: "default", name: "all-unauthenticated" });
  assert.equal(
    world.index.server("external-workload", "ns", "pod", 1, () => undefined),
    undefined,
  );
  world.index.deletePod("ns", "pod");
  assert.equal(
    world.index.server("pod", "ns", "pod", 8080, () => undefined),
    undefined,
  );
});

test("[UA02] [UM12] a pod follows the mesh's default policy, and its own annotation over it", () => {
  for (const policy of POLICIES) {
    assert.equal(parseDefaultPolicy(policy), policy);
    const world = new World(policy);
    world.pod();
    assert.equal(world.at().ref.name, policy);
    for (const own of POLICIES) {
      world.pod({ annotations: { "config.linkerd.io/default-inbound-policy": own } });
      assert.equal(world.at().ref.name, own);
      assert.deepEqual(world.authorizations(), own === "deny" ? [] : [`default/${own}`]);
    }
  }
});

test("[UA03] a default policy that there is not is ignored, and told", () => {
  const world = new World("deny");
  world.pod({ annotations: { "config.linkerd.io/default-inbound-policy": "bogus" } });
  assert.equal(world.at().ref.name, "deny");
  assert.equal(world.unreadable.length, 1);
});

test("[UA04] a port in the pod's opaque ports is opaque, declared or not", () => {
  for (const policy of POLICIES) {
    const world = new World(policy);
    world.pod({ annotations: { "config.linkerd.io/opaque-ports": "2222" } });
    assert.equal(world.at(2222).protocol, "opaque");
    assert.equal(world.at(2223).protocol, "detect");
  }
});

test("[UA05] a port that requires identity has the authenticated twin of its policy", () => {
  for (const policy of POLICIES) {
    const world = new World(policy);
    world.pod({
      annotations: { "config.linkerd.io/proxy-require-identity-inbound-ports": "2222" },
    });
    assert.equal(world.at(2222).ref.name, authenticatedTwin(policy));
    assert.equal(world.at(2223).ref.name, policy);
  }
  assert.equal(authenticatedTwin("audit"), "audit");
  assert.equal(authenticatedTwin("deny"), "deny");
});

test("default policies admit whom their names say", () => {
  const world = new World("cluster-authenticated");
  world.pod();
  const [rule] = world.at().authorizations;
  assert.deepEqual(
    rule?.networks.map(({ network }) => String(network)),
    ["10.0.0.0/8"],
  );
  assert.deepEqual(rule?.authentication, { kind: "identities", names: [], suffixes: [[]] });
});

test("[UA06] [UA07] [UA27] a Server takes a port by its name or number", () => {
  const world = new World();
  const ports = [
    { name: "http", containerPort: 8080, protocol: "TCP" },
    { name: "plain", containerPort: 8081 },
    { name: "http", containerPort: 8082, protocol: "tcp" },
    { name: "dns", containerPort: 53, protocol: "UDP" },
  ];
  world.pod({}, [{ name: "app", ports }]);
  const names = (): string[] => [8080, 8081, 8082, 53, 9999].map((port) => world.at(port).ref.name);
  world.server("http");
  assert.deepEqual(
    names().map((name) => name === "server"),
    [true, false, true, false, false],
  );
  world.server("plain");
  assert.equal(world.at(8081).ref.name, "server");
  world.server("dns");
  assert.equal(world.at(53).ref.kind, "default");
  world.server(9999);
  assert.equal(world.at(9999).ref.name, "server");
});

test("[UA08] a Server that selects the pod no more gives its port back to the default", () => {
  const world = new World();
  world.pod();
  world.server();
  assert.equal(world.at().ref.kind, "server");
  world.server(8080, { podSelector: { matchLabels: { app: "api" } } });
  assert.equal(world.at().ref.kind, "default");
  world.server(8080, { podSelector: {} });
  assert.equal(world.at().ref.kind, "server");
  world.server(8080, { podSelector: undefined, externalWorkloadSelector: {} });
  assert.equal(world.at().ref.kind, "default");
});

test("of two Servers on a port the older one wins, then the first by name", () => {
  const world = new World();
  world.pod();
  world.server(8080, {}, { name: "young", creationTimestamp: "2026-02-01T00:00:00Z" });
  world.server(8080, {}, { name: "old-b" });
  world.server(8080, {}, { name: "old-a" });
  assert.equal(world.at().ref.name, "old-a");
  world.index.deleteServer("ns", "old-a");
  world.index.deleteServer("ns", "old-b");
  assert.equal(world.at().ref.name, "young");
});

function serverAuthorization(server: object, client: object): ServerAuthorization {
  const fields = { spec: { server, client } } as Omit<ServerAuthorization, "metadata">;
  return object<ServerAuthorization>("authz", fields);
}

test("[UA09] [UA10] a ServerAuthorization names its Server, or selects it by label", () => {
  const client = { unauthenticated: true };
  for (const [server, applies] of [
    [{ name: "server" }, true],
    [{ name: "other" }, false],
    [{ selector: { matchLabels: { tier: "front" } } }, true],
    [{ selector: { matchLabels: { app: "web" } } }, false],
  ] as const) {
    const world = new World();
    world.pod();
    world.server(8080, {}, { labels: { tier: "front" } });
    world.index.setServerAuthorization(serverAuthorization(server, client));
    assert.deepEqual(world.authorizations(), applies ? ["serverauthorization/authz"] : []);
  }
});

test("a ServerAuthorization's clients are anyone, TLS, or identities; from the cluster by default", () => {
  const world = new World();
  world.pod();
  world.server();
  const rule = (client: object) => {
    world.index.setServerAuthorization(serverAuthorization({ name: "server" }, client));
    return world.at().authorizations[0];
  };
  const any = rule({ unauthenticated: true });
  assert.deepEqual(any?.authentication, { kind: "unauthenticated" });
  assert.deepEqual(
    any?.networks.map(({ network }) => String(network)),
    ["10.0.0.0/8"],
  );
  assert.deepEqual(rule({ meshTLS: { unauthenticatedTLS: true } })?.authentication, {
    kind: "tls",
  });
  const serviceAccounts = [{ name: "a" }, { name: "b", namespace: "other" }];
  assert.deepEqual(
    rule({ meshTLS: { identities: ["*.x.y", "z"], serviceAccounts } })?.authentication,
    {
      kind: "identities",
      names: [
        "z",
        "a.ns.serviceaccount.identity.linkerd.cluster.local",
        "b.other.serviceaccount.identity.linkerd.cluster.local",
      ],
      suffixes: [["x", "y"]],
    },
  );
  // One that says nothing grants nothing, whatever it granted before.
  assert.equal(rule({}), undefined);
  assert.match(world.unreadable[0]!, /ServerAuthorization ns\/authz: /);
});

test("[UA11] [UA18] a policy admits whom the authentication names that it requires", () => {
  const world = new World();
  world.pod();
  world.server();
  world.index.setAuthorizationPolicy(authorizationPolicy(SERVER, TLS_REF));
  assert.deepEqual(world.authorizations(), [], "what it requires is not there");
  world.index.setMeshTlsAuthentication(meshTls("foo.bar"));
  const [rule] = world.at().authorizations;
  assert.deepEqual(rule?.ref, { kind: "authorizationpolicy", name: "policy" });
  assert.deepEqual(rule?.authentication, { kind: "identities", names: ["foo.bar"], suffixes: [] });
  assert.equal(rule?.networks.length, 2);
  world.index.deleteMeshTlsAuthentication("ns", "tls");
  assert.deepEqual(world.authorizations(), []);
});

test("[UA12] a policy on the namespace is for every Server of it, but not for default ports", () => {
  const world = new World();
  world.pod();
  world.server();
  world.index.setAuthorizationPolicy(authorizationPolicy({ kind: "Namespace", name: "ns" }));
  assert.deepEqual(world.authorizations(), ["authorizationpolicy/policy"]);
  assert.deepEqual(world.authorizations(9999), ["default/all-unauthenticated"]);
  world.index.setAuthorizationPolicy(authorizationPolicy({ kind: "Namespace", name: "other" }));
  assert.deepEqual(world.authorizations(), []);
});

test("[UA13] a policy may require a ServiceAccount as it is", () => {
  const world = new World();
  world.pod();
  world.server();
  const account = { kind: "ServiceAccount", name: "foo", namespace: "other" };
  world.index.setAuthorizationPolicy(authorizationPolicy(SERVER, account));
  assert.deepEqual(world.at().authorizations[0]?.authentication, {
    kind: "identities",
    names: ["foo.other.serviceaccount.identity.linkerd.cluster.local"],
    suffixes: [],
  });
});

test("[UA14] a policy that stays is there when its Server comes back", () => {
  const world = new World();
  world.index.setAuthorizationPolicy(authorizationPolicy(SERVER));
  world.server();
  world.pod();
  world.index.deletePod("ns", "pod");
  world.index.deleteServer("ns", "server");
  world.pod();
  world.server();
  assert.deepEqual(world.authorizations(), ["authorizationpolicy/policy"]);
});

test("a network and an identity required together must both hold; two of a kind are refused", () => {
  const world = new World();
  world.pod();
  world.server();
  world.index.setMeshTlsAuthentication(meshTls("*"));
  world.index.setNetworkAuthentication(networkAuthentication("192.168.0.0/16"));
  world.index.setAuthorizationPolicy(authorizationPolicy(SERVER, TLS_REF, NETWORK_REF));
  const [rule] = world.at().authorizations;
  assert.deepEqual(
    rule?.networks.map(({ network }) => String(network)),
    ["192.168.0.0/16"],
  );
  assert.deepEqual(rule?.authentication, { kind: "identities", names: [], suffixes: [[]] });
  for (const refs of [
    [TLS_REF, TLS_REF],
    [NETWORK_REF, NETWORK_REF],
    [TLS_REF, { kind: "ServiceAccount", name: "a" }],
    [{ group: "apps", kind: "Deployment", name: "a" }],
  ]) {
    world.index.setAuthorizationPolicy(authorizationPolicy(SERVER, TLS_REF));
    assert.equal(world.at().authorizations.length, 1);
    world.index.setAuthorizationPolicy(authorizationPolicy(SERVER, ...refs));
    assert.equal(world.at().authorizations.length, 0, "what cannot be read grants nothing");
  }
  assert.equal(world.unreadable.length, 4);
});

test("[UM01] [UM09] [UM10] [UM11] references and identities are read with their short forms", () => {
  const world = new World();
  world.pod();
  world.server();
  const identityRefs = [
    { kind: "ServiceAccount", name: "a" },
    { kind: "ServiceAccount", name: "b", namespace: "other" },
    { group: "core", kind: "namespace", name: "n" },
  ];
  world.index.setMeshTlsAuthentication(
    object<MeshTlsAuthentication>("tls", { spec: { identityRefs } }),
  );
  const lower = { group: "POLICY.linkerd.io", kind: "server", name: "server" };
  world.index.setAuthorizationPolicy(authorizationPolicy(lower, TLS_REF));
  const domain = "serviceaccount.identity.linkerd.cluster.local";
  assert.deepEqual(world.at().authorizations[0]?.authentication, {
    kind: "identities",
    names: [`a.ns.${domain}`, `b.other.${domain}`],
    suffixes: [["n", ...domain.split(".")]],
  });
  world.index.setMeshTlsAuthentication(meshTls("*", "*.a.b", "spiffe://td/x"));
  assert.deepEqual(world.at().authorizations[0]?.authentication, {
    kind: "identities",
    names: ["spiffe://td/x"],
    suffixes: [[], ["a", "b"]],
  });
});

test("a change to an authentication concerns policies of every namespace", () => {
  const world = new World();
  const facts = new Set<string>();
  world.pod();
  world.server();
  world.index.server("pod", "ns", "pod", 8080, (fact) => facts.add(fact));
  world.touched.length = 0;
  world.index.setMeshTlsAuthentication(meshTls("*"));
  assert.ok(world.touched.every((fact) => facts.has(fact)));
});

test("an accessPolicy admits by itself; audit admits everybody under its name", () => {
  const world = new World("deny");
  world.pod();
  world.server(8080, { accessPolicy: "audit" });
  assert.deepEqual(world.authorizations(), ["default/audit"]);
  world.server(8080, { accessPolicy: "deny" });
  assert.deepEqual(world.authorizations(), []);
  world.server(8080, { accessPolicy: "bogus" });
  assert.match(world.unreadable[0]!, /"bogus" is not an access policy/);
});

test("[UA19] [UA20] an authentication that a fresh list lacks is gone", () => {
  for (const [ref, set, remove] of [
    [
      TLS_REF,
      (i: InboundIndex) => i.setMeshTlsAuthentication(meshTls("a.b")),
      (i: InboundIndex) => i.deleteMeshTlsAuthentication("ns", "tls"),
    ],
    [
      NETWORK_REF,
      (i: InboundIndex) => i.setNetworkAuthentication(networkAuthentication("10.0.0.0/8")),
      (i: InboundIndex) => i.deleteNetworkAuthentication("ns", "net"),
    ],
  ] as const) {
    const world = new World();
    world.pod();
    world.server();
    world.index.setAuthorizationPolicy(authorizationPolicy(SERVER, ref));
    set(world.index);
    assert.deepEqual(world.authorizations(), ["authorizationpolicy/policy"]);
    remove(world.index);
    assert.deepEqual(world.authorizations(), []);
  }
});

test("[UA21] the oldest accepted rate limit of a Server is its own", () => {
  const world = new World();
  world.pod();
  world.server();
  const spec = {
    targetRef: SERVER,
    total: { requestsPerSecond: 1000 },
    overrides: [{ requestsPerSecond: 200, clientRefs: [{ kind: "ServiceAccount", name: "sa-0" }] }],
  };
  world.index.setRateLimitPolicy(object<HttpLocalRateLimitPolicy>("limit", { spec }));
  assert.equal(world.at().rateLimit, undefined);
  const conditions = [{ type: "Accepted", status: "True" }] as const;
  const status = { conditions, targetRef: SERVER };
  world.index.setRateLimitPolicy(object<HttpLocalRateLimitPolicy>("limit", { spec, status }));
  const found = world.at().rateLimit;
  assert.equal(found?.total, 1000);
  assert.deepEqual(found?.overrides, [
    {
      perSecond: 200,
      identities: ["sa-0.ns.serviceaccount.identity.linkerd.cluster.local"],
    },
  ]);
});

test("machines outside are selected like pods, by name and number of their ports", () => {
  const world = new World();
  const workload = (identity: string, name = "vm"): ExternalWorkload =>
    object<ExternalWorkload>(
      name,
      {
        spec: {
          meshTLS: { identity, serverName: "vm.local" },
          ports: [{ name: "http", port: 80 }],
        },
      },
      { labels: { app: "vm" } },
    );
  world.index.setExternalWorkload(workload("spiffe://td/ns/ns/external/vm"));
  const at = () => world.index.server("external-workload", "ns", "vm", 80, () => undefined);
  assert.equal(at()?.ref.kind, "default");
  assert.deepEqual(
    at()?.httpRoutes.map(({ ref }) => ref.name),
    ["default"],
  );
  world.server("http", {
    podSelector: undefined,
    externalWorkloadSelector: { matchLabels: { app: "vm" } },
  });
  assert.deepEqual(at()?.ref, { kind: "server", name: "server" });
  assert.deepEqual(world.index.externalIds(), ["spiffe://td/ns/ns/external/vm"]);
  world.index.setExternalWorkload(workload("spiffe://td/ns/ns/external/vm", "twin"));
  world.index.deleteExternalWorkload("ns", "vm");
  assert.deepEqual(world.index.externalIds(), ["spiffe://td/ns/ns/external/vm"]);
  world.index.setExternalWorkload(workload("spiffe://td/other", "twin"));
  assert.deepEqual(world.index.externalIds(), ["spiffe://td/other"]);
});

test("[UM07] label selectors want all that they say", async () => {
  const { matchesSelector } = await import("@heddle/kube/selector");
  const labels = { a: "1", b: "2" };
  const cases: [selector: object, matches: boolean][] = [
    [{}, true],
    [{ matchLabels: { a: "1" } }, true],
    [{ matchLabels: { a: "1", b: "2", c: "3" } }, false],
    [{ matchExpressions: [{ key: "a", operator: "In", values: ["0", "1"] }] }, true],
    [{ matchExpressions: [{ key: "c", operator: "In", values: ["1"] }] }, false],
    [{ matchExpressions: [{ key: "a", operator: "NotIn", values: ["1"] }] }, false],
    [{ matchExpressions: [{ key: "c", operator: "NotIn", values: ["1"] }] }, true],
    [{ matchLabels: { a: "1" }, matchExpressions: [{ key: "b", operator: "Exists" }] }, true],
    [{ matchLabels: { a: "1" }, matchExpressions: [{ key: "c", operator: "Exists" }] }, false],
    [{ matchLabels: { a: "0" }, matchExpressions: [{ key: "b", operator: "Exists" }] }, false],
    [{ matchExpressions: [{ key: "b", operator: "DoesNotExist" }] }, false],
    [{ matchExpressions: [{ key: "b", operator: "Bogus" }] }, false],
  ];
  for (const [selector, matches] of cases) {
    assert.equal(matchesSelector(selector, labels), matches, JSON.stringify(selector));
  }
});
