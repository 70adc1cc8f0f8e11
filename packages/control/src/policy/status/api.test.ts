import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { LEASES, SERVICES } from "@heddle/kube/types/core";
import { SERVERS } from "@heddle/kube/types/linkerd";
import { apiVersionOf } from "@heddle/kube/types/meta";
import {
  GATEWAY_HTTP_ROUTES,
  POLICY_HTTP_ROUTES,
  type RouteParentStatus,
} from "@heddle/kube/types/routes";
import { ApiStore } from "@heddle/testkit/api-store";
import { GrpcHost } from "@heddle/testkit/grpc-host";
import { grpcMetadata } from "@heddle/testkit/grpc-metadata";
import { TLS_ROUTES } from "../resources.ts";
import { PolicyMesh } from "../test-mesh.ts";

let mesh: PolicyMesh;
before(async () => {
  mesh = await PolicyMesh.start({ ApiStore, GrpcHost, grpcMetadata });
});
after(() => mesh?.[Symbol.asyncDispose]());

const GROUP = "policy.linkerd.io";
const serverRef = (name: string) => ({ group: GROUP, kind: "Server", name });

async function server(namespace: string, name: string): Promise<void> {
  const spec = { podSelector: { matchLabels: { app: "x" } }, port: 80 };
  await mesh.create(SERVERS, namespace, name, { spec });
}

async function route(namespace: string, parentRefs: readonly object[], status?: object) {
  const spec = { parentRefs, rules: [{}] };
  await mesh.create(POLICY_HTTP_ROUTES, namespace, "route", { spec });
  if (status === undefined) return;
  await mesh.client.patch(
    POLICY_HTTP_ROUTES,
    { namespace, name: "route" },
    { type: "merge", body: { status } },
    { subresource: "status" },
  );
}

/** `name=True/Reason` of each parent, when they are as wanted. */
async function verdicts(
  namespace: string,
  wanted: readonly string[],
): Promise<RouteParentStatus[]> {
  return mesh.eventually(`verdicts ${wanted.join()}`, async () => {
    const found = await mesh.client.get(POLICY_HTTP_ROUTES, { namespace, name: "route" });
    const parents = found.status?.parents ?? [];
    const texts = parents.map(({ parentRef, conditions }) => {
      const [first] = conditions ?? [];
      return `${parentRef.name}=${first?.status}/${first?.reason}`;
    });
    return found.status !== undefined && texts.join() === wanted.join() ? [...parents] : undefined;
  });
}

test("[IS01] a route on a Server that is there is accepted", async () => {
  const ns = await mesh.namespace();
  await server(ns, "parent");
  await route(ns, [serverRef("parent")]);
  const [parent] = await verdicts(ns, ["parent=True/Accepted"]);
  assert.deepEqual(parent?.parentRef, { ...serverRef("parent"), namespace: ns });
  assert.equal(parent?.controllerName, "linkerd.io/policy-controller");
  assert.deepEqual(
    parent?.conditions?.map(({ type }) => type),
    ["Accepted"],
  );
});

test("[IS02] each parent has its own verdict", async () => {
  const ns = await mesh.namespace();
  await server(ns, "valid");
  await route(ns, [serverRef("missing"), serverRef("valid")]);
  await verdicts(ns, ["missing=False/NoMatchingParent", "valid=True/Accepted"]);
});

test("[IS03] without parents the statuses go", async () => {
  const ns = await mesh.namespace();
  await server(ns, "parent");
  await route(ns, [serverRef("parent")]);
  await verdicts(ns, ["parent=True/Accepted"]);
  await mesh.patch(POLICY_HTTP_ROUTES, ns, "route", { spec: { parentRefs: null } });
  await verdicts(ns, []);
});

test("[IS04] a route is accepted when its Server comes", async () => {
  const ns = await mesh.namespace();
  await route(ns, [serverRef("parent")]);
  await verdicts(ns, ["parent=False/NoMatchingParent"]);
  await server(ns, "parent");
  await verdicts(ns, ["parent=True/Accepted"]);
});

test("[IS05] a route is accepted no more when its Server goes", async () => {
  const ns = await mesh.namespace();
  await server(ns, "parent");
  await route(ns, [serverRef("parent")]);
  await verdicts(ns, ["parent=True/Accepted"]);
  await mesh.delete(SERVERS, ns, "parent");
  await verdicts(ns, ["parent=False/NoMatchingParent"]);
});

const serviceRef = { group: "core", kind: "Service", name: "svc", port: 80 };

for (const [id, spec, wanted] of [
  ["OS01", {}, "svc=True/Accepted"],
  ["OS02", { clusterIP: "None" }, "svc=False/NoMatchingParent"],
  ["OS03", { type: "ExternalName", externalName: "a.example" }, "svc=False/NoMatchingParent"],
] as const) {
  test(`[${id}] a Service with ${JSON.stringify(spec)} gives ${wanted}`, async () => {
    const ns = await mesh.namespace();
    await mesh.create(SERVICES, ns, "svc", { spec: { ports: [{ port: 80 }], ...spec } });
    await route(ns, [serviceRef]);
    const [parent] = await verdicts(ns, [wanted]);
    assert.deepEqual(parent?.parentRef, { ...serviceRef, namespace: ns });
    assert.deepEqual(
      parent?.conditions?.map(({ type }) => type),
      ["Accepted", "ResolvedRefs"],
    );
  });
}

test("[OS04] what other controllers say of a route stays", async () => {
  const ns = await mesh.namespace();
  const other = {
    controllerName: "example.com/gateway",
    parentRef: { group: "gateway.networking.k8s.io", kind: "Gateway", name: "other" },
    conditions: [
      {
        type: "Accepted",
        status: "True",
        reason: "Accepted",
        message: "",
        lastTransitionTime: "2026-01-01T00:00:00Z",
      },
    ],
  };
  await route(ns, [serverRef("parent")], { parents: [other] });
  await verdicts(ns, ["other=True/Accepted", "parent=False/NoMatchingParent"]);
  await server(ns, "parent");
  const [first] = await verdicts(ns, ["other=True/Accepted", "parent=True/Accepted"]);
  assert.deepEqual(first, other);
});

test("[UM08] a TLSRoute is read and judged in version v1alpha2, the only one that is served", async () => {
  assert.equal(apiVersionOf(TLS_ROUTES), "gateway.networking.k8s.io/v1alpha2");
  const ns = await mesh.namespace();
  await mesh.service(ns, "svc");
  const spec = { parentRefs: [{ ...serviceRef, port: 9999 }], rules: [{}] };
  await mesh.create(TLS_ROUTES, ns, "route", { spec });
  await mesh.accepted(TLS_ROUTES as never, ns, "route");
});

test("a status that is right is not written again", async () => {
  const ns = await mesh.namespace();
  await server(ns, "parent");
  await route(ns, [serverRef("parent")]);
  await verdicts(ns, ["parent=True/Accepted"]);
  const before = await mesh.client.get(POLICY_HTTP_ROUTES, { namespace: ns, name: "route" });
  // Whatever happens next to it makes the controller look again.
  const name = "other";
  const spec = { parentRefs: [{ ...serverRef("parent") }], rules: [{}] };
  await mesh.create(GATEWAY_HTTP_ROUTES, ns, name, { spec });
  await mesh.accepted(GATEWAY_HTTP_ROUTES as never, ns, name);
  const after = await mesh.client.get(POLICY_HTTP_ROUTES, { namespace: ns, name: "route" });
  assert.equal(after.metadata.resourceVersion, before.metadata.resourceVersion);
  assert.equal(before.status?.parents?.[0]?.conditions?.[0]?.observedGeneration, 1);
});

test("only the holder of the lease writes", async () => {
  const lease = await mesh.client.get(LEASES, {
    namespace: "linkerd",
    name: "policy-controller-write",
  });
  assert.equal(lease.spec?.holderIdentity, "test");
  assert.equal(lease.spec?.leaseDurationSeconds, 30);
});
