import assert from "node:assert/strict";
import { after, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { KubeClient } from "@heddle/kube/client";
import {
  CUSTOM_RESOURCE_DEFINITIONS,
  type CustomResourceDefinition,
  type Service,
} from "@heddle/kube/types/core";
import type { KubeObject, Resource } from "@heddle/kube/types/meta";
import { GATEWAY_GRPC_ROUTES, GATEWAY_HTTP_ROUTES, type Route } from "@heddle/kube/types/routes";
import { ApiStore } from "@heddle/testkit/api-store";
import { GrpcHost } from "@heddle/testkit/grpc-host";
import { grpcMetadata } from "@heddle/testkit/grpc-metadata";
import { gatewayDefinitions } from "../crds/install.ts";
import { TCP_ROUTES, TLS_ROUTES } from "./resources.ts";
import { PolicyMesh } from "./test-mesh.ts";

const PORT = 4191;

/** A kind's definition with these versions only, the first of them stored. */
function definitionWith(kind: string, versions: readonly string[]): CustomResourceDefinition {
  const found = gatewayDefinitions().find(({ spec }) => spec.names.kind === kind)!;
  const [version] = found.spec.versions;
  const made = versions.map((name, index) => ({ ...version!, name, storage: index === 0 }));
  return { ...found, spec: { ...found.spec, versions: made } };
}

/** A real API server keeps definitions from one store to the next. */
async function removeRoutes(client: KubeClient): Promise<void> {
  const names = gatewayDefinitions().map(({ metadata }) => metadata.name!);
  for (const name of names) {
    const found = await client.find(CUSTOM_RESOURCE_DEFINITIONS, { name });
    if (found !== undefined) await client.delete(CUSTOM_RESOURCE_DEFINITIONS, { name });
  }
  const deadline = performance.now() + 60_000;
  for (const name of names) {
    while ((await client.find(CUSTOM_RESOURCE_DEFINITIONS, { name })) !== undefined) {
      assert.ok(performance.now() < deadline, `waited in vain for ${name} to go`);
      await sleep(20);
    }
  }
}

after(async () => {
  await using store = await ApiStore.start();
  await removeRoutes(store.client);
});

/** A mesh on a cluster whose Gateway API is not the one that we would install. */
function meshOn(definitions: readonly CustomResourceDefinition[]): Promise<PolicyMesh> {
  const start = async (options: { readonly serviceCidr: string }): Promise<ApiStore> => {
    const store = await ApiStore.start(options);
    await removeRoutes(store.client);
    for (const definition of definitions) {
      await store.client.create(CUSTOM_RESOURCE_DEFINITIONS, definition);
    }
    return store;
  };
  const kit = { ApiStore: { start }, GrpcHost, grpcMetadata };
  return PolicyMesh.start(kit, { absentRetryMs: 50 });
}

const inVersion = (of: Resource<Route<unknown>>, version: string): Resource<Route<never>> => ({
  ...(of as Resource<Route<never>>),
  version,
});

const on = (service: Service): object => {
  const parent = { group: "core", kind: "Service", name: service.metadata.name, port: PORT };
  return { spec: { parentRefs: [parent], rules: [{}] } };
};

/** The protocol that clients of a Service are told. */
async function protocol(mesh: PolicyMesh, ns: string, service: Service): Promise<string> {
  await using watch = await mesh.watchOutbound(ns, service.spec!.clusterIP!, PORT);
  const message = await watch.next();
  return JSON.stringify([message.protocol?.kind.case, message.protocol?.kind.value], (_, value) =>
    typeof value === "bigint" ? String(value) : value,
  );
}

async function create(
  mesh: PolicyMesh,
  of: Resource<Route<never>>,
  ns: string,
  name: string,
  fields: object,
): Promise<void> {
  // A real API server serves a definition some time after it was written.
  await mesh.eventually(`${name} can be created`, async () => {
    try {
      return await mesh.create(of as Resource<KubeObject>, ns, name, fields);
    } catch (error) {
      if (String(error).includes("404")) return undefined;
      throw error;
    }
  });
}

for (const [of, version, told] of [
  [GATEWAY_HTTP_ROUTES, "v1beta1", "detect"],
  [GATEWAY_GRPC_ROUTES, "v1alpha2", "grpc"],
  [TLS_ROUTES, "v1alpha3", "tls"],
  [TLS_ROUTES, "v1", "tls"],
  [TCP_ROUTES, "v1", "opaque"],
] as const) {
  test(`where ${of.kind} is served as ${version} only, it is read and judged in that`, async () => {
    await using mesh = await meshOn([definitionWith(of.kind, [version])]);
    const ns = await mesh.namespace();
    const service = await mesh.service(ns, "web");
    const route = inVersion(of as Resource<Route<unknown>>, version);
    await create(mesh, route, ns, "chosen", on(service));
    await mesh.accepted(route, ns, "chosen");
    const message = await protocol(mesh, ns, service);
    assert.equal(JSON.parse(message)[0], told);
    assert.match(message, /"name":"chosen"/);
  });
}

test("the best version is read where there are several", async () => {
  await using mesh = await meshOn([definitionWith("TLSRoute", ["v1", "v1alpha3", "v1alpha2"])]);
  const ns = await mesh.namespace();
  const service = await mesh.service(ns, "web");
  await create(mesh, inVersion(TLS_ROUTES, "v1"), ns, "chosen", on(service));
  await mesh.accepted(inVersion(TLS_ROUTES, "v1alpha2"), ns, "chosen");
  // Whoever wrote the status is known by the version that it was written in.
  const written = await mesh.client.get(inVersion(TLS_ROUTES, "v1"), {
    namespace: ns,
    name: "chosen",
  });
  const { managedFields = [] } = written.metadata as { managedFields?: readonly Manager[] };
  const ours = managedFields.filter(({ subresource }) => subresource === "status");
  assert.deepEqual(
    ours.map(({ apiVersion }) => apiVersion),
    ["gateway.networking.k8s.io/v1alpha2"],
  );
});

interface Manager {
  readonly apiVersion: string;
  readonly subresource?: string;
}

async function serve(client: KubeClient, kind: string, served: readonly string[]): Promise<void> {
  const name = gatewayDefinitions().find(({ spec }) => spec.names.kind === kind)!.metadata.name!;
  const { spec } = await client.get(CUSTOM_RESOURCE_DEFINITIONS, { name });
  const versions = spec.versions.map((one) => ({ ...one, served: served.includes(one.name) }));
  const body = { spec: { versions } };
  await client.patch(CUSTOM_RESOURCE_DEFINITIONS, { name }, { type: "merge", body });
}

test("a version that goes while it is read costs nobody a route, and no stream a message", async () => {
  await using mesh = await meshOn([definitionWith("HTTPRoute", ["v1", "v1beta1"])]);
  const ns = await mesh.namespace();
  const service = await mesh.service(ns, "web");
  const older = inVersion(GATEWAY_HTTP_ROUTES as Resource<Route<unknown>>, "v1beta1");
  await create(mesh, older, ns, "first", on(service));
  await mesh.accepted(older, ns, "first");
  await using watch = await mesh.watchOutbound(ns, service.spec!.clusterIP!, PORT);
  await watch.next();
  await serve(mesh.client, "HTTPRoute", ["v1beta1"]);
  const other = await mesh.service(ns, "other");
  await create(mesh, older, ns, "second", on(other));
  await mesh.accepted(older, ns, "second");
  await mesh.fence();
  assert.equal(watch.waiting, 0);
  await serve(mesh.client, "HTTPRoute", ["v1", "v1beta1"]);
  await create(mesh, older, ns, "third", on(service));
  await mesh.accepted(older, ns, "third");
  const both = await mesh.eventually("both routes are told", async () => {
    const message = await protocol(mesh, ns, service);
    return message.includes('"name":"third"') ? message : undefined;
  });
  assert.match(both, /"name":"first"/);
});

test("a kind that goes takes its routes along, and one that comes is read", async () => {
  await using mesh = await meshOn([]);
  const ns = await mesh.namespace();
  const service = await mesh.service(ns, "web");
  await create(mesh, inVersion(TLS_ROUTES, "v1alpha2"), ns, "first", on(service));
  await mesh.accepted(inVersion(TLS_ROUTES, "v1alpha2"), ns, "first");
  const name = "tlsroutes.gateway.networking.k8s.io";
  await mesh.client.delete(CUSTOM_RESOURCE_DEFINITIONS, { name });
  await mesh.eventually("the route is gone", async () =>
    (await protocol(mesh, ns, service)).startsWith('["detect"') ? true : undefined,
  );
  await mesh.eventually("the definition is gone", async () =>
    (await mesh.client.find(CUSTOM_RESOURCE_DEFINITIONS, { name })) === undefined
      ? true
      : undefined,
  );
  await mesh.client.create(CUSTOM_RESOURCE_DEFINITIONS, definitionWith("TLSRoute", ["v1"]));
  await create(mesh, inVersion(TLS_ROUTES, "v1"), ns, "second", on(service));
  await mesh.accepted(inVersion(TLS_ROUTES, "v1"), ns, "second");
  assert.match(await protocol(mesh, ns, service), /^\["tls".*"name":"second"/);
});
