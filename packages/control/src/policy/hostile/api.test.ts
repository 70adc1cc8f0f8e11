import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Log } from "@heddle/base/log";
import { PODS, SERVICES } from "@heddle/kube/types/core";
import {
  AUTHORIZATION_POLICIES,
  EGRESS_NETWORKS,
  EXTERNAL_WORKLOADS,
  HTTP_LOCAL_RATE_LIMIT_POLICIES,
  MESH_TLS_AUTHENTICATIONS,
  NETWORK_AUTHENTICATIONS,
  SERVER_AUTHORIZATIONS,
  SERVERS,
} from "@heddle/kube/types/linkerd";
import type { KubeObject, Resource } from "@heddle/kube/types/meta";
import {
  GATEWAY_GRPC_ROUTES,
  GATEWAY_HTTP_ROUTES,
  POLICY_HTTP_ROUTES,
} from "@heddle/kube/types/routes";
import { ApiStore } from "@heddle/testkit/api-store";
import { GrpcHost } from "@heddle/testkit/grpc-host";
import { grpcMetadata } from "@heddle/testkit/grpc-metadata";
import { seededInt, seededRandom } from "@heddle/testkit/seeded-random";
import { gatewayDefinitions, linkerdDefinitions } from "../../crds/install.ts";
import type { Schema } from "../../crds/schema.ts";
import { SchemaFuzz } from "../../testing/schema-fuzz.ts";
import { plain } from "../outbound/test-parents.ts";
import { PolicyMesh } from "../test-mesh.ts";

const RESOURCES: readonly Resource<KubeObject>[] = [
  SERVERS,
  SERVER_AUTHORIZATIONS,
  AUTHORIZATION_POLICIES,
  MESH_TLS_AUTHENTICATIONS,
  NETWORK_AUTHENTICATIONS,
  HTTP_LOCAL_RATE_LIMIT_POLICIES,
  EGRESS_NETWORKS,
  EXTERNAL_WORKLOADS,
  POLICY_HTTP_ROUTES,
  GATEWAY_HTTP_ROUTES,
  GATEWAY_GRPC_ROUTES,
];
const GROUP = "policy.linkerd.io";
const SERVICE_PORT = 4191;

let mesh: PolicyMesh;
const lines: string[] = [];
before(async () => {
  const log = Log.root({ filter: "error", uptimeMs: () => 0, write: (line) => lines.push(line) });
  mesh = await PolicyMesh.start({ ApiStore, GrpcHost, grpcMetadata }, { log });
});
after(() => mesh?.[Symbol.asyncDispose]());

/** A namespace with a policy in use, and what proxies there are told. */
async function startWitness() {
  const ns = await mesh.namespace();
  const workload = await mesh.pausePod(ns);
  const podSelector = { matchLabels: { app: "pause" } };
  await mesh.create(SERVERS, ns, "server", { spec: { podSelector, port: 4191 } });
  const service = await mesh.service(ns, "svc");
  const inbound = await mesh.watchPort(workload, 4191);
  const outbound = await mesh.watchOutbound(ns, service.spec!.clusterIP!, SERVICE_PORT);
  await mesh.eventually("the Server governs", async () => {
    const { labels } = await inbound.next();
    return labels["name"] === "server" ? true : undefined;
  });
  await outbound.next();
  return {
    ns,
    [Symbol.asyncDispose]: async (): Promise<void> => {
      await inbound[Symbol.asyncDispose]();
      await outbound[Symbol.asyncDispose]();
    },
    /** Nothing was told to it meanwhile, and what changes here is told. */
    holds: async (round: string): Promise<void> => {
      await mesh.fence();
      assert.equal(inbound.waiting, 0);
      assert.equal(outbound.waiting, 0);
      const networks = [{ cidr: "10.0.0.0/8" }];
      await mesh.create(NETWORK_AUTHENTICATIONS, ns, round, { spec: { networks } });
      const requiredAuthenticationRefs = [
        { group: GROUP, kind: "NetworkAuthentication", name: round },
      ];
      const targetRef = { group: GROUP, kind: "Server", name: "server" };
      const spec = { targetRef, requiredAuthenticationRefs };
      await mesh.create(AUTHORIZATION_POLICIES, ns, round, { spec });
      const names = async (): Promise<string[]> =>
        (await inbound.next()).authorizations.map(({ labels }) => labels["name"]!);
      await mesh.eventually("the policy is told", async () =>
        (await names()).includes(round) ? true : undefined,
      );
      await mesh.eventually("nothing more is told", async () => {
        await mesh.fence();
        return inbound.waiting === 0 ? true : undefined;
      });
    },
  };
}

/** The object as it was taken; undefined if it was refused. */
async function put(of: Resource<KubeObject>, object: KubeObject): Promise<KubeObject | undefined> {
  try {
    return await mesh.client.create(of, object);
  } catch (error) {
    const { code } = error as { readonly code?: string };
    const isRefused = /^kube_(invalid|bad_request|already_exists|request_entity_too_large)$/;
    assert.match(code ?? String(error), isRefused);
    return undefined;
  }
}

function schemaOf({ group, version, kind }: Resource<KubeObject>): Schema {
  const found = [...linkerdDefinitions(), ...gatewayDefinitions()]
    .find(({ spec }) => spec.group === group && spec.names.kind === kind)!
    .spec.versions.find(({ name }) => name === version)!;
  return found.schema!.openAPIV3Schema as Schema;
}

test("objects of every shape pass through the API, and nobody else hears of them", async () => {
  await using witness = await startWitness();
  const evil = await mesh.namespace();
  await mesh.pausePod(evil);
  await mesh.service(evil, "svc");
  const random = seededRandom(7);
  let taken = 0;
  for (const oddOneIn of [0, 0, 12]) {
    const fuzz = new SchemaFuzz((count) => seededInt(random, count), oddOneIn);
    for (const of of RESOURCES) {
      for (let at = 0; at < 4; at++) {
        const value = fuzz.value(schemaOf(of)) as Partial<KubeObject>;
        const {
          apiVersion: _,
          kind: __,
          status: ___,
          ...fields
        } = value as Record<string, unknown>;
        const metadata = { generateName: "fuzz-", namespace: evil };
        if ((await put(of, { ...fields, metadata })) !== undefined) taken++;
      }
    }
  }
  assert.ok(taken > 30, String(taken));
  await witness.holds("after-shapes");
  assert.deepEqual(lines, []);
});

test("objects of a megabyte cost their own namespace only", async () => {
  await using witness = await startWitness();
  const evil = await mesh.namespace();
  const workload = await mesh.pausePod(evil);
  const many = <T>(count: number, make: (at: number) => T): T[] =>
    Array.from({ length: count }, (_, at) => make(at));
  const server = { group: GROUP, kind: "Server", name: "server" };
  const values = many(60_000, (at) => `value-${at}`);
  const podSelector = { matchExpressions: [{ key: "app", operator: "NotIn", values }] };
  const headers = many(16, (at) => ({ name: `x-${at}`, value: "v".repeat(500) }));
  const rules = many(16, () => ({ matches: many(8, () => ({ headers })) }));
  const large: readonly (readonly [Resource<KubeObject>, object])[] = [
    [SERVERS, { podSelector, port: 4191 }],
    [MESH_TLS_AUTHENTICATIONS, { identities: many(25_000, (at) => `id-${at}.ns.serviceaccount`) }],
    [
      NETWORK_AUTHENTICATIONS,
      { networks: many(40_000, (at) => ({ cidr: `10.${at >> 8}.${at & 255}.0/24` })) },
    ],
    [POLICY_HTTP_ROUTES, { parentRefs: [server], rules }],
    [
      AUTHORIZATION_POLICIES,
      {
        targetRef: server,
        requiredAuthenticationRefs: [
          { group: GROUP, kind: "MeshTLSAuthentication", name: "server" },
          { group: GROUP, kind: "NetworkAuthentication", name: "server" },
        ],
      },
    ],
  ];
  for (const [of, spec] of large) {
    const metadata = { name: "server", namespace: evil };
    assert.ok(await put(of, { metadata, spec } as KubeObject), of.plural);
  }
  await using watch = await mesh.watchPort(workload, 4191);
  await mesh.eventually("its own proxy hears of them", async () => {
    const { labels, authorizations } = await watch.next();
    const identities = authorizations[0]?.authentication?.permit;
    return labels["name"] === "server" && identities !== undefined ? true : undefined;
  });
  await witness.holds("after-megabytes");
  assert.deepEqual(lines, []);
});

test("very many routes on one Service reach its clients whole, and others are told in between", async () => {
  await using witness = await startWitness();
  const evil = await mesh.namespace();
  const service = await mesh.service(evil, "svc");
  const count = 300;
  const parentRefs = [{ group: "core", kind: "Service", name: "svc", port: SERVICE_PORT }];
  const rule = (at: number) => ({
    matches: [{ path: { type: "PathPrefix", value: `/${at}` } }],
    backendRefs: [{ name: "svc", port: SERVICE_PORT }],
  });
  await using watch = await mesh.watchOutbound(evil, service.spec!.clusterIP!, SERVICE_PORT);
  const creating = Array.from({ length: count }, (_, at) =>
    mesh.create(GATEWAY_HTTP_ROUTES, evil, `route-${at}`, {
      spec: { parentRefs, rules: [rule(at)] },
    }),
  );
  await witness.holds("among-routes");
  await Promise.all(creating);
  const detect = await mesh.eventually("all routes have come", async () => {
    const { protocol } = plain(await watch.next());
    return protocol.kind.detect.http1.routes.length === count ? protocol.kind.detect : undefined;
  });
  assert.equal(detect.http2.routes.length, count);
  const paths = (routes: readonly ReturnType<typeof plain>[]) =>
    routes.map(({ rules }) => rules[0].matches[0].path.kind.prefix);
  assert.equal(new Set(paths(detect.http1.routes)).size, count);
  assert.deepEqual(paths(detect.http1.routes), paths(detect.http2.routes));
  assert.deepEqual(lines, []);
});

test("pods and Services of any number of names change nothing of another namespace", async () => {
  await using witness = await startWitness();
  const evil = await mesh.namespace();
  for (const name of ["constructor", "tostring", "valueof", "length", "then"]) {
    const labels = { "linkerd.io/control-plane-ns": "linkerd", constructor: "x", toString: "y" };
    const ports = [{ name: "constructor", containerPort: 80 }];
    const spec = { containers: [{ name: "then", image: "x", ports }] };
    await mesh.create(PODS, evil, name, { spec }, { labels });
    await mesh.create(SERVICES, evil, name, { spec: { ports: [{ port: 80 }] } });
    const podSelector = { matchLabels: { constructor: "x", toString: "y" } };
    await mesh.create(SERVERS, evil, name, { spec: { podSelector, port: "constructor" } });
  }
  await using watch = await mesh.watchPort(`${evil}:then`, 80);
  await mesh.eventually("the oldest of its Servers governs", async () => {
    const { labels } = await watch.next();
    return labels["name"] === "constructor" ? true : undefined;
  });
  await witness.holds("after-names");
  assert.deepEqual(lines, []);
});
