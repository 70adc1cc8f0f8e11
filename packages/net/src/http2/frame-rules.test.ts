import assert from "node:assert/strict";
import { test } from "node:test";
import { duplex } from "@heddle/testkit/duplex";
import { ErrorCode, errorName, Flag, FrameType } from "@heddle/wire/http2/frame";
import { serveHttp2 } from "./server.ts";
import { codeOf, type RawFields, RawPeer, rawFrame, uint32 } from "./testing/raw-peer.ts";
import { Calls, ECHO } from "./testing/services.ts";

const GET: RawFields = [
  [":method", "GET"],
  [":scheme", "http"],
  [":authority", "test"],
  [":path", "/"],
];
const POST: RawFields = [[":method", "POST"], ...GET.slice(1)];
const END = Flag.endHeaders | Flag.endStream;

type Script = (peer: RawPeer) => void | Promise<void>;

/** Frames after the greeting, each with the connection error that it must cause. */
const BAD_FRAMES: readonly (readonly [string, number, Script])[] = [
  ["DATA on stream 0", ErrorCode.protocolError, (p) => p.data(0, "x")],
  ["DATA on an idle stream", ErrorCode.protocolError, (p) => p.data(1, "x")],
  [
    "DATA with padding as long as its payload",
    ErrorCode.protocolError,
    (p) => {
      p.headers(1, POST);
      p.send(FrameType.data, Flag.padded, 1, Buffer.from([2, 0]));
    },
  ],
  [
    "DATA with no room for the length of its padding",
    ErrorCode.frameSizeError,
    (p) => {
      p.headers(1, POST);
      p.send(FrameType.data, Flag.padded, 1);
    },
  ],
  [
    "DATA on a closed stream",
    ErrorCode.streamClosed,
    async (p) => {
      p.headers(1, GET, END);
      await p.until(() => p.frames.some((f) => f.streamId === 1 && (f.flags & 1) !== 0));
      p.data(1, "x");
    },
  ],
  ["HEADERS on stream 0", ErrorCode.protocolError, (p) => p.headers(0, GET, END)],
  ["HEADERS on an even stream", ErrorCode.protocolError, (p) => p.headers(2, GET, END)],
  [
    "HEADERS on a lower stream than before",
    ErrorCode.streamClosed,
    (p) => {
      p.headers(5, GET, END);
      p.headers(3, GET, END);
    },
  ],
  [
    "HEADERS on a closed stream",
    ErrorCode.streamClosed,
    async (p) => {
      p.headers(1, GET, END);
      await p.until(() => p.frames.some((f) => f.streamId === 1 && (f.flags & 1) !== 0));
      p.headers(1, GET, END);
    },
  ],
  [
    "HEADERS with too much padding",
    ErrorCode.protocolError,
    (p) => {
      const block = p.block(GET);
      const payload = Buffer.concat([Buffer.from([block.length + 1]), block]);
      p.send(FrameType.headers, END | Flag.padded, 1, payload);
    },
  ],
  [
    "HEADERS too short for its priority",
    ErrorCode.frameSizeError,
    (p) => p.send(FrameType.headers, END | Flag.priority, 1, Buffer.alloc(4)),
  ],
  [
    "a field block that is not HPACK",
    ErrorCode.compressionError,
    (p) => p.send(FrameType.headers, END, 1, Buffer.from([0x80])),
  ],
  [
    "another frame within a field block",
    ErrorCode.protocolError,
    (p) => {
      p.headers(1, GET, 0);
      p.send(FrameType.ping, 0, 0, Buffer.alloc(8));
    },
  ],
  [
    "an unknown frame within a field block",
    ErrorCode.protocolError,
    (p) => {
      p.headers(1, GET, 0);
      p.send(99, 0, 0, Buffer.alloc(8));
    },
  ],
  [
    "CONTINUATION of another stream",
    ErrorCode.protocolError,
    (p) => {
      p.headers(1, GET, 0);
      p.send(FrameType.continuation, Flag.endHeaders, 3);
    },
  ],
  [
    "CONTINUATION without HEADERS",
    ErrorCode.protocolError,
    (p) => p.send(FrameType.continuation, Flag.endHeaders, 1),
  ],
  [
    "CONTINUATION on stream 0",
    ErrorCode.protocolError,
    (p) => {
      p.headers(1, GET, 0);
      p.send(FrameType.continuation, Flag.endHeaders, 0);
    },
  ],
  ["PRIORITY on stream 0", ErrorCode.protocolError, (p) => p.send(2, 0, 0, Buffer.alloc(5))],
  ["RST_STREAM on stream 0", ErrorCode.protocolError, (p) => p.rstStream(0, 8)],
  ["RST_STREAM on an idle stream", ErrorCode.protocolError, (p) => p.rstStream(1, 8)],
  [
    "RST_STREAM of 3 bytes",
    ErrorCode.frameSizeError,
    (p) => {
      p.headers(1, POST);
      p.send(FrameType.rstStream, 0, 1, Buffer.alloc(3));
    },
  ],
  ["SETTINGS on a stream", ErrorCode.protocolError, (p) => p.send(FrameType.settings, 0, 1)],
  [
    "SETTINGS of 5 bytes",
    ErrorCode.frameSizeError,
    (p) => p.send(FrameType.settings, 0, 0, Buffer.alloc(5)),
  ],
  [
    "SETTINGS ACK with a payload",
    ErrorCode.frameSizeError,
    (p) => p.send(FrameType.settings, Flag.ack, 0, Buffer.alloc(6)),
  ],
  ["ENABLE_PUSH of 2", ErrorCode.protocolError, (p) => p.settings([[2, 2]])],
  [
    "INITIAL_WINDOW_SIZE of 2^31",
    ErrorCode.flowControlError,
    (p) => p.settings([[4, 0x8000_0000]]),
  ],
  ["MAX_FRAME_SIZE of 16383", ErrorCode.protocolError, (p) => p.settings([[5, 16_383]])],
  ["MAX_FRAME_SIZE of 2^24", ErrorCode.protocolError, (p) => p.settings([[5, 16_777_216]])],
  [
    "PUSH_PROMISE from a client",
    ErrorCode.protocolError,
    (p) => {
      p.headers(1, POST);
      p.send(FrameType.pushPromise, Flag.endHeaders, 1, Buffer.from([0, 0, 0, 2]));
    },
  ],
  ["PING on a stream", ErrorCode.protocolError, (p) => p.send(6, 0, 1, Buffer.alloc(8))],
  ["PING of 7 bytes", ErrorCode.frameSizeError, (p) => p.send(6, 0, 0, Buffer.alloc(7))],
  ["GOAWAY on a stream", ErrorCode.protocolError, (p) => p.send(7, 0, 1, Buffer.alloc(8))],
  ["GOAWAY of 7 bytes", ErrorCode.frameSizeError, (p) => p.send(7, 0, 0, Buffer.alloc(7))],
  ["WINDOW_UPDATE of 3 bytes", ErrorCode.frameSizeError, (p) => p.send(8, 0, 0, Buffer.alloc(3))],
  ["WINDOW_UPDATE of 0", ErrorCode.protocolError, (p) => p.windowUpdate(0, 0)],
  ["WINDOW_UPDATE on an idle stream", ErrorCode.protocolError, (p) => p.windowUpdate(1, 1)],
  [
    "WINDOW_UPDATE beyond 2^31-1",
    ErrorCode.flowControlError,
    (p) => p.windowUpdate(0, 0x7fff_ffff),
  ],
  [
    "SETTINGS that take a stream's window beyond 2^31-1",
    ErrorCode.flowControlError,
    (p) => {
      p.headers(1, POST);
      p.windowUpdate(1, 0x7fff_ffff - 65_535);
      p.settings([[4, 65_536]]);
    },
  ],
  [
    "a frame larger than announced",
    ErrorCode.frameSizeError,
    (p) => {
      p.headers(1, POST);
      p.data(1, Buffer.alloc(16_385));
    },
  ],
  [
    "a frame of unknown type larger than announced",
    ErrorCode.frameSizeError,
    (p) => p.send(99, 0, 0, Buffer.alloc(16_385)),
  ],
];

for (const [what, code, script] of BAD_FRAMES) {
  test(`server ends the connection with ${errorName(code)} on ${what}`, async () => {
    const [clientSocket, serverSocket] = duplex();
    const server = serveHttp2(serverSocket, ECHO);
    const peer = new RawPeer(clientSocket);
    peer.greet();
    await script(peer);
    const goaway = await peer.frame(FrameType.goaway);
    assert.equal(errorName(codeOf(goaway)), errorName(code));
    await peer.closed();
    peer.socket.end();
    await server.close();
    assert.equal(server.openStreams, 0);
  });
}

for (const [what, script] of [
  ["a preface that is another", (p: RawPeer) => p.write(Buffer.from("GET / HTTP/1.1\r\n\r\n"))],
  [
    "a first frame that is not SETTINGS",
    (p: RawPeer) => {
      p.write(Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"));
      p.send(FrameType.ping, 0, 0, Buffer.alloc(8));
    },
  ],
] as const) {
  test(`server ends the connection with PROTOCOL_ERROR on ${what}`, async () => {
    const [clientSocket, serverSocket] = duplex();
    const server = serveHttp2(serverSocket, ECHO);
    const peer = new RawPeer(clientSocket);
    script(peer);
    assert.equal(codeOf(await peer.frame(FrameType.goaway)), ErrorCode.protocolError);
    peer.socket.end();
    await server.close();
  });
}

/** Stream errors: RST_STREAM on stream 1 with this code; the connection goes on. */
const BAD_STREAMS: readonly (readonly [string, number, Script])[] = [
  [
    "DATA after END_STREAM",
    ErrorCode.streamClosed,
    (p) => {
      p.headers(1, [...GET, ["x-hold", "1"]], END);
      p.data(1, "x");
    },
  ],
  [
    "HEADERS after END_STREAM",
    ErrorCode.streamClosed,
    (p) => {
      p.headers(1, [...GET, ["x-hold", "1"]], END);
      p.headers(1, [["x", "y"]], END);
    },
  ],
  [
    "trailers without END_STREAM",
    ErrorCode.protocolError,
    (p) => {
      p.headers(1, POST);
      p.headers(1, [["x", "y"]]);
    },
  ],
  [
    "a pseudo-header field in trailers",
    ErrorCode.protocolError,
    (p) => {
      p.headers(1, POST);
      p.headers(1, [[":path", "/"]], END);
    },
  ],
  [
    "WINDOW_UPDATE of 0",
    ErrorCode.protocolError,
    (p) => {
      p.headers(1, POST);
      p.windowUpdate(1, 0);
    },
  ],
  [
    "WINDOW_UPDATE beyond 2^31-1",
    ErrorCode.flowControlError,
    (p) => {
      p.headers(1, POST);
      p.windowUpdate(1, 0x7fff_ffff);
    },
  ],
  [
    "PRIORITY of 4 bytes",
    ErrorCode.frameSizeError,
    (p) => {
      p.headers(1, POST);
      p.send(FrameType.priority, 0, 1, Buffer.alloc(4));
    },
  ],
  ...[
    ["no :method", GET.slice(1)],
    ["no :scheme", [GET[0]!, ...GET.slice(2)]],
    ["no :path", GET.slice(0, 3)],
    ["an empty :path", [...GET.slice(0, 3), [":path", ""]]],
    ["a relative :path", [...GET.slice(0, 3), [":path", "x"]]],
    [":path * of GET", [...GET.slice(0, 3), [":path", "*"]]],
    [":path with a blank", [...GET.slice(0, 3), [":path", "/a b"]]],
    [":method twice", [...GET, [":method", "GET"]]],
    [":authority with user information", [...GET.slice(0, 2), [":authority", "u@h"], GET[3]!]],
    ["a pseudo-header field behind a plain one", [...GET.slice(0, 3), ["x", "y"], GET[3]!]],
    ["an unknown pseudo-header field", [...GET, [":protocol", "websocket"]]],
    ["a response's pseudo-header field", [...GET, [":status", "200"]]],
    ["connection", [...GET, ["connection", "close"]]],
    ["keep-alive", [...GET, ["keep-alive", "1"]]],
    ["proxy-connection", [...GET, ["proxy-connection", "close"]]],
    ["transfer-encoding", [...GET, ["transfer-encoding", "chunked"]]],
    ["upgrade", [...GET, ["upgrade", "websocket"]]],
    ["te other than trailers", [...GET, ["te", "gzip"]]],
    ["an upper-case name", [...GET, ["X-Upper", "1"]]],
    ["a blank around a value", [...GET, ["x", " y"]]],
    ["a name with a blank", [...GET, ["x y", "1"]]],
    [
      "two content-lengths that differ",
      [...POST, ["content-length", "1"], ["content-length", "2"]],
    ],
    ["a content-length that is no number", [...POST, ["content-length", "+1"]]],
    ["a content-length without a body", [...POST, ["content-length", "1"]]],
    ["CONNECT with :path", [[":method", "CONNECT"], ...GET.slice(1)]],
    ["CONNECT without :authority", [[":method", "CONNECT"]]],
  ].map(([what, fields]): [string, number, Script] => [
    `a request with ${what as string}`,
    ErrorCode.protocolError,
    (p) => p.headers(1, fields as RawFields, END),
  ]),
  [
    "more DATA than content-length",
    ErrorCode.protocolError,
    (p) => {
      p.headers(1, [...POST, ["content-length", "3"]]);
      p.data(1, "ab");
      p.data(1, "cd");
    },
  ],
  [
    "less DATA than content-length",
    ErrorCode.protocolError,
    (p) => {
      p.headers(1, [...POST, ["content-length", "3"]]);
      p.data(1, "ab", Flag.endStream);
    },
  ],
  [
    "trailers before content-length is reached",
    ErrorCode.protocolError,
    (p) => {
      p.headers(1, [...POST, ["content-length", "3"]]);
      p.data(1, "ab");
      p.headers(1, [["x", "y"]], END);
    },
  ],
];

for (const [what, code, script] of BAD_STREAMS) {
  test(`server resets the stream with ${errorName(code)} on ${what}`, async () => {
    const [clientSocket, serverSocket] = duplex();
    const calls = new Calls();
    const server = serveHttp2(serverSocket, calls);
    const peer = new RawPeer(clientSocket);
    peer.greet();
    await script(peer);
    const reset = await peer.frame(FrameType.rstStream, 1);
    assert.equal(errorName(codeOf(reset)), errorName(code));
    for (const call of calls.all) {
      const error = await call.body.aborted();
      assert.equal(error.side, "client");
    }
    // Others are not touched, and HPACK is in step.
    const before = calls.all.length;
    peer.headers(3, GET, END);
    const call = await calls.nth(before + 1);
    assert.equal(call.head.path, "/");
    assert.equal(peer.of(FrameType.goaway).length, 0);
    server.destroy();
    await server.close();
  });
}

test("server takes valid oddities", async () => {
  const [clientSocket, serverSocket] = duplex();
  const calls = new Calls();
  const server = serveHttp2(serverSocket, calls);
  const peer = new RawPeer(clientSocket);
  peer.greet([[99, 1]]);
  peer.send(99, 0xff, 0, Buffer.from("unknown frame"));
  peer.send(FrameType.priority, 0, 7, Buffer.alloc(5));
  peer.send(FrameType.settings, Flag.ack, 0);
  peer.send(FrameType.ping, Flag.ack, 0, Buffer.alloc(8));
  const block = peer.block([...POST, ["cookie", "a=1"], ["cookie", "b=2"], ["te", "trailers"]]);
  // Padded, with priority, cut in three.
  const first = Buffer.concat([Buffer.from([3]), Buffer.alloc(5), block.subarray(0, 4)]);
  const head = Buffer.concat([first, Buffer.alloc(3)]);
  peer.send(FrameType.headers, Flag.padded | Flag.priority, 1, head);
  peer.send(FrameType.continuation, 0, 1, block.subarray(4, 9));
  peer.send(FrameType.continuation, Flag.endHeaders, 1, block.subarray(9));
  peer.send(FrameType.data, Flag.padded, 1, Buffer.from([2, 104, 105, 0, 0]));
  peer.send(FrameType.data, Flag.padded | Flag.endStream, 1, Buffer.from([1, 33, 0]));
  const call = await calls.nth(1);
  await call.body.done();
  assert.equal(call.head.headers.get("cookie"), "a=1; b=2");
  assert.equal(call.body.text, "hi!");
  // On the half-closed stream both are in order.
  peer.windowUpdate(1, 10);
  peer.headers(3, [[":method", "OPTIONS"], ...GET.slice(1, 3), [":path", "*"]], END);
  assert.equal((await calls.nth(2)).head.path, "*");
  peer.headers(5, [
    [":method", "CONNECT"],
    [":authority", "a:1"],
  ]);
  const connect = (await calls.nth(3)).head;
  assert.deepEqual([connect.upgrade, connect.path, connect.contentLength], [true, "", -1]);
  peer.rstStream(5, ErrorCode.cancel);
  // Late, but in order: the streams are closed.
  peer.windowUpdate(5, 1);
  peer.rstStream(5, ErrorCode.cancel);
  await peer.settled();
  assert.equal(peer.of(FrameType.goaway).length, 0);
  assert.equal(peer.of(FrameType.rstStream).length, 0);
  server.destroy();
  await server.close();
});

test("server reads a connection however it is split, byte by byte too", async () => {
  for (const size of [1, 2, 3, 5, 8, 13, 9, 10]) {
    const [clientSocket, serverSocket] = duplex({ split: () => size });
    const calls = new Calls();
    const server = serveHttp2(serverSocket, calls);
    const peer = new RawPeer(clientSocket);
    peer.greet([[4, 100]]);
    const block = peer.block([...POST, ["content-length", "11"]]);
    peer.send(FrameType.headers, 0, 1, block.subarray(0, 5));
    peer.send(FrameType.continuation, Flag.endHeaders, 1, block.subarray(5));
    peer.data(1, "hello ");
    peer.send(FrameType.data, Flag.padded, 1, Buffer.from("\x04world\0\0\0\0", "latin1"));
    peer.headers(1, [["x-end", "1"]], END);
    const { body } = await calls.nth(1);
    await body.done();
    assert.equal(body.text, "hello world");
    assert.equal(body.trailers?.get("x-end"), "1");
    server.destroy();
    await server.close();
  }
});

test("rawFrame() and uint32() write what the RFC draws", () => {
  assert.equal(rawFrame(8, 0, 3, uint32(7)).toString("hex"), "00000408000000000300000007");
});
