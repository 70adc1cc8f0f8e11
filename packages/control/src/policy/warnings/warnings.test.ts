import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { KubeClient } from "@heddle/kube/client";
import { CUSTOM_RESOURCE_DEFINITIONS, PODS, SERVICES } from "@heddle/kube/types/core";
import {
  AUTHORIZATION_POLICIES,
  EGRESS_NETWORKS,
  EXTERNAL_WORKLOADS,
  HTTP_LOCAL_RATE_LIMIT_POLICIES,
  SERVER_AUTHORIZATIONS,
  SERVERS,
  SERVICE_PROFILES,
} from "@heddle/kube/types/linkerd";
import type { KubeObject, Resource } from "@heddle/kube/types/meta";
import { GATEWAY_HTTP_ROUTES, POLICY_HTTP_ROUTES } from "@heddle/kube/types/routes";
import { ApiStore } from "@heddle/testkit/api-store";
import { TestNamespace } from "../../testing/objects.ts";
import { startValidators } from "../admission/test-validators.ts";
import { TLS_ROUTES } from "../resources.ts";

const parts = new AsyncDisposableStack();
let client: KubeClient;
let said: string[] = [];
before(async () => {
  const store = parts.use(await ApiStore.start());
  parts.use(await startValidators(store));
  const { cluster } = store.client;
  client = parts.use(new KubeClient({ cluster, onWarning: (text) => said.push(text) }));
});
after(() => parts.disposeAsync());

const POLICY = "policy.linkerd.io";
const MESHED = { app: "web", "linkerd.io/control-plane-ns": "linkerd" };

/** What is said when it is created, which it is. */
async function warned<T extends KubeObject>(
  of: Resource<T>,
  namespace: TestNamespace,
  spec: object,
  metadata: object = {},
): Promise<string[]> {
  said = [];
  const named = { name: "one", namespace: namespace.name, ...metadata };
  await client.create(of, { metadata: named, spec } as unknown as T);
  return said;
}

async function pod(namespace: TestNamespace, name: string, labels: object): Promise<void> {
  const ports = [{ name: "http", containerPort: 8080 }];
  await client.create(PODS, {
    metadata: { name, namespace: namespace.name, labels: { ...labels } },
    spec: {
      serviceAccountName: "web",
      containers: [{ name: "web", image: "web", ports } as never],
    },
  });
}

test("a Server that selects nothing, nothing meshed or no port is taken with a warning", async () => {
  const ns = await TestNamespace.create(client, "warn-server");
  const spec = { podSelector: { matchLabels: { app: "web" } }, port: "http" };
  const none = "spec.podSelector: matches no pod in warn-server yet: check its labels";
  assert.deepEqual(await warned(SERVERS, ns, spec), [none]);
  await pod(ns, "bare", { app: "web" });
  const [bare] = await warned(SERVERS, ns, spec, { name: "two" });
  assert.match(bare!, /^spec\.podSelector: matches no meshed pod yet/);
  await pod(ns, "meshed", MESHED);
  const [port] = await warned(SERVERS, ns, { ...spec, port: "https" }, { name: "three" });
  assert.match(port!, /^spec\.port: no pod that is selected has a port named https/);
  const machines = { externalWorkloadSelector: { matchLabels: { app: "web" } }, port: 80 };
  const [machine] = await warned(SERVERS, ns, machines, { name: "four" });
  assert.match(machine!, /^spec\.externalWorkloadSelector: matches no ExternalWorkload/);
  await client.create(EXTERNAL_WORKLOADS, {
    metadata: { name: "vm", namespace: ns.name, labels: { app: "web" } },
    spec: { meshTLS: { identity: "spiffe://td/vm", serverName: "vm" } },
  });
  assert.deepEqual(await warned(SERVERS, ns, machines, { name: "later" }), [
    "spec: Server four selects port 80 of vm too: four is older and wins",
  ]);
});

test("a Server that overlaps with another is told which of them wins, when it is changed as well", async () => {
  const ns = await TestNamespace.create(client, "warn-overlap");
  await pod(ns, "web", MESHED);
  const podSelector = { matchExpressions: [{ key: "app", operator: "In", values: ["web", "x"] }] };
  assert.deepEqual(await warned(SERVERS, ns, { podSelector, port: "http" }), []);
  const two = await warned(SERVERS, ns, { podSelector: {}, port: 8080 }, { name: "two" });
  assert.deepEqual(two, ["spec: Server one selects port 8080 of web too: one is older and wins"]);
  assert.deepEqual(await warned(SERVERS, ns, { podSelector, port: 81 }, { name: "three" }), []);
  said = [];
  const ref = { namespace: ns.name, name: "one" };
  await client.patch(SERVERS, ref, {
    type: "merge",
    body: { spec: { proxyProtocol: "HTTP/1" } },
  });
  assert.match(said.join(), /^spec: Server two selects port 8080 of web too/);
});

test("policies for what is not there are taken with a warning", async () => {
  const ns = await TestNamespace.create(client, "warn-policy");
  const server = { group: POLICY, kind: "Server", name: "api" };
  const tls = { group: POLICY, kind: "MeshTLSAuthentication", name: "tls", namespace: "other" };
  const account = { kind: "ServiceAccount", name: "web" };
  const spec = (...refs: object[]) => ({ targetRef: server, requiredAuthenticationRefs: refs });
  assert.deepEqual(await warned(AUTHORIZATION_POLICIES, ns, spec(tls)), [
    "spec.targetRef: Server api is not in warn-policy yet",
    "spec.requiredAuthenticationRefs[0]: MeshTLSAuthentication tls is not in other yet: until it is, nobody is admitted",
  ]);
  const unauthenticated = { unauthenticated: true };
  const selector = { matchLabels: { tier: "x" } };
  const byLabel = { server: { selector }, client: unauthenticated };
  assert.match(
    (await warned(SERVER_AUTHORIZATIONS, ns, byLabel))[0]!,
    /selector: matches no Server/,
  );
  const limit = { targetRef: server, total: { requestsPerSecond: 1 } };
  assert.match(
    (await warned(HTTP_LOCAL_RATE_LIMIT_POLICIES, ns, limit))[0]!,
    /Server api is not in/,
  );
  await warned(SERVERS, ns, { podSelector: {}, port: 1 }, { name: "api", labels: { tier: "x" } });
  const more = { name: "two" };
  assert.deepEqual(await warned(AUTHORIZATION_POLICIES, ns, spec(account), more), []);
  assert.deepEqual(await warned(SERVER_AUTHORIZATIONS, ns, byLabel, more), []);
  const rival = await warned(HTTP_LOCAL_RATE_LIMIT_POLICIES, ns, limit, more);
  assert.deepEqual(rival, [
    "spec.targetRef: Server api has the limit one, which is older and wins",
  ]);
});

test("a route without parents, or with such as cannot be, is taken with a warning", async () => {
  const ns = await TestNamespace.create(client, "warn-route");
  const route = (parentRefs: object[], name: string) =>
    warned(POLICY_HTTP_ROUTES, ns, { parentRefs, rules: [{}] }, { name });
  assert.match((await route([], "a"))[0]!, /^spec\.parentRefs: is empty/);
  const parent = (kind: string, more: object = {}) => ({
    group: kind === "Service" ? "core" : POLICY,
    kind,
    name: "parent",
    ...more,
  });
  assert.deepEqual(
    await route([parent("Server"), parent("Service"), parent("EgressNetwork", { port: 1 })], "b"),
    [
      "spec.parentRefs[0]: Server parent is not in warn-route yet",
      "spec.parentRefs[1]: Service parent is not in warn-route yet",
      "spec.parentRefs[2]: EgressNetwork parent is not in warn-route yet",
    ],
  );
  await ns.service("parent", { ports: [{ port: 80 }] });
  await ns.service("headless", { clusterIP: "None", ports: [{ port: 80 }] });
  const refs = [parent("Service", { port: 81 }), parent("Service", { name: "headless" })];
  const [port, headless] = await route(refs, "c");
  assert.equal(port, "spec.parentRefs[0].port: Service parent has no port 81");
  assert.match(headless!, /Service headless has no cluster IP/);
  const [elsewhere, section] = await route(
    [parent("Server", { namespace: "other" }), parent("Server", { port: 80 })],
    "d",
  );
  assert.match(elsewhere!, /^spec\.parentRefs\[0\]\.namespace: a Server takes routes of its own/);
  assert.match(section!, /^spec\.parentRefs\[1\]\.port: a Server has none/);
  assert.deepEqual(await route([parent("Service", { port: 80 })], "e"), []);
});

test("annotations and routes that a ServiceProfile shadows are told, from both sides", async () => {
  const ns = await TestNamespace.create(client, "warn-profile");
  const name = "web.warn-profile.svc.cluster.local";
  const routes = [{ name: "r", condition: { pathRegex: "/(" } }];
  const unknown = await warned(SERVICE_PROFILES, ns, { routes }, { name });
  assert.match(unknown[0]!, /^spec\.routes\[0\]\.condition: Cannot compile pattern/);
  assert.equal(unknown[1], "metadata.name: Service web is not in warn-profile yet");
  const annotations = { "retry.linkerd.io/http": "5xx", other: "x" };
  await ns.service("web", { ports: [{ port: 80 }] }, { annotations });
  const parentRefs = [{ group: "core", kind: "Service", name: "web", port: 80 }];
  const [shadowed] = await warned(POLICY_HTTP_ROUTES, ns, { parentRefs, rules: [{}] });
  assert.match(shadowed!, /^spec\.parentRefs\[0\]: the ServiceProfile web\..* goes before routes/);
  said = [];
  const good = { routes: [{ name: "r", condition: { pathRegex: "/.*" } }] };
  const ref = { namespace: ns.name, name };
  await client.patch(SERVICE_PROFILES, ref, { type: "merge", body: { spec: good } });
  assert.deepEqual(said, [
    "metadata.name: the profile goes before annotations of Service web: retry.linkerd.io/http",
    "metadata.name: the profile goes before HTTPRoute one of the Service",
  ]);
});

test("where profile and routes are merged none shadows another: only what cannot be is told", async () => {
  const ns = await TestNamespace.create(client, "warn-merge");
  const annotations = { "config.heddle.dev/route-merge": "true", "retry.linkerd.io/http": "5xx" };
  const metadata = { name: "web", namespace: ns.name, annotations };
  await client.create(SERVICES, { metadata, spec: { ports: [{ port: 80 }] } });
  const name = `web.${ns.name}.svc.cluster.local`;
  const routes = [
    { name: "good", condition: { method: "GET" } },
    { name: "bad", condition: { all: [{ not: { method: "GET" } }] } },
  ];
  assert.deepEqual(await warned(SERVICE_PROFILES, ns, { routes }, { name }), [
    "spec.routes: bad cannot be merged: a route cannot say `not`",
  ]);
  const parentRefs = [{ group: "core", kind: "Service", name: "web", port: 80 }];
  assert.deepEqual(await warned(POLICY_HTTP_ROUTES, ns, { parentRefs, rules: [{}] }), []);
});

test("annotations that do nothing, but nearly or elsewhere would, are told", async () => {
  const ns = await TestNamespace.create(client, "warn-annotation");
  const about = (annotations: object) =>
    warned(EGRESS_NETWORKS, ns, { trafficPolicy: "Allow" }, { name: "egress", annotations });
  const words = await about({
    "timeout.linkerd.io/reqest": "1s",
    "retry.linkerd.io/everything": "true",
    "config.linkerd.io/opaque-port": "80",
    "example.com/own": "x",
    "timeout.linkerd.io/response": "5constructor",
    ["a".repeat(60)]: "__proto__",
  });
  const of = (key: string) => `metadata.annotations[${key}]: does nothing on a EgressNetwork`;
  assert.deepEqual(words.toSorted(), [
    `${of("config.linkerd.io/opaque-port")}: did you mean config.linkerd.io/opaque-ports?`,
    `${of("retry.linkerd.io/everything")}: remove it`,
    `${of("timeout.linkerd.io/reqest")}: did you mean timeout.linkerd.io/request?`,
    'metadata.annotations[timeout.linkerd.io]: "5constructor" is not a duration: the units are ms, s, m, h and d, and does nothing',
  ]);
});

test("a filter that no proxy has, and an authorization of nobody, are taken with a warning", async () => {
  const ns = await TestNamespace.create(client, "warn-filter");
  await ns.service("web", { ports: [{ port: 80 }] });
  const parentRefs = [{ group: "", kind: "Service", name: "web", port: 80 }];
  const urlRewrite = { hostname: "a.example" };
  const rules = [{ filters: [{ type: "URLRewrite", urlRewrite }] }];
  assert.deepEqual(await warned(GATEWAY_HTTP_ROUTES, ns, { parentRefs, rules }), [
    "spec.rules[0].filters[0]: the filter URLRewrite is not supported: the route is not used",
  ]);
  await warned(SERVERS, ns, { podSelector: {}, port: 1 }, { name: "api" });
  const nobody = { server: { name: "api" }, client: { unauthenticated: false } };
  assert.deepEqual(await warned(SERVER_AUTHORIZATIONS, ns, nobody), [
    "spec.client: names no clients: nobody is admitted by it",
  ]);
});

/** Definitions of TLSRoute as a Gateway API newer than ours might have them, until disposed. */
async function newerTlsRoutes(): Promise<AsyncDisposable> {
  const name = "tlsroutes.gateway.networking.k8s.io";
  const before = (await client.get(CUSTOM_RESOURCE_DEFINITIONS, { name })).spec.versions;
  const open = { type: "object", "x-kubernetes-preserve-unknown-fields": true };
  const schema = { openAPIV3Schema: { type: "object", properties: { spec: open } } };
  const versions = before.map((version) => ({ ...version, schema }));
  const put = async (all: readonly object[]): Promise<void> => {
    const body = { spec: { versions: all } };
    await client.patch(CUSTOM_RESOURCE_DEFINITIONS, { name }, { type: "merge", body });
  };
  await put(versions);
  const metadata = { name: "probe", namespace: "default" };
  const probe = { metadata, spec: { rules: [{}], newer: true } };
  // A real API server takes up a definition some time after it was written.
  for (const deadline = performance.now() + 30_000; ; ) {
    const made = await client.create(TLS_ROUTES, probe, { dryRun: true });
    if ("newer" in made.spec) break;
    if (performance.now() > deadline) throw new Error("waited in vain for the definition");
    await sleep(20);
  }
  return { [Symbol.asyncDispose]: () => put(before) };
}

test("fields that are newer than we are are told, and a spec that cannot be read", async () => {
  await using _ = await newerTlsRoutes();
  const ns = await TestNamespace.create(client, "warn-newer");
  await ns.service("web", { ports: [{ port: 80 }] });
  const parentRefs = [{ group: "core", kind: "Service", name: "web", port: 80, mode: "x" }];
  const rules = [{ backendRefs: [], sessionPersistence: {} }];
  assert.deepEqual(await warned(TLS_ROUTES, ns, { parentRefs, rules, useDefaults: "All" }), [
    "spec.parentRefs[0].mode: is not known here, and does nothing",
    "spec.rules[0].sessionPersistence: is not known here, and does nothing",
    "spec.useDefaults: is not known here, and does nothing",
  ]);
  const odd = await warned(TLS_ROUTES, ns, { parentRefs, rules: {} }, { name: "two" });
  assert.deepEqual(odd, ["spec.rules: is no list: write one; the route is not used"]);
});

test("warnings cost nobody an answer: what is asked too much, or too many at once, is let be", async () => {
  const ns = await TestNamespace.create(client, "warn-many");
  const parentRefs = Array.from({ length: 32 }, (_, at) => ({
    group: "core",
    kind: "Service",
    name: `service-${at}`,
  }));
  const made = Array.from({ length: 20 }, (_, at) =>
    warned(POLICY_HTTP_ROUTES, ns, { parentRefs, rules: [{}] }, { name: `route-${at}` }),
  );
  await Promise.all(made);
  const { items } = await client.list(POLICY_HTTP_ROUTES, { namespace: ns.name });
  assert.equal(items.length, 20);
  const services = await client.list(SERVICES, { namespace: ns.name });
  assert.equal(services.items.length, 0);
});
