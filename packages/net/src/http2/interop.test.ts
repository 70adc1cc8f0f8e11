import assert from "node:assert/strict";
import { once } from "node:events";
import http2 from "node:http2";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { MeshError } from "@heddle/base/errors";
import { seededInt, seededRandom } from "@heddle/testkit/seeded-random";
import { HeaderMap } from "@heddle/wire/http/headers";
import { ErrorCode } from "@heddle/wire/http2/frame";
import { dial } from "../dialer.ts";
import { type Flow, type HttpService, NO_FLOW, type RequestHead } from "../http.ts";
import { startListener } from "../listener.ts";
import { Http2Client } from "./client.ts";
import { Http2Error, h2ReasonOf } from "./errors.ts";
import type { Http2ClientOptions, Http2ServerOptions } from "./options.ts";
import { type Http2Server, serveHttp2 } from "./server.ts";
import { Calls, ECHO, Gather, requestHead, responseHead } from "./testing/services.ts";

/** Our server on a real socket, and node:http2 as its client. */
async function startOurs(service: HttpService, options: Http2ServerOptions = {}) {
  const servers: Http2Server[] = [];
  const listener = await startListener({ at: { ip: "127.0.0.1", port: 0 } }, (socket) => {
    servers.push(serveHttp2(socket, service, options));
  });
  const url = `http://127.0.0.1:${listener.address.port}`;
  return {
    servers,
    listener,
    connect: (settings: http2.Settings = {}) => http2.connect(url, { settings }),
    async [Symbol.asyncDispose](): Promise<void> {
      for (const server of servers) server.destroy();
      await listener.close();
    },
  };
}

/** node:http2 as a server on a real socket, and our client. */
async function startTheirs(
  onStream: (stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders) => void,
  settings: http2.Settings = {},
  options: Http2ClientOptions = {},
) {
  const server = http2.createServer({ settings, maxSessionMemory: 1000 });
  server.on("stream", onStream);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const socket = await dial({ address: { ip: "127.0.0.1", port }, timeoutMs: 5000 });
  const client = new Http2Client(socket, options);
  return {
    client,
    server,
    async [Symbol.asyncDispose](): Promise<void> {
      client.destroy();
      await client.close();
      server.close();
      await once(server, "close");
    },
  };
}

async function text(stream: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks).toString("latin1");
}

function call(client: Http2Client, head: RequestHead, body?: string, trailers?: HeaderMap): Gather {
  const got = new Gather();
  const sink = client.call(head, NO_FLOW, got);
  if (body !== undefined) sink.data(Buffer.from(body), 0, Buffer.byteLength(body));
  sink.end(trailers);
  return got;
}

const PATTERN = Buffer.from(Array.from({ length: 251 + 20_011 }, (_, i) => i % 251));

/** Sends `total` bytes, byte i being i % 251, as the flow allows. */
class Source implements Flow {
  #sent = 0;
  #isPaused = false;
  #isSending = false;
  readonly #total: number;
  sink: { data(b: Uint8Array, s: number, e: number): void; end(t: undefined): void } | undefined;

  constructor(total: number) {
    this.#total = total;
  }

  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    this.#isPaused = false;
    this.send();
  }

  send(): void {
    if (this.#isSending || this.sink === undefined) return;
    this.#isSending = true;
    while (!this.#isPaused && this.#sent < this.#total) {
      const count = Math.min(20_011, this.#total - this.#sent);
      const from = this.#sent % 251;
      const chunk = Buffer.from(PATTERN.subarray(from, from + count));
      this.#sent += count;
      this.sink.data(chunk, 0, count);
      chunk.fill(0xee);
      if (this.#sent === this.#total) this.sink.end(undefined);
    }
    this.#isSending = false;
  }
}

function isPattern(latin1: string, total: number): boolean {
  if (latin1.length !== total) return false;
  for (let i = 0; i < total; i++) if (latin1.charCodeAt(i) !== i % 251) return false;
  return true;
}

test("server answers node:http2: headers of all kinds, body, trailers, interim responses", async () => {
  const calls = new Calls();
  await using t = await startOurs(calls);
  const client = t.connect();
  const values = Array.from({ length: 224 }, (_, i) => String.fromCharCode(0x20 + i));
  const odd = `a${values.join("").replace("\x7f", "")}b`;
  const stream = client.request(
    { ":method": "POST", ":path": "/p?q=1", "x-odd": odd, cookie: ["a=1", "b=2"] },
    { waitForTrailers: true },
  );
  stream.on("wantTrailers", () => stream.sendTrailers({ "x-trailer": "in" }));
  stream.end("hello");
  const { head, response, body } = await calls.nth(1);
  await body.done();
  assert.deepEqual([head.method, head.path, head.scheme], ["POST", "/p?q=1", "http"]);
  assert.equal(head.authority, `127.0.0.1:${t.listener.address.port}`);
  assert.equal(head.headers.get("x-odd"), odd);
  assert.equal(head.headers.get("cookie"), "a=1; b=2");
  assert.equal(body.text, "hello");
  assert.equal(body.trailers?.get("x-trailer"), "in");
  const hints = once(stream, "headers");
  response.informational?.(responseHead(103, { link: "</style.css>" }));
  const answer = once(stream, "response");
  response.head(responseHead(200, { "x-odd": odd, connection: "close", te: "gzip" }), NO_FLOW);
  const trailers = once(stream, "trailers");
  response.data(Buffer.from("world"), 0, 5);
  response.end(HeaderMap.of({ "x-trailer": "out" }));
  assert.equal(await text(stream), "world");
  const [headers] = (await answer) as [http2.IncomingHttpHeaders];
  assert.equal(headers[":status"], 200);
  assert.equal(headers["x-odd"], odd);
  assert.equal(headers["connection"], undefined);
  assert.equal(headers["te"], undefined);
  assert.equal(((await hints) as [http2.IncomingHttpHeaders])[0][":status"], 103);
  assert.equal(((await trailers) as [http2.IncomingHttpHeaders])[0]["x-trailer"], "out");
  client.close();
});

test("client asks node:http2: headers, body, trailers, interim responses", async () => {
  let seen: http2.IncomingHttpHeaders = {};
  let seenTrailers: http2.IncomingHttpHeaders = {};
  await using t = await startTheirs((stream, headers) => {
    seen = headers;
    stream.on("trailers", (trailers) => {
      seenTrailers = trailers;
    });
    stream.additionalHeaders({ ":status": 103, link: "</style.css>" });
    stream.respond({ ":status": 201, "x-answer": "42" }, { waitForTrailers: true });
    stream.on("wantTrailers", () => stream.sendTrailers({ "x-trailer": "out" }));
    stream.pipe(stream);
  });
  const fields = { te: "trailers", connection: "x", "keep-alive": "1", cookie: "short" };
  const got = call(t.client, requestHead("POST", "/a", fields), "body", HeaderMap.of({ x: "y" }));
  await got.done();
  assert.equal(got.response?.status, 201);
  assert.equal(got.response?.headers.get("x-answer"), "42");
  assert.equal(got.informationals[0]?.status, 103);
  assert.equal(got.informationals[0]?.headers.get("link"), "</style.css>");
  assert.equal(got.text, "body");
  assert.equal(got.trailers?.get("x-trailer"), "out");
  assert.equal(seen["te"], "trailers");
  assert.equal(seen["connection"], undefined);
  assert.equal(seen["keep-alive"], undefined);
  assert.equal(seen[":authority"], "test");
  assert.equal(seenTrailers["x"], "y");
});

test("client opens as many streams as the server allows, and the rest in turn", async () => {
  let open = 0;
  let most = 0;
  await using t = await startTheirs(
    (stream) => {
      most = Math.max(most, ++open);
      setImmediate(() => {
        open--;
        stream.respond({ ":status": 200 });
        stream.end("ok");
      });
    },
    { maxConcurrentStreams: 7 },
  );
  // Before SETTINGS have come, nobody knows the limit.
  await call(t.client, requestHead()).done();
  const all = Array.from({ length: 300 }, () => call(t.client, requestHead()).done());
  for (const got of await Promise.all(all)) assert.equal(got.text, "ok");
  assert.equal(most, 7);
});

test("server holds 1000 streams of node:http2 at once", async () => {
  const calls = new Calls();
  await using t = await startOurs(calls);
  const client = t.connect();
  await once(client, "remoteSettings");
  const streams = Array.from({ length: 1000 }, (_, i) => client.request({ ":path": `/${i}` }));
  await calls.nth(1000);
  assert.equal(t.servers[0]?.openStreams, 1000);
  for (const { head, response } of calls.all) {
    response.head(responseHead(200), NO_FLOW);
    response.data(Buffer.from(head.path), 0, head.path.length);
    response.end(undefined);
  }
  const texts = await Promise.all(streams.map((stream) => text(stream)));
  assert.deepEqual(
    texts,
    streams.map((_, i) => `/${i}`),
  );
  client.close();
});

test("our client and server hold 1000 streams at once", async () => {
  const calls = new Calls();
  await using t = await startOurs(calls, { maxConcurrentStreams: 1000 });
  const { port } = t.listener.address;
  const socket = await dial({ address: { ip: "127.0.0.1", port }, timeoutMs: 5000 });
  const client = new Http2Client(socket);
  const all = Array.from({ length: 1500 }, (_, i) => call(client, requestHead("GET", `/${i}`)));
  await calls.nth(1000);
  assert.equal(client.openStreams, 1500);
  calls.onCall = answerPath;
  for (const one of calls.all) answerPath(one);
  await Promise.all(all.map((got) => got.done()));
  assert.deepEqual(
    all.map((got) => got.text),
    all.map((_, i) => `/${i}`),
  );
  await client.close();
});

function answerPath({ head, response }: Pick<Calls["all"][0], "head" | "response">): void {
  response.head(responseHead(200), NO_FLOW);
  response.data(Buffer.from(head.path), 0, head.path.length);
  response.end(undefined);
}

const MIB = 1 << 20;

test("[R07] large bodies cross to and from node:http2 in both roles, with small windows", async () => {
  const windows = { initialStreamWindowBytes: 10_000, initialConnectionWindowBytes: 65_535 };
  await using t = await startOurs(ECHO, windows);
  const client = t.connect({ initialWindowSize: 7000 });
  const stream = client.request({ ":method": "POST" });
  const source = new Source(3 * MIB);
  source.sink = {
    data: (bytes, start, end) => {
      if (!stream.write(Buffer.from(bytes.slice(start, end)))) {
        source.pause();
        stream.once("drain", () => source.resume());
      }
    },
    end: () => stream.end(),
  };
  source.send();
  assert.ok(isPattern(await text(stream), 3 * MIB));
  client.close();

  await using u = await startTheirs(
    (theirs) => {
      theirs.respond({ ":status": 200 });
      theirs.pipe(theirs);
    },
    { initialWindowSize: 9000 },
    windows,
  );
  const got = new Gather();
  const ours = new Source(3 * MIB);
  ours.sink = u.client.call(requestHead("POST"), ours, got);
  ours.send();
  await got.done();
  assert.ok(isPattern(got.text, 3 * MIB));
});

test("[R06] unread bodies exhaust the connection's window: heads of others come, data later", async () => {
  const big = Buffer.alloc(65_535, 1);
  await using t = await startTheirs(
    (stream, headers) => {
      if (headers[":method"] === "HEAD") {
        stream.respond({ ":status": 200 }, { endStream: true });
        return;
      }
      stream.respond({ ":status": 200 });
      stream.end(headers[":path"] === "/big" ? big : "small");
    },
    {},
    { initialStreamWindowBytes: 65_535, initialConnectionWindowBytes: 65_535 },
  );
  const unread = new Gather();
  unread.onHead = (flow) => flow.pause();
  t.client.call(requestHead("GET", "/big"), NO_FLOW, unread).end(undefined);
  const small = call(t.client, requestHead("GET", "/small"));
  await small.until(() => small.response !== undefined);
  // A round trip later there would be data, if it could come.
  const third = call(t.client, requestHead("HEAD", "/small"));
  await third.done();
  assert.equal(small.byteCount, 0);
  unread.flow.resume();
  await Promise.all([unread.done(), small.done()]);
  assert.equal(unread.byteCount, 65_535);
  assert.equal(small.text, "small");
});

// An `HttpService` that is a client is a proxy of one line.
test("[A17] a reset's reason passes unchanged from a node:http2 server to a node:http2 client", async () => {
  await using inner = await startTheirs((stream) => {
    stream.close(http2.constants.NGHTTP2_ENHANCE_YOUR_CALM);
    stream.on("error", () => {});
  });
  await using outer = await startOurs(inner.client);
  const client = outer.connect();
  const stream = client.request({ ":path": "/" });
  await once(stream, "error");
  assert.equal(stream.rstCode, http2.constants.NGHTTP2_ENHANCE_YOUR_CALM);
  client.close();
});

test("a reset's reason passes unchanged in the middle of a response, through two connections", async () => {
  const calls = new Calls();
  await using inner = await startOurs(calls);
  const { port } = inner.listener.address;
  const socket = await dial({ address: { ip: "127.0.0.1", port }, timeoutMs: 5000 });
  await using outer = await startOurs(new Http2Client(socket));
  const client = outer.connect();
  const stream = client.request({ ":path": "/" });
  const failed = once(stream, "error");
  const { response } = await calls.nth(1);
  response.head(responseHead(200), NO_FLOW);
  response.data(Buffer.from("half"), 0, 4);
  const [chunk] = (await once(stream, "data")) as [Buffer];
  assert.equal(chunk.toString(), "half");
  const message = "Cannot do: test";
  response.abort(new Http2Error("h2_reset", "server", message, { h2Reason: 0xabc }));
  await failed;
  assert.equal(stream.rstCode, 0xabc);
  client.close();
});

// node:http2 refuses such requests in either role, so both ends are ours here.
test("[A16] a request without :authority is forwarded without one", async () => {
  const calls = new Calls();
  await using inner = await startOurs(calls);
  const connect = async (port: number) => {
    return new Http2Client(await dial({ address: { ip: "127.0.0.1", port }, timeoutMs: 5000 }));
  };
  await using outer = await startOurs(await connect(inner.listener.address.port));
  const client = await connect(outer.listener.address.port);
  const head = requestHead();
  head.authority = "";
  const got = call(client, head);
  const one = await calls.nth(1);
  assert.equal(one.head.authority, "");
  assert.equal(one.head.headers.has("host"), false);
  answerPath(one);
  assert.equal((await got.done()).text, "/");
  await client.close();
});

test("cancelling at any point of a request tells node:http2, and the connection goes on", async () => {
  const random = seededRandom(3);
  const codes = new Set<number>();
  await using t = await startTheirs((stream) => {
    stream.on("close", () => codes.add(stream.rstCode));
    stream.on("error", () => {});
    stream.respond({ ":status": 200 });
    stream.write(Buffer.alloc(100_000));
    stream.resume();
  });
  for (let i = 0; i < 100; i++) {
    const got = new Gather(false);
    const sink = t.client.call(requestHead("POST"), NO_FLOW, got);
    const step = seededInt(random, 5);
    if (step >= 1) sink.data(Buffer.alloc(seededInt(random, 100_000)), 0, 10);
    if (step >= 2) await got.until(() => got.response !== undefined);
    if (step >= 3) await got.until(() => got.byteCount > 0);
    if (step >= 4) sink.end(undefined);
    sink.abort(new MeshError("test", "self", "Cannot do: cancelled"));
    assert.equal(got.error, undefined);
  }
  assert.equal(t.client.openStreams, 0);
  const last = new Gather(false);
  t.client.call(requestHead("POST"), NO_FLOW, last).end(undefined);
  await last.until(() => last.byteCount === 100_000);
  assert.deepEqual([...codes], [ErrorCode.cancel]);
});

test("node:http2 clients that cancel at any point abort the request, and the connection goes on", async () => {
  const calls = new Calls();
  await using t = await startOurs(calls);
  const client = t.connect();
  await once(client, "remoteSettings");
  for (let step = 0; step < 40; step++) {
    const stream = client.request({ ":method": "POST" });
    stream.on("error", () => {});
    if (step % 4 > 0) stream.write("data");
    if (step % 4 > 1) stream.end();
    const { response, body } = await calls.nth(step + 1);
    if (step % 4 > 1) await body.until(() => body.isEnded);
    if (step % 4 > 2) response.head(responseHead(200), NO_FLOW);
    stream.close(http2.constants.NGHTTP2_CANCEL);
    const error = await body.aborted();
    assert.equal(h2ReasonOf(error), ErrorCode.cancel);
  }
  assert.equal(t.servers[0]?.openStreams, 0);
  client.close();
});

test("a server's abort resets with INTERNAL_ERROR, or with the reason it was given", async () => {
  const calls = new Calls();
  await using t = await startOurs(calls);
  const client = t.connect();
  const stream = client.request({});
  const failed = once(stream, "error");
  (await calls.nth(1)).response.abort(new MeshError("test", "self", "Cannot do: test"));
  await failed;
  assert.equal(stream.rstCode, ErrorCode.internalError);
  client.close();
});

test("node:http2 servers that refuse or reset give errors with their reason", async () => {
  const codes = [ErrorCode.refusedStream, ErrorCode.cancel, ErrorCode.http11Required, 0xbad];
  await using t = await startTheirs((stream, headers) => {
    stream.on("error", () => {});
    stream.close(codes[Number(String(headers[":path"]).slice(1))]);
  });
  for (const [i, code] of codes.entries()) {
    const error = await call(t.client, requestHead("GET", `/${i}`)).aborted();
    assert.equal(error.code, "h2_reset");
    assert.equal(error.side, "server");
    assert.equal(h2ReasonOf(error), code);
    assert.equal(error.retryable, code === ErrorCode.refusedStream);
  }
});

test("CONNECT opens a tunnel in both directions", async () => {
  await using t = await startTheirs((stream, headers) => {
    assert.equal(headers[":method"], "CONNECT");
    assert.equal(headers[":authority"], "db:5432");
    stream.respond({ ":status": 200 });
    stream.pipe(stream);
  });
  await using outer = await startOurs(t.client);
  const client = outer.connect();
  const stream = client.request({ ":method": "CONNECT", ":authority": "db:5432" });
  stream.write("ping");
  const [chunk] = (await once(stream, "data")) as [Buffer];
  assert.equal(chunk.toString(), "ping");
  stream.end("done");
  assert.equal(await text(stream), "done");
  client.close();
});

test("HEAD, 204 and 304 have no body whatever content-length says", async () => {
  await using t = await startTheirs((stream, headers) => {
    const status = Number(String(headers[":path"]).slice(1));
    stream.respond({ ":status": status, "content-length": "5" }, { endStream: true });
  });
  for (const [method, path] of [
    ["HEAD", "/200"],
    ["GET", "/304"],
  ] as const) {
    const got = await call(t.client, requestHead(method, path)).done();
    assert.equal(got.response?.headers.get("content-length"), "5");
    assert.equal(got.byteCount, 0);
  }
});

test("[H01] an idle connection of node:http2 is told to go away, and ends", async () => {
  await using t = await startOurs(ECHO);
  const client = t.connect();
  const stream = client.request({});
  stream.resume();
  await once(stream, "close");
  const goaway = once(client, "goaway");
  const closed = once(client, "close");
  await t.servers[0]!.close();
  const [code] = (await goaway) as [number];
  assert.equal(code, 0);
  await closed;
});

test("[H02] 50 responses under way finish whole after close, then the connection ends", async () => {
  const calls = new Calls();
  await using t = await startOurs(calls);
  const client = t.connect();
  const streams = Array.from({ length: 50 }, () => client.request({ ":method": "GET" }));
  await calls.nth(50);
  const sources = calls.all.map(({ response }) => {
    const source = new Source(200_000);
    response.head(responseHead(200), source);
    source.sink = response;
    return source;
  });
  const texts = streams.map((stream) => text(stream));
  const closed = once(client, "close");
  const gone = t.servers[0]!.close();
  await once(client, "goaway");
  for (const source of sources) source.send();
  for (const body of await Promise.all(texts)) assert.ok(isPattern(body, 200_000));
  await Promise.all([gone, closed]);
});
