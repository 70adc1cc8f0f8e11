import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import { MeshError } from "@heddle/base/errors";
import { duplex } from "@heddle/testkit/duplex";
import { HeaderMap } from "@heddle/wire/http/headers";
import { Flag, FrameType } from "@heddle/wire/http2/frame";
import type { Flow } from "../http.ts";
import { Http2Client } from "./client.ts";
import type { Http2ServerOptions } from "./options.ts";
import { serveHttp2 } from "./server.ts";
import { type RawFields, RawPeer } from "./testing/raw-peer.ts";
import { Calls, ECHO, Gather, requestHead, responseHead } from "./testing/services.ts";

const POST: RawFields = [
  [":method", "POST"],
  [":scheme", "http"],
  [":authority", "test"],
  [":path", "/"],
];
const END = Flag.endHeaders | Flag.endStream;

/** Counts what it is told. */
class CountingFlow implements Flow {
  isPaused = false;
  pauses = 0;

  pause(): void {
    if (!this.isPaused) this.pauses++;
    this.isPaused = true;
  }

  resume(): void {
    this.isPaused = false;
  }
}

function startServer(
  options: Http2ServerOptions = {},
  settings: readonly (readonly [number, number])[] = [],
) {
  const [clientSocket, serverSocket] = duplex();
  const calls = new Calls();
  const server = serveHttp2(serverSocket, calls, options);
  const peer = new RawPeer(clientSocket);
  peer.greet(settings);
  return {
    calls,
    peer,
    server,
    async [Symbol.asyncDispose](): Promise<void> {
      server.destroy();
      await server.close();
    },
  };
}

function sum(frames: readonly { readonly payload: Buffer }[]): number {
  return frames.reduce((total, frame) => total + frame.payload.length, 0);
}

test("server sends no more than the stream's window and pauses the sender until it opens", async () => {
  await using t = startServer({}, [[4, 10]]);
  t.peer.headers(1, POST, END);
  const { response } = await t.calls.nth(1);
  const flow = new CountingFlow();
  response.head(responseHead(200), flow);
  response.data(Buffer.from("0123456789abc"), 0, 13);
  assert.equal(flow.isPaused, true);
  response.end(undefined);
  // The head and what the window allows are flushed, though the rest is stalled.
  await t.peer.frame(FrameType.data, 1);
  await t.peer.settled();
  assert.equal(sum(t.peer.of(FrameType.data, 1)), 10);
  t.peer.windowUpdate(1, 2);
  await t.peer.until(() => sum(t.peer.of(FrameType.data, 1)) === 12);
  t.peer.windowUpdate(1, 1);
  await t.peer.until(() => t.peer.of(FrameType.data, 1).some((f) => (f.flags & 1) !== 0));
  assert.equal(
    Buffer.concat(t.peer.of(FrameType.data, 1).map((f) => f.payload)).toString(),
    "0123456789abc",
  );
});

test("server sends the head at once when the window is 0 from the start", async () => {
  await using t = startServer({}, [[4, 0]]);
  t.peer.headers(1, POST, END);
  const { response } = await t.calls.nth(1);
  response.head(responseHead(200), new CountingFlow());
  response.data(Buffer.from("x"), 0, 1);
  await t.peer.frame(FrameType.headers, 1);
  // An empty END_STREAM needs no window, but must not overtake the data.
  response.end(undefined);
  await t.peer.settled();
  assert.equal(t.peer.of(FrameType.data, 1).length, 0);
  t.peer.settings([[4, 1]]);
  const frame = await t.peer.frame(FrameType.data, 1);
  assert.deepEqual([frame.payload.length, frame.flags], [1, Flag.endStream]);
});

test("server resumes the sender when what waited is sent, not before", async () => {
  await using t = startServer({}, [[4, 4]]);
  t.peer.headers(1, POST, END);
  const { response } = await t.calls.nth(1);
  const flow = new CountingFlow();
  response.head(responseHead(200), flow);
  response.data(Buffer.from("0123456789"), 0, 10);
  t.peer.windowUpdate(1, 4);
  await t.peer.until(() => sum(t.peer.of(FrameType.data, 1)) === 8);
  assert.equal(flow.isPaused, true);
  t.peer.windowUpdate(1, 4);
  await t.peer.until(() => sum(t.peer.of(FrameType.data, 1)) === 10);
  assert.equal(flow.isPaused, false);
  assert.equal(flow.pauses, 1);
});

test("server follows a window that SETTINGS make negative", async () => {
  await using t = startServer({}, [[4, 10]]);
  t.peer.headers(1, POST, END);
  const { response } = await t.calls.nth(1);
  response.head(responseHead(200), new CountingFlow());
  response.data(Buffer.alloc(30), 0, 30);
  await t.peer.until(() => sum(t.peer.of(FrameType.data, 1)) === 10);
  t.peer.settings([[4, 4]]); // the window is -6 now
  t.peer.windowUpdate(1, 6);
  await t.peer.settled();
  assert.equal(sum(t.peer.of(FrameType.data, 1)), 10);
  t.peer.windowUpdate(1, 1);
  await t.peer.until(() => sum(t.peer.of(FrameType.data, 1)) === 11);
  t.peer.settings([[4, 23]]);
  await t.peer.until(() => sum(t.peer.of(FrameType.data, 1)) === 30);
});

test("server shares the connection's window among streams, one frame each in turn", async () => {
  await using t = startServer({}, [[4, 1_000_000]]);
  const bodies = [1, 3, 5];
  for (const id of bodies) t.peer.headers(id, POST, END);
  await t.calls.nth(3);
  for (const { response } of t.calls.all) {
    response.head(responseHead(200), new CountingFlow());
    response.data(Buffer.alloc(100_000), 0, 100_000);
    response.end(undefined);
  }
  await t.peer.until(() => sum(t.peer.of(FrameType.data)) === 65_535);
  // Stream 1 took all of it.
  assert.equal(sum(t.peer.of(FrameType.data, 1)), 65_535);
  t.peer.windowUpdate(0, 16_384 * 3);
  await t.peer.until(() => sum(t.peer.of(FrameType.data)) === 65_535 + 16_384 * 3);
  assert.deepEqual(
    bodies.map((id) => sum(t.peer.of(FrameType.data, id))),
    [65_535 + 16_384, 16_384, 16_384],
  );
  t.peer.windowUpdate(0, 1_000_000);
  await t.peer.until(() => t.peer.of(FrameType.data).filter((f) => f.flags === 1).length === 3);
  assert.deepEqual(
    bodies.map((id) => sum(t.peer.of(FrameType.data, id))),
    [100_000, 100_000, 100_000],
  );
});

test("server gives back windows as bodies are read", async () => {
  await using t = startServer({ initialStreamWindowBytes: 1000 });
  t.peer.headers(1, POST);
  t.peer.data(1, Buffer.alloc(499));
  await t.peer.settled();
  assert.equal(t.peer.of(FrameType.windowUpdate, 1).length, 0);
  t.peer.data(1, Buffer.alloc(1));
  const update = await t.peer.frame(FrameType.windowUpdate, 1);
  assert.equal(update.payload.readUInt32BE(), 500);
});

test("a paused body stops the updates of its own window only, and is delivered whole later", async () => {
  await using t = startServer({ initialConnectionWindowBytes: 200_000 });
  t.peer.headers(1, POST);
  t.peer.headers(3, POST);
  await t.calls.nth(2);
  const [slow, quick] = t.calls.all;
  slow!.flow.pause();
  for (let i = 0; i < 4; i++) t.peer.data(1, Buffer.alloc(15_000, 97 + i));
  for (let i = 0; i < 4; i++) t.peer.data(3, Buffer.alloc(15_000, 120));
  await t.peer.frame(FrameType.windowUpdate, 3);
  await t.peer.settled();
  assert.equal(slow!.body.byteCount, 0);
  assert.equal(quick!.body.byteCount, 60_000);
  assert.equal(t.peer.of(FrameType.windowUpdate, 1).length, 0);
  t.peer.data(1, "", Flag.endStream);
  await t.peer.settled();
  assert.equal(slow!.body.isEnded, false);
  slow!.flow.resume();
  await slow!.body.done();
  assert.equal(slow!.body.text, ["a", "b", "c", "d"].map((c) => c.repeat(15_000)).join(""));
});

test("bodies that nobody reads hold the connection's window: heads of others come, data does not", async () => {
  const [clientSocket, serverSocket] = duplex();
  const server = serveHttp2(serverSocket, ECHO);
  const client = new Http2Client(clientSocket, {
    initialStreamWindowBytes: 65_535,
    initialConnectionWindowBytes: 65_535,
  });
  const body = Buffer.alloc(65_535, 1);
  const first = new Gather();
  first.onData = () => first.flow.pause();
  const sink = client.call(requestHead("POST"), new CountingFlow(), first);
  await first.until(() => first.response !== undefined);
  first.flow.pause();
  sink.data(body, 0, body.length);
  sink.end(undefined);
  const second = new Gather();
  const secondSink = client.call(requestHead("POST"), new CountingFlow(), second);
  secondSink.data(Buffer.from("second"), 0, 6);
  secondSink.end(undefined);
  await second.until(() => second.response !== undefined);
  for (let i = 0; i < 20; i++) await nextTurn();
  assert.equal(second.byteCount, 0);
  first.onData = undefined;
  first.flow.resume();
  await Promise.all([first.done(), second.done()]);
  assert.equal(second.text, "second");
  await Promise.all([client.close(), server.close()]);
});

test("padding counts against the windows and is given back", async () => {
  await using t = startServer({ initialStreamWindowBytes: 200 });
  t.peer.headers(1, POST);
  t.peer.send(FrameType.data, Flag.padded, 1, Buffer.concat([Buffer.from([99]), Buffer.alloc(99)]));
  assert.equal((await t.peer.frame(FrameType.windowUpdate, 1)).payload.readUInt32BE(), 100);
});

test("DATA beyond the stream's window resets it, beyond the connection's ends all", async () => {
  await using t = startServer({ initialStreamWindowBytes: 65_535 });
  t.peer.headers(1, POST);
  (await t.calls.nth(1)).flow.pause();
  for (let i = 0; i < 4; i++) t.peer.data(1, Buffer.alloc(16_384));
  const reset = await t.peer.frame(FrameType.rstStream, 1);
  assert.equal(reset.payload.readUInt32BE(), 3);
  await using u = startServer({ initialConnectionWindowBytes: 65_535 });
  for (const id of [1, 3]) u.peer.headers(id, POST);
  await u.calls.nth(2);
  for (const call of u.calls.all) call.flow.pause();
  for (const id of [1, 3]) for (let i = 0; i < 3; i++) u.peer.data(id, Buffer.alloc(16_000));
  assert.equal((await u.peer.frame(FrameType.goaway)).payload.readUInt32BE(4), 3);
});

test("DATA on a stream that we reset gives its window back to the connection", async () => {
  await using t = startServer({ initialConnectionWindowBytes: 65_535 });
  for (let i = 0; i < 20; i++) {
    const id = 1 + 2 * i;
    t.peer.headers(id, POST);
    const { response } = await t.calls.nth(i + 1);
    response.abort(new MeshError("test", "self", "Cannot do: test"));
    t.peer.data(id, Buffer.alloc(16_000));
    await t.peer.settled();
  }
  const given = t.peer.of(FrameType.windowUpdate, 0).map((f) => f.payload.readUInt32BE());
  assert.ok(given.reduce((a, b) => a + b, 0) >= 20 * 16_000 - 65_535 / 2);
});

test("a sender that ignores pause is cut off", async () => {
  await using t = startServer({ maxSendBufferBytes: 1000 }, [[4, 0]]);
  t.peer.headers(1, POST);
  const call = await t.calls.nth(1);
  call.response.head(responseHead(200), new CountingFlow());
  call.response.data(Buffer.alloc(1000), 0, 1000);
  call.response.data(Buffer.alloc(5000), 0, 5000);
  assert.ok(!call.body.isEnded && call.body.error === undefined);
  call.response.data(Buffer.alloc(1), 0, 1);
  assert.equal((await call.body.aborted()).code, "send_buffer_full");
  assert.equal((await t.peer.frame(FrameType.rstStream, 1)).payload.readUInt32BE(), 2);
});

test("everything of one turn goes out in one write", async () => {
  await using t = startServer();
  for (let i = 0; i < 50; i++) t.peer.headers(1 + 2 * i, POST, END);
  await t.calls.nth(50);
  await t.peer.settled();
  const socket = t.peer.socket as unknown as { bytesRead: number };
  assert.ok(socket.bytesRead > 0);
  const before = t.peer.frames.length;
  let reads = 0;
  const onData = t.peer.onData.bind(t.peer);
  t.peer.onData = (bytes, start, end) => {
    reads++;
    onData(bytes, start, end);
  };
  for (const { response } of t.calls.all) {
    response.head(responseHead(200), new CountingFlow());
    response.data(Buffer.from("hello"), 0, 5);
    response.end(undefined);
  }
  await t.peer.until(() => t.peer.frames.length === before + 100);
  assert.equal(reads, 1);
  // END_STREAM is on the data, not on frames of its own.
  assert.equal(
    t.peer.of(FrameType.data).filter((f) => f.flags === 1 && f.payload.length === 5).length,
    50,
  );
});

for (const highWaterBytes of [1, 100, 5000]) {
  test(`bodies cross a socket that drains slowly (${highWaterBytes} bytes) with small windows`, async () => {
    const [clientSocket, serverSocket] = duplex({ highWaterBytes, split: () => 997 });
    const windows = { initialStreamWindowBytes: 4000, initialConnectionWindowBytes: 65_535 };
    const server = serveHttp2(serverSocket, ECHO, windows);
    const client = new Http2Client(clientSocket, windows);
    const body = Buffer.from(Array.from({ length: 150_000 }, (_, i) => i % 251));
    const all = Array.from({ length: 8 }, async () => {
      const got = new Gather();
      const flow = new CountingFlow();
      const sink = client.call(requestHead("POST"), flow, got);
      for (let at = 0; at < body.length; at += 3001) {
        while (flow.isPaused) await nextTurn();
        sink.data(body, at, Math.min(body.length, at + 3001));
      }
      sink.end(HeaderMap.of({ "x-sum": "1" }));
      await got.done();
      assert.equal(got.trailers?.get("x-sum"), "1");
      assert.ok(Buffer.from(got.text, "latin1").equals(body));
    });
    await Promise.all(all);
    await Promise.all([client.close(), server.close()]);
  });
}
