import assert from "node:assert/strict";
import { once } from "node:events";
import { Agent } from "node:http";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { before, test } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import { TestCa } from "@heddle/testkit/ca";
import { ask, Http2Asker, TestApp } from "../testing/apps.ts";
import type { ServerInit } from "../testing/control.ts";
import {
  EVERYBODY,
  GET,
  meta,
  method,
  POST,
  REMOTE,
  server,
  stage,
  stageWith,
} from "../testing/inbound-stage.ts";
import { Script } from "../testing/script.ts";

let ca: TestCa;

before(async () => {
  ca = await TestCa.root();
});

/** An application that speaks first, and echoes. */
async function tcpApp(
  greeting: string,
): Promise<{ readonly server: Server; readonly port: number }> {
  const app = createServer({ allowHalfOpen: true }, (socket) => {
    socket.write(greeting);
    socket.pipe(socket);
  }).listen(0, "127.77.0.10");
  await once(app, "listening");
  return { server: app, port: (app.address() as AddressInfo).port };
}

async function read(socket: Socket, length: number): Promise<string> {
  let text = "";
  while (text.length < length) text += String((await once(socket, "data"))[0]);
  return text;
}

test("[A02] [L01] an HTTP/1 request reaches the application and is answered", async () => {
  await using scene = await stage(ca);
  const answer = await ask(scene.port, { path: "/a?b=c", authority: "web.example" });
  assert.equal(answer.status, 200);
  assert.equal(answer.body, "hello");
  const { head } = scene.app.asked[0]!;
  assert.deepEqual(
    [head.method, head.path, head.headers.get("host")],
    ["GET", "/a?b=c", "web.example"],
  );
});

test("[A05] bytes that are no HTTP pass both ways, and each end is passed on", async () => {
  await using scene = await stage(ca);
  const { server: app, port: appPort } = await tcpApp("");
  const { port } = await scene.world.inbound(`127.77.0.10:${appPort}`);
  const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
  socket.write("not http at all, and long enough");
  assert.equal(await read(socket, 32), "not http at all, and long enough");
  socket.end();
  await once(socket, "end");
  app.close();
});

test("[A07] [K04] a server that speaks first is heard on a port that is called opaque", async () => {
  const { server: app, port: appPort } = await tcpApp("220 ready\r\n");
  await using scene = await stage(ca, undefined, {
    env: { LINKERD2_PROXY_INBOUND_PORTS_DISABLE_PROTOCOL_DETECTION: String(appPort) },
  });
  const { port } = await scene.world.inbound(`127.77.0.10:${appPort}`);
  const socket = connect({ port, host: "127.0.0.1" });
  assert.equal(await read(socket, 11), "220 ready\r\n");
  assert.match(scene.world.metrics(), /tcp_open_total\{[^}]*no_tls_reason="port_skipped"/);
  assert.doesNotMatch(scene.world.metrics(), /detect_http_results_total\{[^}]*\} [1-9]/);
  socket.destroy();
  app.close();
});

test("[A13] HTTP/1 has one upstream connection per host, and uses it again", async () => {
  await using scene = await stage(ca);
  for (const authority of ["a.example", "a.example", "b.example", "a.example"]) {
    await ask(scene.port, { authority });
  }
  assert.equal(scene.app.accepted, 2);
});

test("[A14] HTTP/1 with an empty host has an upstream connection for each request", async () => {
  await using scene = await stage(ca);
  const socket = connect({ port: scene.port, host: "127.0.0.1" });
  for (let i = 1; i <= 3; i++) {
    socket.write("GET / HTTP/1.1\r\nHost:\r\n\r\n");
    while (!(await read(socket, 1)).includes("hello")) {}
    assert.equal(scene.app.accepted, i);
  }
  socket.destroy();
});

test("[E07] nobody but TLS tells the application who calls", async () => {
  await using scene = await stage(ca);
  await ask(scene.port, { headers: { "l5d-client-id": "admin.example" } });
  assert.equal(scene.app.asked[0]!.head.headers.get("l5d-client-id"), undefined);
});

test("[F02] [F07] [A25] HTTP/1 that came over HTTP/2 reaches the application as HTTP/1", async () => {
  await using scene = await stage(ca);
  await using client = await Http2Asker.connect(scene.port);
  const answer = await client.ask({ path: "/x", headers: { "l5d-orig-proto": "HTTP/1.1" } });
  assert.equal(answer.headers.get("l5d-orig-proto"), "HTTP/1.1");
  const { head } = scene.app.asked[0]!;
  assert.deepEqual([head.version, head.path, head.absoluteForm], ["1.1", "/x", false]);
  assert.equal(head.headers.get("l5d-orig-proto"), undefined);
});

test("[F08] the absolute form of a request is restored", async () => {
  await using scene = await stage(ca);
  await using client = await Http2Asker.connect(scene.port);
  const headers = { "l5d-orig-proto": "HTTP/1.1; absolute-form", host: "other.example" };
  await client.ask({ path: "/x", authority: "web.example", headers });
  const { head } = scene.app.asked[0]!;
  assert.deepEqual([head.absoluteForm, head.authority, head.path], [true, "web.example", "/x"]);
});

test("[L03] an application that refuses connections gives an unmeshed client 502, and no reason", async () => {
  await using scene = await stage(ca);
  const { authority } = scene.app;
  await scene.app[Symbol.asyncDispose]();
  const { port } = await scene.world.inbound(authority);
  const answer = await ask(port);
  assert.equal(answer.status, 502);
  assert.equal(answer.headers.get("l5d-proxy-error"), undefined);
});

test("[L07] HTTP/2 to an application that is away fails fast with 504, without a reason", async () => {
  await using scene = await stage(ca, undefined, {
    version: "http2",
    env: { LINKERD2_PROXY_INBOUND_HTTP_FAILFAST_TIMEOUT: "100ms" },
  });
  const { authority } = scene.app;
  await scene.app[Symbol.asyncDispose]();
  const { port } = await scene.world.inbound(authority);
  await using client = await Http2Asker.connect(port);
  const answer = await client.ask();
  assert.equal(answer.status, 504);
  assert.equal(answer.headers.get("l5d-proxy-error"), undefined);
  await using another = await Http2Asker.connect(port);
  const grpc = await another.ask({
    method: "POST",
    headers: { "content-type": "application/grpc" },
  });
  assert.equal(grpc.status, 200, "[L09] gRPC carries its failure in grpc-status");
  assert.notEqual(grpc.headers.get("grpc-status"), undefined);
});

test("[K05] bytes that are no HTTP count as such", async () => {
  const { server: app, port: appPort } = await tcpApp("");
  await using scene = await stage(ca);
  const { port } = await scene.world.inbound(`127.77.0.10:${appPort}`);
  const socket = connect({ port, host: "127.0.0.1" });
  socket.write("certainly not a request");
  await read(socket, 23);
  const results = (result: string): number | undefined =>
    scene.world.metric("inbound_tcp_detect_http_results_total", `result="${result}"`);
  assert.equal(results("not_http"), 1);
  for (const other of ["http/1", "http/2", "read_timeout", "error"])
    assert.equal(results(other), 0);
  socket.destroy();
  app.close();
});

test("[K06] an HTTP/1 request counts as such", async () => {
  await using scene = await stage(ca);
  await ask(scene.port);
  const name = "inbound_tcp_detect_http_results_total";
  assert.equal(scene.world.metric(name, 'result="http/1"'), 1);
});

test("[K02] the default policy deny lets nobody through", async () => {
  await using scene = await stage(ca, undefined, {
    env: { LINKERD2_PROXY_INBOUND_DEFAULT_POLICY: "deny" },
  });
  await assert.rejects(ask(scene.port));
  assert.equal(scene.app.asked.length, 0);
  assert.match(scene.world.metrics(), /inbound_tcp_authz_deny_total\{[^}]*srv_name="deny"/);
});

test("[A11] [K03] a connection to the inbound port itself must be mutual TLS", async () => {
  await using scene = await stage(ca);
  const { port, ip } = await scene.world.inbound();
  const socket = connect({ port, host: ip });
  socket.write("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
  socket.on("error", () => {});
  const [hadError] = await once(socket, "close");
  assert.equal(typeof hadError, "boolean");
  assert.equal(socket.bytesRead, 0);
});

const ROUTES = (get: object[], post: object[]) => ({
  timeout: { seconds: 10n },
  httpRoutes: [
    {
      metadata: meta("HTTPRoute", "reads"),
      authorizations: get,
      rules: [{ matches: [method(GET)] }],
    },
    {
      metadata: meta("HTTPRoute", "writes"),
      authorizations: post,
      rules: [{ matches: [method(POST)] }],
    },
  ],
});

test("[K10] [K22] [K23] routes admit, refuse and are not found; a new policy counts from the next request on", async () => {
  await using scene = await stageWith(ca, server("detect", ROUTES([EVERYBODY], []), []));
  const opened = (): number =>
    [...scene.world.metrics().matchAll(/^tcp_open_total\{.*peer="src".*\} (\d+)$/gm)].reduce(
      (total, match) => total + Number(match[1]),
      0,
    );
  const before = opened();
  // One connection for all of it.
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const statuses = async (): Promise<number[]> => {
    const found: number[] = [];
    for (const verb of ["GET", "POST", "DELETE"])
      found.push((await ask(scene.port, { method: verb, agent, ...REMOTE })).status);
    return found;
  };
  assert.deepEqual(await statuses(), [200, 403, 404]);
  assert.match(
    scene.world.metrics(),
    /inbound_http_authz_allow_total\{[^}]*route_name="reads"[^}]*authz_name="everybody"/,
  );
  assert.match(scene.world.metrics(), /inbound_http_authz_deny_total\{[^}]*route_name="writes"/);
  assert.match(scene.world.metrics(), /inbound_http_route_not_found_total\{[^}]*srv_name="web"/);
  scene.script.send(server("detect", ROUTES([], [EVERYBODY]), []));
  while ((await ask(scene.port, { agent, ...REMOTE })).status !== 403) {}
  assert.deepEqual(await statuses(), [403, 200, 404]);
  assert.equal(opened() - before, 1);
  agent.destroy();
});

test("[K24] a route's filter adds a header before the application sees the request", async () => {
  const filters = [
    {
      kind: {
        case: "requestHeaderModifier",
        value: { add: { headers: [{ name: "x-added", value: Buffer.from("yes") }] } },
      },
    },
  ];
  const httpRoutes = [{ metadata: meta("HTTPRoute", "all"), rules: [{ filters }] }];
  await using scene = await stageWith(
    ca,
    server("detect", { timeout: { seconds: 10n }, httpRoutes }),
  );
  await ask(scene.port);
  assert.equal(scene.app.asked.at(-1)!.head.headers.get("x-added"), "yes");
});

test("[K27] a rate limit refuses what is too much with 429", async () => {
  const localRateLimit = {
    metadata: meta("HTTPLocalRateLimitPolicy", "limit"),
    identity: { requestsPerSecond: 1 },
  };
  await using scene = await stageWith(ca, server("http1", { localRateLimit }));
  const statuses = await Promise.all([1, 2, 3].map(async () => (await ask(scene.port)).status));
  assert.ok(statuses.includes(429), statuses.join());
  assert.match(
    scene.world.metrics(),
    /inbound_http_local_ratelimit_total\{[^}]*ratelimit_name="limit",ratelimit_scope="identity"/,
  );
});

test("[H03] an HTTP/1 answer under way is finished at shutdown, and then its connection is closed", async () => {
  const release = Promise.withResolvers<void>();
  const begun = Promise.withResolvers<void>();
  await using scene = await stage(ca, () => {
    begun.resolve();
    return { body: "whole", until: release.promise };
  });
  const { inbound, port } = await scene.world.inboundSide(scene.app.authority);
  const socket = connect({ port, host: "127.0.0.1" });
  socket.write("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
  await begun.promise;
  const closed = inbound.close(60_000);
  release.resolve();
  let text = "";
  socket.on("data", (chunk) => {
    text += String(chunk);
  });
  await once(socket, "end");
  assert.match(text, /whole$/);
  await closed;
});

test("[H04] a tunnel goes on after the signal, until it closes by itself", async () => {
  const { server: app, port: appPort } = await tcpApp("");
  await using scene = await stage(ca);
  const { inbound, port } = await scene.world.inboundSide(`127.77.0.10:${appPort}`);
  const socket = connect({ port, host: "127.0.0.1" });
  socket.write("long enough to be no HTTP");
  await read(socket, 25);
  const closed = inbound.close(60_000);
  socket.write("still here");
  assert.equal(await read(socket, 10), "still here");
  socket.end();
  await closed;
  app.close();
});

test("[A06] [X01] a policy that calls the port opaque during detection lets its server speak first", async () => {
  const { server: app, port: appPort } = await tcpApp("220 ready\r\n");
  await using scene = await stage(ca);
  const script = Script.of<ServerInit>();
  scene.world.control.servers.set(appPort, script);
  const { port } = await scene.world.inbound(`127.77.0.10:${appPort}`);
  const socket = connect({ port, host: "127.0.0.1" });
  // Accepted, and waited on, while nothing is known but the default.
  await script.whenOpened(1);
  script.send(server("opaque", {}));
  assert.equal(await read(socket, 11), "220 ready\r\n");
  assert.match(scene.world.metrics(), /tcp_open_total\{[^}]*no_tls_reason="port_skipped"/);
  socket.destroy();
  // Known by now: nothing is detected at all.
  const another = connect({ port, host: "127.0.0.1" });
  assert.equal(await read(another, 11), "220 ready\r\n");
  another.destroy();
  app.close();
});

test("[A15] a request waits for an HTTP/2 application that listens late", async () => {
  await using scene = await stage(ca, undefined, { version: "http2" });
  const { authority } = scene.app;
  await scene.app[Symbol.asyncDispose]();
  const { port } = await scene.world.inbound(authority);
  await using client = await Http2Asker.connect(port);
  const answered = client.ask();
  const isWaiting = (): boolean =>
    (scene.world.metric("tcp_open_total", 'direction="inbound"', 'peer="src"') ?? 0) > 0;
  while (!isWaiting()) await nextTurn();
  const appPort = Number(authority.split(":")[1]);
  await using _late = await TestApp.start("http2", () => ({ body: "late" }), appPort);
  assert.equal((await answered).body, "late");
  assert.match(
    scene.world.metrics(),
    /tcp_open_total\{[^}]*srv_kind="default",srv_name="all-unauthenticated"/,
  );
});

test("[X02] a port whose policy is unknown is judged by the default, then by its own, never by none", async () => {
  for (const [name, first] of [
    ["deny", undefined],
    ["all-unauthenticated", 200],
  ] as const) {
    const env = { LINKERD2_PROXY_INBOUND_DEFAULT_POLICY: name };
    await using scene = await stage(ca, undefined, { env });
    const appPort = Number(scene.app.authority.split(":")[1]);
    const script = Script.of<ServerInit>();
    scene.world.control.servers.set(appPort, script);
    const status = (): Promise<number | undefined> =>
      ask(scene.port, REMOTE).then(
        (answer) => answer.status,
        () => undefined,
      );
    assert.equal(await status(), first, name);
    await script.whenOpened(1);
    script.send(server("detect", { timeout: { seconds: 10n } }, first === 200 ? [] : [EVERYBODY]));
    const then = first === 200 ? 403 : 200;
    const deadline = performance.now() + 5_000;
    let now = await status();
    while (now !== then && performance.now() < deadline) {
      assert.equal(now, first, name);
      now = await status();
    }
    assert.equal(now, then, name);
  }
});
