import assert from "node:assert/strict";
import { before, test } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import { MeshError } from "@heddle/base/errors";
import { dial } from "@heddle/net/dialer";
import { TestCa } from "@heddle/testkit/ca";
import { newCredentials } from "@heddle/testkit/mesh-ends";
import { type AdminScene, stageAdmin } from "../testing/admin-stage.ts";
import { ask, askHttp1, Http2Asker } from "../testing/apps.ts";
import { TEST_ID, type TestWorldOptions } from "../testing/world.ts";
import type { AdminRoutesOptions } from "./routes.ts";

let ca: TestCa;

before(async () => {
  ca = await TestCa.root();
});

const stage = (
  options?: Partial<AdminRoutesOptions>,
  worldOptions?: Partial<TestWorldOptions>,
): Promise<AdminScene> => stageAdmin(ca, options, worldOptions);

test("[O01] /ready is 503 until the proxy is ready, and /live is 200 always", async () => {
  let isReady = false;
  await using scene = await stage({ isReady: () => isReady });
  const early = await ask(scene.port, { path: "/ready" });
  assert.deepEqual([early.status, early.body], [503, "not ready\n"]);
  assert.equal((await ask(scene.port, { path: "/live" })).body, "live\n");
  isReady = true;
  const late = await ask(scene.port, { path: "/ready" });
  assert.deepEqual([late.status, late.body], [200, "ready\n"]);
});

test("the admin port speaks HTTP/1 and HTTP/2 in plaintext", async () => {
  await using scene = await stage();
  await using client = await Http2Asker.connect(scene.port);
  assert.equal((await client.ask({ path: "/live" })).status, 200);
  assert.equal((await ask(scene.port, { path: "/live" })).status, 200);
});

test("[E02] once certified, the admin port speaks TLS too, and plaintext still", async () => {
  await using scene = await stage();
  const credentials = await newCredentials(ca, { sans: [{ dns: "prometheus.example" }] });
  const tls = { credentials, serverName: TEST_ID, serverId: TEST_ID };
  const at = { ip: "127.0.0.1", port: scene.port };
  const secure = await dial({ address: at, timeoutMs: 5_000, tls });
  assert.equal((await askHttp1(secure, { path: "/live" })).status, 200);
  assert.equal((await ask(scene.port, { path: "/live" })).status, 200);
});

test("[E03] before the first certificate TLS to the admin port fails, and plaintext works", async () => {
  const nothing = { certified: () => ({}), isUncertified: true };
  await using scene = await stage({}, nothing);
  const at = { ip: "127.0.0.1", port: scene.port };
  const credentials = await newCredentials(ca, { sans: [{ dns: "prometheus.example" }] });
  for (const alpn of [[], ["http/1.1"], ["h2"]]) {
    const tls = { credentials, serverName: TEST_ID, serverId: TEST_ID, alpn };
    await assert.rejects(dial({ address: at, timeoutMs: 30_000, tls }), MeshError);
  }
  assert.equal((await ask(scene.port, { path: "/live" })).status, 200);
  scene.world.control.certified = (usual) => usual;
});

test("[J01] [J02] admin requests and connections are counted as inbound, on one side only", async () => {
  await using scene = await stage();
  await ask(scene.port, { path: "/live" });
  const at = ['direction="inbound"', `target_addr="127.0.0.1:${scene.port}"`];
  assert.equal(scene.world.metric("request_total", ...at), 1);
  assert.equal(scene.world.metric("response_total", ...at, 'status_code="200"'), 1);
  assert.equal(scene.world.metric("tcp_open_total", ...at, 'peer="src"'), 1);
  const closed = (): number | undefined =>
    scene.world.metric("tcp_close_total", ...at, 'peer="src"');
  while (closed() !== 1) await nextTurn();
  assert.equal(scene.world.metric("tcp_open_connections", ...at, 'peer="src"'), 0);
  assert.doesNotMatch(scene.world.metrics(), /peer="dst"/);
});

test("[J22] /metrics is text that ends with # EOF, compressed for whoever takes gzip", async () => {
  await using scene = await stage();
  const plain = await ask(scene.port, { path: "/metrics" });
  assert.equal(plain.headers.get("content-type"), "text/plain");
  assert.match(plain.body, /# EOF\n$/);
  for (const accepted of ["gzip", "deflate, gzip", "gzip,deflate", "brotli,gzip,deflate"]) {
    const response = await fetch(`http://127.0.0.1:${scene.port}/metrics`, {
      headers: { "accept-encoding": accepted },
    });
    assert.equal(response.headers.get("content-encoding"), "gzip", accepted);
    assert.match(await response.text(), /# EOF\n$/);
  }
});

test("[J23] [J24] /env.json shows the environment, all of it or what is asked for", async () => {
  await using scene = await stage();
  const at = async (path: string): Promise<readonly [number, unknown]> => {
    const { status, body } = await ask(scene.port, { path });
    return [status, JSON.parse(body)];
  };
  assert.deepEqual(await at("/env.json"), [200, { A: "1", B: "2" }]);
  assert.deepEqual(await at("/env.json?A&C"), [200, { A: "1", C: null }]);
  assert.equal((await at("/env.json?A=1"))[0], 400);
  assert.equal((await at("/env.json?%zz"))[0], 400);
  const refused = await ask(scene.port, { path: "/env.json", headers: { accept: "text/html" } });
  assert.equal(refused.status, 406);
});

test("/proxy-log-level reads and changes the filter, for localhost only", async () => {
  await using scene = await stage();
  const path = "/proxy-log-level";
  assert.equal((await ask(scene.port, { path })).body, "off");
  assert.equal((await ask(scene.port, { path, method: "PUT", body: "warn" })).status, 204);
  assert.equal((await ask(scene.port, { path })).body, "warn");
  assert.equal((await ask(scene.port, { path, method: "PUT", body: "loud" })).status, 400);
  assert.equal((await ask(scene.port, { path, method: "DELETE" })).status, 405);
  const remote = await ask(scene.port, { path, localAddress: "127.77.0.20" });
  assert.equal(remote.status, 403);
  const large = "x".repeat(20_000);
  assert.equal((await ask(scene.port, { path, method: "PUT", body: large })).status, 413);
});

test("/shutdown ends the proxy where it is enabled, and only by POST from localhost", async () => {
  await using disabled = await stage();
  const off = await ask(disabled.port, { path: "/shutdown", method: "POST" });
  assert.deepEqual([off.status, off.body], [404, "shutdown endpoint is not enabled\n"]);
  let count = 0;
  await using scene = await stage({ shutdown: () => void count++ });
  assert.equal((await ask(scene.port, { path: "/shutdown" })).status, 405);
  const remote = { path: "/shutdown", method: "POST", localAddress: "127.77.0.20" };
  assert.equal((await ask(scene.port, remote)).status, 403);
  assert.equal((await ask(scene.port, { path: "/shutdown", method: "POST" })).status, 200);
  assert.equal(count, 1);
});
