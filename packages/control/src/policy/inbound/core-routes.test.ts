/** Routes of a port, of probes as well. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Container } from "@heddle/kube/types/core";
import type { GrpcRoute, HttpRoute } from "@heddle/kube/types/routes";
import { acceptedBy, object } from "../test-objects.ts";
import { authorizationPolicy, httpRoute, METRICS_ROUTE, World } from "./test-world.ts";

test("[UA15] a route that is accepted replaces the default, and has policies of its own", () => {
  const world = new World();
  world.pod();
  world.server();
  assert.deepEqual(world.routes(), ["default"]);
  const { status: _, ...pending } = httpRoute();
  world.index.setHttpRoute("policy.linkerd.io", pending as HttpRoute);
  assert.deepEqual(world.routes(), ["default"], "not accepted yet");
  world.index.setHttpRoute("policy.linkerd.io", httpRoute());
  assert.deepEqual(world.at().httpRoutes, [
    {
      ref: {
        kind: "resource",
        group: "policy.linkerd.io",
        routeKind: "HTTPRoute",
        name: "route",
      },
      hosts: [],
      authorizations: [],
      rules: [
        {
          filters: [],
          matches: [
            {
              path: { kind: "exact", path: "/metrics" },
              method: "GET",
              headers: [],
              queryParams: [],
            },
          ],
        },
      ],
    },
  ]);
  const target = { group: "policy.linkerd.io", kind: "httproute", name: "ROUTE" };
  world.index.setAuthorizationPolicy(authorizationPolicy(target));
  assert.equal(world.at().httpRoutes[0]?.authorizations[0]?.ref.name, "policy");
  assert.deepEqual(world.authorizations(), []);
  world.index.deleteHttpRoute("policy.linkerd.io", "ns", "route");
  assert.deepEqual(world.routes(), ["default"]);
});

test("routes of both groups come by age, then by name", () => {
  const world = new World();
  world.pod();
  world.server();
  for (const [group, name, month] of [
    ["policy.linkerd.io", "d", 1],
    ["gateway.networking.k8s.io", "a", 2],
    ["policy.linkerd.io", "c", 3],
    ["policy.linkerd.io", "b", 3],
  ] as const) {
    const creationTimestamp = `2026-0${month}-01T00:00:00Z`;
    world.index.setHttpRoute(group, httpRoute(name, METRICS_ROUTE, { creationTimestamp }));
  }
  assert.deepEqual(world.routes(), ["d", "a", "b", "c"]);
});

test("a route that cannot be honoured whole stays as it was", () => {
  const world = new World();
  world.pod();
  world.server();
  world.index.setHttpRoute("policy.linkerd.io", httpRoute());
  const parent = METRICS_ROUTE.parentRefs[0]!;
  for (const spec of [
    { ...METRICS_ROUTE, parentRefs: [{ ...parent, namespace: "other" }] },
    { ...METRICS_ROUTE, parentRefs: [{ ...parent, port: 80 }] },
    { ...METRICS_ROUTE, rules: [{ filters: [{ type: "URLRewrite" }] }] },
    { ...METRICS_ROUTE, rules: [{ matches: [{ path: { value: "relative" } }] }] },
    {
      ...METRICS_ROUTE,
      rules: [{ matches: [{ path: { type: "RegularExpression", value: "(?=x)" } }] }],
    },
  ]) {
    world.index.setHttpRoute("policy.linkerd.io", httpRoute("route", spec));
    assert.deepEqual(world.routes(), ["route"], JSON.stringify(spec));
  }
  assert.equal(world.unreadable.length, 5);
});

test("[UA16] probes have a route of their own, until a route is attached", () => {
  const world = new World("deny");
  const httpGet = (path: string) => ({ httpGet: { path, port: 8080 } });
  world.pod({}, [
    { name: "app", livenessProbe: httpGet("/live"), readinessProbe: httpGet("/ready") },
  ]);
  const probes = () => world.at().httpRoutes.find(({ ref }) => ref.name === "probe");
  assert.deepEqual(
    probes()?.rules[0]?.matches,
    ["/live", "/ready"].map((path) => ({ path: { kind: "exact", path }, method: "GET" })),
  );
  const [rule] = probes()?.authorizations ?? [];
  assert.deepEqual(rule?.ref, { kind: "default", name: "probe" });
  assert.deepEqual(
    rule?.networks.map(({ network }) => String(network)),
    ["10.0.0.1/32"],
  );
  world.server();
  assert.deepEqual(world.routes(), ["default", "probe"]);
  world.index.setHttpRoute("policy.linkerd.io", httpRoute());
  assert.deepEqual(world.routes(), ["route"]);
});

function probePaths(containers: Partial<Container>[], port: number): string[] {
  const world = new World();
  world.pod({}, containers);
  const route = world.at(port).httpRoutes.find(({ ref }) => ref.name === "probe");
  return (route?.rules[0]?.matches ?? []).map(({ path }) =>
    path?.kind === "exact" ? path.path : "?",
  );
}

test("[UA22] probes of several containers are gathered by port", () => {
  const containers = [
    { livenessProbe: { httpGet: { path: "/a", port: 80 } } },
    {
      livenessProbe: { httpGet: { path: "/b", port: 80 } },
      startupProbe: { httpGet: { path: "/c", port: 81 } },
    },
  ];
  assert.deepEqual(probePaths(containers, 80), ["/a", "/b"]);
  assert.deepEqual(probePaths(containers, 81), ["/c"]);
});

test("[UA23] [UA24] a probe names a TCP port of its own container, or none", () => {
  const probe = { livenessProbe: { httpGet: { path: "/", port: "http" } } };
  const udp = [{ ...probe, ports: [{ name: "http", containerPort: 80, protocol: "UDP" }] }];
  assert.deepEqual(probePaths(udp, 80), []);
  const elsewhere = [probe, { ports: [{ name: "http", containerPort: 80 }] }];
  assert.deepEqual(probePaths(elsewhere, 80), []);
  const own = [{ ...probe, ports: [{ name: "HTTP", containerPort: 80, protocol: "tcp" }] }];
  assert.deepEqual(probePaths(own, 80), ["/"]);
});

test("[UA25] [UA26] a probe needs no declared port; its path is / if unset, and has no query", () => {
  assert.deepEqual(probePaths([{ readinessProbe: { httpGet: { port: 80 } } }], 80), ["/"]);
  const query = [{ readinessProbe: { httpGet: { path: "/ready?verbose=1", port: 80 } } }];
  assert.deepEqual(probePaths(query, 80), ["/ready"]);
});

test("[UA17] a Server for gRPC has a default route, and takes GRPCRoutes", () => {
  const world = new World();
  world.pod();
  world.server(8080, { proxyProtocol: "gRPC" });
  assert.equal(world.at().protocol, "grpc");
  assert.deepEqual(world.at().grpcRoutes[0]?.ref, { kind: "default", name: "default" });
  const spec = {
    parentRefs: METRICS_ROUTE.parentRefs,
    rules: [{ matches: [{ method: { service: "s", method: "m" } }] }],
  };
  const status = acceptedBy({ kind: "Server", name: "server" });
  world.index.setGrpcRoute(
    object<GrpcRoute>("rpc", { spec, status } as Omit<GrpcRoute, "metadata">),
  );
  assert.deepEqual(
    world.at().grpcRoutes.map(({ ref }) => ref.name),
    ["rpc"],
  );
});
