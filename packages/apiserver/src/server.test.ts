import assert from "node:assert/strict";
import { test } from "node:test";
import type { JsonObject } from "@heddle/apiserver/json/value";
import { startFixture } from "./testing/fixture.ts";

const MAPS = "/api/v1/namespaces/default/configmaps";

function map(name: string, data: Record<string, string> = {}, labels: JsonObject = {}): JsonObject {
  return { apiVersion: "v1", kind: "ConfigMap", metadata: { name, labels }, data };
}

function meta(object: JsonObject): JsonObject {
  return object["metadata"] as JsonObject;
}

test("server creates, reads, replaces and deletes an object", async () => {
  await using fixture = await startFixture();
  const { admin } = fixture;
  const made = await admin.post(MAPS, map("a", { k: "1" }));
  assert.equal(made.code, 201);
  assert.match(String(meta(made.body)["uid"]), /^[0-9a-f-]{36}$/);
  const read = await admin.get(`${MAPS}/a`);
  assert.deepEqual(read.body, made.body);
  const changed = await admin.put(`${MAPS}/a`, { ...read.body, data: { k: "2" } });
  assert.equal(changed.code, 200);
  assert.ok(
    Number(meta(changed.body)["resourceVersion"]) > Number(meta(read.body)["resourceVersion"]),
  );
  const gone = await admin.delete(`${MAPS}/a`);
  assert.equal(gone.body["status"], "Success");
  assert.equal((await admin.get(`${MAPS}/a`)).code, 404);
});

test("server refuses an update that was made from an older revision", async () => {
  await using fixture = await startFixture();
  const { admin } = fixture;
  const first = (await admin.post(MAPS, map("a"))).body;
  await admin.put(`${MAPS}/a`, { ...first, data: { k: "1" } });
  const late = await admin.put(`${MAPS}/a`, { ...first, data: { k: "2" } });
  assert.equal(late.code, 409);
  assert.equal(late.body["reason"], "Conflict");
});

test("server leaves the revision alone when an update changes nothing", async () => {
  await using fixture = await startFixture();
  const { admin } = fixture;
  const first = (await admin.post(MAPS, map("a", { k: "1" }))).body;
  const same = await admin.patch(`${MAPS}/a`, "merge", { data: { k: "1" } });
  assert.equal(meta(same.body)["resourceVersion"], meta(first)["resourceVersion"]);
});

test("server lets one of many updates from the same revision win", async () => {
  await using fixture = await startFixture();
  const { admin } = fixture;
  const first = (await admin.post(MAPS, map("a"))).body;
  const tries = Array.from({ length: 16 }, (_, at) =>
    admin.put(`${MAPS}/a`, { ...first, data: { k: String(at) } }),
  );
  const codes = (await Promise.all(tries)).map(({ code }) => code);
  assert.equal(codes.filter((code) => code === 200).length, 1);
  assert.equal(codes.filter((code) => code === 409).length, 15);
});

test("server tells a watch of changes behind a revision, and of nothing else", async () => {
  await using fixture = await startFixture();
  const { admin } = fixture;
  const list = (await admin.get(MAPS)).body;
  const rv = String(meta(list)["resourceVersion"]);
  using watch = await admin.watch(`${MAPS}?resourceVersion=${rv}&labelSelector=app%3Da`);
  await admin.post(MAPS, map("other", {}, { app: "b" }));
  await admin.post(MAPS, map("one", {}, { app: "a" }));
  await admin.patch(`${MAPS}/one`, "merge", { data: { k: "1" } });
  await admin.patch(`${MAPS}/one`, "merge", { metadata: { labels: { app: "b" } } });
  await admin.patch(`${MAPS}/one`, "merge", { metadata: { labels: { app: "a" } } });
  await admin.delete(`${MAPS}/one`);
  const seen: string[] = [];
  for (let at = 0; at < 5; at++) seen.push((await watch.next())!.type);
  assert.deepEqual(seen, ["ADDED", "MODIFIED", "DELETED", "ADDED", "DELETED"]);
});

test("server begins a watch without revision with what is there", async () => {
  await using fixture = await startFixture();
  const { admin } = fixture;
  await admin.post(MAPS, map("a", {}, { app: "x" }));
  using watch = await admin.watch(`${MAPS}?labelSelector=app`);
  const first = await watch.next();
  assert.equal(first!.type, "ADDED");
  assert.equal(meta(first!.object)["name"], "a");
});

test("server ends a watch of a revision that is compacted with 410", async () => {
  await using fixture = await startFixture({ history: { maxEvents: 4, maxBytes: 1_000_000 } });
  const { admin } = fixture;
  const rv = String(meta((await admin.get(MAPS)).body)["resourceVersion"]);
  for (let at = 0; at < 8; at++) await admin.post(MAPS, map(`a${at}`));
  using watch = await admin.watch(`${MAPS}?resourceVersion=${rv}`);
  const event = (await watch.next())!;
  assert.equal(event.type, "ERROR");
  assert.equal(event.object["code"], 410);
  assert.equal(event.object["reason"], "Expired");
  assert.equal(await watch.next(), undefined);
});

test("server sends bookmarks to a watch that allows them, when it ends too", async () => {
  await using fixture = await startFixture();
  const { admin } = fixture;
  const rv = String(meta((await admin.get(MAPS)).body)["resourceVersion"]);
  await admin.post("/api/v1/namespaces/kube-system/configmaps", map("elsewhere"));
  const now = meta((await admin.get(MAPS)).body)["resourceVersion"];
  using watch = await admin.watch(
    `${MAPS}?resourceVersion=${rv}&allowWatchBookmarks=true&timeoutSeconds=1&labelSelector=none`,
  );
  const event = (await watch.next())!;
  assert.equal(event.type, "BOOKMARK");
  assert.equal(event.object["kind"], "ConfigMap");
  assert.ok(Number(meta(event.object)["resourceVersion"]) >= Number(now));
  assert.equal(await watch.next(), undefined);
});

test("server streams a list, and tells where it ends", async () => {
  await using fixture = await startFixture();
  const { admin } = fixture;
  for (const name of ["a", "b"]) await admin.post(MAPS, map(name, {}, { streamed: "1" }));
  const stream =
    "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&labelSelector=streamed&timeoutSeconds=5";
  using watch = await admin.watch(`${MAPS}?${stream}&allowWatchBookmarks=true`);
  const names = [await watch.next(), await watch.next()].map(
    (event) => meta(event!.object)["name"],
  );
  assert.deepEqual(names, ["a", "b"]);
  const end = (await watch.next())!;
  assert.equal(end.type, "BOOKMARK");
  assert.deepEqual(meta(end.object)["annotations"], { "k8s.io/initial-events-end": "true" });
  const rv = String(meta(end.object)["resourceVersion"]);
  await admin.post(MAPS, map("c", {}, { streamed: "1" }));
  assert.equal(meta((await watch.next())!.object)["name"], "c");

  using none = await admin.watch(
    `${MAPS}?sendInitialEvents=false&resourceVersionMatch=NotOlderThan&labelSelector=streamed`,
  );
  await admin.delete(`${MAPS}/a`);
  assert.equal((await none.next())!.type, "DELETED");
  assert.equal((await admin.get(`${MAPS}?watch=1&sendInitialEvents=true`)).code, 422);
  assert.equal((await admin.get(`${MAPS}?sendInitialEvents=true`)).code, 422);
  const future = `${MAPS}?watch=1&${stream}&resourceVersion=${Number(rv) + 1_000_000}`;
  assert.equal((await admin.get(future)).code, 504);
});

test("server pages a list that shows one revision throughout", async () => {
  await using fixture = await startFixture();
  const { admin } = fixture;
  for (const name of ["a", "b", "c", "d"]) await admin.post(MAPS, map(name, {}, { page: "1" }));
  const query = `${MAPS}?labelSelector=page&limit=2`;
  const first = (await admin.get(query)).body;
  await admin.delete(`${MAPS}/c`);
  await admin.post(MAPS, map("e", {}, { page: "1" }));
  const token = encodeURIComponent(String(meta(first)["continue"]));
  const second = (await admin.get(`${query}&continue=${token}`)).body;
  const names = [...(first["items"] as JsonObject[]), ...(second["items"] as JsonObject[])].map(
    (item) => meta(item)["name"],
  );
  assert.deepEqual(names, ["a", "b", "c", "d"]);
  assert.equal(meta(first)["resourceVersion"], meta(second)["resourceVersion"]);
  assert.equal(meta(second)["continue"], undefined);
});

test("server selects by labels and fields", async () => {
  await using fixture = await startFixture();
  const { admin } = fixture;
  await admin.post(MAPS, map("a", {}, { app: "x", tier: "1" }));
  await admin.post(MAPS, map("b", {}, { app: "y" }));
  const names = async (query: string): Promise<unknown[]> => {
    const { body } = await admin.get(`${MAPS}?${query}`);
    const items = (body["items"] ?? []) as JsonObject[];
    return items.map((item) => meta(item)["name"]).filter((name) => name !== "kube-root-ca.crt");
  };
  assert.deepEqual(await names("labelSelector=app+in+(x,y)"), ["a", "b"]);
  assert.deepEqual(await names("labelSelector=app!%3Dx"), ["b"]);
  assert.deepEqual(await names("labelSelector=!tier,app"), ["b"]);
  assert.deepEqual(await names("fieldSelector=metadata.name%3Da"), ["a"]);
  assert.equal((await admin.get(`${MAPS}?fieldSelector=data.k%3D1`)).code, 400);
  assert.equal((await admin.get(`${MAPS}?labelSelector=a%3D%3D%3Db`)).code, 400);
});

test("server applies JSON, merge and strategic merge patches", async () => {
  await using fixture = await startFixture();
  const { admin } = fixture;
  await admin.post("/api/v1/namespaces/default/services", {
    metadata: { name: "web" },
    spec: { ports: [{ name: "http", port: 80 }], selector: { app: "web" } },
  });
  const path = "/api/v1/namespaces/default/services/web";
  const strategic = await admin.patch(path, "strategic-merge", {
    spec: { ports: [{ name: "grpc", port: 90 }] },
  });
  const ports = (strategic.body["spec"] as JsonObject)["ports"] as JsonObject[];
  assert.deepEqual(ports.map(({ port }) => port).sort(), [80, 90]);
  const json = await admin.patch(path, "json", [
    { op: "test", path: "/metadata/name", value: "web" },
    { op: "add", path: "/metadata/annotations", value: { "a/b": "c" } },
  ]);
  assert.deepEqual(meta(json.body)["annotations"], { "a/b": "c" });
  const failed = await admin.patch(path, "json", [{ op: "test", path: "/kind", value: "Pod" }]);
  assert.equal(failed.code, 422);
  const merge = await admin.patch(path, "merge", { metadata: { annotations: null } });
  assert.equal(meta(merge.body)["annotations"], undefined);
  const unknown = await admin.patch(path, "apply", {});
  assert.equal(unknown.code, 415);
});

test("server gives Services addresses of its range, each to one of them", async () => {
  await using fixture = await startFixture({ serviceCidr: "10.43.0.0/28" });
  const { admin } = fixture;
  const path = "/api/v1/namespaces/default/services";
  const service = (name: string, spec: JsonObject = {}): JsonObject => ({
    metadata: { name },
    spec: { ports: [{ port: 80 }], ...spec },
  });
  const many = await Promise.all(
    Array.from({ length: 13 }, (_, at) => admin.post(path, service(`s${at}`))),
  );
  const addresses = many.map(({ body }) => (body["spec"] as JsonObject)["clusterIP"]);
  assert.equal(new Set(addresses).size, 13);
  assert.ok(addresses.every((address) => String(address).startsWith("10.43.0.")));
  assert.equal((await admin.post(path, service("full"))).code, 500);
  await admin.delete(`${path}/s3`);
  const again = await admin.post(path, service("again"));
  assert.equal((again.body["spec"] as JsonObject)["clusterIP"], addresses[3]);
  const headless = await admin.post(path, service("headless", { clusterIP: "None" }));
  assert.equal((headless.body["spec"] as JsonObject)["clusterIP"], "None");
  const taken = await admin.post(path, service("taken", { clusterIP: addresses[0]! }));
  assert.equal(taken.code, 403);
});

test("server keeps everything over a restart, and resumes watches", async () => {
  await using first = await startFixture();
  const rv = String(meta((await first.admin.get(MAPS)).body)["resourceVersion"]);
  const made = (await first.admin.post(MAPS, map("a", { k: "1" }))).body;
  await first.admin.delete(`${MAPS}/kube-root-ca.crt`);
  await first.server.close();
  await using second = await startFixture({ dataDir: first.dataDir });
  assert.equal(second.server.adminToken, first.server.adminToken);
  assert.equal(second.server.caPem, first.server.caPem);
  assert.deepEqual((await second.admin.get(`${MAPS}/a`)).body, made);
  using watch = await second.admin.watch(`${MAPS}?resourceVersion=${rv}`);
  const event = await watch.until(({ object }) => meta(object)["name"] === "a");
  assert.equal(event.type, "ADDED");
});

test("server answers a dry run and changes nothing", async () => {
  await using fixture = await startFixture();
  const { admin } = fixture;
  const made = await admin.post(`${MAPS}?dryRun=All`, map("a"));
  assert.equal(made.code, 201);
  assert.equal((await admin.get(`${MAPS}/a`)).code, 404);
});

test("server counts keys such as __proto__ as data", async () => {
  await using fixture = await startFixture();
  const { admin } = fixture;
  const body = Buffer.from('{"metadata":{"name":"a"},"data":{"__proto__":"x","constructor":"y"}}');
  const made = await admin.send("POST", MAPS, { body });
  assert.equal(made.code, 201);
  const patch = Buffer.from('{"data":{"__proto__":"z"}}');
  const patched = await admin.send("PATCH", `${MAPS}/a`, {
    body: patch,
    type: "application/merge-patch+json",
  });
  assert.match(patched.text, /"__proto__":"z"/);
  assert.equal(({} as { z?: string }).z, undefined);
  const bad = Buffer.from('{"metadata":{"name":"b"},"__proto__":{"metadata":{"name":"c"}}}');
  const pruned = await admin.send("POST", MAPS, { body: bad });
  assert.equal(meta(pruned.body)["name"], "b");
  assert.match(String(pruned.headers["warning"]), /unknown field/);
});

test("server refuses bodies that are too large, too deep, or no JSON", async () => {
  await using fixture = await startFixture();
  const { admin } = fixture;
  const large = await admin.send("POST", MAPS, { body: Buffer.alloc(3 * 1024 * 1024 + 1, 0x20) });
  assert.equal(large.code, 413);
  const deep = Buffer.from(`{"metadata":${"[".repeat(300)}${"]".repeat(300)}}`);
  assert.equal((await admin.send("POST", MAPS, { body: deep })).code, 400);
  assert.equal((await admin.send("POST", MAPS, { body: Buffer.from("{") })).code, 400);
  assert.equal((await admin.send("POST", MAPS, { body: Buffer.from("\xff", "latin1") })).code, 400);
  const yaml = await admin.send("POST", MAPS, {
    body: Buffer.from("a: b"),
    type: "application/yaml",
  });
  assert.equal(yaml.code, 415);
});

test("server names every wrong field with its path", async () => {
  await using fixture = await startFixture();
  const { admin } = fixture;
  const answer = await admin.post("/api/v1/namespaces/default/services", {
    metadata: { name: "Web", labels: { "bad key": "x" } },
    spec: { type: "Nothing", ports: [{ port: 80 }, { name: "a", port: 99_999 }] },
  });
  assert.equal(answer.code, 422);
  const { causes } = answer.body["details"] as { causes: { field: string }[] };
  const fields = causes.map(({ field }) => field);
  assert.ok(fields.includes("spec.type"), String(fields));
  assert.ok(fields.includes("metadata.name"), String(fields));
  assert.ok(fields.includes("metadata.labels"), String(fields));
  const strict = await admin.post(`${MAPS}?fieldValidation=Strict`, {
    ...map("a"),
    extra: { x: 1 },
  });
  assert.equal(strict.code, 400);
  assert.match(String(strict.body["message"]), /unknown field "extra"/);
});
