/** What is counted of connections and requests, as metrics show it. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { systemClock } from "@heddle/base/clock";
import { Http2Client } from "@heddle/net/http2/client";
import { writeTransportHeader } from "@heddle/net/transport-header";
import { TestCa } from "@heddle/testkit/ca";
import { newCredentials } from "@heddle/testkit/mesh-ends";
import { addProcessMetrics } from "./process-metrics.ts";
import { APP_IP, ask, type Handler, Http2Asker, TestApp } from "./testing/apps.ts";
import type { UpdateInit } from "./testing/control.ts";
import { dialMeshed, PEER_ID } from "./testing/mesh-client.ts";
import { balanced, detect, opaque, weightedAddr } from "./testing/messages.ts";
import { Script } from "./testing/script.ts";
import { TEST_ID, TestWorld } from "./testing/world.ts";

const WEB = "web.default.svc.cluster.local:80";
const TARGET = "10.9.0.3:80";
const SIDES = ["inbound", "outbound"] as const;

let ca: TestCa;

before(async () => {
  ca = await TestCa.root();
});

type Side = (typeof SIDES)[number];

interface Scene extends AsyncDisposable {
  readonly world: TestWorld;
  readonly port: number;
  readonly updates: Script<UpdateInit>;
}

const endpoints = (addrs: object[], metricLabels: Record<string, string> = {}): UpdateInit =>
  ({ update: { case: "add", value: { addrs, metricLabels } } }) as UpdateInit;

/** One side of a proxy between its client and `authority`. */
async function through(
  side: Side,
  authority: string,
  options: { labels?: Record<string, string>; isOpaque?: boolean } = {},
): Promise<Scene> {
  const leaf = await ca.leaf({ sans: [{ dns: TEST_ID }] });
  const world = await TestWorld.start({ anchors: ca.pem, leaf });
  const { labels = {}, isOpaque = false } = options;
  const updates = Script.of(endpoints([weightedAddr(authority, { labels })]));
  world.control.policies.set(TARGET, Script.of((isOpaque ? opaque : detect)(balanced(WEB))));
  world.control.endpoints.set(WEB, updates);
  const { port } =
    side === "inbound" ? await world.inbound(authority) : await world.outbound(TARGET);
  return { world, port, updates, [Symbol.asyncDispose]: () => world[Symbol.asyncDispose]() };
}

/** Resolves once `read` says so; what is counted at a connection's end comes a moment after it. */
async function until(what: string, read: () => unknown): Promise<void> {
  const deadline = performance.now() + 5_000;
  while (read() !== true) {
    assert.ok(performance.now() < deadline, `${what} did not come true`);
    await sleep(2);
  }
}

const hello: Handler = () => ({ body: "hello" });

test("[J03] [J04] [J05] [J06] no series of requests before traffic, one of each after a request", async () => {
  await using app = await TestApp.start("http1", hello);
  for (const side of SIDES) {
    await using scene = await through(side, app.authority);
    const direction = `direction="${side}"`;
    for (const name of ["request_total", "response_total"]) {
      assert.equal(scene.world.metric(name, direction), undefined, `${side} ${name}`);
    }
    await ask(scene.port);
    for (const name of ["request_total", "response_total"]) {
      assert.equal(scene.world.metric(name, direction), 1, `${side} ${name}`);
    }
  }
});

test("[J07] [J08] answers are counted by status and classification", async () => {
  const statuses = [200, 204, 304, 400, 404, 418, 500, 502, 503, 504];
  await using app = await TestApp.start("http1", ({ head }) => ({
    status: Number(head.path.slice(1)),
  }));
  for (const side of SIDES) {
    await using scene = await through(side, app.authority);
    const counted = (status: number): number | undefined =>
      scene.world.metric(
        "response_total",
        `direction="${side}"`,
        `status_code="${status}"`,
        `classification="${status >= 500 ? "failure" : "success"}"`,
      );
    for (const [at, status] of statuses.entries()) {
      await ask(scene.port, { path: `/${status}` });
      // Those before it stay as they were.
      for (const known of statuses.slice(0, at + 1)) {
        assert.equal(counted(known), 1, `${side} ${known} after ${status}`);
      }
    }
  }
});

test("[J09] [J10] latency falls into its bucket, and buckets are cumulative", async () => {
  await using app = await TestApp.start("http1", ({ head }) => ({
    body: "late",
    until: sleep(Number(head.path.slice(1))),
  }));
  for (const side of SIDES) {
    await using scene = await through(side, app.authority);
    const bucket = (le: number): number | undefined =>
      scene.world.metric("response_latency_ms_bucket", `direction="${side}"`, `le="${le}"`);
    await ask(scene.port, { path: "/500" });
    assert.deepEqual([bucket(400), bucket(50_000)], [0, 1], side);
    await ask(scene.port, { path: "/40" });
    assert.deepEqual([bucket(30), bucket(400), bucket(50_000)], [0, 1, 2], side);
  }
});

test("[J12] [J13] [J14] labels of the set and of the endpoint appear, and follow the controller", async () => {
  await using app = await TestApp.start("http1", hello);
  await using scene = await through("outbound", app.authority);
  const names = ["request_total", "response_total", "response_latency_ms_count"];
  const count = (...labels: string[]): (number | undefined)[] =>
    names.map((name) => scene.world.metric(name, ...labels));
  scene.updates.restart(endpoints([weightedAddr(app.authority)], { set: "one" }));
  await ask(scene.port);
  assert.deepEqual(count('dst_set="one"'), [1, 1, 1]);
  const both = endpoints([weightedAddr(app.authority, { labels: { pod: "web-1" } })], {
    set: "two",
  });
  scene.updates.restart(both);
  for (;;) {
    await ask(scene.port);
    if (count('dst_pod="web-1"', 'dst_set="two"').every((value) => value === 1)) break;
    // Answered by the endpoint with the labels before.
    assert.equal(count('dst_set="two"')[0], undefined);
  }
});

test("[J15] [J16] no series has an empty label, and the start time is a number", async () => {
  await using app = await TestApp.start("http1", hello);
  for (const side of SIDES) {
    await using scene = await through(side, app.authority);
    addProcessMetrics(scene.world.runtime.metrics, systemClock);
    await ask(scene.port);
    assert.doesNotMatch(scene.world.metrics(), /,,|\{,|,\}/);
    assert.match(scene.world.metrics(), /^process_start_time_seconds \d+/m);
  }
});

test("[J17] [J18] HTTP connections are counted as they open and close; one goes to the application", async () => {
  await using app = await TestApp.start("http1", hello);
  for (const side of SIDES) {
    await using scene = await through(side, app.authority);
    const at = (name: string, peer: string, ...more: string[]): number | undefined =>
      scene.world.metric(name, `direction="${side}"`, `peer="${peer}"`, ...more);
    for (let nth = 1; nth <= 2; nth++) {
      await ask(scene.port);
      assert.equal(at("tcp_open_total", "src"), nth, side);
      await until(
        `close ${nth} of ${side}`,
        () => at("tcp_close_total", "src", 'errno=""') === nth,
      );
    }
    assert.equal(at("tcp_open_total", "dst"), 1, `${side}: pooled`);
  }
});

/** Echoes, and counts what it was sent. */
async function echo(): Promise<{ readonly authority: string } & AsyncDisposable> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.pipe(socket);
  }).listen(0, APP_IP);
  await once(server, "listening");
  return {
    authority: `${APP_IP}:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

test("[J19] [J20] [J21] TCP is counted at both ends, byte by byte, and its gauge follows reconnects", async () => {
  await using app = await echo();
  const text = "this is no request of HTTP at all";
  for (const side of SIDES) {
    await using scene = await through(side, app.authority);
    const at = (name: string, peer: string): number | undefined =>
      scene.world.metric(name, `direction="${side}"`, `peer="${peer}"`);
    for (let nth = 1; nth <= 2; nth++) {
      const socket = connect(scene.port, "127.0.0.1");
      socket.write(text);
      let got = 0;
      while (got < text.length) got += (await once(socket, "data"))[0].length;
      for (const peer of ["src", "dst"]) {
        assert.equal(at("tcp_open_total", peer), nth, `${side} ${peer}`);
        assert.equal(at("tcp_open_connections", peer), 1, `${side} ${peer}`);
        assert.equal(at("tcp_read_bytes_total", peer), nth * text.length, `${side} ${peer}`);
        assert.equal(at("tcp_write_bytes_total", peer), nth * text.length, `${side} ${peer}`);
      }
      socket.end();
      await once(socket, "close");
      for (const peer of ["src", "dst"]) {
        await until(`${peer} gone`, () => at("tcp_open_connections", peer) === 0);
        assert.equal(at("tcp_close_total", peer), nth, `${side} ${peer}`);
      }
    }
  }
});

test("[J26] [J27] a timeout of TLS detection is counted with its address, a handshake is none", async () => {
  await using app = await TestApp.start("http1", hello);
  const leaf = await ca.leaf({ sans: [{ dns: TEST_ID }] });
  const env = { LINKERD2_PROXY_INBOUND_DETECT_TIMEOUT: "100ms" };
  await using world = await TestWorld.start({ anchors: ca.pem, leaf, env });
  const { port } = await world.inbound(app.authority);
  const timeouts = (): number | undefined =>
    world.metric(
      "inbound_tcp_errors_total",
      'error="tls detection timeout"',
      `target_addr="${app.authority}"`,
    );
  await using client = new Http2Asker(await meshed(port));
  assert.equal((await client.ask({ headers: { "l5d-orig-proto": "HTTP/1.1" } })).status, 200);
  assert.equal(timeouts(), undefined);
  const silent = connect(port, "127.0.0.1");
  silent.on("error", () => {});
  await once(silent, "close");
  await until("the count", () => timeouts() === 1);
});

test("[J28] [J30] on the direct port a timeout, foreign bytes and a mesh connection are told apart", async () => {
  const leaf = await ca.leaf({ sans: [{ dns: TEST_ID }] });
  const env = {
    LINKERD2_PROXY_INBOUND_DETECT_TIMEOUT: "1s",
    LINKERD2_PROXY_INBOUND_LISTEN_ADDR: `${APP_IP}:0`,
  };
  await using world = await TestWorld.start({ anchors: ca.pem, leaf, env });
  const { port } = await world.inbound();
  const errors = (error: string): number | undefined =>
    world.metric("inbound_tcp_errors_total", `error="${error}"`);
  await using app = await TestApp.start("http2", hello);
  await using client = new Http2Asker(await meshed(port, Number(app.authority.split(":")[1])));
  assert.equal((await client.ask()).status, 200);
  assert.doesNotMatch(world.metrics(), /^inbound_tcp_errors_total\{.*\} [1-9]/m);
  for (const [say, error] of [
    ["", "tls detection timeout"],
    ["GET / HTTP/1.1\r\nhost: a\r\n\r\n", "unexpected"],
  ] as const) {
    const socket = connect(port, APP_IP);
    socket.on("error", () => {});
    if (say !== "") socket.write(say);
    socket.resume();
    await once(socket, "close");
    await until(error, () => errors(error) === 1);
  }
});

test("[J29] an address that is not ours is refused before anything is detected", async () => {
  await using app = await TestApp.start("http1", hello);
  const leaf = await ca.leaf({ sans: [{ dns: TEST_ID }] });
  const env = { LINKERD2_PROXY_INBOUND_IPS: "127.77.0.99" };
  await using world = await TestWorld.start({ anchors: ca.pem, leaf, env });
  const { port } = await world.inbound(app.authority);
  const socket = connect(port, "127.0.0.1");
  socket.on("error", () => {});
  await once(socket, "close");
  await until(
    "the count",
    () => world.metric("inbound_tcp_errors_total", 'error="unexpected"') === 1,
  );
  assert.equal(app.accepted, 0);
  assert.doesNotMatch(world.metrics(), /detect_http_results_total\{[^}]*\} [1-9]/);
});

/** A client of HTTP/2 over mutual TLS; with `appPort` by the direct port. */
async function meshed(port: number, appPort?: number): Promise<Http2Client> {
  const credentials = await newCredentials(ca, { sans: [{ dns: PEER_ID }] });
  const isDirect = appPort !== undefined;
  const at = { ip: isDirect ? APP_IP : "127.0.0.1", port };
  const socket = await dialMeshed(credentials, at, isDirect);
  if (isDirect) {
    const header = { port: appPort, name: undefined, protocol: "http2" } as const;
    assert.equal(writeTransportHeader(socket, header), true);
  }
  return new Http2Client(socket);
}
