import assert from "node:assert/strict";
import { once } from "node:events";
import http from "node:http";
import net from "node:net";
import { after, test } from "node:test";
import type { MeshError } from "@heddle/base/errors";
import {
  RecordingService,
  ResponseRecorder,
  requestHead,
  type ServedRequest,
} from "@heddle/testkit/http-exchange";
import { REFUSED_CHUNKS, REFUSED_REQUESTS } from "@heddle/testkit/http1-corpus";
import { seededInt, seededRandom } from "@heddle/testkit/seeded-random";
import { dial } from "../dialer.ts";
import { type HttpService, NO_FLOW } from "../http.ts";
import { type Listener, startListener } from "../listener.ts";
import { Http1Client } from "./client.ts";
import { Http1Pool } from "./pool.ts";
import { type Http1ServerConnection, serveHttp1 } from "./server.ts";

/** Closed after the last test, in reverse order. */
const cleanups: (() => unknown)[] = [];
after(async () => {
  for (const cleanup of cleanups.reverse()) await cleanup();
});

const loopback = (port: number): { ip: string; port: number } => ({ ip: "127.0.0.1", port });

async function serve(service: HttpService): Promise<Listener> {
  const connections = new Set<Http1ServerConnection>();
  const listener = await startListener({ at: loopback(0) }, (socket) => {
    const connection = serveHttp1(socket, service, {
      onClose: () => connections.delete(connection),
    });
    connections.add(connection);
  });
  cleanups.push(async () => {
    await listener.close();
    for (const connection of connections) connection.destroy();
  });
  return listener;
}

/** A hop of ours in front of `port`: server, pool and client on real sockets. */
async function relay(port: number): Promise<number> {
  const pool = new Http1Pool({ dial: () => dial({ address: loopback(port), timeoutMs: 5000 }) });
  cleanups.push(() => pool.destroy());
  return (await serve(pool)).address.port;
}

async function nodeServer(
  onRequest: http.RequestListener,
  setUp: (server: http.Server) => void = () => {},
): Promise<number> {
  const server = http.createServer(
    { keepAliveTimeout: 60_000, requireHostHeader: false },
    onRequest,
  );
  setUp(server);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  cleanups.push(async () => {
    server.closeAllConnections();
    server.close();
    await once(server, "close");
  });
  return (server.address() as net.AddressInfo).port;
}

interface Answer {
  status: number;
  headers: string[];
  body: string;
  trailers: NodeJS.Dict<string>;
}

function ask(
  port: number,
  options: http.RequestOptions,
  body: readonly Buffer[],
  trailers: Record<string, string> = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = http.request(
      { host: "127.0.0.1", port, agent: false, ...options },
      (response) => {
        const chunks: Buffer[] = [];
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        response.on("error", reject);
        response.on("end", () =>
          resolve({
            status: response.statusCode!,
            headers: response.rawHeaders,
            body: Buffer.concat(chunks).toString("latin1"),
            trailers: response.trailers,
          }),
        );
      },
    );
    request.on("error", reject);
    for (const chunk of body) request.write(chunk);
    if (Object.keys(trailers).length > 0) request.addTrailers(trailers);
    request.end();
  });
}

/** Everything that a server says to `bytes`, until it ends. */
async function talk(port: number, bytes: string): Promise<string> {
  const socket = net.connect({ port, host: "127.0.0.1" });
  const chunks: Buffer[] = [];
  socket.on("data", (chunk: Buffer) => chunks.push(chunk));
  socket.on("error", () => socket.destroy());
  const closed = once(socket, "close");
  socket.end(Buffer.from(bytes, "latin1"));
  await closed;
  return Buffer.concat(chunks).toString("latin1");
}

test("a relay of node:http changes no message, between node's client and node's server", async () => {
  const random = seededRandom(21);
  const port = await nodeServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const body = Buffer.concat(chunks);
      response.statusCode = Number(request.headers["x-status"]);
      response.setHeader("x-seen", `${request.method} ${request.url} ${body.length}`);
      response.setHeader(
        "x-framing",
        String(request.headers["transfer-encoding"] ?? request.headers["content-length"]),
      );
      response.setHeader("x-trailer-seen", request.trailers["x-sum"] ?? "none");
      response.setHeader("x-repeated", ["1", "2"]);
      if (request.headers["x-how"] === "length") response.setHeader("content-length", body.length);
      response.write(body.subarray(0, body.length / 2));
      if (request.headers["x-how"] !== "length") response.addTrailers({ "x-end": "yes" });
      response.end(body.subarray(body.length / 2));
    });
  });
  const hop = await relay(port);
  for (let round = 0; round < 150; round++) {
    const method = ["GET", "POST", "PUT", "DELETE", "PATCH"][seededInt(random, 5)]!;
    const sizes = [0, 1, 100, 5_000, 70_000, 300_000];
    const size = method === "GET" ? 0 : sizes[seededInt(random, sizes.length)]!;
    const body = Buffer.alloc(size, `${round}-`);
    const isChunked = random() < 0.5;
    const headers: http.OutgoingHttpHeaders = {
      "x-status": random() < 0.5 ? "200" : "404",
      "x-how": random() < 0.5 ? "length" : "chunked",
      "X-Mixed-Case": `v${round}`,
      ...(size > 0
        ? isChunked
          ? { trailer: "x-sum", "transfer-encoding": "chunked" }
          : { "content-length": size }
        : {}),
    };
    const trailers = isChunked && size > 0 ? { "x-sum": String(round) } : {};
    const path = `/p${round}?q=${encodeURIComponent("ä b")}`;
    const options = { method, headers, path };
    const [through, direct] = await Promise.all([
      ask(
        hop,
        options,
        size > 0 ? [body.subarray(0, size / 3), body.subarray(size / 3)] : [],
        trailers,
      ),
      ask(port, options, size > 0 ? [body] : [], trailers),
    ]);
    assert.equal(through.body.length, direct.body.length, `round ${round}`);
    assert.ok(through.body === direct.body);
    assert.deepEqual(ofInterest(through), ofInterest(direct), `round ${round}`);
  }
});

/** Without what is for one connection, and without the clock. */
function ofInterest({ status, headers, trailers }: Answer): unknown {
  const fields: string[] = [];
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i]!.toLowerCase();
    if (!["date", "connection", "keep-alive"].includes(name))
      fields.push(`${name}: ${headers[i + 1]}`);
  }
  return { status, fields: fields.sort(), trailers };
}

test("a relay takes no more from one side than the other side takes from it", async () => {
  const size = 96 * 1024 * 1024;
  const block = Buffer.alloc(262_144, "0123456789abcdef");
  let taken = 0;
  const port = await nodeServer((_request, response) => {
    const more = (): void => {
      while (taken < size) {
        taken += block.length;
        if (!response.write(block)) {
          response.once("drain", more);
          return;
        }
      }
      response.end();
    };
    more();
  });
  const hop = await relay(port);
  const request = http.get({ host: "127.0.0.1", port: hop, agent: false });
  const [response] = (await once(request, "response")) as [http.IncomingMessage];
  let received = 0;
  let lag = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    assert.equal(chunk[0], block[received % 16]);
    received += chunk.length;
    lag = Math.max(lag, taken - received);
    // Much slower than the sender, which would be done long before if nothing held it back.
    if (received < size / 4) for (let i = 0; i < 4; i++) await new Promise(setImmediate);
  }
  assert.equal(received, size);
  assert.ok(lag < size / 2, `${lag} bytes were under way`);
});

test("a relay tunnels an upgrade between node's client and server", async () => {
  const port = await nodeServer(
    () => assert.fail("no plain request"),
    (server) => {
      server.on("upgrade", (request, socket) => {
        assert.equal(request.headers["x-kept"], "1");
        socket.write("HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n");
        socket.pipe(socket);
      });
    },
  );
  const hop = await relay(port);
  const headers = { connection: "Upgrade", upgrade: "echo", "x-kept": "1" };
  const request = http.request({ host: "127.0.0.1", port: hop, headers, agent: false }).end();
  const [response, socket] = (await once(request, "upgrade")) as [http.IncomingMessage, net.Socket];
  assert.equal(response.headers.upgrade, "echo");
  const echoed: Buffer[] = [];
  socket.on("data", (chunk: Buffer) => echoed.push(chunk));
  const payload = Buffer.alloc(1_000_000, "tunnel ");
  socket.write(payload);
  socket.end("last");
  await once(socket, "end");
  assert.ok(Buffer.concat(echoed).equals(Buffer.concat([payload, Buffer.from("last")])));
});

test("a relay tunnels CONNECT", async () => {
  const port = await nodeServer(
    () => assert.fail("no plain request"),
    (server) => {
      server.on("connect", (request: http.IncomingMessage, socket: net.Socket) => {
        socket.write(`HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n${request.url} `);
        socket.pipe(socket);
      });
    },
  );
  const hop = await relay(port);
  const text = await talk(hop, "CONNECT example.com HTTP/1.1\r\n\r\nhello");
  assert.match(text, /^HTTP\/1\.1 200 OK\r\ndate: [^\r]*\r\n\r\nexample\.com hello$/);
});

test("a relay cancels upstream what its client gives up", async () => {
  const heard: string[] = [];
  let gone!: () => void;
  const allGone = new Promise<void>((resolve) => {
    gone = resolve;
  });
  const port = await nodeServer((request, response) => {
    heard.push(request.url!);
    response.write("begin");
    response.on("close", () => gone());
  });
  const hop = await relay(port);
  const request = http.get({ host: "127.0.0.1", port: hop, path: "/long", agent: false });
  request.on("error", () => {});
  const [response] = (await once(request, "response")) as [http.IncomingMessage];
  await once(response, "data");
  (response.socket as net.Socket).resetAndDestroy();
  await allGone;
  assert.deepEqual(heard, ["/long"]);
});

test("a relay tells its client when the server breaks off", async () => {
  const port = await nodeServer((request, response) => {
    if (request.url === "/before") request.socket.destroy();
    else response.write("half", () => request.socket.destroy());
  });
  const hop = await relay(port);
  const before = await ask(hop, { path: "/before" }, []);
  assert.equal(before.status, 502);
  await assert.rejects(ask(hop, { path: "/within" }, []), /aborted/);
});

/** What node's server makes of some bytes: the requests that were complete, in order. */
interface Oracle {
  readonly port: number;
  requests: string[];
}

async function nodeOracle(): Promise<Oracle> {
  const oracle: Oracle = { port: 0, requests: [] };
  const port = await nodeServer((request, response) => {
    let body = "";
    request.setEncoding("latin1");
    request.on("data", (text: string) => {
      body += text;
    });
    request.on("error", () => {});
    request.on("end", () => {
      oracle.requests.push(describe(request.method!, request.url!, request.rawHeaders, body));
      response.end("ok");
    });
  });
  return { ...oracle, port, requests: oracle.requests };
}

function describe(method: string, target: string, fields: readonly string[], body: string): string {
  const named = new Set([
    "transfer-encoding",
    "connection",
    "keep-alive",
    "proxy-connection",
    "upgrade",
  ]);
  const kept: string[] = [];
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i]!.toLowerCase();
    if (!named.has(name)) kept.push(`${name}=${fields[i + 1]}`);
  }
  return `${method} ${target} [${kept.join(" ")}] ${body}`;
}

test("serveHttp1() reads no request that node:http reads differently", async () => {
  const random = seededRandom(77);
  const oracle = await nodeOracle();
  const ours: string[] = [];
  const service = new RecordingService((request) => {
    void request.done.then(() => {
      if (request.ends === 1) ours.push(describeServed(request));
      request.answer("ok");
    });
  });
  const { port } = (await serve(service)).address;
  const seeds = [
    "GET /a HTTP/1.1\r\nHost: a\r\n\r\n",
    "POST /b HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
    "PUT /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n1;x=y\r\nd\r\n0\r\n\r\n",
    "GET /d HTTP/1.1\r\nHost: a\r\nX-A: b c\r\n\r\n",
  ];
  let agreed = 0;
  for (let round = 0; round < 600; round++) {
    let text = "";
    for (let i = 0; i < 3; i++) text += seeds[seededInt(random, seeds.length)]!;
    for (let edits = seededInt(random, 3); edits > 0; edits--) {
      const at = seededInt(random, text.length);
      const edit = "\r\n \t:;,\x0009a\x80G"[seededInt(random, 13)]!;
      text = text.slice(0, at) + edit + text.slice(at + seededInt(random, 3));
    }
    ours.length = 0;
    oracle.requests.length = 0;
    await Promise.all([talk(port, text), talk(oracle.port, text)]);
    // Node may refuse what we take; what both take must be the same.
    const count = Math.min(ours.length, oracle.requests.length);
    assert.deepEqual(ours.slice(0, count), oracle.requests.slice(0, count), JSON.stringify(text));
    agreed += count;
  }
  assert.ok(agreed > 800, `only ${agreed} requests were read by both`);
});

function describeServed(request: ServedRequest): string {
  const { head } = request;
  const fields: string[] = [];
  for (let i = 0; i < head.headers.size; i++) {
    fields.push(head.headers.nameAt(i), head.headers.valueAt(i));
  }
  const target = head.absoluteForm ? `${head.scheme}://${head.authority}${head.path}` : head.path;
  return describe(head.method, target, fields, request.text);
}

test("serveHttp1() refuses the corpus over real sockets, and never asks the service", async () => {
  const service = new RecordingService();
  const { port } = (await serve(service)).address;
  for (const { what, bytes, status } of REFUSED_REQUESTS) {
    const text = await talk(port, bytes);
    assert.match(text, new RegExp(`^HTTP/1\\.[01] ${status} `), what);
    assert.equal(service.requests.length, 0, what);
  }
  for (const { what, bytes, status } of REFUSED_CHUNKS) {
    assert.ok((await talk(port, bytes)).startsWith(`HTTP/1.1 ${status} `), what);
  }
});

test("Http1Client reads no answer that node:http reads differently", async () => {
  const random = seededRandom(78);
  const seeds = [
    "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nX-A: b\r\n\r\nabc",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    "HTTP/1.0 404 No\r\n\r\nuntil the end",
    "HTTP/1.1 204 No Content\r\n\r\n",
  ];
  let answer = "";
  const server = net.createServer((socket) => {
    socket.on("error", () => {});
    socket.once("data", () => socket.end(Buffer.from(answer, "latin1")));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  cleanups.push(() => server.close());
  const { port } = server.address() as net.AddressInfo;
  let agreed = 0;
  for (let round = 0; round < 400; round++) {
    answer = seeds[seededInt(random, seeds.length)]!;
    for (let edits = seededInt(random, 3); edits > 0; edits--) {
      const at = seededInt(random, answer.length);
      const edit = "\r\n \t:;,\x0009a\x80H"[seededInt(random, 13)]!;
      answer = answer.slice(0, at) + edit + answer.slice(at + seededInt(random, 3));
    }
    const [ours, theirs] = await Promise.all([readByUs(port), readByNode(port)]);
    if (ours === undefined || theirs === undefined) continue;
    agreed++;
    assert.equal(ours, theirs, JSON.stringify(answer));
  }
  assert.ok(agreed > 150, `only ${agreed} answers were read by both`);
});

async function readByUs(port: number): Promise<string | undefined> {
  const client = new Http1Client(await dial({ address: loopback(port), timeoutMs: 5000 }));
  const response = new ResponseRecorder();
  client.call(requestHead(), NO_FLOW, response).end(undefined);
  await response.done;
  client.destroy();
  return response.ends === 1 ? `${response.status} ${response.text}` : undefined;
}

async function readByNode(port: number): Promise<string | undefined> {
  try {
    const { status, body } = await ask(port, { path: "/" }, []);
    return `${status} ${body}`;
  } catch {
    // Refused, or cut short: nothing to compare with.
    return undefined;
  }
}

test("serveHttp1() hears of a client that resets, over a real socket", async () => {
  let reason: MeshError | undefined;
  let heard!: () => void;
  const isHeard = new Promise<void>((resolve) => {
    heard = resolve;
  });
  const service = new RecordingService((request) => {
    void request.done.then(() => {
      socket.resetAndDestroy();
      const { abort } = request;
      request.abort = (error) => {
        abort.call(request, error);
        reason = error;
        heard();
      };
    });
  });
  const { port } = (await serve(service)).address;
  const socket = net.connect({ port, host: "127.0.0.1" });
  socket.on("error", () => {});
  socket.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  await isHeard;
  assert.equal(reason?.code, "http1_client_gone");
});
