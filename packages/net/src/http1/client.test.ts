import assert from "node:assert/strict";
import { test } from "node:test";
import { MeshError } from "@heddle/base/errors";
import { TimerWheel } from "@heddle/base/timer-wheel";
import { type DuplexOptions, duplex, type MemorySocket } from "@heddle/testkit/duplex";
import {
  FlowRecorder,
  fieldsOf,
  ResponseRecorder,
  requestHead,
  turns,
} from "@heddle/testkit/http-exchange";
import { seededInt, seededRandom } from "@heddle/testkit/seeded-random";
import { SocketRecorder } from "@heddle/testkit/socket-recorder";
import { HeaderMap } from "@heddle/wire/http/headers";
import { type BodySink, NO_FLOW, type RequestHead } from "../http.ts";
import { Http1Client, type Http1ClientOptions } from "./client.ts";
import { Http1Runtime } from "./runtime.ts";

interface World {
  readonly client: Http1Client;
  readonly socket: MemorySocket;
  readonly server: SocketRecorder;
  readonly serverSocket: MemorySocket;
  say(text: string): Promise<void>;
}

function connect(options: Http1ClientOptions & DuplexOptions = {}): World {
  const [socket, serverSocket] = duplex(options);
  return {
    client: new Http1Client(socket, options),
    socket,
    server: new SocketRecorder(serverSocket),
    serverSocket,
    say: async (text) => {
      serverSocket.write(Buffer.from(text, "latin1"), 0, text.length);
      await turns();
    },
  };
}

/** Sends a request without a body, or with `body` as one piece of a declared length. */
function send(
  client: Http1Client,
  changes: Partial<RequestHead> = {},
  body = "",
): [ResponseRecorder, BodySink] {
  const response = new ResponseRecorder();
  const head = requestHead({ contentLength: body.length, ...changes });
  const sink = client.call(head, NO_FLOW, response);
  if (body !== "") give(sink, body);
  if (!head.upgrade) sink.end(undefined);
  return [response, sink];
}

function give(sink: BodySink, text: string): void {
  const bytes = Buffer.from(`..${text}..`, "latin1");
  sink.data(bytes, 2, bytes.length - 2);
  bytes.fill(0xee);
}

async function written(changes: Partial<RequestHead>, body = ""): Promise<string> {
  const world = connect();
  send(world.client, changes, body);
  await turns();
  assert.ok(world.socket.writes <= 1);
  return world.server.text;
}

test("Http1Client writes a request as its sender framed it", async () => {
  assert.equal(await written({}), "GET / HTTP/1.1\r\nhost: a\r\n\r\n");
  assert.equal(await written({ method: "POST" }), "POST / HTTP/1.1\r\nhost: a\r\n\r\n");
  const zero = HeaderMap.of({ host: "a", "content-length": "0" });
  assert.equal(
    await written({ method: "PUT", headers: zero }),
    "PUT / HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n",
  );
  const five = HeaderMap.of({ "content-length": "5", host: "a" });
  assert.equal(
    await written({ method: "POST", headers: five }, "hello"),
    "POST / HTTP/1.1\r\ncontent-length: 5\r\nhost: a\r\n\r\nhello",
  );
  assert.equal(
    await written({ method: "POST" }, "hello"),
    "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello",
  );
  assert.equal(
    await written({ method: "POST", contentLength: -1 }, "hello"),
    "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
  );
  const hops = HeaderMap.of({ host: "a", connection: "x", "keep-alive": "5", te: "trailers" });
  assert.equal(
    await written({ headers: hops }),
    "GET / HTTP/1.1\r\nhost: a\r\nte: trailers\r\n\r\n",
  );
});

test("Http1Client writes the target in the form that it came in", async () => {
  const authority = "b:81";
  assert.equal(
    await written({ absoluteForm: true, authority, path: "/x?y", scheme: "http" }),
    "GET http://b:81/x?y HTTP/1.1\r\nhost: a\r\n\r\n",
  );
  const headers = new HeaderMap();
  assert.equal(await written({ authority, headers }), "GET / HTTP/1.1\r\nhost: b:81\r\n\r\n");
  assert.equal(await written({ headers }), "GET / HTTP/1.1\r\n\r\n");
  assert.equal(await written({ headers, version: "1.0" }), "GET / HTTP/1.0\r\n\r\n");
  assert.equal(
    await written({ method: "CONNECT", authority, path: "", headers, upgrade: true }),
    "CONNECT b:81 HTTP/1.1\r\n\r\n",
  );
  assert.equal(
    await written({ method: "OPTIONS", path: "*" }),
    "OPTIONS * HTTP/1.1\r\nhost: a\r\n\r\n",
  );
});

test("Http1Client refuses to write what would break out of its line", async () => {
  const bad: Partial<RequestHead>[] = [
    { path: "/ HTTP/1.1\r\nx: y" },
    { path: "/a b" },
    { path: "" },
    { path: "/\u0100" },
    { method: "GET /x" },
    { method: "" },
    { authority: "a b", absoluteForm: true },
    { headers: HeaderMap.of({ "x-a": "b\r\nc: d" }) },
    { headers: HeaderMap.of({ "x a": "b" }) },
  ];
  for (const changes of bad) {
    const world = connect();
    const [response] = send(world.client, changes);
    assert.equal(response.reason?.code, "http1_unwritable");
    await turns();
    assert.equal(world.server.text, "");
    assert.equal(world.client.isIdle, true);
  }
});

const ANSWERS: [
  what: string,
  request: Partial<RequestHead>,
  answer: string,
  body: string,
  length: number,
  reused: boolean,
][] = [
  ["a length", {}, "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello", "hello", 5, true],
  ["length 0", {}, "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", "", 0, true],
  [
    "chunks",
    {},
    "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    "hello",
    -1,
    true,
  ],
  ["no reason and no space", {}, "HTTP/1.1 200\r\ncontent-length: 1\r\n\r\nx", "x", 1, true],
  [
    "a reason in Latin-1",
    {},
    "HTTP/1.1 200 sch\xf6n\tso\r\ncontent-length: 1\r\n\r\nx",
    "x",
    1,
    true,
  ],
  [
    "close",
    {},
    "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 1\r\n\r\nx",
    "x",
    1,
    false,
  ],
  ["HTTP/1.0", {}, "HTTP/1.0 200 OK\r\ncontent-length: 1\r\n\r\nx", "x", 1, false],
  [
    "HTTP/1.0 kept alive",
    {},
    "HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 1\r\n\r\nx",
    "x",
    1,
    true,
  ],
  ["HEAD", { method: "HEAD" }, "HTTP/1.1 200 OK\r\ncontent-length: 55\r\n\r\n", "", 0, true],
  [
    "HEAD in chunks",
    { method: "HEAD" },
    "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
    "",
    0,
    true,
  ],
  ["204", {}, "HTTP/1.1 204 No Content\r\n\r\n", "", 0, true],
  ["204 with a length", {}, "HTTP/1.1 204 No Content\r\ncontent-length: 5\r\n\r\n", "", 0, true],
  ["304", {}, "HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n", "", 0, true],
  [
    "after 100 and 103",
    {},
    "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nx",
    "x",
    1,
    true,
  ],
  [
    "an upgrade refused",
    { upgrade: true },
    "HTTP/1.1 403 No\r\ncontent-length: 1\r\n\r\nx",
    "x",
    1,
    false,
  ],
];

test("Http1Client reads answers, wherever they are split, and keeps the connection if it may", async () => {
  for (const [what, request, answer, body, length, isReused] of ANSWERS) {
    for (let at = 0; at < answer.length; at++) {
      const world = connect();
      const [response] = send(world.client, request);
      world.serverSocket.write(Buffer.from(answer, "latin1"), 0, at);
      await turns(2);
      world.serverSocket.write(Buffer.from(answer, "latin1"), at, answer.length);
      await response.done;
      assert.deepEqual([response.text, response.ends, response.aborts], [body, 1, 0], what);
      assert.equal(response.heads[0]!.contentLength, length, what);
      await turns(2);
      assert.equal(world.client.isIdle, isReused, what);
      assert.equal(world.socket.isDestroyed, !isReused, what);
    }
  }
});

test("Http1Client reads a body that ends with the connection", async () => {
  for (const version of ["1.0", "1.1"]) {
    const world = connect();
    const [response] = send(world.client);
    await world.say(`HTTP/${version} 200 OK\r\n\r\nabc`);
    await world.say("def");
    assert.deepEqual([response.text, response.ends], ["abcdef", 0]);
    world.serverSocket.end();
    await response.done;
    assert.deepEqual([response.ends, response.heads[0]!.version], [1, version]);
    assert.equal(world.client.isIdle, false);
  }
});

test("Http1Client hands on trailers and informational responses, without hop-by-hop fields", async () => {
  const world = connect();
  const [response] = send(world.client);
  await world.say("HTTP/1.1 103 Early Hints\r\nlink: x\r\nconnection: y\r\ny: z\r\n\r\n");
  assert.deepEqual(fieldsOf(response.informationals[0]!.headers), ["link: x"]);
  await world.say(
    "HTTP/1.1 200 OK\r\nConnection: keep-alive, X-Named\r\nX-Named: 1\r\nKeep-Alive: timeout=5\r\nTransfer-Encoding: chunked\r\nX-Kept: 2\r\n\r\n0\r\nX-Sum: 3\r\n\r\n",
  );
  assert.deepEqual(fieldsOf(response.heads[0]!.headers), ["x-kept: 2"]);
  assert.equal(response.trailers?.get("x-sum"), "3");
});

const BAD_ANSWERS: [what: string, answer: string, code: string][] = [
  ["no status line", "hello\r\n\r\n", "http1_bad_start_line"],
  ["TLS", "\x15\x03\x01\x00\x02\x02\x28", "http1_bad_start_line"],
  ["status 99", "HTTP/1.1 099 OK\r\n\r\n", "http1_bad_start_line"],
  ["a status of two digits", "HTTP/1.1 20 OK\r\n\r\n", "http1_bad_start_line"],
  ["a status of four digits", "HTTP/1.1 2000 OK\r\n\r\n", "http1_bad_start_line"],
  ["two spaces", "HTTP/1.1  200 OK\r\n\r\n", "http1_bad_start_line"],
  ["a control byte in the reason", "HTTP/1.1 200 O\x00K\r\n\r\n", "http1_bad_start_line"],
  ["HTTP/2", "HTTP/2 200\r\n\r\n", "http1_bad_start_line"],
  ["HTTP/1.2", "HTTP/1.2 200 OK\r\n\r\n", "http1_bad_version"],
  ["an empty line before", "\r\nHTTP/1.1 200 OK\r\n\r\n", "http1_bad_start_line"],
  ["bare LF", "HTTP/1.1 200 OK\n\n", "http1_bad_line_end"],
  ["a fold", "HTTP/1.1 200 OK\r\na: b\r\n c\r\n\r\n", "http1_bad_field"],
  ["a space before the colon", "HTTP/1.1 200 OK\r\ncontent-length : 1\r\n\r\nx", "http1_bad_field"],
  [
    "length and chunked",
    "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n",
    "http1_bad_framing",
  ],
  [
    "two lengths",
    "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 1\r\n\r\nx",
    "http1_bad_framing",
  ],
  ["a bad length", "HTTP/1.1 200 OK\r\ncontent-length: 1a\r\n\r\nx", "http1_bad_framing"],
  ["an unknown coding", "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\n", "http1_bad_framing"],
  [
    "gzip and chunked",
    "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n",
    "http1_unknown_coding",
  ],
  [
    "chunked over HTTP/1.0",
    "HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
    "http1_bad_framing",
  ],
  ["204 in chunks", "HTTP/1.1 204 No\r\ntransfer-encoding: chunked\r\n\r\n", "http1_bad_framing"],
  ["100 in chunks", "HTTP/1.1 100 No\r\ntransfer-encoding: chunked\r\n\r\n", "http1_bad_framing"],
  ["101 unasked", "HTTP/1.1 101 No\r\nupgrade: x\r\n\r\n", "http1_bad_start_line"],
  ["1xx without end", "HTTP/1.1 102 Processing\r\n\r\n".repeat(40), "http1_bad_start_line"],
  ["too many fields", `HTTP/1.1 200 OK\r\n${"a: b\r\n".repeat(101)}\r\n`, "http1_too_many_fields"],
  ["a large head", `HTTP/1.1 200 OK\r\na: ${"b".repeat(66_000)}\r\n\r\n`, "http1_head_too_large"],
  ["a bad chunk", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nx\r\n", "http1_bad_chunk"],
];

test("Http1Client refuses answers that could be read in two ways", async () => {
  for (const [what, answer, code] of BAD_ANSWERS) {
    const world = connect();
    const [response] = send(world.client);
    world.serverSocket.write(Buffer.from(answer, "latin1"), 0, answer.length);
    await response.done;
    assert.deepEqual([response.reason?.code, response.reason?.side], [code, "server"], what);
    assert.equal(world.socket.isDestroyed, true);
  }
});

test("Http1Client tells how a server broke off", async () => {
  const cases: [answer: string, code: string][] = [
    ["", "http1_no_response"],
    ["HTTP/1.1 20", "http1_no_response"],
    ["HTTP/1.1 100 Continue\r\n\r\n", "http1_no_response"],
    ["HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nabc", "http1_response_truncated"],
    [
      "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n",
      "http1_response_truncated",
    ],
  ];
  for (const [answer, code] of cases) {
    for (const how of ["end", "reset"] as const) {
      const world = connect();
      const [response] = send(world.client);
      await world.say(answer);
      world.serverSocket[how]();
      await response.done;
      assert.deepEqual([response.reason?.code, response.reason?.retryable], [code, false]);
      assert.equal(world.client.isIdle, false);
    }
  }
});

test("Http1Client cuts a body short that ends with a reset in place of an end", async () => {
  const world = connect();
  const [response] = send(world.client);
  await world.say("HTTP/1.0 200 OK\r\n\r\nabc");
  world.serverSocket.reset();
  await response.done;
  assert.equal(response.reason?.code, "http1_response_truncated");
});

test("Http1Client gives up a connection that ends, or speaks, while idle", async () => {
  for (const disturb of [
    (world: World) => world.serverSocket.end(),
    (world: World) => world.serverSocket.reset(),
    (world: World) => void world.say("HTTP/1.1 408 Request Timeout\r\n\r\n"),
  ]) {
    const world = connect();
    const [response] = send(world.client);
    await world.say("HTTP/1.1 204 No Content\r\n\r\n");
    assert.equal(response.ends, 1);
    assert.equal(world.client.isIdle, true);
    disturb(world);
    await turns();
    assert.equal(world.client.isIdle, false);
    const [late] = send(world.client);
    assert.equal(late.reason?.retryable, true);
  }
});

test("Http1Client takes no second answer for that of the next request", async () => {
  const idles: Http1Client[] = [];
  const owner = { onIdle: (client: Http1Client) => idles.push(client), onClose: () => {} };
  const world = connect({ owner });
  const [response] = send(world.client);
  await world.say("HTTP/1.1 204 No\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil");
  assert.deepEqual([response.status, response.ends], [204, 1]);
  assert.deepEqual([idles.length, world.socket.isDestroyed], [0, true]);
});

test("Http1Client refuses a second request while one is under way", async () => {
  const world = connect();
  send(world.client);
  const [second] = send(world.client);
  assert.equal(second.reason?.code, "http1_busy");
});

test("Http1Client destroys the connection of a request that is aborted, and says no more", async () => {
  const world = connect();
  const [response, sink] = send(world.client);
  await world.say("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nab");
  sink.abort(new MeshError("gone", "client", "gone"));
  world.serverSocket.write(Buffer.from("cde"), 0, 3);
  await turns();
  assert.deepEqual([response.text, response.ends, response.aborts], ["ab", 0, 0]);
  assert.equal(world.socket.isDestroyed, true);
});

test("Http1Client ignores an abort that comes after its exchange", async () => {
  const world = connect();
  const [, sink] = send(world.client);
  await world.say("HTTP/1.1 204 No Content\r\n\r\n");
  const [second] = send(world.client);
  sink.abort(new MeshError("gone", "client", "gone"));
  give(sink, "noise");
  await world.say("HTTP/1.1 204 No Content\r\n\r\n");
  assert.equal(second.ends, 1);
});

test("Http1Client makes a tunnel of an upgrade, and of CONNECT whatever it says of a body", async () => {
  const cases: [Partial<RequestHead>, string, number][] = [
    [
      { upgrade: true, headers: HeaderMap.of({ host: "a", connection: "upgrade", upgrade: "x" }) },
      "HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n",
      2,
    ],
    [
      { upgrade: true, method: "CONNECT", authority: "a:1", path: "" },
      "HTTP/1.1 200 OK\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n",
      0,
    ],
  ];
  for (const [request, answer, fields] of cases) {
    const world = connect();
    const [response, sink] = send(world.client, request);
    await world.say(`${answer}early`);
    assert.equal(response.heads[0]!.headers.size, fields);
    assert.equal(response.text, "early");
    give(sink, "\x00up");
    await turns();
    assert.ok(world.server.text.endsWith("\r\n\r\n\x00up"));
    sink.end(undefined);
    await world.server.ended;
    await world.say("HTTP/1.1 down");
    world.serverSocket.end();
    await response.done;
    assert.deepEqual([response.text, response.ends], ["earlyHTTP/1.1 down", 1]);
    assert.equal(await world.server.closed, undefined);
  }
});

test("Http1Client pauses the request while the server takes nothing, and loses no byte", async () => {
  const world = connect({ highWaterBytes: 100 });
  const flow = new FlowRecorder();
  const response = new ResponseRecorder();
  const sink = world.client.call(
    requestHead({ method: "POST", contentLength: 1000 }),
    flow,
    response,
  );
  world.serverSocket.pause();
  for (let i = 0; i < 10; i++) {
    give(sink, String(i).repeat(100));
    await turns(2);
  }
  assert.equal(flow.isPaused, true);
  world.serverSocket.resume();
  await turns();
  assert.equal(flow.isPaused, false);
  sink.end(undefined);
  await turns();
  assert.ok(
    world.server.text.endsWith(
      Array.from({ length: 10 }, (_, i) => String(i).repeat(100)).join(""),
    ),
  );
});

test("Http1Client stops reading while the response is paused", async () => {
  const world = connect();
  const [response] = send(world.client);
  await world.say("HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nabc");
  response.flow.pause();
  await world.say("def");
  assert.equal(response.text, "abc");
  response.flow.resume();
  await turns();
  assert.deepEqual([response.text, response.ends], ["abcdef", 1]);
});

test("Http1Client lets no request body be longer or shorter than declared", async () => {
  for (const text of ["abcd", "ab"]) {
    const world = connect();
    const response = new ResponseRecorder();
    const sink = world.client.call(requestHead({ contentLength: 3 }), NO_FLOW, response);
    give(sink, text);
    sink.end(undefined);
    assert.equal(response.reason?.code, "http1_body_mismatch");
    assert.equal(world.socket.isDestroyed, true);
  }
});

test("Http1Client goes on with a request that outlasts its answer, if the server does", async () => {
  const flow = new FlowRecorder();
  for (const connection of ["keep-alive", "close"]) {
    const world = connect();
    const response = new ResponseRecorder();
    const sink = world.client.call(requestHead({ contentLength: 6 }), flow, response);
    give(sink, "abc");
    await turns();
    await world.say(`HTTP/1.1 200 OK\r\nconnection: ${connection}\r\ncontent-length: 0\r\n\r\n`);
    assert.equal(response.ends, 1);
    give(sink, "def");
    sink.end(undefined);
    await turns();
    assert.equal(world.server.text.endsWith("abcdef"), connection === "keep-alive");
    assert.equal(world.client.isIdle, connection === "keep-alive");
  }
});

test("close() waits for the answer, and destroys what is not done in time", async () => {
  let nowMs = 0;
  const timers = new TimerWheel(() => nowMs);
  const world = connect({ runtime: new Http1Runtime({ timers }) });
  const [response] = send(world.client);
  const closed = world.client.close(500);
  await world.say("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\na");
  assert.equal(world.socket.isDestroyed, false);
  await world.say("b");
  await closed;
  assert.equal(response.text, "ab");
  const slow = connect({ runtime: new Http1Runtime({ timers }) });
  const [unanswered] = send(slow.client);
  const destroyed = slow.client.close(500);
  nowMs = 600;
  timers.advance();
  await destroyed;
  assert.equal(unanswered.aborts, 1);
});

test("Http1Client survives mutated answers: each exchange ends exactly once", async () => {
  const random = seededRandom(5);
  for (let round = 0; round < 1500; round++) {
    const [, request, good] = ANSWERS[seededInt(random, ANSWERS.length)]!;
    let text = good;
    for (let edits = 1 + seededInt(random, 3); edits > 0; edits--) {
      const at = seededInt(random, text.length);
      const edit = "\r\n \t:;,\x0009\x80HT"[seededInt(random, 13)]!;
      text = text.slice(0, at) + edit + text.slice(at + seededInt(random, 3));
    }
    const world = connect({ split: () => 1 + seededInt(random, 30), turn: "microtask" });
    const [response, sink] = send(world.client, request);
    world.serverSocket.write(Buffer.from(text, "latin1"), 0, text.length);
    world.serverSocket.end();
    const hang = turns(300).then(() => assert.fail(JSON.stringify(text)));
    await Promise.race([response.done, hang]);
    if (request.upgrade === true) sink.end(undefined);
    await Promise.race([world.server.ended, world.server.closed, hang]);
    assert.equal(response.ends + response.aborts, 1);
  }
});
