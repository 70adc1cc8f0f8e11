import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { HttpRoute, OutboundPolicy } from "@heddle/api/gen/outbound_pb";
import { SERVICES, type Service } from "@heddle/kube/types/core";
import { SERVICE_PROFILES } from "@heddle/kube/types/linkerd";
import { GATEWAY_HTTP_ROUTES } from "@heddle/kube/types/routes";
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
const BOOK = {
  name: "book",
  condition: { method: "GET", pathRegex: "/books/[0-9]+" },
  timeout: "300ms",
  isRetryable: true,
};

function watch(ns: string, service: Service): Promise<Watch<OutboundPolicy>> {
  return mesh.watchOutbound(ns, service.spec!.clusterIP!, PORT);
}

function routesOf(policy: OutboundPolicy): readonly HttpRoute[] {
  const kind = policy.protocol?.kind;
  assert.equal(kind?.case, "detect");
  return kind?.case === "detect" ? (kind.value.http1?.routes ?? []) : [];
}

const names = (routes: readonly HttpRoute[]): string[] =>
  routes.map(({ metadata }) => {
    const { kind } = metadata!;
    if (kind.case === "default") return kind.value;
    return kind.case === "resource" ? `${kind.value.kind} ${kind.value.name}` : "";
  });

/** Where a route's first rule sends requests, with weights. */
function backends(route: HttpRoute | undefined): string[] {
  const kind = route?.rules[0]?.backends?.kind;
  if (kind?.case !== "randomAvailable") return [kind?.case ?? "none"];
  return kind.value.backends.map(({ backend, weight }) => {
    const to = backend?.backend?.kind;
    const dst = to?.case === "balancer" ? to.value.discovery?.kind.value?.path : to?.case;
    return `${dst} ${weight}`;
  });
}

function profile(ns: string, service: string, spec: object, of = ns) {
  return mesh.create(SERVICE_PROFILES, ns, `${service}.${of}.svc.cluster.local`, { spec });
}

async function setMerge(ns: string, name: string, value: string | null): Promise<void> {
  const annotations = { "config.heddle.dev/route-merge": value };
  await mesh.patch(SERVICES, ns, name, { metadata: { annotations } });
}

test("a profile is merged where the Service asks for it, and nowhere else", async () => {
  const ns = await mesh.namespace();
  const annotations = { "retry.linkerd.io/http": "503", "retry.linkerd.io/limit": "7" };
  const service = await mesh.service(ns, "web", { annotations });
  await profile(ns, "web", { routes: [BOOK] });
  await using stream = await watch(ns, service);
  assert.deepEqual(names(routesOf(await stream.next())), ["http"]);
  await setMerge(ns, "web", "true");
  const [book, rest] = routesOf(await stream.next());
  assert.deepEqual(names([book!, rest!]), ["ServiceProfile book", "http"]);
  const rule = book!.rules[0]!;
  assert.equal(rule.timeouts?.request?.nanos, 300_000_000);
  assert.equal(rule.retry?.maxRetries, 7);
  assert.deepEqual(
    rule.retry?.conditions?.statusRanges.map(({ start, end }) => [start, end]),
    [[503, 503]],
  );
  await setMerge(ns, "web", null);
  assert.deepEqual(names(routesOf(await stream.next())), ["http"]);
});

test("a merged profile follows its changes, and the client's own goes before the Service's", async () => {
  const ns = await mesh.namespace();
  const client = await mesh.namespace();
  const annotations = { "config.heddle.dev/route-merge": "true" };
  const service = await mesh.service(ns, "web", { annotations });
  await using stream = await watch(client, service);
  assert.deepEqual(names(routesOf(await stream.next())), ["http"]);
  await profile(ns, "web", { routes: [BOOK] });
  assert.deepEqual(names(routesOf(await stream.next())), ["ServiceProfile book", "http"]);
  await profile(client, "web", { routes: [{ ...BOOK, name: "own" }] }, ns);
  assert.deepEqual(names(routesOf(await stream.next())), ["ServiceProfile own", "http"]);
  await mesh.delete(SERVICE_PROFILES, client, `web.${ns}.svc.cluster.local`);
  assert.deepEqual(names(routesOf(await stream.next())), ["ServiceProfile book", "http"]);
});

test("HTTPRoutes say where requests go, and a profile's overrides where they say nothing", async () => {
  const ns = await mesh.namespace();
  const annotations = { "config.heddle.dev/route-merge": "true" };
  const service = await mesh.service(ns, "web", { annotations });
  await mesh.service(ns, "v2");
  const host = (name: string): string => `${name}.${ns}.svc.cluster.local`;
  const dstOverrides = [
    { authority: `${host("web")}:${PORT}`, weight: "900m" },
    { authority: host("v2"), weight: "100m" },
  ];
  await profile(ns, "web", { routes: [BOOK], dstOverrides });
  const split = [`${host("web")}:${PORT} 9000`, `${host("v2")}:${PORT} 1000`];
  await using stream = await watch(ns, service);
  const alone = await mesh.eventually("the profile is read", async () => {
    const routes = routesOf(await stream.next());
    return routes.length === 2 ? routes : undefined;
  });
  assert.deepEqual(alone.map(backends), [split, split]);
  const parent = { group: "core", kind: "Service", name: "web", port: PORT };
  const rules = [
    { matches: [{ path: { type: "PathPrefix", value: "/books" } }], backendRefs: [] },
    {
      matches: [{ path: { type: "PathPrefix", value: "/v2" } }],
      backendRefs: [{ name: "v2", port: PORT }],
    },
  ];
  await mesh.create(GATEWAY_HTTP_ROUTES, ns, "route", { spec: { parentRefs: [parent], rules } });
  const routes = await mesh.eventually("the route is told", async () => {
    const found = routesOf(await stream.next());
    return names(found).includes("HTTPRoute route") ? found : undefined;
  });
  // What no HTTPRoute means has none, as without a profile.
  assert.deepEqual(names(routes), ["ServiceProfile book", "HTTPRoute route"]);
  assert.deepEqual(routes.map(backends), [split, split]);
  const second = routes[1]!.rules[1]!.backends?.kind;
  assert.equal(second?.case, "randomAvailable");
});

test("a route that a profile shadows says so in its status, and no longer where they are merged", async () => {
  const ns = await mesh.namespace();
  const consumer = await mesh.namespace();
  await mesh.service(ns, "web");
  const parent = { group: "core", kind: "Service", name: "web", namespace: ns, port: PORT };
  const spec = { parentRefs: [parent], rules: [{}] };
  for (const namespace of [ns, consumer]) {
    await mesh.create(GATEWAY_HTTP_ROUTES, namespace, "route", { spec });
    await mesh.accepted(GATEWAY_HTTP_ROUTES as never, namespace, "route");
  }
  const untilShadowed = (namespace: string, wanted: boolean): Promise<string> =>
    mesh.eventually(`the route of ${namespace} is shadowed: ${wanted}`, async () => {
      const route = await mesh.client.get(GATEWAY_HTTP_ROUTES, { namespace, name: "route" });
      const conditions = route.status?.parents?.[0]?.conditions ?? [];
      const found = conditions.find(({ type }) => type === "heddle.dev/Shadowed");
      return (found !== undefined) === wanted ? (found?.message ?? "not") : undefined;
    });
  const host = `web.${ns}.svc.cluster.local`;
  await profile(ns, "web", { routes: [BOOK] });
  assert.match(await untilShadowed(ns, true), new RegExp(`${host} in ${ns} goes before it`));
  await untilShadowed(consumer, true);
  await setMerge(ns, "web", "true");
  await untilShadowed(ns, false);
  await untilShadowed(consumer, false);
  await setMerge(ns, "web", null);
  await untilShadowed(ns, true);
  await mesh.delete(SERVICE_PROFILES, ns, host);
  await untilShadowed(ns, false);
  // A client's own profile shadows its own routes only.
  await profile(consumer, "web", { routes: [BOOK] }, ns);
  await untilShadowed(consumer, true);
  await untilShadowed(ns, false);
});
