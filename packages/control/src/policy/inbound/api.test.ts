import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { Authz, Server as ServerMessage } from "@heddle/api/gen/inbound_pb";
import {
  AUTHORIZATION_POLICIES,
  EXTERNAL_WORKLOADS,
  HTTP_LOCAL_RATE_LIMIT_POLICIES,
  MESH_TLS_AUTHENTICATIONS,
  NETWORK_AUTHENTICATIONS,
  SERVER_AUTHORIZATIONS,
  SERVERS,
} from "@heddle/kube/types/linkerd";
import { POLICY_HTTP_ROUTES } from "@heddle/kube/types/routes";
import { ApiStore } from "@heddle/testkit/api-store";
import { GrpcHost } from "@heddle/testkit/grpc-host";
import { grpcMetadata } from "@heddle/testkit/grpc-metadata";
import { PolicyMesh, type Watch } from "../test-mesh.ts";

let mesh: PolicyMesh;
before(async () => {
  mesh = await PolicyMesh.start({ ApiStore, GrpcHost, grpcMetadata });
});
after(() => mesh?.[Symbol.asyncDispose]());

const PORT = 4191;
const POLICY = "policy.linkerd.io";
const DEFAULT_LABELS = { group: "", kind: "default", name: "all-unauthenticated" };

function routes(server: ServerMessage): string[] {
  const { kind } = server.protocol!;
  const list =
    kind.case === "detect"
      ? kind.value.httpRoutes
      : kind.case === "http1" || kind.case === "http2"
        ? kind.value.routes
        : [];
  return list.map(({ metadata }) =>
    metadata?.kind.case === "default" ? metadata.kind.value : metadata!.kind.value!.name,
  );
}

function networks(authz: Authz): string[] {
  return authz.networks.map(({ net }) => `${net?.ip?.ip.case}/${net?.prefixLen}`);
}

/** The policy of a port about which nothing is said. */
function assertDefault(server: ServerMessage, names = ["default", "probe"]): void {
  assert.deepEqual(server.labels, DEFAULT_LABELS);
  const { kind } = server.protocol!;
  assert.ok(kind.case === "detect");
  assert.equal(kind.value.timeout?.seconds, 10n);
  assert.deepEqual(routes(server), names);
  assert.equal(server.authorizations.length, 1);
  const [authz] = server.authorizations;
  assert.deepEqual(authz?.labels, DEFAULT_LABELS);
  assert.deepEqual(authz?.metadata?.kind, { case: "default", value: "all-unauthenticated" });
  assert.deepEqual(networks(authz!), ["ipv4/0", "ipv6/0"]);
  assert.equal(authz?.authentication?.permit.case, "unauthenticated");
}

async function watchPause(namespace: string): Promise<Watch<ServerMessage>> {
  const workload = await mesh.pausePod(namespace);
  const watch = await mesh.watchPort(workload, PORT);
  assertDefault(await watch.next());
  return watch;
}

async function server(namespace: string, name: string, more: object = {}): Promise<void> {
  const podSelector = { matchLabels: { app: "pause" } };
  const spec = { podSelector, port: PORT, proxyProtocol: "HTTP/1", ...more };
  await mesh.create(SERVERS, namespace, name, { spec });
}

function assertServer(message: ServerMessage, name: string, authorizations: number): void {
  assert.deepEqual(message.labels, { group: POLICY, kind: "server", name });
  assert.equal(message.protocol?.kind.case, "http1");
  assert.equal(message.authorizations.length, authorizations);
}

test("[W01] [IA01] a Server refuses everyone until a ServerAuthorization admits some", async () => {
  const ns = await mesh.namespace();
  await using watch = await watchPause(ns);
  await server(ns, "linkerd-admin");
  const bare = await watch.next();
  assertServer(bare, "linkerd-admin", 0);
  assert.deepEqual(routes(bare), ["default", "probe"]);
  const spec = { server: { name: "linkerd-admin" }, client: { unauthenticated: true } };
  await mesh.create(SERVER_AUTHORIZATIONS, ns, "all", { spec });
  const admitted = await watch.next();
  assertServer(admitted, "linkerd-admin", 1);
  const [authz] = admitted.authorizations;
  assert.deepEqual(authz?.labels, { group: POLICY, kind: "serverauthorization", name: "all" });
  // No networks are written: then it is the cluster's.
  assert.deepEqual(networks(authz!), ["ipv4/8", "ipv4/10", "ipv4/12", "ipv4/16"]);
  assert.equal(authz?.authentication?.permit.case, "unauthenticated");
  await mesh.delete(SERVERS, ns, "linkerd-admin");
  assertDefault(await watch.next());
  await mesh.fence();
  assert.equal(watch.waiting, 0);
});

test("[W01] [IA02] an AuthorizationPolicy admits the networks that it requires", async () => {
  const ns = await mesh.namespace();
  await using watch = await watchPause(ns);
  await server(ns, "linkerd-admin");
  assertServer(await watch.next(), "linkerd-admin", 0);
  await mesh.create(NETWORK_AUTHENTICATIONS, ns, "all-nets", {
    spec: { networks: [{ cidr: "0.0.0.0/0" }, { cidr: "::/0" }] },
  });
  const targetRef = { group: POLICY, kind: "Server", name: "linkerd-admin" };
  const requiredAuthenticationRefs = [
    { group: POLICY, kind: "NetworkAuthentication", name: "all-nets" },
  ];
  await mesh.create(AUTHORIZATION_POLICIES, ns, "all", {
    spec: { targetRef, requiredAuthenticationRefs },
  });
  const admitted = await watch.next();
  assertServer(admitted, "linkerd-admin", 1);
  const [authz] = admitted.authorizations;
  assert.deepEqual(authz?.labels, { group: POLICY, kind: "authorizationpolicy", name: "all" });
  assert.deepEqual(networks(authz!), ["ipv4/0", "ipv6/0"]);
  assert.equal(authz?.authentication?.permit.case, "unauthenticated");
  await mesh.delete(SERVERS, ns, "linkerd-admin");
  assertDefault(await watch.next());
  await mesh.fence();
  assert.equal(watch.waiting, 0);
});

test("[W01] [IA03] of two Servers on a port the older one wins, until it goes", async () => {
  const ns = await mesh.namespace();
  await using watch = await watchPause(ns);
  await server(ns, "z-older");
  assertServer(await watch.next(), "z-older", 0);
  await mesh.nextSecond();
  await server(ns, "a-younger", { accessPolicy: "audit" });
  await mesh.delete(SERVERS, ns, "z-older");
  // The first that is heard of the younger one: while the older was there it was no news.
  assertServer(await watch.next(), "a-younger", 1);
});

test("[W01] [IA04] the access policy audit admits everyone, under its name", async () => {
  const ns = await mesh.namespace();
  await using watch = await watchPause(ns);
  await server(ns, "linkerd-admin", { accessPolicy: "audit" });
  const message = await watch.next();
  assertServer(message, "linkerd-admin", 1);
  const [authz] = message.authorizations;
  assert.deepEqual(authz?.labels, { group: "", kind: "default", name: "audit" });
  assert.deepEqual(authz?.metadata?.kind, { case: "default", value: "audit" });
  assert.equal(authz?.authentication?.permit.case, "unauthenticated");
});

test("[W01] [IA05] a rate limit counts when the controller has accepted it", async () => {
  const ns = await mesh.namespace();
  await using watch = await watchPause(ns);
  await server(ns, "linkerd-admin");
  assertServer(await watch.next(), "linkerd-admin", 0);
  await mesh.create(HTTP_LOCAL_RATE_LIMIT_POLICIES, ns, "rl-0", {
    spec: {
      targetRef: { group: POLICY, kind: "Server", name: "linkerd-admin" },
      total: { requestsPerSecond: 1000 },
      overrides: [
        {
          requestsPerSecond: 200,
          clientRefs: [{ group: "", kind: "ServiceAccount", name: "sa-0" }],
        },
      ],
    },
  });
  const message = await watch.next();
  const { conditions } = (
    await mesh.client.get(HTTP_LOCAL_RATE_LIMIT_POLICIES, { namespace: ns, name: "rl-0" })
  ).status!;
  assert.deepEqual(
    conditions?.map(({ type, status }) => [type, status]),
    [["Accepted", "True"]],
  );
  const kind = message.protocol!.kind;
  assert.ok(kind.case === "http1");
  const limit = kind.value.localRateLimit!;
  const metadata = limit.metadata!.kind;
  assert.ok(metadata.case === "resource");
  const { group, kind: resourceKind, name, namespace } = metadata.value;
  assert.deepEqual(
    [group, resourceKind, name, namespace],
    [POLICY, "HTTPLocalRateLimitPolicy", "rl-0", ""],
  );
  assert.equal(limit.total?.requestsPerSecond, 1000);
  assert.equal(limit.identity, undefined);
  assert.equal(limit.overrides[0]?.limit?.requestsPerSecond, 200);
  assert.deepEqual(
    limit.overrides[0]?.clients?.identities.map((identity) => identity.name),
    [`sa-0.${ns}.serviceaccount.identity.linkerd.cluster.local`],
  );
  await mesh.fence();
  assert.equal(watch.waiting, 0);
});

async function metricsRoute(namespace: string, name: string, parent = "linkerd-admin") {
  return mesh.create(POLICY_HTTP_ROUTES, namespace, name, {
    spec: {
      parentRefs: [{ group: POLICY, kind: "Server", name: parent }],
      rules: [{ matches: [{ path: { type: "Exact", value: "/metrics" }, method: "GET" }] }],
    },
  });
}

async function assertRoutePolicy(watch: Watch<ServerMessage>, ns: string, defaults: string[]) {
  await metricsRoute(ns, "metrics-route");
  const routed = await watch.next();
  const { kind } = routed.protocol!;
  assert.ok(kind.case === "http1");
  const [route] = kind.value.routes;
  assert.equal(kind.value.routes.length, 1);
  const metadata = route!.metadata!.kind;
  assert.ok(metadata.case === "resource");
  const { group, kind: resourceKind, name, namespace } = metadata.value;
  assert.deepEqual(
    [group, resourceKind, name, namespace],
    [POLICY, "HTTPRoute", "metrics-route", ""],
  );
  assert.equal(route?.authorizations.length, 0);
  const match = route!.rules[0]!.matches[0]!;
  assert.deepEqual(match.path?.kind, { case: "exact", value: "/metrics" });
  assert.deepEqual(match.method?.type, { case: "registered", value: 0 });
  const targetRef = { group: POLICY, kind: "HTTPRoute", name: "metrics-route" };
  await mesh.create(AUTHORIZATION_POLICIES, ns, "all", {
    spec: { targetRef, requiredAuthenticationRefs: [] },
  });
  const authorized = (await watch.next()).protocol!.kind;
  assert.ok(authorized.case === "http1");
  assert.equal(authorized.value.routes[0]?.authorizations.length, 1);
  await mesh.delete(POLICY_HTTP_ROUTES, ns, "metrics-route");
  assert.deepEqual(routes(await watch.next()), defaults);
  await mesh.fence();
  assert.equal(watch.waiting, 0);
}

test("[W01] [IA06] an accepted HTTPRoute replaces the default ones, with policies of its own", async () => {
  const ns = await mesh.namespace();
  await using watch = await watchPause(ns);
  await server(ns, "linkerd-admin");
  assertServer(await watch.next(), "linkerd-admin", 0);
  await assertRoutePolicy(watch, ns, ["default", "probe"]);
});

test("[W01] [IA07] HTTPRoutes come in the order of their creation", {
  timeout: 60_000,
}, async () => {
  const ns = await mesh.namespace();
  await using watch = await watchPause(ns);
  await server(ns, "linkerd-admin");
  assertServer(await watch.next(), "linkerd-admin", 0);
  let expected: string[] = [];
  for (const name of ["d", "a", "c", "b"]) {
    await mesh.nextSecond();
    await metricsRoute(ns, name);
    expected = [...expected, name];
    assert.deepEqual(routes(await watch.next()), expected);
  }
  for (const name of ["a", "d"]) {
    await mesh.delete(POLICY_HTTP_ROUTES, ns, name);
    expected = expected.filter((route) => route !== name);
    assert.deepEqual(routes(await watch.next()), expected);
  }
});

test("[W01] [IA08] a port's default routes are one without authorizations, and one for probes", async () => {
  const ns = await mesh.namespace();
  const watch = await mesh.watchPort(await mesh.pausePod(ns), PORT);
  await using _ = watch;
  const { kind } = (await watch.next()).protocol!;
  assert.ok(kind.case === "detect");
  const [everything, probes] = kind.value.httpRoutes;
  assert.equal(everything?.authorizations.length, 0);
  assert.equal(probes?.authorizations.length, 1);
  const paths = probes?.rules[0]?.matches.map(({ path }) => path?.kind.value);
  assert.deepEqual(paths, ["/live", "/ready"]);
  assert.equal(kind.value.httpRoutes.length, 2);
});

async function machine(namespace: string, name = "wkld-1"): Promise<string> {
  await mesh.create(
    EXTERNAL_WORKLOADS,
    namespace,
    name,
    {
      spec: {
        meshTLS: {
          identity: `spiffe://mesh.example/ns/${namespace}/external/${name}`,
          serverName: `${name}.local`,
        },
        workloadIPs: [{ ip: "192.0.2.1" }],
        ports: [{ name: "http", port: 80 }],
      },
    },
    { labels: { app: "legacy" } },
  );
  return JSON.stringify({ ns: namespace, external_workload: name });
}

async function machineServer(namespace: string): Promise<void> {
  await mesh.create(SERVERS, namespace, "linkerd-admin", {
    spec: {
      externalWorkloadSelector: { matchLabels: { app: "legacy" } },
      port: "http",
      proxyProtocol: "HTTP/1",
    },
  });
}

test("[W01] [IE01] a machine has a policy as pods do, without probes", async () => {
  const ns = await mesh.namespace();
  await using watch = await mesh.watchPort(await machine(ns), 80);
  assertDefault(await watch.next(), ["default"]);
  await machineServer(ns);
  assertServer(await watch.next(), "linkerd-admin", 0);
  await mesh.create(AUTHORIZATION_POLICIES, ns, "all", {
    spec: {
      targetRef: { group: POLICY, kind: "server", name: "linkerd-admin" },
      requiredAuthenticationRefs: [],
    },
  });
  const admitted = await watch.next();
  assertServer(admitted, "linkerd-admin", 1);
  assert.equal(admitted.authorizations[0]?.authentication?.permit.case, "unauthenticated");
  await mesh.delete(SERVERS, ns, "linkerd-admin");
  assertDefault(await watch.next(), ["default"]);
});

test("[W01] [IE02] a machine's Server takes HTTPRoutes", async () => {
  const ns = await mesh.namespace();
  await using watch = await mesh.watchPort(await machine(ns), 80);
  assertDefault(await watch.next(), ["default"]);
  await machineServer(ns);
  assertServer(await watch.next(), "linkerd-admin", 0);
  await assertRoutePolicy(watch, ns, ["default"]);
});

test("[W01] [IE03] a machine's port has one default route, without authorizations", async () => {
  const ns = await mesh.namespace();
  await using watch = await mesh.watchPort(await machine(ns), 80);
  const { kind } = (await watch.next()).protocol!;
  assert.ok(kind.case === "detect");
  assert.equal(kind.value.httpRoutes.length, 1);
  assert.equal(kind.value.httpRoutes[0]?.authorizations.length, 0);
});

function identities(message: ServerMessage): { names: string[]; any: boolean; domains: string[] } {
  const permit = message.authorizations[0]!.authentication!.permit;
  assert.ok(permit.case === "meshTLS" && permit.value.clients.case === "identities");
  const { identities: names, suffixes, heddleSpiffeTrustDomains } = permit.value.clients.value;
  return {
    names: names.map(({ name }) => name),
    any: suffixes.some(({ parts }) => parts.length === 0),
    domains: heddleSpiffeTrustDomains,
  };
}

test("any identity is any machine: by trust domain to our proxies, by name to others", async () => {
  const ns = await mesh.namespace();
  const workload = await mesh.pausePod(ns);
  await server(ns, "linkerd-admin");
  await mesh.create(MESH_TLS_AUTHENTICATIONS, ns, "any", { spec: { identities: ["*"] } });
  await mesh.create(AUTHORIZATION_POLICIES, ns, "any", {
    spec: {
      targetRef: { group: POLICY, kind: "Server", name: "linkerd-admin" },
      requiredAuthenticationRefs: [{ group: POLICY, kind: "MeshTLSAuthentication", name: "any" }],
    },
  });
  await mesh.eventually("the policy is in force", async () => {
    await using peek = await mesh.watchPort(workload, PORT);
    return (await peek.next()).authorizations.length === 1 ? true : undefined;
  });
  await using ours = await mesh.watchPort(workload, PORT, "something, spiffe-trust-domains");
  await using foreign = await mesh.watchPort(workload, PORT);
  const [toOurs, toForeign] = [identities(await ours.next()), identities(await foreign.next())];
  assert.deepEqual([toOurs.any, toOurs.domains], [true, ["mesh.example"]]);
  assert.deepEqual([toForeign.any, toForeign.domains], [true, []]);
  const id = `spiffe://mesh.example/ns/${ns}/external/till-1`;
  assert.ok(!toForeign.names.includes(id));
  await machine(ns, "till-1");
  assert.ok(identities(await foreign.next()).names.includes(id));
  await mesh.fence();
  assert.equal(ours.waiting, 0, "a machine of a trust domain that is admitted is no news");
  await mesh.delete(EXTERNAL_WORKLOADS, ns, "till-1");
  assert.ok(!identities(await foreign.next()).names.includes(id));
});
