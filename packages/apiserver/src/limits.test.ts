import assert from "node:assert/strict";
import { once } from "node:events";
import { connect as connectPlain } from "node:net";
import { test } from "node:test";
import { connect } from "node:tls";
import type { JsonObject } from "@heddle/apiserver/json/value";
import { startApiserver } from "./server.ts";
import { startFixture } from "./testing/fixture.ts";

const MAPS = "/api/v1/namespaces/default/configmaps";

test("server cuts off a watcher that does not read, and serves the others", async () => {
  await using fixture = await startFixture({ watchLimits: { maxBufferedBytes: 2 * 1024 * 1024 } });
  const { server, admin } = fixture;
  const { hostname, port } = new URL(server.url);
  const slow = connect({ host: hostname, port: Number(port), ca: server.caPem });
  await once(slow, "secureConnect");
  slow.write(
    `GET ${MAPS}?watch=1 HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${server.adminToken}\r\n\r\n`,
  );
  await once(slow, "data");
  slow.pause();
  using quick = await admin.watch(`${MAPS}?labelSelector=big`);
  const data = { text: "x".repeat(700_000) };
  for (let at = 0; at < 30; at++) {
    await admin.post(MAPS, { metadata: { name: `big${at}`, labels: { big: "1" } }, data });
  }
  for (let at = 0; at < 30; at++) assert.equal((await quick.next())?.type, "ADDED");
  const closed = once(slow, "close");
  slow.on("error", () => {});
  let bytes = 0;
  slow.on("data", (chunk: Buffer) => {
    bytes += chunk.length;
  });
  slow.resume();
  await closed;
  assert.ok(bytes < 30 * 700_000);
});

test("server refuses more watches than it may have", async () => {
  await using fixture = await startFixture({ watchLimits: { maxWatches: 2 } });
  const { admin } = fixture;
  using first = await admin.watch(MAPS);
  const second = await admin.watch(MAPS);
  const third = await admin.get(`${MAPS}?watch=1`);
  assert.equal(third.code, 429);
  assert.equal(third.headers["retry-after"], "1");
  second[Symbol.dispose]();
  await once(second.response, "close");
  for (;;) {
    // The server hears of the end a moment later.
    const again = await admin.watch(MAPS);
    again[Symbol.dispose]();
    if (again.response.statusCode === 200) break;
  }
  assert.equal(first.response.statusCode, 200);
});

test("server ends open watches when it closes, so that their clients go elsewhere", async () => {
  await using fixture = await startFixture();
  using watch = await fixture.admin.watch(`${MAPS}?labelSelector=none`);
  const closed = fixture.server.close(10_000);
  assert.equal(await watch.next(), undefined);
  await closed;
});

test("server closes although a client never finishes its handshake", async () => {
  await using fixture = await startFixture();
  const { hostname, port } = new URL(fixture.server.url);
  const silent = connectPlain(Number(port), hostname);
  await once(silent, "connect");
  silent.on("error", () => {});
  const closed = once(silent, "close");
  silent.resume();
  await fixture.server.close(10);
  await closed;
});

test("startApiserver() says so when its port is taken, and leaves nothing open", async () => {
  await using fixture = await startFixture();
  const port = Number(new URL(fixture.server.url).port);
  await using other = await startFixture();
  await other.server.close();
  await assert.rejects(
    startApiserver({ dataDir: other.dataDir, port }),
    /Cannot listen on 127.0.0.1 port/,
  );
  await using again = await startFixture({ dataDir: other.dataDir });
  assert.equal((await again.admin.get("/readyz")).code, 200);
});

test("server answers the methods that a resource has, and refuses others", async () => {
  await using fixture = await startFixture();
  const { admin } = fixture;
  assert.equal((await admin.send("TRACE", MAPS)).code, 405);
  assert.equal((await admin.send("PUT", MAPS, { body: {} })).code, 405);
  assert.equal((await admin.send("PATCH", MAPS, { body: {} })).code, 405);
  assert.equal((await admin.send("POST", `${MAPS}/a`, { body: {} })).code, 405);
  assert.equal((await admin.delete("/api/v1/namespaces")).code, 405);
  assert.equal((await admin.get("/apis/authentication.k8s.io/v1/tokenreviews")).code, 405);
  assert.equal((await admin.send("HEAD", MAPS)).text, "");
  assert.equal((await admin.get(MAPS, { accept: "application/yaml" })).code, 406);
  assert.equal((await admin.get(MAPS, { accept: "text/html, */*;q=0.1" })).code, 200);
  for (const path of [
    "/api/v2",
    "/apis/no.such/v1",
    "/api/v1/nosuch",
    "/nosuch",
    "/api/v1/nodes/a/b/c",
  ]) {
    assert.equal((await admin.get(path)).code, 404, path);
  }
  assert.equal((await admin.get("/api/v1/namespaces/default/nodes")).code, 404);
});

test("server deletes a collection by selector, and nothing else", async () => {
  await using fixture = await startFixture();
  const { admin } = fixture;
  for (const name of ["a", "b", "c"]) {
    const labels = name === "c" ? {} : { old: "1" };
    await admin.post(MAPS, { metadata: { name, labels } });
  }
  const gone = await admin.delete(`${MAPS}?labelSelector=old`);
  assert.equal(gone.code, 200);
  const { items } = (await admin.get(MAPS)).body as { items: { metadata: JsonObject }[] };
  const left = items.map(({ metadata }) => metadata["name"]);
  assert.ok(left.includes("c") && !left.includes("a") && !left.includes("b"));
});

test("server honours the preconditions of a delete", async () => {
  await using fixture = await startFixture();
  const { admin } = fixture;
  const { metadata } = (await admin.post(MAPS, { metadata: { name: "a" } })).body as {
    metadata: JsonObject;
  };
  const wrong = await admin.delete(`${MAPS}/a`, { preconditions: { uid: "other" } });
  assert.equal(wrong.code, 409);
  const stale = await admin.delete(`${MAPS}/a`, { preconditions: { resourceVersion: "1" } });
  assert.equal(stale.code, 409);
  const { uid, resourceVersion } = metadata as { uid: string; resourceVersion: string };
  const right = await admin.delete(`${MAPS}/a`, { preconditions: { uid, resourceVersion } });
  assert.equal(right.code, 200);
});

test("server shows events alike in both of their groups", async () => {
  await using fixture = await startFixture();
  const { admin } = fixture;
  await admin.post("/api/v1/namespaces/default/events", {
    metadata: { name: "e" },
    involvedObject: { kind: "Pod", name: "p", namespace: "default" },
    message: "hello",
    reason: "Test",
    type: "Normal",
  });
  const newer = "/apis/events.k8s.io/v1/namespaces/default/events";
  const { body } = await admin.get(`${newer}/e`);
  assert.equal(body["note"], "hello");
  assert.deepEqual(body["regarding"], { kind: "Pod", name: "p", namespace: "default" });
  assert.equal(body["apiVersion"], "events.k8s.io/v1");
  const found = await admin.get("/api/v1/events?fieldSelector=involvedObject.name%3Dp");
  assert.equal((found.body["items"] as unknown[]).length, 1);
  await admin.post(newer, {
    metadata: { name: "f" },
    eventTime: "2026-01-01T00:00:00.000000Z",
    regarding: { kind: "Pod", name: "p", namespace: "default" },
    note: "again",
  });
  const core = await admin.get("/api/v1/namespaces/default/events/f");
  assert.equal(core.body["message"], "again");
});
