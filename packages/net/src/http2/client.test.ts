import assert from "node:assert/strict";
import { test } from "node:test";
import { MeshError } from "@heddle/base/errors";
import { TimerWheel } from "@heddle/base/timer-wheel";
import { duplex } from "@heddle/testkit/duplex";
import { HeaderMap } from "@heddle/wire/http/headers";
import { ErrorCode, errorName, Flag, FrameType } from "@heddle/wire/http2/frame";
import { NO_FLOW, type RequestHead } from "../http.ts";
import { Http2Client } from "./client.ts";
import { h2ReasonOf } from "./errors.ts";
import type { Http2ClientOptions } from "./options.ts";
import { Http2Runtime } from "./runtime.ts";
import { codeOf, type RawFields, RawPeer } from "./testing/raw-peer.ts";
import { Gather, requestHead } from "./testing/services.ts";

const OK: RawFields = [[":status", "200"]];
const END = Flag.endHeaders | Flag.endStream;

/** Our client, a server that does what the test says, and a clock that the test moves. */
function startClient(
  options: Http2ClientOptions = {},
  settings?: readonly (readonly [number, number])[],
) {
  const clock = { nowMs: 0 };
  const timers = new TimerWheel(() => clock.nowMs);
  const runtime = new Http2Runtime({ timers, nowMs: () => clock.nowMs });
  const [clientSocket, serverSocket] = duplex();
  const events: (string | undefined)[] = [];
  const client = new Http2Client(clientSocket, {
    ...options,
    runtime,
    onDraining: () => events.push("draining"),
    onClose: (error) => events.push("closed", error?.code),
  });
  const peer = new RawPeer(serverSocket, true);
  if (settings !== undefined) peer.settings(settings);
  return {
    client,
    clock,
    events,
    peer,
    clientSocket,
    timers,
    advance(ms: number): void {
      clock.nowMs += ms;
      timers.advance();
    },
    async [Symbol.asyncDispose](): Promise<void> {
      client.destroy();
      await client.close();
      timers.stop();
    },
  };
}

type Client = ReturnType<typeof startClient>;

function call(t: Client, head: RequestHead = requestHead()): Gather {
  const got = new Gather();
  t.client.call(head, NO_FLOW, got).end(undefined);
  return got;
}

test("client starts with its preface and SETTINGS, and acknowledges the server's", async () => {
  await using t = startClient({}, []);
  const settings = await t.peer.frame(FrameType.settings);
  const pairs = Array.from({ length: settings.payload.length / 6 }, (_, i) => [
    settings.payload.readUInt16BE(i * 6),
    settings.payload.readUInt32BE(i * 6 + 2),
  ]);
  assert.deepEqual(pairs, [
    [2, 0],
    [4, 65_535],
    [5, 16_384],
    [6, 16_384],
  ]);
  const update = await t.peer.frame(FrameType.windowUpdate, 0);
  assert.equal(update.payload.readUInt32BE(), 1_048_576 - 65_535);
  assert.equal((await t.peer.frame(FrameType.settings, 0, 2)).flags, Flag.ack);
});

test("client sends head and end in one frame, and streams 1, 3, 5", async () => {
  await using t = startClient({}, []);
  for (let i = 0; i < 3; i++) call(t, requestHead("GET", `/${i}`));
  const third = await t.peer.frame(FrameType.headers, 5);
  assert.equal(third.flags, END);
  assert.equal(t.peer.of(FrameType.data).length, 0);
  assert.deepEqual(
    t.peer.of(FrameType.headers).map((f) => t.peer.fieldsOf(f).find(([n]) => n === ":path")?.[1]),
    ["/0", "/1", "/2"],
  );
});

test("client never sends fields of one connection, nor pseudo-header fields of others", async () => {
  await using t = startClient({}, []);
  const fields = {
    connection: "x",
    "keep-alive": "1",
    "proxy-connection": "1",
    "transfer-encoding": "chunked",
    upgrade: "h2c",
    "http2-settings": "AAM",
    te: "gzip",
    ":path": "/other",
    "x-kept": "1",
  };
  call(t, requestHead("GET", "/", fields));
  assert.deepEqual(t.peer.fieldsOf(await t.peer.frame(FrameType.headers, 1)), [
    [":method", "GET"],
    [":scheme", "http"],
    [":authority", "test"],
    [":path", "/"],
    ["x-kept", "1"],
  ]);
});

test("client sends large field sections in CONTINUATION frames", async () => {
  await using t = startClient({}, []);
  const value = "v".repeat(40_000);
  call(t, requestHead("GET", "/", { "x-large": value }));
  const last = await t.peer.frame(FrameType.continuation, 1, 2);
  assert.equal(last.flags, Flag.endHeaders);
  const frames = t.peer.frames.filter((f) => f.streamId === 1);
  assert.deepEqual(
    frames.map((f) => [f.type, f.flags]),
    [
      [FrameType.headers, Flag.endStream],
      [FrameType.continuation, 0],
      [FrameType.continuation, Flag.endHeaders],
    ],
  );
  const payload = Buffer.concat(frames.map((f) => f.payload));
  const fields = t.peer.fieldsOf({ ...frames[0]!, payload });
  assert.equal(fields.at(-1)?.[1], value);
});

test("client marks fields as never indexed that came so", async () => {
  await using t = startClient({}, []);
  const head = requestHead("GET", "/", { "x-key": "secret" });
  head.headers.markSensitive("x-key");
  call(t, head);
  call(t, head);
  const second = await t.peer.frame(FrameType.headers, 3);
  assert.ok(second.payload.includes(Buffer.concat([Buffer.from([0x10, 5]), Buffer.from("x-key")])));
});

test("client waits for a stream when the server allows no more, in order", async () => {
  await using t = startClient({}, [[3, 1]]);
  await t.peer.frame(FrameType.settings, 0, 2);
  const all = [0, 1, 2].map((i) => {
    const got = new Gather();
    const sink = t.client.call(requestHead("POST", `/${i}`), NO_FLOW, got);
    sink.data(Buffer.from(`body ${i}`), 0, 6);
    sink.end(HeaderMap.of({ x: String(i) }));
    return got;
  });
  assert.equal(t.client.openStreams, 3);
  assert.equal(t.client.hasCapacity, false);
  for (const i of [0, 1, 2]) {
    const id = 1 + 2 * i;
    await t.peer.until(() => t.peer.of(FrameType.headers, id).length === 2);
    assert.equal(t.peer.of(FrameType.data, id)[0]?.payload.toString(), `body ${i}`);
    assert.equal(t.peer.of(FrameType.headers, id + 2).length, 0);
    t.peer.headers(id, OK, END);
    await all[i]!.done();
  }
  assert.equal(t.client.openStreams, 0);
});

test("a request that waits pauses its sender, and can be aborted without a trace", async () => {
  await using t = startClient({}, [[3, 0]]);
  await t.peer.frame(FrameType.settings, 0, 2);
  let isPaused = false;
  const flow = {
    pause: () => {
      isPaused = true;
    },
    resume: () => {
      isPaused = false;
    },
  };
  const got = new Gather();
  const sink = t.client.call(requestHead("POST"), flow, got);
  sink.data(Buffer.from("x"), 0, 1);
  assert.equal(isPaused, true);
  sink.abort(new MeshError("test", "self", "Cannot do: test"));
  assert.equal(t.client.openStreams, 0);
  call(t);
  t.peer.settings([[3, 10]]);
  await t.peer.frame(FrameType.headers, 1);
  assert.equal(got.error, undefined);
});

test("client refuses more waiting requests than it may hold", async () => {
  await using t = startClient({ maxQueuedRequests: 2 }, [[3, 0]]);
  await t.peer.frame(FrameType.settings, 0, 2);
  const waiting = [call(t), call(t)];
  const error = await call(t).aborted();
  assert.deepEqual([error.code, error.retryable], ["h2_not_sent", true]);
  t.peer.settings([[3, 2]]);
  await t.peer.frame(FrameType.headers, 3);
  for (const id of [1, 3]) t.peer.headers(id, OK, END);
  for (const got of waiting) await got.done();
});

test("GOAWAY: streams above its last fail retryable, the others finish, then the end", async () => {
  await using t = startClient({}, [[3, 2]]);
  await t.peer.frame(FrameType.settings, 0, 2);
  const [first, second, waiting] = [call(t), call(t), call(t)];
  await t.peer.frame(FrameType.headers, 3);
  t.peer.goaway(1, ErrorCode.enhanceYourCalm);
  for (const got of [second, waiting]) {
    const error = await got!.aborted();
    assert.deepEqual([error.code, error.retryable], ["h2_goaway", true]);
    assert.equal(h2ReasonOf(error), ErrorCode.enhanceYourCalm);
  }
  assert.equal(t.client.isDraining, true);
  assert.equal((await call(t).aborted()).retryable, true);
  t.peer.headers(1, OK);
  t.peer.data(1, "whole", Flag.endStream);
  assert.equal((await first!.done()).text, "whole");
  await t.peer.closed();
  t.peer.socket.end();
  await t.client.close();
  assert.deepEqual(t.events, ["draining", "closed", undefined]);
});

test("GOAWAY with 2^31-1 is a warning: nothing fails until the second", async () => {
  await using t = startClient({}, []);
  const got = [call(t), call(t)];
  await t.peer.frame(FrameType.headers, 3);
  t.peer.goaway(0x7fff_ffff, 0);
  await t.peer.settled();
  assert.equal(t.client.isDraining, true);
  t.peer.goaway(1, 0);
  assert.equal((await got[1]!.aborted()).code, "h2_goaway");
  t.peer.headers(1, OK, END);
  await got[0]!.done();
});

test("close() lets requests finish, the waiting ones too, then says goodbye", async () => {
  await using t = startClient({}, [[3, 1]]);
  await t.peer.frame(FrameType.settings, 0, 2);
  const got = [call(t), call(t)];
  const closed = t.client.close();
  assert.equal((await call(t).aborted()).code, "h2_not_sent");
  for (const [i, one] of got.entries()) {
    await t.peer.frame(FrameType.headers, 1 + 2 * i);
    t.peer.headers(1 + 2 * i, OK, END);
    await one.done();
  }
  assert.equal(codeOf(await t.peer.frame(FrameType.goaway)), ErrorCode.noError);
  await t.peer.closed();
  t.peer.socket.end();
  await closed;
});

test("close() destroys what is left after the grace", async () => {
  await using t = startClient({}, []);
  const got = call(t);
  const closed = t.client.close(5000);
  t.advance(4900);
  assert.equal(got.error, undefined);
  t.advance(200);
  assert.equal((await got.aborted()).code, "shutdown_grace");
  await closed;
});

test("close() of an idle connection ends even if the server never does", async () => {
  await using t = startClient({}, []);
  await t.peer.settled();
  const closed = t.client.close();
  await t.peer.frame(FrameType.goaway);
  await t.peer.closed();
  t.advance(1100);
  await closed;
});

for (const how of ["end", "reset"] as const) {
  test(`requests fail when the server's socket sends ${how}`, async () => {
    await using t = startClient({}, []);
    const got = call(t);
    await t.peer.frame(FrameType.headers, 1);
    if (how === "end") t.peer.socket.end();
    else t.clientSocket.reset();
    const error = await got.aborted();
    assert.equal(error.code, how === "end" ? "connection_closed" : "connection_reset");
    assert.equal(error.retryable, false);
    assert.equal((await call(t).aborted()).retryable, true);
  });
}

test("a whole answer is delivered though the connection is lost before it is read", async () => {
  await using t = startClient({}, []);
  const got = new Gather();
  got.onHead = (flow) => flow.pause();
  t.client.call(requestHead(), NO_FLOW, got).end(undefined);
  await t.peer.frame(FrameType.headers, 1);
  t.peer.headers(1, OK);
  t.peer.data(1, "whole", Flag.endStream);
  await got.until(() => got.response !== undefined);
  await t.peer.settled();
  t.clientSocket.reset();
  while (!t.client.isClosed) await new Promise((resolve) => setImmediate(resolve));
  assert.equal(got.byteCount, 0);
  got.flow.resume();
  assert.equal((await got.done()).text, "whole");
});

test("RST_STREAM NO_ERROR after a whole answer ends the upload, without an error", async () => {
  await using t = startClient({}, []);
  const got = new Gather();
  const sink = t.client.call(requestHead("POST"), NO_FLOW, got);
  await t.peer.frame(FrameType.headers, 1);
  t.peer.headers(1, OK, END);
  t.peer.rstStream(1, ErrorCode.noError);
  await got.done();
  await t.peer.settled();
  sink.data(Buffer.from("ignored"), 0, 7);
  sink.end(undefined);
  await t.peer.settled();
  assert.equal(t.peer.of(FrameType.data).length, 0);
  assert.equal(t.client.openStreams, 0);
});

test("an answer is delivered in the middle of the upload, which goes on", async () => {
  await using t = startClient({}, []);
  const got = new Gather();
  const sink = t.client.call(requestHead("POST"), NO_FLOW, got);
  await t.peer.frame(FrameType.headers, 1);
  t.peer.headers(1, OK, END);
  await got.done();
  assert.equal(t.client.openStreams, 1);
  sink.data(Buffer.from("more"), 0, 4);
  sink.end(undefined);
  assert.equal((await t.peer.frame(FrameType.data, 1)).flags, Flag.endStream);
  assert.equal(t.client.openStreams, 0);
});

/** What a server may not do on a stream: it is reset, the request fails, others go on. */
const BAD_ANSWERS: readonly (readonly [string, number, (t: Client) => void])[] = [
  ["no :status", ErrorCode.protocolError, (t) => t.peer.headers(1, [["x", "y"]], END)],
  [":status 20", ErrorCode.protocolError, (t) => t.peer.headers(1, [[":status", "20"]], END)],
  [":status 101", ErrorCode.protocolError, (t) => t.peer.headers(1, [[":status", "101"]])],
  ["a request's field", ErrorCode.protocolError, (t) => t.peer.headers(1, [...OK, [":path", "/"]])],
  ["connection", ErrorCode.protocolError, (t) => t.peer.headers(1, [...OK, ["connection", "x"]])],
  [
    "1xx with END_STREAM",
    ErrorCode.protocolError,
    (t) => t.peer.headers(1, [[":status", "103"]], END),
  ],
  ["DATA before the head", ErrorCode.protocolError, (t) => t.peer.data(1, "x")],
  [
    "no body in spite of content-length",
    ErrorCode.protocolError,
    (t) => t.peer.headers(1, [...OK, ["content-length", "1"]], END),
  ],
  [
    "more body than content-length",
    ErrorCode.protocolError,
    (t) => {
      t.peer.headers(1, [...OK, ["content-length", "1"]]);
      t.peer.data(1, "xy", Flag.endStream);
    },
  ],
  [
    "a field section that is too large",
    ErrorCode.protocolError,
    (t) => t.peer.headers(1, [...OK, ...Array.from({ length: 500 }, () => ["a", "b"] as const)]),
  ],
];

for (const [what, code, script] of BAD_ANSWERS) {
  test(`client resets a stream with ${errorName(code)} on ${what}`, async () => {
    await using t = startClient({}, []);
    const got = call(t);
    const other = call(t);
    await t.peer.frame(FrameType.headers, 3);
    script(t);
    const error = await got.aborted();
    assert.deepEqual([error.code, error.side], ["h2_protocol", "server"]);
    assert.equal(codeOf(await t.peer.frame(FrameType.rstStream, 1)), code);
    t.peer.headers(3, OK, END);
    await other.done();
  });
}

/** What ends the connection. */
const BAD_SERVERS: readonly (readonly [string, number, (t: Client) => void])[] = [
  ["HEADERS on a stream of its own", ErrorCode.protocolError, (t) => t.peer.headers(2, OK, END)],
  ["HEADERS on an idle stream", ErrorCode.protocolError, (t) => t.peer.headers(5, OK, END)],
  [
    "PUSH_PROMISE",
    ErrorCode.protocolError,
    (t) => t.peer.send(FrameType.pushPromise, Flag.endHeaders, 1, Buffer.from([0, 0, 0, 2])),
  ],
  ["ENABLE_PUSH 1", ErrorCode.protocolError, (t) => t.peer.settings([[2, 1]])],
  [
    "a body beyond the window",
    ErrorCode.flowControlError,
    (t) => {
      t.peer.headers(1, OK);
      for (let i = 0; i < 70; i++) t.peer.data(1, Buffer.alloc(16_384));
    },
  ],
];

for (const [what, code, script] of BAD_SERVERS) {
  test(`client ends the connection with ${errorName(code)} on ${what}`, async () => {
    await using t = startClient({ initialStreamWindowBytes: 0x7fff_ffff }, []);
    const got = new Gather();
    got.onHead = (flow) => flow.pause();
    t.client.call(requestHead("POST"), NO_FLOW, got);
    await t.peer.frame(FrameType.headers, 1);
    script(t);
    assert.equal(codeOf(await t.peer.frame(FrameType.goaway)), code);
    assert.equal((await got.aborted()).code, "h2_protocol");
    assert.equal(t.client.isDraining, true);
  });
}

test("keep-alive asks a silent server, and gives it up when it does not answer", async () => {
  const options = { keepAliveIntervalMs: 10_000, keepAliveTimeoutMs: 3000 };
  await using t = startClient(options, []);
  const got = call(t);
  await t.peer.frame(FrameType.headers, 1);
  t.advance(10_050); // it has sent its SETTINGS since
  t.advance(10_050);
  const ping = await t.peer.frame(FrameType.ping);
  t.peer.send(FrameType.ping, Flag.ack, 0, ping.payload);
  await t.peer.settled();
  t.advance(3050);
  t.advance(10_050);
  await t.peer.frame(FrameType.ping, 0, 3);
  t.advance(2900);
  assert.equal(t.client.isClosed, false);
  t.advance(200);
  assert.equal((await got.aborted()).code, "keep_alive_timeout");
  assert.deepEqual(t.events.slice(-2), ["closed", "keep_alive_timeout"]);
});

for (const whileIdle of [false, true]) {
  test(`keep-alive ${whileIdle ? "asks" : "does not ask"} an idle server, as configured`, async () => {
    await using t = startClient({
      keepAliveIntervalMs: 1000,
      keepAliveTimeoutMs: 1000,
      keepAliveWhileIdle: whileIdle,
    });
    for (let i = 0; i < 5; i++) t.advance(1100);
    assert.equal(t.client.isClosed, whileIdle);
  });
}

test("client asks for streams of a server that raises its limit, and fills them", async () => {
  await using t = startClient({}, [[3, 1]]);
  await t.peer.frame(FrameType.settings, 0, 2);
  const all = Array.from({ length: 5 }, () => call(t));
  await t.peer.settled();
  assert.equal(t.peer.of(FrameType.headers).length, 1);
  t.peer.settings([[3, 4]]);
  await t.peer.frame(FrameType.headers, 7);
  await t.peer.settled();
  assert.equal(t.peer.of(FrameType.headers).length, 4);
  t.peer.settings([[3, 2]]);
  for (const id of [1, 3]) t.peer.headers(id, OK, END);
  await t.peer.settled();
  assert.equal(t.peer.of(FrameType.headers).length, 4);
  t.peer.headers(5, OK, END);
  await t.peer.frame(FrameType.headers, 9);
  for (const id of [7, 9]) t.peer.headers(id, OK, END);
  for (const got of all) await got.done();
});
