import assert from "node:assert/strict";
import { test } from "node:test";
import { MeshError } from "@heddle/base/errors";
import { TimerWheel } from "@heddle/base/timer-wheel";
import { duplex, type MemorySocket } from "@heddle/testkit/duplex";
import {
  FlowRecorder,
  RecordingService,
  ResponseRecorder,
  requestHead,
  type ServedRequest,
  turns,
} from "@heddle/testkit/http-exchange";
import { HeaderMap } from "@heddle/wire/http/headers";
import { type BodySink, NO_FLOW, type RequestHead } from "../http.ts";
import type { Socket } from "../transport.ts";
import { Http1Pool, type Http1PoolOptions } from "./pool.ts";
import { Http1Runtime } from "./runtime.ts";
import { serveHttp1 } from "./server.ts";

/** A server that the pool reaches in memory. What it dials is given when the test says so. */
class Endpoint {
  nowMs = 0;
  readonly timers: TimerWheel = new TimerWheel(() => this.nowMs);
  readonly service: RecordingService;
  readonly pool: Http1Pool;
  /** The server's ends, one for each connection. */
  readonly sockets: MemorySocket[] = [];
  #dials: { resolve: (socket: Socket) => void; reject: (error: Error) => void }[] = [];
  readonly #isManual: boolean;

  constructor(
    onRequest: (request: ServedRequest) => void,
    options: Partial<Http1PoolOptions> & { readonly isManual?: boolean } = {},
  ) {
    this.service = new RecordingService(onRequest);
    this.#isManual = options.isManual ?? false;
    this.pool = new Http1Pool({
      dial: () => this.#dial(),
      runtime: new Http1Runtime({ timers: this.timers }),
      nowMs: () => this.nowMs,
      ...options,
    });
  }

  get dialing(): number {
    return this.#dials.length;
  }

  advance(ms: number): void {
    this.nowMs += ms;
    this.timers.advance();
  }

  connect(): void {
    this.#dials.shift()!.resolve(this.#open());
  }

  refuse(error: Error = new MeshError("connect_refused", "server", "Cannot connect")): void {
    this.#dials.shift()!.reject(error);
  }

  #dial(): Promise<Socket> {
    if (!this.#isManual) return Promise.resolve(this.#open());
    return new Promise((resolve, reject) => this.#dials.push({ resolve, reject }));
  }

  #open(): Socket {
    const [socket, server] = duplex();
    this.sockets.push(server);
    serveHttp1(server, this.service);
    return socket;
  }
}

function send(
  pool: Http1Pool,
  changes: Partial<RequestHead> = {},
  flow = NO_FLOW,
): [ResponseRecorder, BodySink] {
  const response = new ResponseRecorder();
  const head = requestHead(changes);
  const sink = pool.call(head, flow, response);
  if (head.contentLength === 0 && !head.upgrade) sink.end(undefined);
  return [response, sink];
}

const answerAll = (request: ServedRequest): void => request.answer("ok");

test("Http1Pool uses a connection again, and as many as there are requests at once", async () => {
  const endpoint = new Endpoint(answerAll);
  for (let i = 0; i < 3; i++) await send(endpoint.pool)[0].done;
  assert.deepEqual([endpoint.sockets.length, endpoint.pool.idleCount], [1, 1]);
  await Promise.all([send(endpoint.pool)[0].done, send(endpoint.pool)[0].done]);
  assert.equal(endpoint.sockets.length, 2);
});

test("Http1Pool gives a request the first connection that comes free", async () => {
  const endpoint = new Endpoint(() => {}, { isManual: true });
  const [first] = send(endpoint.pool);
  endpoint.connect();
  await turns();
  const [second] = send(endpoint.pool);
  assert.deepEqual([endpoint.dialing, endpoint.pool.waitingCount], [1, 1]);
  endpoint.service.requests[0]!.answer();
  await first.done;
  await turns();
  endpoint.service.requests[1]!.answer();
  await second.done;
  endpoint.connect();
  await turns();
  assert.deepEqual([endpoint.sockets.length, endpoint.pool.idleCount], [2, 2]);
});

test("Http1Pool closes connections that were idle for too long", async () => {
  const endpoint = new Endpoint(answerAll, { idleTimeoutMs: 3000 });
  await Promise.all([send(endpoint.pool)[0].done, send(endpoint.pool)[0].done]);
  await turns();
  endpoint.advance(2000);
  await send(endpoint.pool)[0].done;
  await turns();
  endpoint.advance(1500);
  assert.equal(endpoint.pool.idleCount, 1);
  endpoint.advance(2000);
  await turns();
  assert.deepEqual([endpoint.pool.idleCount, endpoint.pool.size], [0, 0]);
});

test("Http1Pool keeps no more idle connections than it may", async () => {
  const endpoint = new Endpoint(answerAll, { maxIdle: 1 });
  await Promise.all([1, 2, 3].map(() => send(endpoint.pool)[0].done));
  await turns();
  assert.deepEqual([endpoint.pool.idleCount, endpoint.pool.size], [1, 1]);
});

test("Http1Pool gives HTTP/1.0, a missing host and upgrades a connection of their own", async () => {
  const headers = new HeaderMap();
  const empty = HeaderMap.of({ host: "" });
  const oneOffs: Partial<RequestHead>[] = [
    { version: "1.0" },
    { headers },
    { headers: empty },
    { upgrade: true, headers: HeaderMap.of({ host: "a", connection: "upgrade", upgrade: "x" }) },
  ];
  for (const changes of oneOffs) {
    const endpoint = new Endpoint(answerAll);
    await send(endpoint.pool)[0].done;
    await send(endpoint.pool, changes)[0].done;
    await turns();
    assert.deepEqual([endpoint.sockets.length, endpoint.pool.size], [2, 1]);
    await send(endpoint.pool)[0].done;
    assert.equal(endpoint.sockets.length, 2);
  }
});

test("Http1Pool keeps a connection for one host if told to", async () => {
  const endpoint = new Endpoint(answerAll, { byHost: true });
  for (const host of ["a", "b", "a", "b"]) {
    await send(endpoint.pool, { headers: HeaderMap.of({ host }) })[0].done;
  }
  assert.equal(endpoint.sockets.length, 2);
});

test("Http1Pool pauses a body until there is a connection, and keeps what was in hand", async () => {
  const endpoint = new Endpoint(() => {}, { isManual: true });
  const flow = new FlowRecorder();
  const [response, sink] = send(endpoint.pool, { method: "POST", contentLength: 6 }, flow);
  assert.equal(flow.isPaused, true);
  const bytes = Buffer.from("abc");
  sink.data(bytes, 0, 3);
  bytes.fill(0);
  endpoint.connect();
  await turns();
  assert.equal(flow.isPaused, false);
  sink.data(Buffer.from("def"), 0, 3);
  sink.end(undefined);
  await turns();
  const [request] = endpoint.service.requests;
  assert.deepEqual([request!.text, request!.ends], ["abcdef", 1]);
  request!.answer();
  await response.done;
});

test("Http1Pool cuts off a body that goes on although it was paused", () => {
  const endpoint = new Endpoint(() => {}, { isManual: true });
  const [response, sink] = send(endpoint.pool, { contentLength: -1 });
  for (let i = 0; i < 20; i++) sink.data(Buffer.alloc(65_536), 0, 65_536);
  assert.equal(response.reason?.code, "http1_pause_ignored");
  assert.equal(endpoint.pool.waitingCount, 0);
});

test("Http1Pool tells the request why it could not connect", async () => {
  const endpoint = new Endpoint(() => {}, { isManual: true });
  const [response] = send(endpoint.pool);
  endpoint.refuse();
  await response.done;
  assert.equal(response.reason?.code, "connect_refused");
  const [other] = send(endpoint.pool);
  endpoint.refuse(new Error("strange"));
  await other.done;
  assert.deepEqual([other.reason?.code, other.reason?.side], ["connect_failed", "server"]);
});

test("Http1Pool fails a waiting request only if no other dial can serve it", async () => {
  const endpoint = new Endpoint(answerAll, { isManual: true });
  const [first] = send(endpoint.pool);
  const [second, sink] = send(endpoint.pool);
  sink.abort(new MeshError("gone", "client", "gone"));
  endpoint.refuse();
  await turns();
  assert.equal(first.aborts, 0);
  endpoint.connect();
  await first.done;
  assert.deepEqual([first.ends, second.ends + second.aborts], [1, 0]);
});

test("Http1Pool sends a request again whose connection had gone stale", async () => {
  const endpoint = new Endpoint(() => {});
  const [first] = send(endpoint.pool);
  await turns();
  endpoint.service.requests[0]!.answer();
  await first.done;
  await turns();
  const [second, sink] = send(endpoint.pool);
  // The server's end was on its way when the request was sent.
  endpoint.sockets[0]!.reset();
  await turns();
  assert.deepEqual([endpoint.sockets.length, second.aborts], [2, 0]);
  endpoint.service.requests.at(-1)!.answer("again");
  await second.done;
  assert.equal(second.text, "again");
  sink.abort(new MeshError("late", "client", "late"));
});

test("Http1Pool does not repeat what may not be: a POST, a body, a connection never used", async () => {
  const cases: [Partial<RequestHead>, isReused: boolean, options?: Partial<Http1PoolOptions>][] = [
    [{ method: "POST" }, true],
    [{ contentLength: 3 }, true],
    [{}, false],
    [{}, true, { retriesStale: false }],
  ];
  for (const [changes, isReused, options] of cases) {
    const endpoint = new Endpoint(() => {}, options);
    if (isReused) {
      const [first] = send(endpoint.pool);
      await turns();
      endpoint.service.requests[0]!.answer();
      await first.done;
      await turns();
    }
    const [response] = send(endpoint.pool, changes);
    await turns();
    endpoint.sockets[0]!.reset();
    await response.done;
    assert.equal(response.reason?.code, "http1_no_response");
    assert.equal(endpoint.sockets.length, 1);
  }
});

test("an abort that comes after a request was sent again reaches its new connection", async () => {
  const endpoint = new Endpoint(() => {});
  const [first] = send(endpoint.pool);
  await turns();
  endpoint.service.requests[0]!.answer();
  await first.done;
  await turns();
  const [second, sink] = send(endpoint.pool);
  endpoint.sockets[0]!.reset();
  await turns();
  sink.abort(new MeshError("gone", "client", "gone"));
  await turns();
  assert.equal(endpoint.pool.size, 0);
  assert.equal(second.aborts + second.ends, 0);
});

test("close() fails what waits, and lets what is under way finish", async () => {
  const endpoint = new Endpoint(() => {}, { isManual: true });
  const [first] = send(endpoint.pool);
  endpoint.connect();
  await turns();
  const [second] = send(endpoint.pool);
  const closed = endpoint.pool.close(1000);
  assert.deepEqual([second.reason?.code, second.reason?.retryable], ["http1_pool_closed", true]);
  assert.equal(send(endpoint.pool)[0].reason?.code, "http1_pool_closed");
  endpoint.service.requests[0]!.answer("done");
  await closed;
  assert.equal(first.text, "done");
  endpoint.connect();
  await turns();
  assert.equal(endpoint.pool.size, 0);
});

test("destroy() ends everything at once", async () => {
  const endpoint = new Endpoint(() => {});
  const [response] = send(endpoint.pool);
  await turns();
  endpoint.pool.destroy(new MeshError("shutdown", "self", "Cannot go on"));
  await response.done;
  assert.equal(response.reason?.code, "shutdown");
  await turns();
  assert.equal(endpoint.pool.size, 0);
});
