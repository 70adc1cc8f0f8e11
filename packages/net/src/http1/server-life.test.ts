import assert from "node:assert/strict";
import { test } from "node:test";
import { MeshError } from "@heddle/base/errors";
import { TimerWheel } from "@heddle/base/timer-wheel";
import { duplex } from "@heddle/testkit/duplex";
import { FlowRecorder, responseHead, turns } from "@heddle/testkit/http-exchange";
import { serveInMemory as serve } from "@heddle/testkit/http1-server-world";
import { SocketRecorder } from "@heddle/testkit/socket-recorder";
import { DISCARD, NO_FLOW } from "../http.ts";
import { Http1Runtime } from "./runtime.ts";
import { serveHttp1 } from "./server.ts";

const GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

test("serveHttp1() tells the service when the client is gone", async () => {
  const world = serve();
  await world.say(GET);
  world.clientSocket.reset();
  await turns();
  const [request] = world.service.requests;
  assert.equal(request!.reason?.code, "http1_client_gone");
  assert.equal(request!.reason?.side, "client");
  request!.answer("too late");
  assert.equal(world.closes.length, 1);
});

test("serveHttp1() tells the service when a request is cut short", async () => {
  const world = serve();
  await world.say("POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nab");
  world.clientSocket.end();
  await world.client.closed;
  const [request] = world.service.requests;
  assert.deepEqual([request!.text, request!.reason?.code], ["ab", "http1_request_truncated"]);
});

test("serveHttp1() answers a client that has ended its side, and then ends", async () => {
  const world = serve();
  world.clientSocket.write(Buffer.from(GET + GET), 0, GET.length * 2);
  world.clientSocket.end();
  await turns();
  world.service.requests[0]!.answer("one");
  await turns();
  world.service.requests[1]!.answer("two");
  assert.equal(await world.client.closed, undefined);
  assert.match(world.client.text, /one(.|\r\n)*connection: close(.|\r\n)*two$/);
});

test("serveHttp1() cancels a request at the client's end if told to", async () => {
  const world = serve(() => {}, { halfClose: false });
  await world.say(GET);
  world.clientSocket.end();
  await turns();
  assert.equal(world.service.requests[0]!.reason?.code, "http1_client_gone");
});

test("serveHttp1() closes a connection that ends without a request, or within a head", async () => {
  for (const text of ["", "GET / HT"]) {
    const world = serve();
    await world.say(text);
    world.clientSocket.end();
    assert.equal(await world.client.closed, undefined);
    assert.equal(world.client.text, "");
    assert.deepEqual(world.closes, [undefined]);
  }
});

test("serveHttp1() answers for a service that gives up before its head", async () => {
  const world = serve((request) => {
    request.response.abort(new MeshError("connect_refused", "server", "Cannot connect"));
  });
  await world.say(GET);
  assert.match(
    world.client.text,
    /^HTTP\/1\.1 502 Bad Gateway\r\n(.*\r\n)*connection: close\r\n\r\n$/,
  );
});

test("serveHttp1() cuts the answer of a service that gives up within it", async () => {
  const world = serve();
  await world.say(GET);
  const [request] = world.service.requests;
  request!.response.head(responseHead({ contentLength: -1 }), NO_FLOW);
  request!.send("half");
  request!.response.abort(new MeshError("connection_reset", "server", "Cannot use socket"));
  await world.client.ended;
  assert.ok(world.client.text.endsWith("4\r\nhalf\r\n"));
  assert.equal(request!.aborts, 0);
});

test("serveHttp1() lets no body be longer or shorter than declared", async () => {
  for (const text of ["abcd", "ab"]) {
    const world = serve();
    await world.say(GET);
    const [request] = world.service.requests;
    request!.response.head(responseHead({ contentLength: 3 }), NO_FLOW);
    request!.send(text);
    request!.response.end(undefined);
    await world.client.ended;
    assert.equal(request!.reason?.code, "http1_body_mismatch");
    assert.ok(!world.client.text.endsWith("abcd"));
  }
});

test("serveHttp1() pauses the response while the client takes nothing, and loses no byte", async () => {
  const world = serve(() => {}, { highWaterBytes: 100 });
  await world.say(GET);
  const [request] = world.service.requests;
  const flow = new FlowRecorder();
  request!.response.head(responseHead({ contentLength: -1 }), flow);
  world.clientSocket.pause();
  let sent = "";
  while (!flow.isPaused) {
    const piece = `${sent.length},`;
    sent += piece;
    request!.send(piece.repeat(20));
    await turns(2);
    assert.ok(sent.length < 1000);
  }
  request!.send("in hand when paused");
  world.clientSocket.resume();
  await turns();
  assert.equal(flow.isPaused, false);
  request!.response.end(undefined);
  await turns();
  assert.ok(world.client.text.endsWith("13\r\nin hand when paused\r\n0\r\n\r\n"));
});

test("serveHttp1() stops reading while the service wants no more of the body", async () => {
  const world = serve((request) => request.flow.pause());
  await world.say("POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nabc");
  await world.say("def");
  const [request] = world.service.requests;
  assert.equal(request!.text, "");
  assert.equal(world.serverSocket.isPaused, true);
  request!.flow.resume();
  await turns();
  assert.equal(request!.text, "abcdef");
  request!.flow.pause();
  await world.say("ghi");
  assert.equal(request!.text, "abcdef");
  request!.flow.resume();
  await turns();
  assert.deepEqual([request!.text, request!.ends], ["abcdefghi", 1]);
});

test("serveHttp1() ignores what a service does after its exchange is over", async () => {
  const world = serve();
  await world.say(GET);
  const [first] = world.service.requests;
  first!.answer("one");
  await world.say("POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\n");
  first!.flow.pause();
  first!.response.head(responseHead({ status: 500 }), NO_FLOW);
  first!.send("noise");
  first!.response.end(undefined);
  first!.response.abort(new MeshError("late", "self", "late"));
  await world.say("abc");
  const [, second] = world.service.requests;
  assert.equal(second!.text, "abc");
  second!.answer("two");
  await turns();
  assert.match(world.client.text, /one(HTTP(.|\r\n)*)two$/);
  assert.ok(!world.client.text.includes("noise"));
});

test("serveHttp1() goes on with a body that outlasts its answer", async () => {
  const world = serve((request) => request.answer("early"));
  await world.say("POST / HTTP/1.1\r\nContent-Length: 6\r\n\r\nabc");
  assert.ok(world.client.text.endsWith("early"));
  await world.say(`def${GET}`);
  assert.deepEqual(
    [world.service.requests[0]!.text, world.service.requests[0]!.ends],
    ["abcdef", 1],
  );
  assert.equal(world.service.requests.length, 2);
});

test("serveHttp1() ends the connection if nobody wants the rest of an answered request", async () => {
  const [clientSocket, serverSocket] = duplex();
  serveHttp1(serverSocket, {
    call: (_head, _flow, response) => {
      response.head(responseHead({ status: 413 }), NO_FLOW);
      response.end(undefined);
      return DISCARD;
    },
  });
  const client = new SocketRecorder(clientSocket);
  const post = Buffer.from("POST / HTTP/1.1\r\nContent-Length: 10000000\r\n\r\n");
  clientSocket.write(post, 0, post.length);
  await client.ended;
  assert.match(client.text, /^HTTP\/1\.1 413 /);
  // What is still sent is thrown away for a while, so that the answer can be read; then it is cut.
  let count = 0;
  while (!serverSocket.isDestroyed && count++ < 100) {
    if (!clientSocket.isDestroyed) clientSocket.write(Buffer.alloc(10_000), 0, 10_000);
    await turns(2);
  }
  assert.ok(count > 20 && count < 40, `after ${count}`);
});

test("close() ends an idle connection at once", async () => {
  const world = serve((request) => request.answer());
  await world.say(GET);
  const closed = world.connection.close(1000);
  await world.client.ended;
  world.clientSocket.end();
  await closed;
  assert.equal(world.connection.isClosed, true);
});

test("close() lets the exchange under way finish, and says that it is the last", async () => {
  const world = serve();
  await world.say(GET + GET);
  const closed = world.connection.close(1000);
  await turns();
  world.service.requests[0]!.answer("done");
  await turns();
  assert.match(world.client.text, /connection: close\r\n\r\ndone$/);
  world.clientSocket.end();
  await closed;
  assert.equal(world.service.requests.length, 1);
});

test("close() lets a response in progress finish", async () => {
  const world = serve();
  await world.say(GET);
  const [request] = world.service.requests;
  request!.response.head(responseHead({ contentLength: 6 }), NO_FLOW);
  request!.send("abc");
  await turns();
  const closed = world.connection.close(1000);
  request!.send("def");
  request!.response.end(undefined);
  await world.client.ended;
  assert.ok(world.client.text.endsWith("abcdef"));
  world.clientSocket.end();
  await closed;
});

test("close() destroys what is not done when its grace is over", async () => {
  let nowMs = 0;
  const timers = new TimerWheel(() => nowMs);
  const world = serve(() => {}, { runtime: new Http1Runtime({ timers }) });
  await world.say(GET);
  const closed = world.connection.close(500);
  nowMs = 600;
  timers.advance();
  await closed;
  assert.equal(world.service.requests[0]!.aborts, 1);
});

test("serveHttp1() ends a connection that was idle for too long, but not a busy one", async () => {
  let nowMs = 0;
  const timers = new TimerWheel(() => nowMs);
  const world = serve(() => {}, { runtime: new Http1Runtime({ timers }), idleTimeoutMs: 500 });
  await world.say(GET);
  nowMs = 1000;
  timers.advance();
  await turns();
  assert.equal(world.serverSocket.isEnding, false);
  world.service.requests[0]!.answer();
  await turns();
  nowMs = 1600;
  timers.advance();
  await world.client.ended;
});
