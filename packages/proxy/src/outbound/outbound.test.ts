import assert from "node:assert/strict";
import net from "node:net";
import { before, test } from "node:test";
import { Http2Error } from "@heddle/net/http2/errors";
import { TestCa } from "@heddle/testkit/ca";
import { newCredentials } from "@heddle/testkit/mesh-ends";
import { ask, type Handler, Http2Asker, TestApp, TestPeer } from "../testing/apps.ts";
import {
  add,
  balanced,
  detect,
  forward,
  noEndpoints,
  opaque,
  remove,
  weightedAddr,
} from "../testing/messages.ts";
import { Script } from "../testing/script.ts";
import { TEST_ID, TestWorld } from "../testing/world.ts";

const WEB = "web.default.svc.cluster.local:80";
const TARGET = "10.9.0.3:80";
const PEER_ID = "peer.default.serviceaccount.identity.linkerd.cluster.local";

let ca: TestCa;

before(async () => {
  ca = await TestCa.root();
});

async function startWorld(env: Record<string, string> = {}): Promise<TestWorld> {
  const leaf = await ca.leaf({ sans: [{ dns: TEST_ID }] });
  const verbose = process.env["VERBOSE"] !== undefined;
  const log = (line: string): void => void process.stderr.write(`${line}\n`);
  return await TestWorld.start({ anchors: ca.pem, leaf, env, ...(verbose ? { log } : {}) });
}

/** A world whose target is balanced over these endpoints. */
async function startBalanced(
  ...endpoints: object[]
): Promise<{ world: TestWorld; port: number; updates: Script<object> }> {
  const world = await startWorld();
  const updates = Script.of<object>(add(...endpoints));
  world.control.policies.set(TARGET, Script.of(detect(balanced(WEB))));
  world.control.endpoints.set(WEB, updates as Script<ReturnType<typeof add>>);
  const { port } = await world.outbound(TARGET);
  return { world, port, updates };
}

async function startPeer(
  handler: Handler,
  version: "http1" | "http2" = "http2",
): Promise<TestPeer> {
  const credentials = await newCredentials(ca, { sans: [{ dns: PEER_ID }] });
  return await TestPeer.start(credentials, PEER_ID, { version, handler });
}

const meshed = (peer: TestPeer, hint?: "h2" | "opaque", appPort = 9000) =>
  weightedAddr(`127.77.0.10:${appPort}`, {
    tlsId: PEER_ID,
    inboundPort: peer.port,
    ...(hint === undefined ? {} : { hint }),
  });

test("[A01] [C01] [F03] an HTTP/1 request is discovered, balanced and answered", async () => {
  await using app = await TestApp.start("http1", ({ head }) => ({ body: `hello ${head.path}` }));
  const { world, port } = await startBalanced(weightedAddr(app.authority));
  await using _ = world;
  const answer = await ask(port, { path: "/there?q=1" });
  assert.equal(answer.status, 200);
  assert.equal(answer.body, "hello /there?q=1");
  assert.equal(app.asked[0]!.head.version, "1.1");
});

test("[C02] [F04] an HTTP/2 request stays HTTP/2 to an endpoint without hint", async () => {
  await using app = await TestApp.start("http2", ({ head }) => ({ body: head.authority }));
  const { world, port } = await startBalanced(weightedAddr(app.authority));
  await using _ = world;
  await using client = await Http2Asker.connect(port);
  const answer = await client.ask({ authority: "web.example.com" });
  assert.equal(answer.body, "web.example.com");
  assert.equal(app.asked[0]!.head.version, "2");
});

test("[A16] an HTTP/2 request without authority gets none", async () => {
  await using app = await TestApp.start("http2", () => ({}));
  const { world, port } = await startBalanced(weightedAddr(app.authority));
  await using _ = world;
  await using client = await Http2Asker.connect(port);
  assert.equal((await client.ask({ authority: "" })).status, 200);
  assert.equal(app.asked[0]!.head.authority, "");
});

test("[A17] a reset of the server reaches an HTTP/2 client with its reason", async () => {
  const enhanceYourCalm = 11;
  const reset = new Http2Error("h2_reset", "self", "calm", { h2Reason: enhanceYourCalm });
  await using app = await TestApp.start("http2", () => ({ abort: reset }));
  const { world, port } = await startBalanced(weightedAddr(app.authority));
  await using _ = world;
  await using client = await Http2Asker.connect(port);
  await assert.rejects(client.ask(), { h2Reason: enhanceYourCalm });
});

test("[D01] [F01] HTTP/1 to a hinted endpoint: orig-proto over mTLS with a transport header", async () => {
  await using peer = await startPeer(({ head }) => ({
    headers: { "l5d-orig-proto": "HTTP/1.1" },
    body: `${head.version} ${head.headers.get("l5d-orig-proto")} ${head.authority}`,
  }));
  const { world, port } = await startBalanced(meshed(peer, "h2"));
  await using _ = world;
  const answer = await ask(port, { authority: "web.example.com" });
  assert.equal(answer.body, "2 HTTP/1.1 web.example.com");
  assert.equal(answer.version, "1.1");
  assert.equal(answer.headers.has("l5d-orig-proto"), false);
  assert.deepEqual(peer.headers, [{ port: 9000, name: undefined, protocol: "http2" }]);
});

test("[F06] HTTP/2 to a hinted endpoint carries no orig-proto header", async () => {
  await using peer = await startPeer(({ head }) => ({
    body: String(head.headers.has("l5d-orig-proto")),
  }));
  const { world, port } = await startBalanced(meshed(peer, "h2"));
  await using _ = world;
  await using client = await Http2Asker.connect(port);
  assert.equal((await client.ask()).body, "false");
});

test("[A18] [F09] a reset of an upgraded stream becomes 502 for the HTTP/1 client", async () => {
  const reset = new Http2Error("h2_reset", "self", "cancel", { h2Reason: 8 });
  await using peer = await startPeer(() => ({ abort: reset }));
  const { world, port } = await startBalanced(meshed(peer, "h2"));
  await using _ = world;
  const answer = await ask(port);
  assert.equal(answer.status, 502);
  assert.match(answer.headers.get("l5d-proxy-error")!, /HTTP\/2 reset/);
  assert.equal(answer.headers.get("connection"), "close");
});

test("[F05] an upgrade to a hinted endpoint goes over HTTP/1", async () => {
  const credentials = await newCredentials(ca, { sans: [{ dns: PEER_ID }] });
  const seen: string[] = [];
  await using peer = await TestPeer.start(credentials, PEER_ID, {
    raw: (socket) => {
      let text = "";
      socket.setHandler({
        onData: (bytes, start, end) => {
          text += Buffer.from(bytes.subarray(start, end)).toString();
          if (!text.includes("\r\n\r\n")) return;
          seen.push(text);
          if (text.startsWith("PRI")) return;
          const reply =
            "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: chat\r\n\r\nhi";
          const out = Buffer.from(reply);
          socket.write(out, 0, out.length);
        },
        onDrain: () => {},
        onEnd: () => {},
        onClose: () => {},
      });
    },
  });
  const { world, port } = await startBalanced(meshed(peer, "h2"));
  await using _ = world;
  const socket = net.connect(port, "127.0.0.1");
  socket.write("GET /chat HTTP/1.1\r\nhost: web\r\nconnection: upgrade\r\nupgrade: chat\r\n\r\n");
  const text = await readUntil(socket, (t) => t.endsWith("hi"));
  socket.destroy();
  assert.match(text, /^HTTP\/1.1 101/);
  const request = seen.find((t) => t.startsWith("GET"))!;
  assert.doesNotMatch(request, /l5d-orig-proto/);
  assert.match(request, /upgrade: chat/);
});

test("[D02] an opaque hint: the header names no protocol, and HTTP/1 goes as it is", async () => {
  await using peer = await startPeer(({ head }) => ({ body: head.version }), "http1");
  const { world, port } = await startBalanced(meshed(peer, "opaque"));
  await using _ = world;
  assert.equal((await ask(port)).body, "1.1");
  assert.deepEqual(peer.headers, [{ port: 9000, name: undefined, protocol: undefined }]);
});

test("[D06] identity without opaque transport: TLS to the endpoint's port, no header", async () => {
  await using peer = await startPeer(({ head }) => ({ body: head.version }), "http1");
  const { world, port } = await startBalanced(
    weightedAddr(`127.77.0.10:${peer.port}`, { tlsId: PEER_ID }),
  );
  await using _ = world;
  assert.equal((await ask(port)).body, "1.1");
  assert.deepEqual(peer.headers, [undefined]);
});

test("[D08] an authority override is named in the header and in the request", async () => {
  await using peer = await startPeer(({ head }) => ({ body: head.authority }));
  const { world, port } = await startBalanced(
    weightedAddr(`127.77.0.10:${peer.port}`, {
      tlsId: PEER_ID,
      hint: "h2",
      authority: "web.other.svc.cluster.local:8080",
    }),
  );
  await using _ = world;
  assert.equal((await ask(port)).body, "web.other.svc.cluster.local:8080");
  const [header] = peer.headers;
  assert.equal(header?.name, "web.other.svc.cluster.local");
  assert.equal(header?.port, 8080);
});

test("[E06] l5d-require-id is held against the endpoint's identity, and never sent", async () => {
  await using peer = await startPeer(({ head }) => ({
    body: String(head.headers.has("l5d-require-id")),
  }));
  const { world, port } = await startBalanced(meshed(peer, "h2"));
  await using _ = world;
  const right = await ask(port, { headers: { "l5d-require-id": PEER_ID } });
  assert.equal(right.body, "false");
  const wrong = await ask(port, { headers: { "l5d-require-id": "other.example.com" } });
  assert.equal(wrong.status, 502);
  assert.match(wrong.headers.get("l5d-proxy-error")!, /required id other\.example\.com; found/);
});

test("[E10] an endpoint that proves another identity is never spoken to", async () => {
  await using peer = await startPeer(() => ({}));
  const world = await startWorld();
  await using _ = world;
  world.control.policies.set(TARGET, Script.of(detect(balanced(WEB))));
  const addr = weightedAddr("127.77.0.10:9000", {
    tlsId: "other.default.serviceaccount.identity.linkerd.cluster.local",
    serverName: PEER_ID,
    hint: "h2",
    inboundPort: peer.port,
  });
  world.control.endpoints.set(WEB, Script.of(add(addr)));
  const { port } = await world.outbound(TARGET);
  const answer = await ask(port);
  assert.equal(answer.status, 504);
  assert.match(answer.headers.get("l5d-proxy-error")!, /service in fail-fast/);
  assert.equal(peer.asked.length, 0);
});

test("[A03] non-HTTP bytes go both ways, each end for itself", async () => {
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    let text = "";
    socket.on("data", (chunk) => {
      text += chunk;
    });
    socket.on("end", () => socket.end(`got ${text}`));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.77.0.10", resolve));
  const { port: appPort } = server.address() as net.AddressInfo;
  const { world, port } = await startBalanced(weightedAddr(`127.77.0.10:${appPort}`));
  await using _ = world;
  const socket = net.connect({ port, host: "127.0.0.1", allowHalfOpen: true });
  socket.end("\u0001\u0002 no HTTP at all");
  assert.equal(await readToEnd(socket), "got \u0001\u0002 no HTTP at all");
  server.close();
});

test("[A08] an opaque policy lets the server speak first", async () => {
  const server = net.createServer((socket) => socket.end("220 hello\r\n"));
  await new Promise<void>((resolve) => server.listen(0, "127.77.0.10", resolve));
  const { port: appPort } = server.address() as net.AddressInfo;
  await using world = await startWorld();
  world.control.policies.set(TARGET, Script.of(opaque(balanced(WEB))));
  world.control.endpoints.set(WEB, Script.of(add(weightedAddr(`127.77.0.10:${appPort}`))));
  const { port } = await world.outbound(TARGET);
  assert.equal(await readToEnd(net.connect(port, "127.0.0.1")), "220 hello\r\n");
  assert.equal(world.metric("outbound_tcp_protocol_connections_total", 'protocol="opaq"'), 1);
  server.close();
});

test("[A09] when the client closes, the server sees the end", async () => {
  const ended = Promise.withResolvers<void>();
  const server = net.createServer((socket) => {
    socket.resume();
    socket.on("end", () => ended.resolve());
  });
  await new Promise<void>((resolve) => server.listen(0, "127.77.0.10", resolve));
  const { port: appPort } = server.address() as net.AddressInfo;
  const { world, port } = await startBalanced(weightedAddr(`127.77.0.10:${appPort}`));
  await using _ = world;
  const socket = net.connect(port, "127.0.0.1");
  socket.write("something that is no HTTP");
  await new Promise((resolve) => server.once("connection", resolve));
  socket.end();
  await ended.promise;
  socket.destroy();
  server.close();
});

test("[A04] [B06] [B07] without policy and profile a connection goes where it wanted", async () => {
  await using app = await TestApp.start("http1", () => ({ body: "direct" }));
  await using world = await startWorld();
  const { port } = await world.outbound(app.authority);
  assert.equal((await ask(port)).body, "direct");
});

test("[B01] [B02] a target is discovered once for all its connections", async () => {
  await using app = await TestApp.start("http1", () => ({}));
  const { world, port } = await startBalanced(weightedAddr(app.authority));
  await using _ = world;
  await ask(port, { path: "/a" });
  await ask(port, { path: "/b" });
  await using client = await Http2Asker.connect(port);
  await client.ask().catch(() => undefined);
  const { control } = world;
  assert.equal(control.countOf(`Watch ${TARGET}`), 1);
  assert.equal(control.countOf(`GetProfile ${TARGET}`), 1);
});

test("[B03] a stream of endpoints that ends is opened again, and its endpoints are used", async () => {
  await using one = await TestApp.start("http1", () => ({ body: "one" }));
  await using two = await TestApp.start("http1", () => ({ body: "two" }));
  const { world, port, updates } = await startBalanced(weightedAddr(one.authority));
  await using _ = world;
  assert.equal((await ask(port)).body, "one");
  updates.restart(add(weightedAddr(two.authority)));
  await updates.whenOpened(2);
  while ((await ask(port)).body !== "two");
});

for (const exists of [true, false]) {
  const ids = exists ? "[B04] [B08]" : "[B05] [B09]";
  test(`${ids} no endpoints (exists: ${exists}): 504 then 503, never the target itself`, async () => {
    await using app = await TestApp.start("http1", () => ({}));
    const { world, port, updates } = await startBalanced(weightedAddr(app.authority));
    await using _ = world;
    assert.equal((await ask(port)).status, 200);
    updates.restart(noEndpoints(exists));
    await updates.whenOpened(2);
    let status = 200;
    while (status === 200) status = (await ask(port)).status;
    assert.equal(status, 504);
    const shed = await ask(port);
    assert.equal(shed.status, 503);
    assert.equal(shed.headers.get("l5d-proxy-connection"), "close");
  });
}

test("[B10] a controller that says nothing: 504 after the fail-fast timeout", async () => {
  await using world = await startWorld();
  world.control.policies.set(TARGET, Script.of(detect(balanced(WEB))));
  world.control.endpoints.set(WEB, new Script());
  const { port } = await world.outbound(TARGET);
  const answer = await ask(port);
  assert.equal(answer.status, 504);
  assert.match(answer.headers.get("l5d-proxy-error")!, /service in fail-fast/);
});

test("[B11] a new target waits while the controller is away, and is served when it is back", async () => {
  await using app = await TestApp.start("http1", () => ({ body: "back" }));
  await using world = await startWorld();
  world.control.policies.set(TARGET, Script.of(detect(balanced(WEB))));
  world.control.endpoints.set(WEB, Script.of(add(weightedAddr(app.authority))));
  const { port } = await world.outbound(TARGET);
  await world.control.vanish();
  const answer = ask(port);
  await world.control.listen();
  assert.equal((await answer).body, "back");
});

test("[B12] a request that finds no endpoint is dispatched when one is added", async () => {
  await using old = await TestApp.start("http2", () => ({ body: "old" }));
  await using fresh = await TestApp.start("http2", () => ({ body: "fresh" }));
  const { world, port, updates } = await startBalanced(weightedAddr(old.authority));
  await using _ = world;
  await using client = await Http2Asker.connect(port);
  assert.equal((await client.ask()).body, "old");
  updates.send(remove(old.authority));
  await waitFor(() => world.metric("outbound_http_balancer_p2c_endpoints{") === 0);
  const pending = client.ask();
  updates.send(add(weightedAddr(fresh.authority)));
  assert.equal((await pending).body, "fresh");
});

test("[M02] a discovered target is forgotten when nobody has used it for a while", async () => {
  await using app = await TestApp.start("http1", () => ({}));
  await using world = await startWorld({
    LINKERD2_PROXY_OUTBOUND_DISCOVERY_IDLE_TIMEOUT: "50ms",
  });
  const policy = Script.of(detect(balanced(WEB)));
  world.control.policies.set(TARGET, policy);
  world.control.endpoints.set(WEB, Script.of(add(weightedAddr(app.authority))));
  const { port } = await world.outbound(TARGET);
  await ask(port);
  assert.equal(policy.opened, 1);
  await waitFor(() => policy.open === 0);
  await ask(port);
  assert.equal(policy.opened, 2);
});

test("what is known is kept while the controller is away, however long nobody uses it", async () => {
  await using app = await TestApp.start("http1", () => ({ body: "known" }));
  await using world = await startWorld({
    LINKERD2_PROXY_OUTBOUND_DISCOVERY_IDLE_TIMEOUT: "20ms",
  });
  world.control.policies.set(TARGET, Script.of(detect(balanced(WEB))));
  world.control.endpoints.set(WEB, Script.of(add(weightedAddr(app.authority))));
  const { port } = await world.outbound(TARGET);
  const agentless = await ask(port, { headers: { connection: "keep-alive" } });
  assert.equal(agentless.body, "known");
  await world.control.vanish();
  for (let i = 0; i < 5; i++) {
    await new Promise((resolve) => setTimeout(resolve, 40));
    assert.equal((await ask(port)).body, "known");
  }
});

test("[X04] [X05] without control the known goes on and the new waits; after it all streams are opened again", async () => {
  await using app = await TestApp.start("http1", () => ({ body: "served" }));
  const known = await startBalanced(weightedAddr(app.authority));
  await using world = known.world;
  const elsewhere = "10.9.0.4:80";
  const policy = Script.of(detect(balanced(WEB)));
  world.control.policies.set(elsewhere, policy);
  const late = await world.outbound(elsewhere);
  assert.equal((await ask(known.port)).body, "served");
  await world.control.vanish();
  assert.equal((await ask(known.port)).body, "served");
  let isAnswered = false;
  const waiting = ask(late.port).then((answer) => {
    isAnswered = true;
    return answer.body;
  });
  assert.equal((await ask(known.port)).body, "served");
  assert.equal(isAnswered, false, "nothing fails open");
  const before = known.updates.opened;
  await world.control.listen();
  assert.equal(await waiting, "served");
  await known.updates.whenOpened(before + 1);
  assert.equal((await ask(known.port)).body, "served");
  assert.equal(world.control.countOf("Certify"), 1);
});

test("[M10] l5d-proxy-connection of a meshed forward endpoint closes the client's connection", async () => {
  await using peer = await startPeer(() => ({
    headers: { "l5d-proxy-connection": "close", "l5d-proxy-error": "why" },
  }));
  await using world = await startWorld();
  const backend = forward(meshed(peer, "h2"));
  world.control.policies.set(TARGET, Script.of(detect(backend)));
  const { port } = await world.outbound(TARGET);
  const answer = await ask(port, { headers: { connection: "keep-alive" } });
  assert.equal(answer.headers.get("connection"), "close");
  assert.equal(answer.headers.has("l5d-proxy-connection"), false);
  assert.equal(answer.headers.has("l5d-proxy-error"), false);
});

test("[M11] on a balanced endpoint the same headers go away and the connection stays", async () => {
  await using peer = await startPeer(() => ({
    headers: { "l5d-proxy-connection": "close", "l5d-proxy-error": "why" },
  }));
  const { world, port } = await startBalanced(meshed(peer, "h2"));
  await using _ = world;
  const answer = await ask(port, { headers: { connection: "keep-alive" } });
  assert.notEqual(answer.headers.get("connection"), "close");
  assert.equal(answer.headers.has("l5d-proxy-error"), false);
});

test("an endpoint on loopback is refused, an unreachable HTTP/1 one is 502", async () => {
  const { world, port } = await startBalanced(weightedAddr("127.0.0.1:9"));
  await using _ = world;
  const answer = await ask(port);
  assert.equal(answer.status, 502);
  assert.match(answer.headers.get("l5d-proxy-error")!, /never connects to loopback/);
});

async function waitFor(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
}

function readToEnd(socket: net.Socket): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = "";
    socket.on("data", (chunk) => {
      text += chunk;
    });
    socket.on("end", () => {
      socket.end();
      resolve(text);
    });
    socket.on("error", reject);
  });
}

function readUntil(socket: net.Socket, isDone: (text: string) => boolean): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = "";
    socket.on("data", (chunk) => {
      text += chunk;
      if (isDone(text)) resolve(text);
    });
    socket.on("end", () => reject(new Error(`ended after ${text}`)));
    socket.on("error", reject);
  });
}
