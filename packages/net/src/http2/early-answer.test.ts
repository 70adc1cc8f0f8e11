import assert from "node:assert/strict";
import { test } from "node:test";
import { MeshError } from "@heddle/base/errors";
import { duplex } from "@heddle/testkit/duplex";
import { ErrorCode, Flag, FrameType } from "@heddle/wire/http2/frame";
import { DISCARD, type Flow, NO_FLOW } from "../http.ts";
import { Http2Client } from "./client.ts";
import { serveHttp2 } from "./server.ts";
import { codeOf, type RawFields, RawPeer } from "./testing/raw-peer.ts";
import { Calls, Gather, requestHead, responseHead } from "./testing/services.ts";

const POST: RawFields = [
  [":method", "POST"],
  [":scheme", "http"],
  [":authority", "test"],
  [":path", "/"],
];
const END = Flag.endHeaders | Flag.endStream;

test("an upload that the origin answers early is stopped through a proxy, with NO_ERROR", async () => {
  const [outerClient, outerServer] = duplex();
  const [innerClient, innerServer] = duplex();
  const client = new Http2Client(innerClient);
  const server = serveHttp2(outerServer, client);
  const origin = new RawPeer(innerServer, true);
  origin.settings([[4, 1000]]);
  const peer = new RawPeer(outerClient);
  peer.greet();
  await origin.frame(FrameType.settings, 0, 2);
  peer.headers(1, POST);
  // More than the origin's window: the proxy has paused the upload.
  peer.data(1, Buffer.alloc(10_000));
  await origin.frame(FrameType.data, 1);
  origin.headers(1, [[":status", "413"]], END);
  origin.rstStream(1, ErrorCode.noError);
  const head = await peer.frame(FrameType.headers, 1);
  assert.deepEqual(peer.fieldsOf(head), [[":status", "413"]]);
  assert.equal(codeOf(await peer.frame(FrameType.rstStream, 1)), ErrorCode.noError);
  // What was under way is dropped.
  peer.data(1, Buffer.alloc(10_000));
  await peer.settled();
  assert.deepEqual([server.openStreams, client.openStreams], [0, 0]);
  assert.equal(peer.of(FrameType.goaway).length, 0);
  client.destroy();
  server.destroy();
});

test("server resets with NO_ERROR when a request is answered that nobody reads", async () => {
  const [clientSocket, serverSocket] = duplex();
  const server = serveHttp2(serverSocket, {
    call(_head, _flow, response) {
      response.head(responseHead(404), NO_FLOW);
      response.end(undefined);
      return DISCARD;
    },
  });
  const peer = new RawPeer(clientSocket);
  peer.greet();
  peer.headers(1, POST);
  assert.equal(codeOf(await peer.frame(FrameType.rstStream, 1)), ErrorCode.noError);
  // The answer was whole before that.
  assert.equal(peer.of(FrameType.headers, 1)[0]?.flags, END);
  peer.headers(3, POST, END);
  await peer.frame(FrameType.headers, 3);
  await peer.settled();
  assert.equal(peer.of(FrameType.rstStream).length, 1);
  assert.equal(server.openStreams, 0);
  server.destroy();
});

test("server goes on reading a request that is answered early, if its service does", async () => {
  const [clientSocket, serverSocket] = duplex();
  const calls = new Calls();
  const server = serveHttp2(serverSocket, calls);
  const peer = new RawPeer(clientSocket);
  peer.greet();
  peer.headers(1, POST);
  const { response, body } = await calls.nth(1);
  response.head(responseHead(200), NO_FLOW);
  response.end(undefined);
  await peer.settled();
  for (let i = 0; i < 10; i++) {
    peer.data(1, Buffer.alloc(16_000));
    await peer.settled();
  }
  peer.data(1, "", Flag.endStream);
  await body.done();
  assert.equal(body.byteCount, 160_000);
  assert.equal(peer.of(FrameType.rstStream).length, 0);
  assert.equal(server.openStreams, 0);
  server.destroy();
});

test("a request that fails lets its paused sender go; one that was aborted leaves it alone", async () => {
  for (const isAborted of [false, true]) {
    const [clientSocket, serverSocket] = duplex();
    const client = new Http2Client(clientSocket);
    const origin = new RawPeer(serverSocket, true);
    origin.settings([[4, 0]]);
    await origin.frame(FrameType.settings, 0, 2);
    const heard: string[] = [];
    const flow: Flow = {
      pause: () => heard.push("pause"),
      resume: () => heard.push("resume"),
      stop: () => heard.push("stop"),
    };
    const got = new Gather();
    const sink = client.call(requestHead("POST"), flow, got);
    sink.data(Buffer.alloc(10), 0, 10);
    await origin.frame(FrameType.headers, 1);
    if (isAborted) {
      sink.abort(new MeshError("test", "self", "Cannot do: test"));
    } else {
      origin.rstStream(1, ErrorCode.cancel);
      await got.aborted();
    }
    assert.deepEqual(heard, isAborted ? ["pause"] : ["pause", "stop", "resume"]);
    client.destroy();
  }
});
