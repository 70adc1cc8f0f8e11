import assert from "node:assert/strict";
import { test } from "node:test";
import { MeshError } from "@heddle/base/errors";
import { TimerWheel } from "@heddle/base/timer-wheel";
import { duplex } from "@heddle/testkit/duplex";
import { ErrorCode, Flag, FrameType } from "@heddle/wire/http2/frame";
import { NO_FLOW } from "../http.ts";
import { Budget, DEFAULT_BUDGETS, type Http2Budgets } from "./budget.ts";
import type { Http2ServerOptions } from "./options.ts";
import { Http2Runtime } from "./runtime.ts";
import { serveHttp2 } from "./server.ts";
import { codeOf, type RawFields, RawPeer, rawFrame, uint32 } from "./testing/raw-peer.ts";
import { Calls, responseHead } from "./testing/services.ts";

const GET: RawFields = [
  [":method", "GET"],
  [":scheme", "http"],
  [":authority", "test"],
  [":path", "/"],
];
const END = Flag.endHeaders | Flag.endStream;

/** A server whose clock stands still until the test moves it. */
function startServer(options: Http2ServerOptions = {}, highWaterBytes = 1 << 20) {
  const clock = { nowMs: 0 };
  const timers = new TimerWheel(() => clock.nowMs);
  const runtime = new Http2Runtime({ timers, nowMs: () => clock.nowMs });
  const [clientSocket, serverSocket] = duplex({ highWaterBytes });
  const calls = new Calls();
  let closedWith: MeshError | undefined;
  const server = serveHttp2(serverSocket, calls, {
    ...options,
    runtime,
    onClose: (error) => {
      closedWith = error;
    },
  });
  const peer = new RawPeer(clientSocket);
  peer.greet();
  return {
    calls,
    clientSocket,
    clock,
    peer,
    server,
    serverSocket,
    timers,
    closedWith: () => closedWith,
    async [Symbol.asyncDispose](): Promise<void> {
      server.destroy();
      await server.close();
      timers.stop();
    },
  };
}

type Server = ReturnType<typeof startServer>;

interface Flood {
  readonly what: string;
  /** A budget small enough to be exceeded in a test. */
  readonly budgets: Partial<Http2Budgets>;
  /** How many the budget allows. */
  readonly allowed: number;
  readonly before?: (t: Server) => void | Promise<void>;
  readonly once: (t: Server, n: number) => void;
}

const NONE = { burst: 10, perSecond: 0 };

const FLOODS: readonly Flood[] = [
  {
    what: "requests that are reset (rapid reset)",
    budgets: { resets: NONE, pendingResets: 1000 },
    allowed: 10,
    once: (t, n) => {
      t.peer.headers(1 + 2 * n, GET, END);
      t.peer.rstStream(1 + 2 * n, ErrorCode.cancel);
    },
  },
  {
    what: "requests that the client breaks, so that we reset them",
    budgets: { resets: NONE, pendingResets: 1000 },
    allowed: 10,
    once: (t, n) => {
      t.peer.headers(1 + 2 * n, GET, END);
      t.peer.windowUpdate(1 + 2 * n, 0);
    },
  },
  {
    what: "DATA frames with nothing in them",
    budgets: { emptyFrames: NONE },
    allowed: 10,
    before: (t) => t.peer.headers(1, GET),
    once: (t) => t.peer.data(1, ""),
  },
  {
    what: "DATA frames with padding only",
    budgets: { emptyFrames: NONE },
    allowed: 10,
    before: (t) => t.peer.headers(1, GET),
    once: (t) => t.peer.send(FrameType.data, Flag.padded, 1, Buffer.from([1, 0])),
  },
  {
    what: "PING",
    budgets: { pings: NONE },
    allowed: 10,
    once: (t) => t.peer.send(FrameType.ping, 0, 0, Buffer.alloc(8)),
  },
  {
    what: "answers to PINGs that nobody sent",
    budgets: { pings: NONE },
    allowed: 10,
    once: (t) => t.peer.send(FrameType.ping, Flag.ack, 0, Buffer.alloc(8)),
  },
  {
    what: "SETTINGS",
    budgets: { settings: NONE },
    allowed: 9, // the greeting took one
    once: (t) => t.peer.settings(),
  },
  {
    what: "WINDOW_UPDATE",
    budgets: { windowUpdates: NONE },
    allowed: 10,
    once: (t) => t.peer.windowUpdate(0, 1),
  },
  {
    what: "PRIORITY",
    budgets: { priorities: NONE },
    allowed: 10,
    once: (t) => t.peer.send(FrameType.priority, 0, 99, Buffer.alloc(5)),
  },
  {
    what: "frames of unknown types",
    budgets: { priorities: NONE },
    allowed: 10,
    once: (t) => t.peer.send(200, 0, 0, Buffer.alloc(5)),
  },
  {
    what: "DATA on a stream that we reset",
    budgets: { closedStreamFrames: NONE },
    allowed: 10,
    before: async (t) => {
      t.peer.headers(1, GET);
      const call = await t.calls.nth(1);
      call.response.abort(new MeshError("test", "self", "Cannot do: test"));
      await t.peer.frame(FrameType.rstStream, 1);
    },
    once: (t) => t.peer.data(1, "late"),
  },
  {
    what: "RST_STREAM on a closed stream",
    budgets: { closedStreamFrames: NONE },
    allowed: 10,
    before: (t) => {
      t.peer.headers(1, GET, END);
      t.peer.rstStream(1, ErrorCode.cancel);
    },
    once: (t) => t.peer.rstStream(1, ErrorCode.cancel),
  },
];

for (const flood of FLOODS) {
  test(`server bears ${flood.allowed} times ${flood.what}, and ends the connection at one more`, async () => {
    await using t = startServer({ budgets: flood.budgets });
    await flood.before?.(t);
    for (let n = 0; n < flood.allowed; n++) flood.once(t, n);
    if (flood.budgets.pings === undefined) await t.peer.settled();
    else await answered(t);
    assert.equal(t.peer.of(FrameType.goaway).length, 0);
    flood.once(t, flood.allowed);
    assert.equal(codeOf(await t.peer.frame(FrameType.goaway)), ErrorCode.enhanceYourCalm);
    await t.peer.closed();
    t.peer.socket.end();
    await t.server.close();
    assert.equal(t.closedWith()?.code, "h2_flood");
    assert.equal(t.closedWith()?.side, "client");
  });
}

/** Waits until a request has arrived, and with it all before it. */
async function answered(t: Server): Promise<void> {
  t.peer.headers(10_001, GET, END);
  await t.calls.nth(1);
}

for (const [count, survives] of [
  [20, true],
  [21, false],
] as const) {
  test(`server ${survives ? "bears" : "refuses"} ${count} requests that one read brings and resets`, async () => {
    await using t = startServer();
    await t.peer.settled();
    const frames: Buffer[] = [];
    for (let n = 0; n < count; n++) {
      frames.push(rawFrame(FrameType.headers, END, 1 + 2 * n, t.peer.block(GET)));
      frames.push(rawFrame(FrameType.rstStream, 0, 1 + 2 * n, uint32(ErrorCode.cancel)));
    }
    t.peer.write(Buffer.concat(frames));
    if (survives) {
      await t.peer.settled();
      assert.equal(t.peer.of(FrameType.goaway).length, 0);
      assert.equal(t.server.openStreams, 0);
    } else {
      assert.equal(codeOf(await t.peer.frame(FrameType.goaway)), ErrorCode.enhanceYourCalm);
    }
  });
}

test("resets of requests that were answered cost nothing", async () => {
  await using t = startServer({ budgets: { resets: { burst: 1, perSecond: 0 } } });
  for (let n = 0; n < 50; n++) {
    t.peer.headers(1 + 2 * n, GET, END);
    const { response } = await t.calls.nth(n + 1);
    response.head(responseHead(200), NO_FLOW);
    t.peer.rstStream(1 + 2 * n, ErrorCode.cancel);
  }
  await t.peer.settled();
  assert.equal(t.peer.of(FrameType.goaway).length, 0);
});

test("a budget fills again with time", async () => {
  await using t = startServer({ budgets: { pings: { burst: 2, perSecond: 10 } } });
  for (let n = 0; n < 5; n++) {
    await t.peer.settled();
    await t.peer.settled();
    t.clock.nowMs += 200;
  }
  await t.peer.settled();
  await t.peer.settled();
  t.clock.nowMs += 99;
  t.peer.send(FrameType.ping, 0, 0, Buffer.alloc(8));
  assert.equal(codeOf(await t.peer.frame(FrameType.goaway)), ErrorCode.enhanceYourCalm);
});

test("Budget.take() never fills above its burst", () => {
  let now = 0;
  const budget = new Budget({ burst: 3, perSecond: 1000 }, () => now);
  now = 1_000_000;
  budget.give(100);
  for (let n = 0; n < 3; n++) assert.ok(budget.take());
  // What was not taken in all the time before comes at most once.
  for (let n = 0; n < 3; n++) assert.ok(budget.take());
  assert.equal(budget.take(), false);
});

for (const [count, survives] of [
  [DEFAULT_BUDGETS.continuations, true],
  [DEFAULT_BUDGETS.continuations + 1, false],
] as const) {
  test(`server ${survives ? "bears" : "refuses"} ${count} CONTINUATION frames of one block`, async () => {
    await using t = startServer();
    t.peer.headers(1, GET, Flag.endStream);
    for (let n = 1; n < count; n++) t.peer.send(FrameType.continuation, 0, 1);
    t.peer.send(FrameType.continuation, Flag.endHeaders, 1);
    if (survives) await t.calls.nth(1);
    else assert.equal(codeOf(await t.peer.frame(FrameType.goaway)), ErrorCode.enhanceYourCalm);
  });
}

test("server refuses a field block that goes on and on, in large pieces", async () => {
  await using t = startServer();
  t.peer.headers(1, GET, Flag.endStream);
  for (let n = 0; n < 4; n++) t.peer.send(FrameType.continuation, 0, 1, Buffer.alloc(16_384));
  assert.equal(codeOf(await t.peer.frame(FrameType.goaway)), ErrorCode.enhanceYourCalm);
});

/** 100 bytes in lists and in the table. */
const LARGE: readonly [string, string] = ["x-large", "v".repeat(61)];
const GET_BYTES = 42 + 43 + 46 + 38;

test("server answers 431 to a field section that is too large as decoded, and lives on", async () => {
  const max = GET_BYTES + 300;
  await using t = startServer({ maxHeaderListBytes: max });
  t.peer.headers(1, [...GET, LARGE, LARGE, LARGE], END);
  assert.equal((await t.calls.nth(1)).head.headers.size, 3);
  t.peer.headers(3, [...GET, LARGE, LARGE, LARGE, ["x", ""]], END);
  const head = await t.peer.frame(FrameType.headers, 3);
  assert.deepEqual(t.peer.fieldsOf(head)[0], [":status", "431"]);
  t.peer.headers(5, [...GET, LARGE, LARGE, LARGE, ["x", ""]]);
  await t.peer.frame(FrameType.headers, 5);
  // The body is not wanted.
  assert.equal(codeOf(await t.peer.frame(FrameType.rstStream, 5)), ErrorCode.noError);
  t.peer.headers(7, GET, END);
  await t.calls.nth(2);
  assert.equal(t.calls.all.length, 2);
});

test("server ends the connection of a header bomb: small on the wire, huge as decoded", async () => {
  await using t = startServer();
  const value: [string, string] = ["x-bomb", "b".repeat(1900)];
  t.peer.headers(1, [...GET, value], END);
  await t.calls.nth(1);
  const bomb = t.peer.block([...GET, ...Array.from({ length: 100 }, () => value)]);
  assert.ok(bomb.length < 300);
  t.peer.send(FrameType.headers, END, 3, bomb);
  assert.equal(codeOf(await t.peer.frame(FrameType.goaway)), ErrorCode.enhanceYourCalm);
  assert.equal(t.calls.all.length, 1);
});

test("server ends the connection of a peer that sends PINGs and takes no answers", async () => {
  await using t = startServer(
    { budgets: { queuedAcks: 50, pings: { burst: 1e6, perSecond: 0 } } },
    1000,
  );
  await t.peer.settled();
  t.clientSocket.pause();
  for (let n = 0; n < 100; n++) t.peer.send(FrameType.ping, 0, 0, Buffer.alloc(8));
  while (t.serverSocket.bytesWritten < 1000 && !t.server.isClosed) await turn();
  for (let n = 0; n < 100; n++) t.peer.send(FrameType.ping, 0, 0, Buffer.alloc(8));
  while (t.closedWith() === undefined) {
    await turn();
    t.clock.nowMs += 50;
    t.timers.advance();
  }
  assert.equal(t.closedWith()?.code, "h2_flood");
});

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

for (const [advanceMs, survives] of [
  [29_900, true],
  [30_200, false],
] as const) {
  test(`server ${survives ? "bears" : "drops"} a peer that opens no window for ${advanceMs} ms`, async () => {
    await using t = startServer({ sendStallTimeoutMs: 30_000 });
    t.peer.settings([[4, 0]]);
    t.peer.headers(1, GET, END);
    const call = await t.calls.nth(1);
    call.response.head(responseHead(200), NO_FLOW);
    call.response.data(Buffer.from("x"), 0, 1);
    await t.peer.settled();
    t.clock.nowMs += advanceMs;
    t.timers.advance();
    assert.equal(t.server.isClosed, !survives);
    if (!survives) {
      assert.equal(t.closedWith()?.code, "h2_send_stall");
      assert.equal((await call.body.aborted()).code, "h2_send_stall");
    }
  });
}

test("a peer that takes some data now and then is not dropped", async () => {
  await using t = startServer({ sendStallTimeoutMs: 30_000 });
  t.peer.settings([[4, 0]]);
  t.peer.headers(1, GET, END);
  const { response } = await t.calls.nth(1);
  response.head(responseHead(200), NO_FLOW);
  response.data(Buffer.alloc(10), 0, 10);
  for (let n = 0; n < 9; n++) {
    await t.peer.settled();
    t.clock.nowMs += 20_000;
    t.timers.advance();
    t.peer.windowUpdate(1, 1);
    await t.peer.frame(FrameType.data, 1, n + 1);
  }
  assert.equal(t.server.isClosed, false);
});

test("server drops a peer whose socket takes nothing", async () => {
  await using t = startServer({ sendStallTimeoutMs: 30_000 }, 100);
  t.peer.headers(1, GET, END);
  const { response } = await t.calls.nth(1);
  t.clientSocket.pause();
  response.head(responseHead(200, { x: "y".repeat(200) }), NO_FLOW);
  await turn();
  await turn();
  t.clock.nowMs += 30_200;
  t.timers.advance();
  assert.equal(t.closedWith()?.code, "h2_send_stall");
});

test("server reads no more requests while nobody takes its answers", async () => {
  await using t = startServer({}, 1000);
  t.calls.onCall = ({ response }) => {
    response.head(responseHead(200, { x: "y".repeat(3000) }), NO_FLOW);
    response.end(undefined);
  };
  await t.peer.settled();
  t.clientSocket.pause();
  for (let n = 0; n < 2000; n++) t.peer.headers(1 + 2 * n, GET, END);
  while (!t.serverSocket.isPaused) await turn();
  assert.ok(t.calls.all.length < 2000);
  t.clientSocket.resume();
  await t.calls.nth(2000);
  await t.peer.frame(FrameType.headers, 3999);
});
