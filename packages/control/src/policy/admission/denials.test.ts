import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { NAMESPACES } from "@heddle/kube/types/core";
import {
  AUTHORIZATION_POLICIES,
  EGRESS_NETWORKS,
  HTTP_LOCAL_RATE_LIMIT_POLICIES,
  MESH_TLS_AUTHENTICATIONS,
  NETWORK_AUTHENTICATIONS,
  SERVER_AUTHORIZATIONS,
  SERVERS,
  SERVICE_PROFILES,
} from "@heddle/kube/types/linkerd";
import type { KubeObject, Resource } from "@heddle/kube/types/meta";
import {
  GATEWAY_GRPC_ROUTES,
  GATEWAY_HTTP_ROUTES,
  POLICY_HTTP_ROUTES,
} from "@heddle/kube/types/routes";
import { ApiStore } from "@heddle/testkit/api-store";
import { TCP_ROUTES, TLS_ROUTES } from "../resources.ts";
import { startValidators } from "./test-validators.ts";

const parts = new AsyncDisposableStack();
let store: ApiStore;
let made = 0;
before(async () => {
  store = parts.use(await ApiStore.start());
  parts.use(await startValidators(store));
  await store.client.create(NAMESPACES, { metadata: { name: "ns" } });
});
after(() => parts.disposeAsync());

async function create(
  resource: Resource<KubeObject>,
  spec: object,
  metadata: Partial<KubeObject["metadata"]> = {},
): Promise<void> {
  made++;
  const object = { metadata: { name: `object-${made}`, namespace: "ns", ...metadata }, spec };
  await store.client.create(resource, object);
}

/** By the webhook, with the field and what is to be done about it. */
async function denied(
  resource: Resource<KubeObject>,
  spec: object,
  problem: string,
  metadata: Partial<KubeObject["metadata"]> = {},
): Promise<void> {
  const validator = resource === SERVICE_PROFILES ? "sp" : "policy";
  const by = `admission webhook "linkerd-${validator}-validator.linkerd.io" denied the request`;
  await assert.rejects(create(resource, spec, metadata), (error: Error & { code?: string }) => {
    assert.equal(error.code, "kube_bad_request");
    assert.ok(error.message.includes(`${by}: ${problem}`), error.message);
    return true;
  });
}

const POLICY = "policy.linkerd.io";
const SERVER = { group: POLICY, kind: "Server", name: "api" };
const TLS = { group: POLICY, kind: "MeshTLSAuthentication", name: "tls" };
const NETWORK = { group: POLICY, kind: "NetworkAuthentication", name: "net" };
const DEPLOYMENT = { group: "apps", kind: "Deployment", name: "d" };

test("[AP03] [AP09] an AuthorizationPolicy for another namespace or a Deployment is refused", async () => {
  const policy = (targetRef: object, problem: string) =>
    denied(AUTHORIZATION_POLICIES, { targetRef, requiredAuthenticationRefs: [TLS] }, problem);
  await policy(
    { group: "core", kind: "Namespace", name: "other" },
    "spec.targetRef.name: Namespace other is not the policy's own: name ns",
  );
  await policy(DEPLOYMENT, "spec.targetRef: apps/Deployment cannot be a target");
});

test("[AP10] [AP11] two authentications of a sort are refused", async () => {
  const policy = (ref: object, problem: string) => {
    const requiredAuthenticationRefs = [ref, { ...ref, name: "second" }];
    return denied(
      AUTHORIZATION_POLICIES,
      { targetRef: SERVER, requiredAuthenticationRefs },
      problem,
    );
  };
  const path = "spec.requiredAuthenticationRefs";
  await policy(TLS, `${path}: only one MeshTLSAuthentication`);
  await policy(NETWORK, `${path}: only one NetworkAuthentication`);
});

test("[MT03] a Namespace is in no namespace, and what is no identity is refused", async () => {
  const identityRefs = [{ kind: "Namespace", name: "d", namespace: "d" }];
  await denied(MESH_TLS_AUTHENTICATIONS, { identityRefs }, "spec.identityRefs[0].namespace: ");
  await denied(MESH_TLS_AUTHENTICATIONS, { identities: ["*", "A b"] }, "spec.identities[1]: ");
});

test("[NA03] [NA04] [NA05] [NA06] networks that say nothing, or nothing readable, are refused", async () => {
  const networks = (cidr: string, ...except: string[]) => ({ networks: [{ cidr, except }] });
  const path = "spec.networks[0]";
  const kind = NETWORK_AUTHENTICATIONS;
  await denied(
    kind,
    networks("10.1.0.0/24", "10.1.0.0/24"),
    `${path}.except[0]: 10.1.0.0/24 leaves`,
  );
  await denied(kind, networks("10.1.0.0/24", "10.0.0.0/8"), `${path}.except[0]: 10.0.0.0/8 leaves`);
  await denied(
    kind,
    networks("10.1.1.0/24", "10.1.2.0/31"),
    `${path}.except[0]: 10.1.2.0/31 is not`,
  );
  await denied(kind, networks("10.1.0.0/1004"), `${path}.cidr: "10.1.0.0/1004" is no`);
  await denied(kind, { networks: [] }, "spec.networks: is empty");
});

test("[EN02] an EgressNetwork of no networks is refused", async () => {
  const spec = { trafficPolicy: "Allow", networks: [] };
  await denied(EGRESS_NETWORKS, spec, "spec.networks: is empty");
});

test("[RL02] [RL03] [RL04] a rate limit is for a Server, and its parts keep within the total", async () => {
  const limit = (requestsPerSecond: number) => ({ requestsPerSecond });
  const kind = HTTP_LOCAL_RATE_LIMIT_POLICIES;
  const total = limit(1000);
  await denied(kind, { targetRef: DEPLOYMENT, total }, "spec.targetRef: Deployment cannot");
  await denied(
    kind,
    { targetRef: SERVER, total, identity: limit(2000) },
    "spec.identity.requestsPerSecond: 2000 is above spec.total, which is 1000",
  );
  const clientRefs = [{ kind: "ServiceAccount", namespace: "ns", name: "sa" }];
  await denied(
    kind,
    { targetRef: SERVER, total, overrides: [{ ...limit(2000), clientRefs }] },
    "spec.overrides[0].requestsPerSecond: 2000 is above",
  );
});

test("[SV03] [SV04] a Server's protocol and access policy are known ones", async () => {
  const server = { podSelector: {}, port: 80 };
  await denied(SERVERS, { ...server, proxyProtocol: "garbanzo" }, 'spec.proxyProtocol: "garbanzo"');
  await denied(SERVERS, { ...server, accessPolicy: "foobar" }, 'spec.accessPolicy: "foobar"');
  await denied(SERVERS, { ...server, port: 65_536 }, "spec.port: is no whole number from 1 to");
});

test("a Server that was good is not changed into one that is not", async () => {
  await create(SERVERS, { podSelector: {}, port: 80 }, { name: "good" });
  const ref = { namespace: "ns", name: "good" };
  const body = { spec: { accessPolicy: "foobar" } };
  await assert.rejects(store.client.patch(SERVERS, ref, { type: "merge", body }), /denied/);
  assert.equal((await store.client.get(SERVERS, ref)).spec.accessPolicy, "deny");
});

test("[SA02] [SA06] [SA07] a ServerAuthorization's networks are held to the same rules", async () => {
  const path = "spec.client.networks[0]";
  const spec = (cidr: string, ...except: string[]) => ({
    server: { name: "api" },
    client: { networks: [{ cidr, except }], unauthenticated: true },
  });
  const kind = SERVER_AUTHORIZATIONS;
  await denied(kind, spec("10.1.0.0/16", "10.0.0.0/8"), `${path}.except[0]: 10.0.0.0/8 leaves`);
  await denied(kind, spec("10.1.1.0/24", "10.1.2.0/24"), `${path}.except[0]: 10.1.2.0/24 is not`);
  await denied(kind, spec("10.256.0.0/16"), `${path}.cidr: "10.256.0.0/16" is no`);
});

test("[SA03] [SA04] a ServerAuthorization's clients have a name or none, not both", async () => {
  const spec = (client: object) => ({ server: { name: "api" }, client });
  const meshTLS = { identities: ["*"] };
  await denied(
    SERVER_AUTHORIZATIONS,
    spec({ unauthenticated: true, meshTLS }),
    "spec.client: unauthenticated and meshTLS exclude each other",
  );
  await denied(
    SERVER_AUTHORIZATIONS,
    spec({ meshTLS: { ...meshTLS, unauthenticatedTLS: true } }),
    "spec.client.meshTLS: unauthenticatedTLS excludes identities",
  );
});

const EGRESS = { group: POLICY, kind: "EgressNetwork", name: "egress" };
const NO_PORT = "spec.parentRefs[0].port: is missing";

test("[GR02] [HR03] [TC02] [3.1/TL02] an EgressNetwork is no parent without a port", async () => {
  for (const kind of [GATEWAY_GRPC_ROUTES, GATEWAY_HTTP_ROUTES, POLICY_HTTP_ROUTES]) {
    await denied(kind, { parentRefs: [EGRESS], rules: [] }, NO_PORT);
  }
  for (const kind of [TCP_ROUTES, TLS_ROUTES]) {
    await denied(kind, { parentRefs: [EGRESS], rules: [{}] }, NO_PORT);
  }
});

test("[TC03] [3.1/TL03] a TCPRoute and a TLSRoute have one rule", async () => {
  for (const kind of [TCP_ROUTES, TLS_ROUTES]) {
    const spec = { parentRefs: [{ ...EGRESS, port: 555 }], rules: [{}, {}] };
    await denied(kind, spec, "spec.rules: has 2 rules: write exactly one");
  }
});

test("[HR04] [HR05] [HG08] [HG09] paths of routes are absolute", async () => {
  const path = { type: "ReplaceFullPath", replaceFullPath: "foo/bar" };
  for (const kind of [POLICY_HTTP_ROUTES, GATEWAY_HTTP_ROUTES]) {
    const route = (rule: object, problem: string) =>
      denied(kind, { parentRefs: [SERVER], rules: [rule] }, problem);
    const matches = [{ path: { type: "PathPrefix", value: "foo/bar" } }];
    await route({ matches }, 'spec.rules[0].matches[0]: the path "foo/bar" is not absolute');
    const filters = [{ type: "RequestRedirect", requestRedirect: { path } }];
    await route({ filters }, "spec.rules[0].filters[0]: the redirect path");
  }
});

test("[HG10] [HG11] a Service is no backend without a port, named or meant", async () => {
  for (const backend of [{ group: "core", kind: "Service", name: "b" }, { name: "b" }]) {
    const spec = { parentRefs: [SERVER], rules: [{ backendRefs: [backend] }] };
    await denied(GATEWAY_HTTP_ROUTES, spec, "spec.rules[0].backendRefs[0].port: is missing");
  }
});

test("annotations count on routes for Services, where they mean something", async () => {
  const annotations = { "retry.linkerd.io/http": "6xx" };
  const rules = [{ matches: [{ path: { type: "PathPrefix", value: "/" } }] }];
  const service = { group: "core", kind: "Service", name: "s", port: 80 };
  const spec = { parentRefs: [service], rules };
  await denied(POLICY_HTTP_ROUTES, spec, "metadata.annotations[retry.linkerd.io]: ", {
    annotations,
  });
  await create(POLICY_HTTP_ROUTES, { parentRefs: [SERVER], rules }, { annotations });
});

test("a timeout of a try is not longer than that of the request, and none is negative", async () => {
  const route = (timeouts: object, problem: string) =>
    denied(POLICY_HTTP_ROUTES, { parentRefs: [SERVER], rules: [{ timeouts }] }, problem);
  const path = "spec.rules[0].timeouts";
  await route({ request: "1s", backendRequest: "2s" }, `${path}.backendRequest: 2s is longer`);
  await route({ request: "-1s" }, `${path}.request: -1s is negative`);
});

test("a ServiceProfile with a fault that its schema cannot see is refused", async () => {
  const route = { name: "r", condition: { all: [{ method: "GET", path: "/" }] } };
  const metadata = { name: "web.ns.svc.cluster.local" };
  await denied(
    SERVICE_PROFILES,
    { routes: [route] },
    "spec.routes[0].condition.all[0].path: is unknown",
    metadata,
  );
  await create(
    SERVICE_PROFILES,
    { routes: [{ ...route, condition: { method: "GET" } }] },
    metadata,
  );
});

test("a namespace may opt out of being judged", async () => {
  const labels = { "config.linkerd.io/admission-webhooks": "disabled" };
  await store.client.create(NAMESPACES, { metadata: { name: "free", labels } });
  await create(NETWORK_AUTHENTICATIONS, { networks: [] }, { namespace: "free" });
  await denied(NETWORK_AUTHENTICATIONS, { networks: [] }, "spec.networks: is empty");
});
