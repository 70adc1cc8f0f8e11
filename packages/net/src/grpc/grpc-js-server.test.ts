import assert from "node:assert/strict";
import { once } from "node:events";
import { join } from "node:path";
import { test } from "node:test";
import * as grpc from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import { Echo } from "@heddle/testkit/echo-service";
import { HeaderMap } from "@heddle/wire/http/headers";
import { dial } from "../dialer.ts";
import { Http2Client } from "../http2/client.ts";
import { GrpcClient, type GrpcClientOptions } from "./client.ts";
import { GrpcError } from "./error.ts";
import { appendBinary, binaryValue } from "./metadata.ts";
import { GrpcStatus } from "./status.ts";

// Our client against the server of @grpc/grpc-js.

const { unary, serverStream, clientStream, bidi } = Echo.method;

type Unary = grpc.ServerUnaryCall<Request, Answer>;
type Readable = grpc.ServerReadableStream<Request, Answer>;
type Writable = grpc.ServerWritableStream<Request, Answer>;
type Duplex = grpc.ServerDuplexStream<Request, Answer>;

interface Request {
  readonly text: string;
  readonly payload: Buffer;
  readonly count: number;
}

interface Answer {
  readonly text?: string;
  readonly payload?: Uint8Array;
  readonly index?: number;
}

test("our client calls every kind of method", async () => {
  await using world = await start({
    Unary: ({ request }: Unary, done: grpc.sendUnaryData<Answer>) =>
      done(null, { text: request.text }),
    ServerStream: (call: Writable) => {
      for (let index = 0; index < call.request.count; index++) call.write({ index });
      call.end();
    },
    ClientStream: (call: Readable, done: grpc.sendUnaryData<Answer>) => {
      let text = "";
      call.on("data", (request: Request) => {
        text += request.text;
      });
      call.on("end", () => done(null, { text }));
    },
    Bidi: (call: Duplex) => {
      call.on("data", ({ text }: Request) => call.write({ text: text.toUpperCase() }));
      call.on("end", () => call.end());
    },
  });
  const { client } = world;
  assert.equal((await client.unary(unary, { text: "a" })).text, "a");
  const streamed = await Array.fromAsync(client.serverStream(serverStream, { count: 3 }));
  assert.deepEqual(
    streamed.map(({ index }) => index),
    [0, 1, 2],
  );
  assert.equal((await client.clientStream(clientStream, texts("a", "b"))).text, "ab");
  const answers = await Array.fromAsync(client.bidi(bidi, texts("x", "y")));
  assert.deepEqual(
    answers.map(({ text }) => text),
    ["X", "Y"],
  );
});

test("our client reads metadata, status and details", async () => {
  await using world = await start({
    Unary: (call: Unary, done: grpc.sendUnaryData<Answer>) => {
      const header = new grpc.Metadata();
      for (const name of ["a", "b-bin"]) header.set(name, call.metadata.get(name)[0]!);
      call.sendMetadata(header);
      const trailer = new grpc.Metadata();
      trailer.set("c", "3");
      done({ code: 5, details: "nö, 100 %", metadata: trailer });
    },
  });
  const metadata = HeaderMap.of({ a: "1" });
  appendBinary(metadata, "b-bin", Uint8Array.of(0, 255));
  let header: HeaderMap | undefined;
  const onHeader = (fields: HeaderMap): void => {
    header = fields;
  };
  await assert.rejects(
    world.client.unary(unary, {}, { metadata, onHeader }),
    (error) =>
      withStatus(GrpcStatus.notFound, /^nö, 100 %$/)(error) &&
      (error as GrpcError).metadata.get("c") === "3",
  );
  assert.equal(header?.get("a"), "1");
  assert.deepEqual([...binaryValue(header!, "b-bin")!], [0, 255]);
});

test("an error before any message, which has no header of its own, is read", async () => {
  await using world = await start({
    ServerStream: (call: Writable) => call.emit("error", failure(grpc.status.OUT_OF_RANGE)),
  });
  const answers = Array.fromAsync(world.client.serverStream(serverStream, {}));
  await assert.rejects(answers, withStatus(GrpcStatus.outOfRange));
  const missing = world.client.unary(unary, {});
  await assert.rejects(missing, withStatus(GrpcStatus.unimplemented));
});

test("our deadline reaches the server, and ends the call", async () => {
  const seen = Promise.withResolvers<grpc.Deadline>();
  const cancelled = Promise.withResolvers<void>();
  await using world = await start({
    Unary: (call: Unary) => {
      seen.resolve(call.getDeadline());
      call.on("cancelled", () => cancelled.resolve());
    },
  });
  const call = world.client.unary(unary, {}, { timeoutMs: 100 });
  await assert.rejects(call, withStatus(GrpcStatus.deadlineExceeded));
  assert.ok(Number.isFinite(Number(await seen.promise)));
  await cancelled.promise;
});

test("leaving an iteration and aborting cancel the call at the server", async () => {
  let cancels = 0;
  const twice = Promise.withResolvers<void>();
  await using world = await start({
    ServerStream: (call: Writable) => {
      call.write({ text: "begun" });
      call.on("cancelled", () => {
        if (++cancels === 2) twice.resolve();
      });
    },
  });
  for await (const { text } of world.client.serverStream(serverStream, {})) {
    if (text === "begun") break;
  }
  const abort = new AbortController();
  const stream = world.client.serverStream(serverStream, {}, { signal: abort.signal });
  await stream.next();
  abort.abort();
  await assert.rejects(stream.next(), withStatus(GrpcStatus.cancelled));
  await twice.promise;
});

test("large messages pass, and limits hold on both sides", async () => {
  const options = { maxMessageBytes: 2_000_000 };
  await using world = await start(
    {
      Unary: ({ request }: Unary, done: grpc.sendUnaryData<Answer>) =>
        done(null, { payload: Buffer.alloc(request.count + request.payload.length, 5) }),
    },
    options,
  );
  const payload = new Uint8Array(1_900_000);
  assert.equal((await world.client.unary(unary, { payload })).payload.length, 1_900_000);
  const tooMuch = world.client.unary(unary, { count: 2_000_001 });
  await assert.rejects(tooMuch, withStatus(GrpcStatus.resourceExhausted, /more than 2000000/));
  const refused = world.client.unary(unary, { payload: new Uint8Array(4_194_305) });
  await assert.rejects(refused, withStatus(GrpcStatus.resourceExhausted));
  assert.equal((await world.client.unary(unary, { count: 1 })).payload.length, 1);
});

test("our client holds a fast server back", async () => {
  let made = 0;
  await using world = await start({
    ServerStream: async (call: Writable) => {
      for (; made < 1_000; made++) {
        if (!call.write({ payload: new Uint8Array(32_768) })) await once(call, "drain");
      }
      call.end();
    },
    Unary: (_: Unary, done: grpc.sendUnaryData<Answer>) => done(null, {}),
  });
  const answers = world.client.serverStream(serverStream, {});
  await answers.next();
  for (let i = 0; i < 20; i++) await world.client.unary(unary, {});
  assert.ok(made < 100, `${made} made, one read`);
  let read = 1;
  for await (const { payload } of answers) read += payload.length / 32_768;
  assert.equal(read, 1_000);
});

test("a slow grpc-js server holds our requests back", async () => {
  const go = Promise.withResolvers<void>();
  await using world = await start({
    ClientStream: async (call: Readable, done: grpc.sendUnaryData<Answer>) => {
      await go.promise;
      let index = 0;
      for await (const { payload } of call as AsyncIterable<Request>) index += payload.length;
      done(null, { index });
    },
    Unary: (_: Unary, done: grpc.sendUnaryData<Answer>) => done(null, {}),
  });
  let made = 0;
  async function* requests(): AsyncIterable<{ payload: Uint8Array }> {
    for (; made < 1_000; made++) yield { payload: new Uint8Array(32_768) };
  }
  const call = world.client.clientStream(clientStream, requests());
  for (let i = 0; i < 20; i++) await world.client.unary(unary, {});
  assert.ok(made < 500, `${made} made, none read`);
  go.resolve();
  assert.equal((await call).index, 1_000 * 32_768);
});

test("a server that goes away is UNAVAILABLE", async () => {
  await using world = await start({
    ServerStream: (call: Writable) => call.write({ text: "begun" }),
  });
  const answers = world.client.serverStream(serverStream, {});
  await answers.next();
  world.server.forceShutdown();
  await assert.rejects(answers.next(), (error) => {
    assert.ok(error instanceof GrpcError);
    // Its sessions are destroyed: a reset with CANCEL if it gets out, else a lost connection.
    return error.status === GrpcStatus.unavailable || error.status === GrpcStatus.cancelled;
  });
});

interface World extends AsyncDisposable {
  readonly server: grpc.Server;
  readonly client: GrpcClient;
}

async function start(
  // What grpc-js wants is a record of every handler, by the method's name in the file.
  handlers: Partial<grpc.UntypedServiceImplementation> | object,
  options: Partial<GrpcClientOptions> = {},
): Promise<World> {
  const server = new grpc.Server();
  server.addService(echoService(), handlers as grpc.UntypedServiceImplementation);
  const port = await new Promise<number>((resolve, reject) => {
    const insecure = grpc.ServerCredentials.createInsecure();
    server.bindAsync("127.0.0.1:0", insecure, (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  const socket = await dial({ address: { ip: "127.0.0.1", port }, timeoutMs: 5_000 });
  const connection = new Http2Client(socket);
  return {
    server,
    client: new GrpcClient(connection, { authority: `127.0.0.1:${port}`, ...options }),
    [Symbol.asyncDispose]: async () => {
      await connection.close(1_000);
      server.forceShutdown();
    },
  };
}

function echoService(): grpc.ServiceDefinition {
  const includeDirs = [join(import.meta.dirname, "../../../api/proto")];
  const definition = loadSync("heddle/echo/v1/echo.proto", { includeDirs, defaults: true });
  return definition["heddle.echo.v1.Echo"] as unknown as grpc.ServiceDefinition;
}

function failure(code: grpc.status): Error {
  return Object.assign(new Error("refused"), { code, details: "refused" });
}

async function* texts(...all: string[]): AsyncIterable<{ text: string }> {
  for (const text of all) yield { text };
}

function withStatus(status: GrpcStatus, message = /(?:)/): (error: unknown) => boolean {
  return (error) =>
    error instanceof GrpcError && error.status === status && message.test(error.message);
}
