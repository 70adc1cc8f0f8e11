import assert from "node:assert/strict";
import { test } from "node:test";
import type { Json, JsonObject } from "@heddle/apiserver/json/value";
import type { TestClient } from "@heddle/apiserver/testing/client";
import { startFixture } from "@heddle/apiserver/testing/fixture";

const NS = "/api/v1/namespaces";
const DEFAULT = `${NS}/default`;
const SLICES = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices";
const SETS = "/apis/apps/v1/namespaces/default/replicasets";

function meta(object: JsonObject): JsonObject {
  return object["metadata"] as JsonObject;
}

/** Waits, by a watch, until the objects of a path are as wanted. */
async function eventually(
  client: TestClient,
  path: string,
  isWanted: (items: JsonObject[]) => boolean,
): Promise<JsonObject[]> {
  const list = (await client.get(path)).body;
  const items = new Map((list["items"] as JsonObject[]).map((item) => [meta(item)["uid"], item]));
  const mark = path.includes("?") ? "&" : "?";
  using watch = await client.watch(
    `${path}${mark}resourceVersion=${meta(list)["resourceVersion"]}`,
  );
  while (!isWanted([...items.values()])) {
    const event = await watch.next();
    if (event === undefined) throw new Error("the watch ended");
    if (event.type === "DELETED") items.delete(meta(event.object)["uid"]);
    else items.set(meta(event.object)["uid"], event.object);
  }
  return [...items.values()];
}

function named(items: readonly JsonObject[], name: string): JsonObject | undefined {
  return items.find((item) => meta(item)["name"] === name);
}

async function create(client: TestClient, path: string, body: JsonObject): Promise<JsonObject> {
  const answer = await client.post(path, body);
  assert.equal(answer.code, 201, answer.text);
  return answer.body;
}

function set(name: string, owners: readonly JsonObject[] = [], extra: JsonObject = {}): JsonObject {
  const labels = { app: name };
  return {
    metadata: { name, ownerReferences: owners as Json, ...extra },
    spec: {
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: { containers: [{ name: "c", image: "x" }] } },
    },
  };
}

function ownedBy(owner: JsonObject, blocks = false): JsonObject {
  return {
    apiVersion: String(owner["apiVersion"]),
    kind: String(owner["kind"]),
    name: String(meta(owner)["name"]),
    uid: String(meta(owner)["uid"]),
    ...(blocks ? { blockOwnerDeletion: true } : {}),
  };
}

async function pod(
  client: TestClient,
  name: string,
  ip: string,
  options: { readonly ready?: boolean; readonly labels?: JsonObject; readonly port?: number } = {},
): Promise<void> {
  const { ready = true, labels = { app: "web" }, port = 8080 } = options;
  await create(client, `${DEFAULT}/pods`, {
    metadata: { name, labels },
    spec: {
      containers: [{ name: "c", image: "x", ports: [{ name: "http", containerPort: port }] }],
    },
  });
  const { code, text } = await client.patch(`${DEFAULT}/pods/${name}/status`, "merge", {
    status: {
      phase: "Running",
      podIP: ip,
      podIPs: [{ ip }],
      conditions: [{ type: "Ready", status: ready ? "True" : "False" }],
    },
  });
  assert.equal(code, 200, text);
}

interface EndpointShape {
  readonly addresses: string[];
  readonly conditions: { readonly ready: boolean; readonly serving: boolean };
  readonly targetRef: { readonly kind: string; readonly name: string };
}

function endpointsOf(slices: readonly JsonObject[]): EndpointShape[] {
  return slices
    .flatMap((slice) => slice["endpoints"] as unknown as EndpointShape[])
    .sort((a, b) => (a.addresses[0]! < b.addresses[0]! ? -1 : 1));
}

test("every namespace has a default account and the server's anchors, also after they are deleted", async () => {
  await using fixture = await startFixture();
  const { admin, server } = fixture;
  await create(admin, NS, { metadata: { name: "new" } });
  await eventually(
    admin,
    `${NS}/new/serviceaccounts`,
    (items) => named(items, "default") !== undefined,
  );
  const maps = await eventually(admin, `${NS}/new/configmaps`, (items) => items.length > 0);
  assert.deepEqual(named(maps, "kube-root-ca.crt")?.["data"], { "ca.crt": server.caPem });
  const { uid } = meta((await admin.get(`${NS}/new/serviceaccounts/default`)).body);
  await admin.delete(`${NS}/new/serviceaccounts/default`);
  await eventually(
    admin,
    `${NS}/new/serviceaccounts`,
    (items) => named(items, "default") !== undefined && meta(items[0]!)["uid"] !== uid,
  );
});

test("a namespace takes its content with it, and waits for what finalizers hold", async () => {
  await using fixture = await startFixture();
  const { admin } = fixture;
  await create(admin, NS, { metadata: { name: "old" } });
  await create(admin, `${NS}/old/configmaps`, { metadata: { name: "plain" } });
  await create(admin, `${NS}/old/configmaps`, {
    metadata: { name: "held", finalizers: ["example.com/hold"] },
  });
  const marked = await admin.delete(`${NS}/old`);
  assert.equal((marked.body["status"] as JsonObject)["phase"], "Terminating");
  const refused = await admin.post(`${NS}/old/configmaps`, { metadata: { name: "late" } });
  assert.equal(refused.code, 403);
  assert.match(refused.text, /NamespaceTerminating/);
  const left = await eventually(admin, `${NS}/old/configmaps`, (items) => items.length === 1);
  assert.equal(meta(left[0]!)["name"], "held");
  assert.equal((await admin.get(`${NS}/old`)).code, 200);
  await admin.patch(`${NS}/old/configmaps/held`, "merge", { metadata: { finalizers: null } });
  await eventually(admin, NS, (items) => named(items, "old") === undefined);
  assert.equal((await admin.get(`${NS}/old/serviceaccounts`)).body["items"]?.toString(), "");
  assert.equal((await admin.delete(`${NS}/default`)).code, 403);
});

test("objects go when their last owner is gone, in the background", async () => {
  await using fixture = await startFixture();
  const { admin } = fixture;
  const one = await create(admin, SETS, set("one"));
  const two = await create(admin, SETS, set("two"));
  await create(admin, SETS, set("child", [ownedBy(one), ownedBy(two)]));
  await create(admin, SETS, set("grandchild", [ownedBy((await admin.get(`${SETS}/child`)).body)]));
  await admin.delete(`${SETS}/one`);
  const kept = await eventually(admin, SETS, (items) => {
    const owners = meta(named(items, "child")!)["ownerReferences"] as Json[];
    return owners.length === 1;
  });
  assert.equal(kept.length, 3);
  await admin.delete(`${SETS}/two`);
  await eventually(admin, SETS, (items) => items.length === 0);
});

test("an object whose owner was never there goes too", async () => {
  await using fixture = await startFixture();
  const { admin } = fixture;
  const owner = { apiVersion: "apps/v1", kind: "ReplicaSet", name: "x", uid: "no-such-uid" };
  await create(admin, SETS, set("stray", [owner]));
  await eventually(admin, SETS, (items) => items.length === 0);
});

test("a foreground delete ends the dependents that block it first", async () => {
  await using fixture = await startFixture();
  const { admin } = fixture;
  const owner = await create(admin, SETS, set("owner"));
  const held = { finalizers: ["example.com/hold"] };
  await create(admin, SETS, set("child", [ownedBy(owner, true)], held));
  const list = (await admin.get(SETS)).body;
  using watch = await admin.watch(`${SETS}?resourceVersion=${meta(list)["resourceVersion"]}`);
  const marked = await admin.delete(`${SETS}/owner`, { propagationPolicy: "Foreground" });
  assert.deepEqual(meta(marked.body)["finalizers"], ["foregroundDeletion"]);
  const isMarked = ({ object }: { object: JsonObject }): boolean =>
    meta(object)["name"] === "child" && meta(object)["deletionTimestamp"] !== undefined;
  await watch.until(isMarked);
  assert.equal((await admin.get(`${SETS}/owner`)).code, 200);
  await admin.patch(`${SETS}/child`, "merge", { metadata: { finalizers: null } });
  const gone = await watch.until(({ type }) => type === "DELETED");
  assert.equal(meta(gone.object)["name"], "child");
  const last = await watch.until(({ type }) => type === "DELETED");
  assert.equal(meta(last.object)["name"], "owner");
});

test("an orphaning delete leaves the dependents, without their owner", async () => {
  await using fixture = await startFixture();
  const { admin } = fixture;
  const owner = await create(admin, SETS, set("owner"));
  await create(admin, SETS, set("child", [ownedBy(owner)]));
  await admin.delete(`${SETS}/owner`, { propagationPolicy: "Orphan" });
  const left = await eventually(admin, SETS, (items) => items.length === 1);
  assert.equal(meta(left[0]!)["name"], "child");
  assert.equal(meta(left[0]!)["ownerReferences"], undefined);
});

test("slices and Endpoints follow the pods that a Service selects", async () => {
  await using fixture = await startFixture();
  const { admin } = fixture;
  await pod(admin, "a", "10.0.0.1");
  await pod(admin, "b", "10.0.0.2", { ready: false });
  await pod(admin, "other", "10.0.0.9", { labels: { app: "else" } });
  const service = await create(admin, `${DEFAULT}/services`, {
    metadata: { name: "web", labels: { team: "x" } },
    spec: { selector: { app: "web" }, ports: [{ name: "h", port: 80, targetPort: "http" }] },
  });
  const slices = await eventually(admin, SLICES, (items) => endpointsOf(items).length === 2);
  const [slice] = slices;
  assert.deepEqual(slice!["ports"], [{ name: "h", port: 8080, protocol: "TCP" }]);
  assert.deepEqual(meta(slice!)["labels"], {
    team: "x",
    "kubernetes.io/service-name": "web",
    "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
  });
  assert.equal(
    ownedBy(service)["uid"],
    (meta(slice!)["ownerReferences"] as JsonObject[])[0]!["uid"],
  );
  const [a, b] = endpointsOf(slices);
  assert.deepEqual(a!.conditions, { ready: true, serving: true, terminating: false });
  assert.deepEqual(b!.conditions, { ready: false, serving: false, terminating: false });
  assert.equal(a!.targetRef.name, "a");
  await admin.patch(`${DEFAULT}/pods/b/status`, "strategic-merge", {
    status: { conditions: [{ type: "Ready", status: "True" }] },
  });
  await eventually(admin, SLICES, (items) => endpointsOf(items).every((e) => e.conditions.ready));
  const objects = await eventually(admin, `${DEFAULT}/endpoints`, (items) => {
    const subsets = (named(items, "web")?.["subsets"] ?? []) as { addresses?: Json[] }[];
    return subsets[0]?.addresses?.length === 2;
  });
  assert.equal(objects.length, 1);
  await admin.delete(`${DEFAULT}/pods/a`);
  const left = await eventually(admin, SLICES, (items) => endpointsOf(items).length === 1);
  assert.equal(meta(left[0]!)["uid"], meta(slice!)["uid"]);
  await admin.delete(`${DEFAULT}/services/web`);
  await eventually(admin, SLICES, (items) => items.length === 0);
  await eventually(admin, `${DEFAULT}/endpoints`, (items) => items.length === 0);
});

test("pods that serve a named port under different numbers stand in slices of their own", async () => {
  await using fixture = await startFixture();
  const { admin } = fixture;
  await pod(admin, "a", "10.0.0.1", { port: 8080 });
  await pod(admin, "b", "10.0.0.2", { port: 9090 });
  await create(admin, `${DEFAULT}/services`, {
    metadata: { name: "web" },
    spec: { selector: { app: "web" }, ports: [{ port: 80, targetPort: "http" }] },
  });
  const slices = await eventually(admin, SLICES, (items) => endpointsOf(items).length === 2);
  const ports = slices.map((slice) => (slice["ports"] as JsonObject[])[0]!["port"]);
  assert.deepEqual(ports.sort(), [8080, 9090]);
});

test("Endpoints that are written by hand are mirrored into slices", async () => {
  await using fixture = await startFixture();
  const { admin } = fixture;
  await create(admin, `${DEFAULT}/services`, {
    metadata: { name: "db" },
    spec: { ports: [{ port: 5432 }] },
  });
  await create(admin, `${DEFAULT}/endpoints`, {
    metadata: { name: "db" },
    subsets: [{ addresses: [{ ip: "192.0.2.1" }], ports: [{ port: 5432 }] }],
  });
  const slices = await eventually(admin, SLICES, (items) => endpointsOf(items).length === 1);
  const labels = meta(slices[0]!)["labels"] as JsonObject;
  assert.equal(
    labels["endpointslice.kubernetes.io/managed-by"],
    "endpointslicemirroring-controller.k8s.io",
  );
  assert.deepEqual(endpointsOf(slices)[0]!.addresses, ["192.0.2.1"]);
});
