/** What clients are told when the application fails, with and without a mesh on their side. */
import assert from "node:assert/strict";
import { before, test } from "node:test";
import { MeshError } from "@heddle/base/errors";
import { dial } from "@heddle/net/dialer";
import { Http2Client } from "@heddle/net/http2/client";
import { startListener } from "@heddle/net/listener";
import type { Socket } from "@heddle/net/transport";
import { writeTransportHeader } from "@heddle/net/transport-header";
import { TestCa } from "@heddle/testkit/ca";
import { newCredentials } from "@heddle/testkit/mesh-ends";
import {
  type Answer,
  APP_IP,
  type Ask,
  ask,
  askHttp1,
  type Handler,
  Http2Asker,
  TestApp,
} from "../testing/apps.ts";
import { stage } from "../testing/inbound-stage.ts";
import { dialMeshed, PEER_ID } from "../testing/mesh-client.ts";
import { TEST_ID, TestWorld } from "../testing/world.ts";

const GRPC = { method: "POST", headers: { "content-type": "application/grpc" } };
/** Of an application. */
const HTTP2 = { version: "http2" } as const;

let ca: TestCa;

before(async () => {
  ca = await TestCa.root();
});

async function startWorld(env: Record<string, string> = {}): Promise<TestWorld> {
  const leaf = await ca.leaf({ sans: [{ dns: TEST_ID }] });
  return await TestWorld.start({ anchors: ca.pem, leaf, env });
}

async function meshed(port: number, isDirect = false): Promise<Socket> {
  const credentials = await newCredentials(ca, { sans: [{ dns: PEER_ID }] });
  return await dialMeshed(credentials, { ip: "127.0.0.1", port }, isDirect);
}

/** One request by HTTP/2 over mutual TLS. */
async function askMeshed(port: number, options: Ask = {}): Promise<Answer> {
  await using client = new Http2Asker(new Http2Client(await meshed(port)));
  return await client.ask(options);
}

/** The address of nobody. */
async function deadAuthority(): Promise<string> {
  const app = await TestApp.start("http1", () => ({}));
  await app[Symbol.asyncDispose]();
  return app.authority;
}

/** The address of somebody whose kernel does not answer: its backlog is full. */
async function silentAuthority(): Promise<{ authority: string } & AsyncDisposable> {
  const listener = await startListener({ at: { ip: APP_IP, port: 0 }, backlog: 1 }, (socket) =>
    socket.destroy(),
  );
  listener.pause();
  const waiting: Socket[] = [];
  for (;;) {
    try {
      waiting.push(await dial({ address: listener.address, timeoutMs: 200 }));
    } catch (error) {
      assert.equal((error as MeshError).code, "connect_timeout");
      break;
    }
  }
  return {
    authority: `${APP_IP}:${listener.address.port}`,
    async [Symbol.asyncDispose]() {
      for (const socket of waiting) socket.destroy();
      await listener.close();
    },
  };
}

test("[L02] an application that refuses connections: 502, and a meshed client is told why", async () => {
  await using world = await startWorld();
  const { port } = await world.inbound(await deadAuthority());
  const answer = await askHttp1(await meshed(port));
  assert.equal(answer.status, 502);
  assert.match(answer.headers.get("l5d-proxy-error")!, /refused/);
});

test("[L04] [L05] an application that does not answer: 504, and why for meshed clients alone", async () => {
  await using silent = await silentAuthority();
  await using world = await startWorld({ LINKERD2_PROXY_INBOUND_CONNECT_TIMEOUT: "100ms" });
  const { port } = await world.inbound(silent.authority);
  const told = await askHttp1(await meshed(port));
  assert.equal(told.status, 504);
  assert.match(told.headers.get("l5d-proxy-error")!, /connect timed out after 100ms/);
  const other = await ask(port);
  assert.equal(other.status, 504);
  assert.equal(other.headers.get("l5d-proxy-error"), undefined);
});

test("[L06] HTTP/2 in fail-fast: 504, and a meshed client is told so", async () => {
  await using world = await startWorld({ LINKERD2_PROXY_INBOUND_HTTP_FAILFAST_TIMEOUT: "100ms" });
  const { port } = await world.inbound(await deadAuthority());
  const answer = await askMeshed(port);
  assert.equal(answer.status, 504);
  assert.match(answer.headers.get("l5d-proxy-error")!, /service in fail-fast/);
});

test("[L08] [L09] gRPC gets 200 with a status, and the cause if the client is meshed", async () => {
  await using world = await startWorld({ LINKERD2_PROXY_INBOUND_HTTP_FAILFAST_TIMEOUT: "100ms" });
  const { port } = await world.inbound(await deadAuthority());
  const told = await askMeshed(port, GRPC);
  assert.deepEqual([told.status, told.headers.get("grpc-status")], [200, "4"]);
  assert.match(told.headers.get("l5d-proxy-error")!, /service in fail-fast/);
  assert.match(told.headers.get("grpc-message")!, /service in fail-fast/);
  await using other = await startWorld({ LINKERD2_PROXY_INBOUND_HTTP_FAILFAST_TIMEOUT: "100ms" });
  const plain = await other.inbound(await deadAuthority());
  await using client = await Http2Asker.connect(plain.port);
  const untold = await client.ask(GRPC);
  assert.deepEqual([untold.status, untold.headers.get("grpc-status")], [200, "4"]);
  assert.equal(untold.headers.get("l5d-proxy-error"), undefined);
  assert.equal(untold.headers.get("grpc-message"), undefined);
});

test("[L10] a gRPC failure in trailers is a failure with HTTP 200", async () => {
  await using scene = await stage(
    ca,
    () => ({ body: "data", trailers: { "grpc-status": "2" } }),
    HTTP2,
  );
  const answer = await askMeshed(scene.port, GRPC);
  assert.deepEqual([answer.status, answer.trailers?.get("grpc-status")], [200, "2"]);
  const labels = ['status_code="200"', 'classification="failure"', 'grpc_status="2"'];
  assert.equal(scene.world.metric("response_total", ...labels), 1);
});

test("[L11] [L12] the authority is a label where that is called unsafe, and nowhere else", async () => {
  const unsafe = { LINKERD2_PROXY_INBOUND_METRICS_AUTHORITY_LABELS: "unsafe" };
  for (const env of [unsafe, {}]) {
    await using scene = await stage(ca, () => ({ body: "ok" }), { ...HTTP2, env });
    await using client = await Http2Asker.connect(scene.port);
    await client.ask({ authority: "a.example" });
    await client.ask({ authority: "b.example" });
    const named = (name: string): number | undefined =>
      scene.world.metric("request_total", 'direction="inbound"', `authority="${name}"`);
    const expected = env === unsafe ? [1, 1] : [undefined, undefined];
    assert.deepEqual([named("a.example"), named("b.example")], expected);
    assert.equal(/authority="/.test(scene.world.metrics()), env === unsafe);
  }
});

test("[L13] direct connections are counted by session and client", async () => {
  await using app = await TestApp.start("http1", () => ({}));
  await using world = await startWorld();
  const { port } = await world.inbound();
  const appPort = Number(app.authority.split(":")[1]);
  const count = (protocol: string, name: string): number | undefined =>
    world.metric(
      "inbound_tcp_transport_header_connections_total",
      `session_protocol="${protocol}"`,
      `target_port="${appPort}"`,
      `target_name="${name}"`,
      `client_id="${PEER_ID}"`,
    );
  const named = [undefined, "web.default.svc.cluster.local"];
  for (const protocol of ["http1", "http2", undefined] as const) {
    for (const name of named) {
      const socket = await meshed(port, true);
      const closed = Promise.withResolvers<void>();
      socket.setHandler({
        onData: () => {},
        onDrain: () => {},
        onEnd: () => socket.end(),
        onClose: () => closed.resolve(),
      });
      assert.equal(writeTransportHeader(socket, { port: appPort, name, protocol }), true);
      socket.end();
      await closed.promise;
      const label = protocol === undefined ? "" : protocol.replace("http", "http/");
      assert.equal(count(label, name ?? ""), 1, `${protocol} ${name}`);
    }
  }
});

test("[L14] a body that breaks ends gRPC with INTERNAL in trailers, after the data", async () => {
  const handler: Handler = ({ head }) =>
    head.path === "/whole"
      ? { body: "whole", trailers: { "grpc-status": "0", "x-own": "1" } }
      : {
          body: "some data",
          trailers: {},
          breaksWith: new MeshError("test", "self", "the application broke"),
        };
  await using scene = await stage(ca, handler, HTTP2);
  const told = await askMeshed(scene.port, GRPC);
  assert.deepEqual([told.status, told.body], [200, "some data"]);
  assert.equal(told.trailers?.get("grpc-status"), "13");
  assert.notEqual(told.trailers?.get("grpc-message"), undefined);
  await using client = await Http2Asker.connect(scene.port);
  const untold = await client.ask(GRPC);
  assert.deepEqual([untold.status, untold.body], [200, "some data"]);
  assert.equal(untold.trailers?.get("grpc-status"), "13");
  assert.equal(untold.trailers?.get("grpc-message"), undefined);
  const whole = await client.ask({ ...GRPC, path: "/whole" });
  assert.deepEqual([whole.body, whole.trailers?.get("x-own")], ["whole", "1"]);
});
