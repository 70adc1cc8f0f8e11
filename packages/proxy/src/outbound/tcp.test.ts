import assert from "node:assert/strict";
import net from "node:net";
import { before, test } from "node:test";
import tls from "node:tls";
import { TestCa } from "@heddle/testkit/ca";
import type { PolicyInit } from "../testing/control.ts";
import {
  add,
  balanced,
  first,
  opaque,
  remove,
  service,
  weightedAddr,
} from "../testing/messages.ts";
import { Script } from "../testing/script.ts";
import { TEST_ID, TestWorld } from "../testing/world.ts";

const DB = "db.default.svc.cluster.local:5432";
const TARGET = "10.9.0.4:5432";

let ca: TestCa;

before(async () => {
  ca = await TestCa.root();
});

async function startWorld(): Promise<TestWorld> {
  const leaf = await ca.leaf({ sans: [{ dns: TEST_ID }] });
  return await TestWorld.start({ anchors: ca.pem, leaf });
}

/** A server that says its name to whoever connects. */
async function startNamed(name: string): Promise<{ authority: string } & AsyncDisposable> {
  const server = net.createServer((socket) => socket.end(name));
  await new Promise<void>((resolve) => server.listen(0, "127.77.0.10", resolve));
  const { port } = server.address() as net.AddressInfo;
  return {
    authority: `127.77.0.10:${port}`,
    async [Symbol.asyncDispose]() {
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** What the server said; empty if the connection ended without a word. */
function hear(port: number): Promise<string> {
  return new Promise((resolve) => {
    let text = "";
    const socket = net.connect(port, "127.0.0.1");
    socket.on("data", (chunk) => {
      text += chunk;
    });
    socket.on("error", () => {});
    socket.on("close", () => resolve(text));
  });
}

test("[M06] opaque connections follow the endpoints as they come and go, then fail fast", async () => {
  await using one = await startNamed("one");
  await using two = await startNamed("two");
  await using world = await startWorld();
  const updates = Script.of(add(weightedAddr(one.authority)));
  world.control.policies.set(TARGET, Script.of(opaque(balanced(DB, service("db", 5432)))));
  world.control.endpoints.set(DB, updates);
  const { port } = await world.outbound(TARGET);
  for (let i = 0; i < 4; i++) assert.equal(await hear(port), "one");
  updates.send(add(weightedAddr(two.authority)));
  const both = new Set<string>();
  while (!both.has("one") || !both.has("two")) both.add(await hear(port));
  updates.send(remove(one.authority));
  for (let run = 0; run < 10; ) run = (await hear(port)) === "two" ? run + 1 : 0;
  updates.send(remove(two.authority));
  while ((await hear(port)) === "two");
  assert.equal(await hear(port), "");
  assert.equal(updates.opened, 1);
  assert.ok(world.metric("outbound_tcp_route_open_total", 'parent_name="web"')! >= 16);
  assert.equal(world.metric("tcp_open_total", 'peer="dst"', 'direction="outbound"')! > 0, true);
});

test("bytes of both sides are counted as they are", async () => {
  const echo = net.createServer((socket) => socket.pipe(socket));
  await new Promise<void>((resolve) => echo.listen(0, "127.77.0.10", resolve));
  const { port: echoPort } = echo.address() as net.AddressInfo;
  await using world = await startWorld();
  world.control.policies.set(TARGET, Script.of(opaque(balanced(DB))));
  world.control.endpoints.set(DB, Script.of(add(weightedAddr(`127.77.0.10:${echoPort}`))));
  const { port } = await world.outbound(TARGET);
  const socket = net.connect(port, "127.0.0.1");
  socket.write("twelve bytes");
  await new Promise((resolve) => socket.once("data", resolve));
  for (const peer of ["src", "dst"]) {
    assert.equal(world.metric("tcp_read_bytes_total", `peer="${peer}"`), 12);
    assert.equal(world.metric("tcp_write_bytes_total", `peer="${peer}"`), 12);
    assert.equal(world.metric("tcp_open_connections", `peer="${peer}"`), 1);
  }
  socket.end();
  await new Promise((resolve) => socket.once("close", resolve));
  while (world.metric("tcp_open_connections", 'peer="dst"') !== 0) {
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.equal(world.metric("tcp_close_total", 'peer="src"', 'errno=""'), 1);
  echo.close();
});

test("[M07] TLS that is not ours is routed by its SNI, exact before wildcard, and not opened", async () => {
  const leaf = await ca.leaf({ sans: [{ dns: "web.test.svc.cluster.local" }] });
  const startTls = async (name: string) => {
    const server = tls.createServer({ cert: leaf.chainPem, key: leaf.keyPem }, (socket) =>
      socket.end(name),
    );
    await new Promise<void>((resolve) => server.listen(0, "127.77.0.10", resolve));
    return { server, authority: `127.77.0.10:${(server.address() as net.AddressInfo).port}` };
  };
  const exact = await startTls("exact");
  const wild = await startTls("wild");
  await using world = await startWorld();
  const [exactPath, wildPath] = ["exact.svc.cluster.local:443", "wild.svc.cluster.local:443"];
  const route = (match: object, path: string) => ({
    metadata: { kind: { case: "default", value: "tls" } },
    snis: [{ match }],
    rules: [{ backends: first(balanced(path)), filters: [] }],
  });
  const routes = [
    route(
      { case: "suffix", value: { reverseLabels: ["local", "cluster", "svc", "test"] } },
      wildPath,
    ),
    route({ case: "exact", value: "web.test.svc.cluster.local" }, exactPath),
  ];
  const policy = {
    metadata: service("web", 443),
    protocol: { kind: { case: "tls", value: { routes } } },
  } as unknown as PolicyInit;
  world.control.policies.set(TARGET, Script.of(policy));
  world.control.endpoints.set(exactPath, Script.of(add(weightedAddr(exact.authority))));
  world.control.endpoints.set(wildPath, Script.of(add(weightedAddr(wild.authority))));
  const { port } = await world.outbound(TARGET);
  const say = (servername: string): Promise<string> =>
    new Promise((resolve) => {
      let text = "";
      const options = { port, host: "127.0.0.1", servername, rejectUnauthorized: false };
      const socket = tls.connect(options);
      socket.on("data", (chunk) => {
        text += chunk;
      });
      socket.on("error", () => {});
      socket.on("close", () => resolve(text));
    });
  assert.equal(await say("web.test.svc.cluster.local"), "exact");
  assert.equal(await say("other.test.svc.cluster.local"), "wild");
  assert.equal(await say("web.example.com"), "");
  exact.server.close();
  wild.server.close();
});
