import assert from "node:assert/strict";
import { test } from "node:test";
import { MeshError } from "@heddle/base/errors";
import { duplex } from "@heddle/testkit/duplex";
import { seededInt, seededRandom } from "@heddle/testkit/seeded-random";
import { HeaderMap } from "@heddle/wire/http/headers";
import { Flag, FrameType, PREFACE } from "@heddle/wire/http2/frame";
import { type BodySink, type Flow, type HttpService, NO_FLOW } from "../http.ts";
import { Http2Client } from "./client.ts";
import { serveHttp2 } from "./server.ts";
import { RawPeer, rawFrame, uint32 } from "./testing/raw-peer.ts";
import { Calls, Gather, requestHead, responseHead } from "./testing/services.ts";

type Random = () => number;

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Streams that a fuzzing client has opened. */
interface Opened {
  last: number;
}

/** Mostly a frame that is in order, so that a connection gets far. */
function randomFrame(random: Random, peer: RawPeer, opened: Opened): Buffer {
  const isWild = random() < 0.01;
  const usual = [0, 0, 0, 1, 1, 3, 4, 6, 8, 8, 2, 200];
  let type = isWild ? seededInt(random, 256) : usual[seededInt(random, usual.length)]!;
  const flags: number = isWild
    ? seededInt(random, 256)
    : type === FrameType.data && random() < 0.2
      ? 1
      : 0;
  const isNew = opened.last === 0 || (type === FrameType.headers && random() < 0.8);
  if (isNew) {
    type = FrameType.headers;
    opened.last = opened.last === 0 ? 1 : opened.last + 2;
  }
  const some = 1 + 2 * seededInt(random, (opened.last + 1) >> 1 || 1);
  const streamId = isNew ? opened.last : some;
  const bytes = (count: number): Buffer => {
    return Buffer.from(Array.from({ length: count }, () => seededInt(random, 256)));
  };
  switch (type) {
    case FrameType.headers:
      return rawFrame(
        type,
        isNew && random() < 0.6 ? Flag.endHeaders : Flag.endHeaders | Flag.endStream,
        streamId,
        peer.block(
          !isNew
            ? [["x-trailer", "1"]]
            : [
                [":method", "POST"],
                [":scheme", "http"],
                [":path", `/${seededInt(random, 5)}`],
                ["x", String(seededInt(random, 5))],
              ],
        ),
      );
    case FrameType.settings:
      return rawFrame(
        type,
        0,
        0,
        Buffer.concat([Buffer.from([0, 4]), uint32(seededInt(random, 1e5))]),
      );
    case FrameType.ping:
      return rawFrame(type, flags & 1, 0, bytes(8));
    case FrameType.goaway:
      return rawFrame(type, 0, 0, bytes(8));
    case FrameType.priority:
      return rawFrame(type, 0, streamId, bytes(5));
    case FrameType.windowUpdate:
    case FrameType.rstStream:
      return rawFrame(type, 0, streamId, uint32(1 + seededInt(random, 1e6)));
    default:
      return rawFrame(type, flags, streamId, bytes(seededInt(random, 50)));
  }
}

/** Answers at random: at once, later, never; whole, in parts, or with an abort. */
class RandomService implements HttpService {
  readonly bodies: Gather[] = [];
  readonly #random: Random;

  constructor(random: Random) {
    this.#random = random;
  }

  call(_head: unknown, flow: Flow, response: Parameters<HttpService["call"]>[2]): BodySink {
    const body = new Gather(false);
    this.bodies.push(body);
    const random = this.#random;
    if (random() < 0.2) flow.pause();
    if (random() < 0.3) return body;
    if (random() < 0.2) {
      response.abort(new MeshError("test", "self", "Cannot do: test"));
      return { data: () => {}, end: () => {}, abort: () => {} };
    }
    response.head(responseHead(200), NO_FLOW);
    if (random() < 0.7) response.data(Buffer.alloc(5000), 0, seededInt(random, 5000));
    if (random() < 0.7) response.end(random() < 0.5 ? HeaderMap.of({ x: "y" }) : undefined);
    else if (random() < 0.5) setImmediate(() => response.end(undefined));
    if (random() < 0.5) setImmediate(() => flow.resume());
    return body;
  }
}

for (const mutate of [0, 0.002, 0.02]) {
  test(`server survives random frames, mutation rate ${mutate}`, async () => {
    const random = seededRandom(100 + mutate * 1000);
    let survived = 0;
    for (let round = 0; round < 150; round++) {
      const [clientSocket, serverSocket] = duplex({
        split: () => 1 + seededInt(random, 200),
        highWaterBytes: 1 + seededInt(random, 3000),
      });
      const service = new RandomService(random);
      const server = serveHttp2(serverSocket, service, { maxConcurrentStreams: 8 });
      const peer = new RawPeer(clientSocket);
      const parts: Buffer[] = [
        Buffer.from(PREFACE),
        rawFrame(FrameType.settings, 0, 0, Buffer.alloc(0)),
      ];
      const opened = { last: 0 };
      for (let i = 0; i < 150; i++) parts.push(randomFrame(random, peer, opened));
      const bytes = Buffer.concat(parts);
      for (let at = PREFACE.length; at < bytes.length; at++) {
        if (random() < mutate) bytes[at] = seededInt(random, 256);
      }
      peer.write(bytes);
      for (let i = 0; i < 60 && !server.isClosed; i++) await turn();
      if (peer.of(FrameType.goaway).length === 0) survived++;
      server.destroy();
      await server.close();
      assert.equal(server.openStreams, 0);
      await turn();
      clientSocket.destroy();
    }
    // Else nothing behind the first few frames would be tried.
    assert.ok(mutate > 0 || survived > 5);
  });
}

test("client survives random frames", async () => {
  const random = seededRandom(5);
  for (let round = 0; round < 200; round++) {
    const [clientSocket, serverSocket] = duplex({ split: () => 1 + seededInt(random, 200) });
    const client = new Http2Client(clientSocket);
    const peer = new RawPeer(serverSocket, true);
    const all = Array.from({ length: 6 }, () => {
      const got = new Gather(false);
      const sink = client.call(requestHead("POST"), NO_FLOW, got);
      if (random() < 0.5) sink.end(undefined);
      return got;
    });
    peer.settings();
    for (let i = 0; i < 30; i++) {
      if (random() < 0.3) peer.headers(1 + 2 * seededInt(random, 6), [[":status", "200"]]);
      else peer.write(randomFrame(random, peer, { last: 11 }));
    }
    for (let i = 0; i < 20 && !client.isClosed; i++) await turn();
    client.destroy();
    await client.close();
    for (const got of all) assert.ok(got.isEnded || got.error !== undefined);
    serverSocket.destroy();
  }
});

/** Sends `total` bytes in random pieces as its flow allows, each piece in a turn of its own. */
async function sendBody(random: Random, sink: BodySink, flow: Gate, total: number): Promise<void> {
  for (let sent = 0; sent < total; ) {
    while (flow.isPaused) await turn();
    if (flow.isStopped) return;
    const count = Math.min(total - sent, 1 + seededInt(random, 9000));
    const piece = Buffer.from(Array.from({ length: count }, (_, i) => (sent + i) % 251));
    sink.data(piece, 0, count);
    piece.fill(0xee);
    sent += count;
    if (random() < 0.5) await turn();
  }
  sink.end(random() < 0.5 ? HeaderMap.of({ total: String(total) }) : undefined);
}

class Gate implements Flow {
  isPaused = false;
  isStopped = false;

  pause(): void {
    this.isPaused = true;
  }

  resume(): void {
    this.isPaused = false;
  }
}

for (const seed of [1, 2, 3, 4]) {
  test(`bodies arrive whole or are aborted on both sides, whatever happens to others (seed ${seed})`, async () => {
    const random = seededRandom(seed);
    const [clientSocket, serverSocket] = duplex({
      split: () => 1 + seededInt(random, 5000),
      highWaterBytes: 20_000,
    });
    const windows = {
      initialStreamWindowBytes: 1000 + seededInt(random, 20_000),
      initialConnectionWindowBytes: 65_535,
    };
    const calls = new Calls();
    const server = serveHttp2(serverSocket, calls, { ...windows, maxConcurrentStreams: 10 });
    const client = new Http2Client(clientSocket, windows);
    let served = 0;
    calls.onCall = ({ head, flow, response, body }) => {
      const total = Number(head.headers.get("x-answer"));
      const gate = new Gate();
      response.head(responseHead(200), gate);
      sendBody(random, response, gate, total).catch(assert.fail);
      body.onData = () => {
        if (random() >= 0.2) return;
        flow.pause();
        setImmediate(() => flow.resume());
      };
      body.abort = () => {
        gate.isStopped = true;
        gate.isPaused = false;
        served++;
      };
      body.end = () => {
        assert.equal(body.byteCount, Number(head.headers.get("x-send")));
        body.isEnded = true;
        served++;
      };
    };
    // Before SETTINGS have come, the client does not know the server's limit.
    const first = new Gather();
    const fields = { "x-send": "0", "x-answer": "0" };
    client.call(requestHead("POST", "/", fields), NO_FLOW, first).end(undefined);
    await first.done();
    const all = Array.from({ length: 60 }, async () => {
      const send = seededInt(random, 60_000);
      const answer = seededInt(random, 60_000);
      const head = requestHead("POST", "/", { "x-send": String(send), "x-answer": String(answer) });
      const got = new Gather();
      const gate = new Gate();
      const sink = client.call(head, gate, got);
      const isCancelled = random() < 0.25;
      got.onData = () => {
        if (random() >= 0.2) return;
        got.flow.pause();
        setImmediate(() => got.flow.resume());
      };
      const sending = sendBody(random, sink, gate, send);
      if (isCancelled) {
        for (let i = seededInt(random, 60); i > 0; i--) await turn();
        sink.abort(new MeshError("test", "self", "Cannot do: cancelled"));
        gate.isStopped = true;
        gate.isPaused = false;
        await sending;
        return;
      }
      await Promise.all([sending, got.done()]);
      assert.equal(got.byteCount, answer);
      const text = got.text;
      for (let i = 0; i < answer; i++) if (text.charCodeAt(i) !== i % 251) assert.fail(`byte ${i}`);
    });
    await Promise.all(all);
    await Promise.all([client.close(), server.close()]);
    assert.ok(served > 0);
    assert.deepEqual([client.openStreams, server.openStreams], [0, 0]);
  });
}
