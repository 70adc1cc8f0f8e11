import assert from "node:assert/strict";
import { test } from "node:test";
import { MeshError } from "@heddle/base/errors";
import { duplex } from "@heddle/testkit/duplex";
import {
  FlowRecorder,
  RecordingService,
  ResponseRecorder,
  requestHead,
  responseHead,
  type ServedRequest,
  turns,
} from "@heddle/testkit/http-exchange";
import { seededInt, seededRandom } from "@heddle/testkit/seeded-random";
import { HeaderMap } from "@heddle/wire/http/headers";
import { type BodySink, type Flow, NO_FLOW } from "../http.ts";
import type { Socket } from "../transport.ts";
import { Http1Pool } from "./pool.ts";
import { serveHttp1 } from "./server.ts";

const ROUNDS = 20;
const CALLERS = 4;
const REQUESTS = 12;

/** A flow that holds its sender back for real: what it would send waits. */
class Gate implements Flow {
  #isPaused = false;
  #waiting: (() => void)[] = [];

  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    this.#isPaused = false;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const go of waiting) go();
  }

  open(): Promise<void> {
    if (!this.#isPaused) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push(resolve));
  }
}

interface Net {
  readonly random: () => number;
  open(service: RecordingService | Http1Pool): Promise<Socket>;
}

function net(seed: number): Net {
  const random = seededRandom(seed);
  const splits = [1, 7, 100, 5000];
  return {
    random,
    open: (service) => {
      const most = splits[seededInt(random, splits.length)]!;
      const [socket, server] = duplex({
        split: () => 1 + seededInt(random, most),
        turn: random() < 0.5 ? "microtask" : "immediate",
        highWaterBytes: 1 + seededInt(random, 300),
      });
      serveHttp1(server, service);
      return Promise.resolve(socket);
    },
  };
}

/** A body that names its request in every place, so that a mixed up byte shows. */
function bodyOf(id: string, length: number): string {
  return `<${id}>`.repeat(Math.ceil(length / (id.length + 2))).slice(0, length);
}

async function pour(sink: BodySink, gate: Gate, text: string, random: () => number): Promise<void> {
  for (let at = 0; at < text.length; ) {
    await gate.open();
    const length = 1 + seededInt(random, 200);
    const bytes = Buffer.from(`..${text.slice(at, at + length)}..`);
    sink.data(bytes, 2, bytes.length - 2);
    bytes.fill(0xee);
    at += length;
    if (random() < 0.3) await turns(1);
  }
}

/** The application: echoes id and body, in one of all ways of framing an answer. */
function echo(random: () => number): RecordingService {
  const answer = async (request: ServedRequest): Promise<void> => {
    await request.done;
    if (request.aborts > 0) return;
    const id = request.head.headers.get("x-id")!;
    assert.equal(request.text, bodyOf(id, request.text.length), "the request's body");
    const length = Number(request.head.headers.get("x-length"));
    const status = request.head.method === "HEAD" ? 200 : [200, 404, 204][seededInt(random, 3)]!;
    const hasBody = status !== 204 && request.head.method !== "HEAD";
    const text = hasBody ? bodyOf(id, length) : "";
    const contentLength = hasBody && random() < 0.5 ? -1 : text.length;
    const headers = HeaderMap.of({
      "x-id": id,
      ...(random() < 0.1 ? { connection: "close" } : {}),
    });
    const gate = new Gate();
    request.response.head(responseHead({ status, headers, contentLength }), gate);
    await pour(request.response, gate, text, random);
    request.response.end(contentLength < 0 ? HeaderMap.of({ "x-end": id }) : undefined);
  };
  return new RecordingService((request) => void answer(request));
}

async function converse(pool: Http1Pool, caller: string, random: () => number): Promise<number> {
  let aborted = 0;
  for (let i = 0; i < REQUESTS; i++) {
    const id = `${caller}-${i}`;
    const method = ["GET", "HEAD", "POST", "PUT"][seededInt(random, 4)]!;
    const isBodyless = method === "GET" || method === "HEAD";
    const body = isBodyless ? "" : bodyOf(id, seededInt(random, 900));
    const headers = HeaderMap.of({
      host: "a",
      "x-id": id,
      "x-length": String(seededInt(random, 900)),
    });
    const contentLength = body !== "" && random() < 0.5 ? -1 : body.length;
    const response = new ResponseRecorder();
    const gate = new Gate();
    const sink = pool.call(requestHead({ method, headers, contentLength }), gate, response);
    if (random() < 0.1) {
      sink.abort(new MeshError("gone", "client", "gone"));
      aborted++;
      await turns(3);
      assert.equal(response.ends + response.aborts, 0);
      continue;
    }
    await pour(sink, gate, body, random);
    sink.end(undefined);
    await response.done;
    assert.equal(response.reason, undefined);
    const head = response.heads[0]!;
    assert.equal(head.headers.get("x-id"), id);
    assert.equal(response.text, bodyOf(id, response.text.length));
    const isWhole = head.status !== 204 && method !== "HEAD";
    assert.equal(response.text.length, isWhole ? Number(headers.get("x-length")) : 0);
    if (response.trailers !== undefined) assert.equal(response.trailers.get("x-end"), id);
  }
  return aborted;
}

test("two hops keep every exchange apart, whatever the splits, framings and aborts", async () => {
  for (let round = 0; round < ROUNDS; round++) {
    const { random, open } = net(round);
    const app = echo(random);
    const inner = new Http1Pool({ dial: () => open(app) });
    const outer = new Http1Pool({ dial: () => open(inner) });
    const callers = Array.from({ length: CALLERS }, (_, i) => converse(outer, `c${i}`, random));
    await Promise.all(callers);
    outer.destroy();
    inner.destroy();
    await turns();
    assert.deepEqual([outer.size, inner.size], [0, 0]);
  }
});

test("a response that is paused half-way holds back two hops, and is whole when resumed", async () => {
  const { open } = net(99);
  let sent = 0;
  const flow = new FlowRecorder();
  const app = new RecordingService((request) => {
    request.response.head(responseHead({ contentLength: 100_000 }), flow);
  });
  const inner = new Http1Pool({ dial: () => open(app) });
  const outer = new Http1Pool({ dial: () => open(inner) });
  const response = new ResponseRecorder();
  outer.call(requestHead(), NO_FLOW, response).end(undefined);
  await response.answered;
  response.flow.pause();
  while (!flow.isPaused) {
    app.requests[0]!.send("0123456789".repeat(10));
    sent += 100;
    await turns(4);
    assert.ok(sent < 20_000, `${sent} bytes were taken although nobody reads`);
  }
  response.flow.resume();
  for (; sent < 100_000; sent += 100) {
    app.requests[0]!.send("0123456789".repeat(10));
    while (flow.isPaused) await turns(1);
  }
  app.requests[0]!.response.end(undefined);
  await response.done;
  assert.ok(response.text === "0123456789".repeat(10_000));
  outer.destroy();
  inner.destroy();
});
