import assert from "node:assert/strict";
import { test } from "node:test";
import { MeshError } from "@heddle/base/errors";
import { TimerWheel } from "@heddle/base/timer-wheel";
import { type DuplexOptions, duplex } from "@heddle/testkit/duplex";
import { ErrorCode, Flag, FrameType } from "@heddle/wire/http2/frame";
import { type Guard, WARNING_GUARD } from "../guard.ts";
import { NO_FLOW } from "../http.ts";
import { Turn } from "../turn.ts";
import type { Http2ServerOptions } from "./options.ts";
import { Http2Runtime } from "./runtime.ts";
import { serveHttp2 } from "./server.ts";
import { codeOf, type RawFields, RawPeer } from "./testing/raw-peer.ts";
import { Calls, responseHead } from "./testing/services.ts";

const GET: RawFields = [
  [":method", "GET"],
  [":scheme", "http"],
  [":authority", "test"],
  [":path", "/"],
];
const END = Flag.endHeaders | Flag.endStream;

function startServer(
  options: Http2ServerOptions = {},
  sockets: DuplexOptions = {},
  guard: Guard = WARNING_GUARD,
) {
  const clock = { nowMs: 0 };
  const timers = new TimerWheel(() => clock.nowMs);
  const runtime = new Http2Runtime({ turn: new Turn({ guard }), timers, nowMs: () => clock.nowMs });
  const [clientSocket, serverSocket] = duplex(sockets);
  const calls = new Calls();
  const closes: (string | undefined)[] = [];
  const onClose = (error: MeshError | undefined): void => {
    closes.push(error?.code);
  };
  const server = serveHttp2(serverSocket, calls, { ...options, runtime, onClose });
  const peer = new RawPeer(clientSocket);
  peer.greet();
  return {
    calls,
    clientSocket,
    closes,
    peer,
    server,
    advance(ms: number): void {
      clock.nowMs += ms;
      timers.advance();
    },
    async [Symbol.asyncDispose](): Promise<void> {
      server.destroy();
      await server.close();
      timers.stop();
    },
  };
}

function lastOf(goaway: { readonly payload: Buffer }): number {
  return goaway.payload.readUInt32BE(0);
}

test("close() warns, takes what was under way, then names the last stream and refuses the rest", async () => {
  await using t = startServer();
  t.peer.headers(1, GET, END);
  await t.calls.nth(1);
  const closed = t.server.close();
  const first = await t.peer.frame(FrameType.goaway);
  assert.deepEqual([lastOf(first), codeOf(first)], [0x7fff_ffff, ErrorCode.noError]);
  const ping = await t.peer.frame(FrameType.ping);
  t.peer.headers(3, GET, END);
  await t.calls.nth(2);
  t.peer.send(FrameType.ping, Flag.ack, 0, ping.payload);
  assert.equal(lastOf(await t.peer.frame(FrameType.goaway, 0, 2)), 3);
  t.peer.headers(5, GET, END);
  assert.equal(codeOf(await t.peer.frame(FrameType.rstStream, 5)), ErrorCode.refusedStream);
  for (const { response } of t.calls.all) {
    response.head(responseHead(200), NO_FLOW);
    response.end(undefined);
  }
  await t.peer.closed();
  assert.equal(t.peer.of(FrameType.headers).length, 2);
  t.peer.socket.end();
  await closed;
  assert.deepEqual(t.closes, [undefined]);
});

test("close() does not wait for ever for the answer to its PING", async () => {
  await using t = startServer();
  await t.peer.settled();
  const closed = t.server.close();
  await t.peer.frame(FrameType.goaway);
  t.advance(900);
  assert.equal(t.peer.of(FrameType.goaway).length, 1);
  t.advance(200);
  await t.peer.frame(FrameType.goaway, 0, 2);
  await t.peer.closed();
  // Nor for the client to end its side.
  t.advance(1100);
  await closed;
});

test("close() destroys what is not finished after the grace", async () => {
  await using t = startServer();
  t.peer.headers(1, GET, END);
  const { body } = await t.calls.nth(1);
  await body.done();
  const closed = t.server.close(5000);
  t.advance(4900);
  assert.equal(t.server.isClosed, false);
  t.advance(200);
  assert.equal((await body.aborted()).code, "shutdown_grace");
  await closed;
  assert.deepEqual(t.closes, ["shutdown_grace"]);
});

test("close() sends what a slow client has not taken yet before it ends", async () => {
  await using t = startServer({}, { highWaterBytes: 100 });
  await t.peer.settled();
  t.peer.windowUpdate(0, 1_000_000);
  t.peer.settings([[4, 1_000_000]]);
  for (let i = 0; i < 10; i++) t.peer.headers(1 + 2 * i, GET, END);
  await t.calls.nth(10);
  t.clientSocket.pause();
  for (const { response } of t.calls.all) {
    response.head(responseHead(200), NO_FLOW);
    response.data(Buffer.alloc(30_000, 7), 0, 30_000);
    response.end(undefined);
  }
  const closed = t.server.close();
  t.clientSocket.resume();
  t.peer.send(FrameType.ping, Flag.ack, 0, (await t.peer.frame(FrameType.ping, 0, 2)).payload);
  await t.peer.closed();
  for (let i = 0; i < 10; i++) {
    const data = t.peer.of(FrameType.data, 1 + 2 * i);
    assert.equal(
      data.reduce((sum, frame) => sum + frame.payload.length, 0),
      30_000,
    );
    assert.equal(data.at(-1)?.flags, Flag.endStream);
  }
  t.peer.socket.end();
  await closed;
});

for (const how of ["end", "reset", "destroy"] as const) {
  test(`requests are aborted when the connection is lost by ${how}, also after their end`, async () => {
    await using t = startServer();
    t.peer.headers(1, GET);
    t.peer.headers(3, GET, END);
    await t.calls.nth(2);
    await t.calls.all[1]!.body.done();
    if (how === "end") t.peer.socket.end();
    else if (how === "reset") t.clientSocket.reset();
    else t.server.destroy();
    for (const { body, response } of t.calls.all) {
      const error = await body.aborted();
      assert.equal(error.code, how === "reset" ? "connection_reset" : "connection_closed");
      assert.equal(error.side, how === "reset" ? "server" : "client");
      // Too late, and harmless.
      response.head(responseHead(200), NO_FLOW);
      response.data(Buffer.from("x"), 0, 1);
      response.end(undefined);
    }
    assert.equal(t.server.openStreams, 0);
  });
}

test("a stream above the limit is refused, and the next takes its place when one ends", async () => {
  await using t = startServer({ maxConcurrentStreams: 2 });
  const settings = await t.peer.frame(FrameType.settings);
  assert.deepEqual([...settings.payload.subarray(0, 6)], [0, 3, 0, 0, 0, 2]);
  for (const id of [1, 3, 5]) t.peer.headers(id, GET, END);
  assert.equal(codeOf(await t.peer.frame(FrameType.rstStream, 5)), ErrorCode.refusedStream);
  const { response } = await t.calls.nth(2);
  response.head(responseHead(200), NO_FLOW);
  response.end(undefined);
  await t.peer.frame(FrameType.headers, 3);
  t.peer.headers(7, GET, END);
  await t.calls.nth(3);
  assert.equal(t.server.openStreams, 2);
});

test("a stream that is over on the wire frees its place, though its request is still being read", async () => {
  await using t = startServer({ maxConcurrentStreams: 1 });
  t.peer.headers(1, GET);
  const { flow, response, body } = await t.calls.nth(1);
  flow.pause();
  t.peer.data(1, "late", Flag.endStream);
  await t.peer.settled();
  response.head(responseHead(200), NO_FLOW);
  response.end(undefined);
  await t.peer.frame(FrameType.headers, 1);
  assert.equal(t.server.openStreams, 1);
  t.peer.headers(3, GET, END);
  await t.calls.nth(2);
  flow.resume();
  assert.equal((await body.done()).text, "late");
});

test("server drops a client that is silent, when told to ask", async () => {
  await using t = startServer({ keepAliveIntervalMs: 10_000, keepAliveTimeoutMs: 3000 });
  await t.peer.settled();
  const pings = t.peer.of(FrameType.ping).length;
  t.advance(10_050);
  t.advance(10_050);
  await t.peer.frame(FrameType.ping, 0, pings + 1);
  t.advance(3050);
  await t.server.close();
  assert.deepEqual(t.closes, ["keep_alive_timeout"]);
});

test("a bug at the end of a turn destroys the connection and is reported", async () => {
  const bugs: unknown[] = [];
  await using t = startServer({}, {}, { report: (bug) => bugs.push(bug) });
  t.peer.headers(1, GET);
  const { flow, body } = await t.calls.nth(1);
  flow.pause();
  t.peer.data(1, "x");
  await t.peer.settled();
  const bug = new Error("bug in a sink");
  body.onData = () => {
    throw bug;
  };
  flow.resume();
  await body.aborted();
  assert.deepEqual(bugs, [bug]);
  assert.deepEqual(t.closes, ["bug"]);
});

test("an answer can be given while the request is being taken", async () => {
  await using t = startServer();
  t.calls.onCall = ({ head, response }) => {
    if (head.headers.has("x-abort")) {
      response.abort(new MeshError("test", "self", "Cannot do: test"));
      return;
    }
    response.informational?.(responseHead(100));
    response.head(responseHead(200), NO_FLOW);
    response.data(Buffer.from("now"), 0, 3);
    response.end(undefined);
  };
  t.peer.headers(1, GET, END);
  const data = await t.peer.frame(FrameType.data, 1);
  assert.deepEqual([data.payload.toString(), data.flags], ["now", Flag.endStream]);
  assert.equal(t.peer.of(FrameType.headers, 1).length, 2);
  t.peer.headers(3, [...GET, ["x-abort", "1"]], END);
  assert.equal(codeOf(await t.peer.frame(FrameType.rstStream, 3)), ErrorCode.internalError);
  assert.equal(t.server.openStreams, 0);
});
