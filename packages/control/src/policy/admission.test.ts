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
} from "@heddle/kube/types/linkerd";
import type { KubeObject, Resource } from "@heddle/kube/types/meta";
import {
  GATEWAY_GRPC_ROUTES,
  GATEWAY_HTTP_ROUTES,
  POLICY_HTTP_ROUTES,
} from "@heddle/kube/types/routes";
import { ApiStore } from "@heddle/testkit/api-store";
import { startValidators } from "./admission/test-validators.ts";
import { TCP_ROUTES, TLS_ROUTES } from "./resources.ts";

// What is taken, by schemas and webhook, and what the schemas refuse. Nothing is written unless the
// webhook has answered. What only the webhook refuses is in `admission/denials.test.ts`.

const parts = new AsyncDisposableStack();
let store: ApiStore;
let made = 0;
before(async () => {
  store = parts.use(await ApiStore.start());
  parts.use(await startValidators(store));
  await store.client.create(NAMESPACES, { metadata: { name: "ns" } });
});
after(() => parts.disposeAsync());

async function create(resource: Resource<KubeObject>, spec: object): Promise<void> {
  made++;
  const object = { metadata: { name: `object-${made}`, namespace: "ns" }, spec };
  await store.client.create(resource, object);
}

async function refused(
  resource: Resource<KubeObject>,
  spec: object,
  reason: RegExp,
): Promise<void> {
  await assert.rejects(create(resource, spec), { code: "kube_invalid", message: reason });
}

const POLICY = "policy.linkerd.io";
const SERVER = { group: POLICY, kind: "Server", name: "api" };
const TLS = { group: POLICY, kind: "MeshTLSAuthentication", name: "tls" };
const NETWORK = { group: POLICY, kind: "NetworkAuthentication", name: "net" };

test("[AP01] [AP02] [AP04] [AP05] [AP06] [AP07] AuthorizationPolicies for Servers, routes and namespaces are taken", async () => {
  const policy = (targetRef: object, ...requiredAuthenticationRefs: object[]) =>
    create(AUTHORIZATION_POLICIES, { targetRef, requiredAuthenticationRefs });
  await policy(SERVER, TLS, NETWORK);
  await policy({ group: "core", kind: "Namespace", name: "ns" }, TLS);
  await policy({ group: POLICY, kind: "HTTPRoute", name: "route" }, TLS, NETWORK);
  await policy(SERVER, TLS);
  await policy(SERVER, NETWORK);
  await policy(SERVER);
});

test("[AP08] an AuthorizationPolicy says what it requires, be it nothing", async () => {
  await refused(AUTHORIZATION_POLICIES, { targetRef: SERVER }, /requiredAuthenticationRefs/);
});

test("[MT01] [MT02] [MT04] a MeshTLSAuthentication names accounts, namespaces or identities", async () => {
  await create(MESH_TLS_AUTHENTICATIONS, { identityRefs: [{ kind: "ServiceAccount", name: "d" }] });
  await create(MESH_TLS_AUTHENTICATIONS, { identityRefs: [{ kind: "Namespace", name: "d" }] });
  const identities = ["*", "*.example.com", "a.b", "spiffe://td/a"];
  await create(MESH_TLS_AUTHENTICATIONS, { identities });
});

test("[MT05] [MT06] a MeshTLSAuthentication names either identities or references", async () => {
  await refused(MESH_TLS_AUTHENTICATIONS, {}, /spec/);
  const identityRefs = [{ kind: "ServiceAccount", name: "d" }];
  await refused(MESH_TLS_AUTHENTICATIONS, { identities: ["*"], identityRefs }, /spec/);
});

test("[NA01] [NA02] a NetworkAuthentication lists blocks, and exceptions as blocks or addresses", async () => {
  const networks = [{ cidr: "10.1.0.0/24", except: ["10.1.0.1", "10.1.0.2/31"] }];
  await create(NETWORK_AUTHENTICATIONS, { networks });
  await create(NETWORK_AUTHENTICATIONS, {
    networks: [{ cidr: "10.1.0.0/24", except: ["10.1.0.1"] }],
  });
});

test("[EN01] an EgressNetwork lists blocks with exceptions", async () => {
  const networks = [{ cidr: "10.1.0.0/24", except: ["10.1.0.1/32"] }];
  await create(EGRESS_NETWORKS, { trafficPolicy: "Allow", networks });
  await refused(EGRESS_NETWORKS, { trafficPolicy: "Perhaps" }, /spec\.trafficPolicy/);
});

test("[RL01] a rate limit has a total, a share and exceptions", async () => {
  await create(HTTP_LOCAL_RATE_LIMIT_POLICIES, {
    targetRef: SERVER,
    total: { requestsPerSecond: 1000 },
    identity: { requestsPerSecond: 100 },
    overrides: [
      {
        requestsPerSecond: 200,
        clientRefs: [{ group: "", kind: "ServiceAccount", namespace: "ns", name: "sa" }],
      },
    ],
  });
});

test("[SV01] a Server selects pods or machines, and says which port", async () => {
  const podSelector = { matchLabels: { app: "web" } };
  await create(SERVERS, { podSelector, port: 80 });
  await create(SERVERS, { podSelector, port: 80, proxyProtocol: "HTTP/2", accessPolicy: "audit" });
  await refused(SERVERS, { podSelector }, /spec\.port/);
  await refused(SERVERS, { podSelector, externalWorkloadSelector: {}, port: 80 }, /spec/);
});

test("[SV02] a Server may be written again, and another one may select the same", async () => {
  const spec = { podSelector: { matchLabels: { app: "twice" } }, port: 80 };
  await create(SERVERS, spec);
  const ref = { namespace: "ns", name: `object-${made}` };
  await store.client.update(SERVERS, await store.client.get(SERVERS, ref));
  await create(SERVERS, spec);
});

test("[SA01] [SA05] a ServerAuthorization admits networks, written as blocks or addresses", async () => {
  const server = { name: "api" };
  const meshTLS = { serviceAccounts: [{ name: "api" }] };
  const networks = [{ cidr: "10.0.0.0/8", except: ["10.0.0.0/9"] }, { cidr: "10.1.1.1" }];
  await create(SERVER_AUTHORIZATIONS, { server, client: { meshTLS } });
  await create(SERVER_AUTHORIZATIONS, { server, client: { meshTLS, networks } });
  await refused(SERVER_AUTHORIZATIONS, { server: {}, client: { meshTLS } }, /spec\.server/);
});

const EGRESS_PARENT = { group: POLICY, kind: "EgressNetwork", name: "egress", port: 555 };

test("[GR01] a GRPCRoute may be on a port of an EgressNetwork", async () => {
  await create(GATEWAY_GRPC_ROUTES, { parentRefs: [EGRESS_PARENT], rules: [] });
});

test("[HR01] [HR02] Linkerd's HTTPRoute may be on a Server, or a port of an EgressNetwork", async () => {
  const rules = [{ matches: [{ path: { type: "PathPrefix", value: "/foo" } }] }];
  await create(POLICY_HTTP_ROUTES, { parentRefs: [SERVER], rules });
  await create(POLICY_HTTP_ROUTES, { parentRefs: [EGRESS_PARENT], rules });
  const unknown = [{ matches: [{ path: { type: "Suffix", value: "/foo" } }] }];
  await refused(
    POLICY_HTTP_ROUTES,
    { parentRefs: [SERVER], rules: unknown },
    /spec\.rules\[0\]\.matches\[0\]\.path\.type/,
  );
});

test("[HG01] [HG02] [HG03] [HG04] the gateway's HTTPRoute may use filters that we have not", async () => {
  const route = (...filters: object[]) =>
    create(GATEWAY_HTTP_ROUTES, { parentRefs: [SERVER], rules: [{ filters }] });
  await route();
  await route({ type: "RequestMirror", requestMirror: { backendRef: { name: "a", port: 80 } } });
  await route({
    type: "URLRewrite",
    urlRewrite: { hostname: "a.example", path: { type: "ReplaceFullPath", replaceFullPath: "/x" } },
  });
  await route({ type: "ExtensionRef", extensionRef: { group: "g.example", kind: "K", name: "n" } });
});

test("[HG05] [HG06] [HG07] the gateway's HTTPRoute may have backends of any kind", async () => {
  const route = (backend: object) =>
    create(GATEWAY_HTTP_ROUTES, { parentRefs: [SERVER], rules: [{ backendRefs: [backend] }] });
  await route({ group: "alien.example", kind: "ExoticBackend", name: "b" });
  await route({ group: "core", kind: "Service", name: "b", namespace: "ns", port: 8888 });
  await route({ name: "b", namespace: "ns", port: 8888 });
});

test("[TC01] [3.1/TL01] a TCPRoute and a TLSRoute may be on a port of an EgressNetwork", async () => {
  const spec = { parentRefs: [EGRESS_PARENT], rules: [{}] };
  await create(TCP_ROUTES, spec);
  await create(TLS_ROUTES, spec);
});
