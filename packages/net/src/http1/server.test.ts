import assert from "node:assert/strict";
import { test } from "node:test";
import type { MeshError } from "@heddle/base/errors";
import { fieldsOf, responseHead, type ServedRequest, turns } from "@heddle/testkit/http-exchange";
import { REFUSED_CHUNKS, REFUSED_REQUESTS } from "@heddle/testkit/http1-corpus";
import { DATE, serveInMemory as serve } from "@heddle/testkit/http1-server-world";
import { seededInt, seededRandom } from "@heddle/testkit/seeded-random";
import { HeaderMap } from "@heddle/wire/http/headers";
import { NO_FLOW } from "../http.ts";

const GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

test("serveHttp1() answers with one write, adds date, and keeps the connection", async () => {
  const world = serve((request) => request.answer("hi", { headers: HeaderMap.of({ "x-a": "b" }) }));
  await world.say(GET);
  const expected = `HTTP/1.1 200 OK\r\nx-a: b\r\ncontent-length: 2\r\n${DATE}\r\nhi`;
  assert.equal(world.client.text, expected);
  assert.equal(world.serverSocket.writes, 1);
  await world.say(GET);
  assert.equal(world.client.text, expected + expected);
  assert.equal(world.service.requests[0]!.ends, 1);
});

test("serveHttp1() keeps a date and a length that are there", async () => {
  const headers = HeaderMap.of({ date: "today", "content-length": "2", "x-b": "c" });
  const world = serve((request) => request.answer("hi", { headers }));
  await world.say(GET);
  assert.equal(
    world.client.text,
    "HTTP/1.1 200 OK\r\ndate: today\r\ncontent-length: 2\r\nx-b: c\r\n\r\nhi",
  );
});

test("serveHttp1() reads and answers the same, wherever its input is split", async () => {
  const input = `POST /a HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nabc${GET}PUT /b HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n2\r\nxy\r\n0\r\nt: u\r\n\r\nGET /c HTTP/1.0\r\n\r\n`;
  const answer = (request: ServedRequest): void => {
    void request.done.then(() =>
      request.answer(`${request.head.method}${request.head.path}${request.text}`),
    );
  };
  const whole = serve(answer);
  await whole.say(input);
  assert.equal(whole.service.requests.length, 4);
  assert.equal(whole.service.requests[2]!.trailers?.get("t"), "u");
  for (let at = 1; at < input.length; at++) {
    const world = serve(answer);
    world.clientSocket.write(Buffer.from(input), 0, at);
    await turns(3);
    world.clientSocket.write(Buffer.from(input), at, input.length);
    await world.client.ended;
    assert.equal(world.client.text, whole.client.text, `at ${at}`);
  }
  const dripped = serve(answer, { split: () => 1, turn: "microtask" });
  dripped.clientSocket.write(Buffer.from(input), 0, input.length);
  await dripped.client.ended;
  assert.equal(dripped.client.text, whole.client.text);
});

test("serveHttp1() answers pipelined requests in order, one at a time", async () => {
  const world = serve();
  await world.say("GET /1 HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\n\r\nGET /3 HTTP/1.1\r\n\r\n");
  for (const index of [0, 1, 2]) {
    assert.equal(world.service.requests.length, index + 1);
    world.service.requests[index]!.answer(`<${index + 1}>`);
    await turns();
  }
  assert.deepEqual(world.client.text.match(/<\d>/g), ["<1>", "<2>", "<3>"]);
});

test("serveHttp1() stops reading while pipelined requests wait", async () => {
  const world = serve();
  await world.say(GET + GET);
  assert.equal(world.serverSocket.isPaused, true);
  await world.say(GET.repeat(100));
  assert.equal(world.service.requests.length, 1);
  world.service.requests[0]!.answer();
  await turns();
  world.service.requests[1]!.answer();
  await turns();
  assert.equal(world.serverSocket.isPaused, true);
  assert.equal(world.service.requests.length, 3);
});

test("serveHttp1() gathers answers to pipelined requests in one write", async () => {
  const world = serve((request) => request.answer("x"));
  await world.say(GET.repeat(50));
  assert.equal(world.service.requests.length, 50);
  assert.equal(world.serverSocket.writes, 1);
});

test("serveHttp1() ends the connection as version and connection fields say", async () => {
  const cases: [request: string, status: string, connection: string | undefined, ends: boolean][] =
    [
      ["GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 200", undefined, false],
      ["GET / HTTP/1.1\r\nConnection: close\r\n\r\n", "HTTP/1.1 200", "close", true],
      ["GET / HTTP/1.0\r\n\r\n", "HTTP/1.0 200", undefined, true],
      ["GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", "HTTP/1.0 200", "keep-alive", false],
    ];
  for (const [request, status, connection, ends] of cases) {
    const world = serve((served) => served.answer("x"));
    await world.say(request);
    assert.ok(world.client.text.startsWith(status), request);
    assert.equal(/connection: (.*)\r/.exec(world.client.text)?.[1], connection, request);
    assert.equal(world.serverSocket.isEnding, ends, request);
  }
});

test("serveHttp1() ends the connection when a layer's answer says so", async () => {
  const headers = HeaderMap.of({ connection: "close" });
  const world = serve((request) => request.answer("x", { headers }));
  await world.say(GET + GET);
  assert.equal(world.service.requests.length, 1);
  assert.match(world.client.text, /\r\nconnection: close\r\n\r\nx$/);
  assert.equal(world.serverSocket.isEnding, true);
});

test("serveHttp1() keeps an answer of HTTP/1.0 one, and lets the end mark its body's", async () => {
  const world = serve((request) => {
    request.response.head(responseHead({ version: "1.0", contentLength: -1 }), NO_FLOW);
    request.send("abc");
    request.send("def");
    request.response.end(undefined);
  });
  await world.say(GET);
  assert.equal(world.client.text, `HTTP/1.0 200 OK\r\n${DATE}connection: close\r\n\r\nabcdef`);
  assert.equal(world.serverSocket.isEnding, true);
});

test("serveHttp1() sends a body of unknown length in chunks, with its trailers", async () => {
  const world = serve((request) => {
    request.response.head(responseHead({ contentLength: -1 }), NO_FLOW);
    request.send("abc");
    request.send("0123456789abcdefg");
    request.response.end(HeaderMap.of({ "x-t": "1", connection: "x", "content-length": "3" }));
  });
  await world.say(GET);
  assert.equal(
    world.client.text,
    `HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n${DATE}\r\n3\r\nabc\r\n11\r\n0123456789abcdefg\r\n0\r\nx-t: 1\r\n\r\n`,
  );
});

test("serveHttp1() sends no body to HEAD, and none with 204 and 304", async () => {
  const cases: [
    method: string,
    status: number,
    length: number,
    declared: string,
    fields: string,
  ][] = [
    ["HEAD", 200, 0, "55", "content-length: 55\r\n"],
    ["HEAD", 200, -1, "", ""],
    ["GET", 304, 0, "55", "content-length: 55\r\n"],
    ["GET", 204, 0, "0", ""],
    ["GET", 204, -1, "", ""],
    ["GET", 200, 0, "", "content-length: 0\r\n"],
    ["GET", 200, 0, "0", "content-length: 0\r\n"],
  ];
  for (const [method, status, contentLength, declared, fields] of cases) {
    const headers =
      declared === "" ? new HeaderMap() : HeaderMap.of({ "content-length": declared });
    const world = serve((request) => {
      request.response.head(responseHead({ status, contentLength, headers }), NO_FLOW);
      if (contentLength < 0) request.send("not for the wire");
      request.response.end(undefined);
    });
    await world.say(`${method} / HTTP/1.1\r\n\r\n`);
    const [head, body] = world.client.text.split("\r\n\r\n");
    assert.equal(
      `${head}\r\n`.split("\r\n").slice(1).join("\r\n"),
      fields + DATE,
      `${method} ${status}`,
    );
    assert.equal(body, "");
    assert.equal(world.serverSocket.isEnding, false);
  }
});

test("serveHttp1() strips fields that are for the connection, and those that it names", async () => {
  const world = serve();
  await world.say(
    "GET / HTTP/1.1\r\nHost: a\r\nX-Named: 1\r\nConnection: x-named, Host, keep-alive\r\nKeep-Alive: 5\r\nProxy-Connection: keep-alive\r\nTE: trailers\r\nX-Kept: 2\r\nUpgrade: foo\r\n\r\n",
  );
  const { head } = world.service.requests[0]!;
  assert.deepEqual(fieldsOf(head.headers), ["host: a", "te: trailers", "x-kept: 2"]);
  assert.equal(head.upgrade, false);
});

test("serveHttp1() strips an upgrade to h2c, settings included", async () => {
  const world = serve();
  await world.say(
    "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n",
  );
  assert.deepEqual(fieldsOf(world.service.requests[0]!.head.headers), ["host: a"]);
});

test("serveHttp1() asks for a body with 100 as soon as somebody wants it", async () => {
  const post = "POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n";
  const world = serve();
  await world.say(post);
  assert.equal(world.client.text, "HTTP/1.1 100 Continue\r\n\r\n");
  await world.say("abc");
  assert.equal(world.service.requests[0]!.text, "abc");
  assert.equal(world.service.requests[0]!.head.headers.get("expect"), "100-continue");
  const paused = serve((request) => request.flow.pause());
  await paused.say(post);
  assert.equal(paused.client.text, "");
  paused.service.requests[0]!.flow.resume();
  await turns();
  assert.equal(paused.client.text, "HTTP/1.1 100 Continue\r\n\r\n");
});

test("serveHttp1() sends no 100 to a client that does not wait for it", async () => {
  const world = serve((request) => request.flow.pause());
  await world.say("POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc");
  world.service.requests[0]!.flow.resume();
  await turns();
  assert.equal(world.service.requests[0]!.text, "abc");
  assert.ok(!world.client.text.startsWith("HTTP/1.1 200"));
});

test("serveHttp1() closes after an answer that came in place of a 100", async () => {
  const world = serve((request) => request.answer("no", { status: 417 }));
  await world.say("POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n");
  assert.match(world.client.text, /^HTTP\/1\.1 417 .*\r\n(.*\r\n)*connection: close\r\n\r\nno$/);
  assert.equal(world.serverSocket.isEnding, true);
  assert.equal(world.service.requests[0]!.aborts, 1);
});

test("serveHttp1() passes informational responses on, but not to HTTP/1.0", async () => {
  for (const minor of [1, 0]) {
    const world = serve((request) => {
      const headers = HeaderMap.of({ link: "</a>" });
      request.response.informational?.(responseHead({ status: 103, headers }));
      request.answer();
    });
    await world.say(`GET / HTTP/1.${minor}\r\n\r\n`);
    const early = "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n";
    assert.equal(world.client.text.startsWith(early), minor === 1);
  }
});

const UPGRADE = "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\n";
const SWITCHED = HeaderMap.of({ connection: "Upgrade", upgrade: "chat" });

test("serveHttp1() makes an upgrade a tunnel, with the bytes that came early", async () => {
  const world = serve();
  await world.say(`${UPGRADE}early`);
  const [request] = world.service.requests;
  assert.equal(request!.head.upgrade, true);
  assert.deepEqual(fieldsOf(request!.head.headers), [
    "host: a",
    "connection: Upgrade",
    "upgrade: chat",
  ]);
  assert.equal(request!.text, "");
  request!.response.head(
    responseHead({ status: 101, headers: SWITCHED, contentLength: -1 }),
    NO_FLOW,
  );
  request!.send("GET / HTTP/1.1\r\n\r\n");
  await turns();
  assert.equal(request!.text, "early");
  assert.equal(
    world.client.text,
    `HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: chat\r\n${DATE}\r\nGET / HTTP/1.1\r\n\r\n`,
  );
  await world.say("\x00more");
  assert.equal(request!.text, "early\x00more");
});

test("serveHttp1() half-closes a tunnel each way, and ends when both are", async () => {
  const world = serve();
  await world.say(UPGRADE);
  const [request] = world.service.requests;
  request!.response.head(
    responseHead({ status: 101, headers: SWITCHED, contentLength: -1 }),
    NO_FLOW,
  );
  world.clientSocket.end();
  await turns();
  assert.equal(request!.ends, 1);
  request!.send("still here");
  await turns();
  assert.ok(world.client.text.endsWith("still here"));
  request!.response.end(undefined);
  assert.equal(await world.client.closed, undefined);
  assert.deepEqual(world.closes, [undefined]);
  assert.equal(request!.aborts, 0);
});

test("serveHttp1() goes on with requests after an upgrade that was refused", async () => {
  const world = serve();
  await world.say(UPGRADE + GET);
  assert.equal(world.service.requests.length, 1);
  world.service.requests[0]!.answer("no", { status: 403 });
  await turns();
  assert.equal(world.service.requests[0]!.ends, 1);
  assert.equal(world.service.requests.length, 2);
});

test("serveHttp1() makes CONNECT a tunnel, without the fields of a body", async () => {
  const world = serve((request) => {
    const headers = HeaderMap.of({ "content-length": "5", "transfer-encoding": "chunked" });
    request.response.head(responseHead({ headers, contentLength: -1 }), NO_FLOW);
  });
  await world.say("CONNECT example.com:443 HTTP/1.1\r\nHost: example.com\r\n\r\nhello");
  const [request] = world.service.requests;
  assert.deepEqual([request!.head.authority, request!.head.path], ["example.com:443", ""]);
  assert.equal(world.client.text, `HTTP/1.1 200 OK\r\n${DATE}\r\n`);
  assert.equal(request!.text, "hello");
});

test("serveHttp1() refuses the corpus with its statuses, without asking the service", async () => {
  for (const { what, bytes, status } of REFUSED_REQUESTS) {
    const refusals: MeshError[] = [];
    const world = serve(() => {}, { onRefused: (error) => refusals.push(error) });
    await world.say(bytes);
    assert.match(world.client.text, new RegExp(`^HTTP/1\\.[01] ${status} `), what);
    assert.ok(world.client.text.endsWith(`content-length: 0\r\n${DATE}connection: close\r\n\r\n`));
    assert.equal(world.serverSocket.isEnding, true, what);
    assert.deepEqual([world.service.requests.length, refusals.length], [0, 1], what);
  }
});

test("serveHttp1() refuses bad chunks, and tells the service that the body is cut", async () => {
  for (const { what, bytes, status } of REFUSED_CHUNKS) {
    const world = serve();
    await world.say(bytes);
    const [request] = world.service.requests;
    assert.deepEqual([request!.ends, request!.aborts], [0, 1], what);
    assert.ok(world.client.text.startsWith(`HTTP/1.1 ${status} `), what);
    request!.answer("late");
    await turns();
    assert.ok(!world.client.text.includes("late"));
  }
});

test("serveHttp1() answers in the version of the request that it refuses", async () => {
  const world = serve();
  await world.say("CONNECT a:1 HTTP/1.0\r\n\r\n");
  assert.ok(world.client.text.startsWith("HTTP/1.0 400 Bad Request\r\n"));
});

test("serveHttp1() answers what came before bytes that it refuses", async () => {
  const world = serve((request) => request.answer("first"));
  await world.say(`${GET}garbage\r\n\r\n`);
  assert.match(world.client.text, /first(HTTP\/1\.1 400 )/);
});

test("serveHttp1() writes no field that would break out of its line", async () => {
  const bad: [name: string, value: string][] = [
    ["x-a", "b\r\nx-c: d"],
    ["x-a", "b\nc"],
    ["x-a", "\u0100"],
    ["x-a\r\nx-b", "c"],
    ["X-A", "b"],
    ["x a", "b"],
    ["", "b"],
  ];
  for (const [name, value] of bad) {
    const headers = new HeaderMap();
    headers.append("x-ok", "1");
    headers.append(name, value);
    const world = serve((request) => request.answer("", { headers }));
    await world.say(GET);
    assert.match(world.client.text, /^HTTP\/1\.1 500 [^\0]*connection: close\r\n\r\n$/);
    assert.ok(!world.client.text.includes("x-ok"));
  }
});

test("serveHttp1() ends every mutated conversation: nothing hangs, nothing is answered twice", async () => {
  const random = seededRandom(3);
  const seeds = [
    GET,
    UPGRADE,
    "POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc",
    "PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
  ];
  for (let round = 0; round < 1500; round++) {
    let text = "";
    for (let i = 0; i < 3; i++) text += seeds[seededInt(random, seeds.length)]!;
    for (let edits = seededInt(random, 4); edits > 0; edits--) {
      const at = seededInt(random, text.length);
      const edit = "\r\n \t:;,\x0009\x80G"[seededInt(random, 12)]!;
      text = text.slice(0, at) + edit + text.slice(at + seededInt(random, 3));
    }
    const options = { split: () => 1 + seededInt(random, 40), turn: "microtask" } as const;
    const world = serve((request) => {
      if (request.head.upgrade || random() < 0.5) request.answer("ok");
      else void request.done.then(() => request.answer("ok"));
    }, options);
    world.clientSocket.write(Buffer.from(text, "latin1"), 0, text.length);
    world.clientSocket.end();
    await Promise.race([
      world.client.closed,
      turns(400).then(() => assert.fail(JSON.stringify(text))),
    ]);
    const answers = world.client.text.match(/HTTP\/1\.[01] /g)?.length ?? 0;
    assert.ok(answers <= world.service.requests.length + 1, JSON.stringify(text));
    assert.equal(world.connection.isClosed, true);
    for (const request of world.service.requests) assert.equal(request.ends + request.aborts, 1);
  }
});
