import assert from "node:assert/strict";
import { once } from "node:events";
import { join } from "node:path";
import { test } from "node:test";
import * as grpc from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import { Echo, echoHandlers } from "@heddle/testkit/echo-service";
import { GrpcHost } from "@heddle/testkit/grpc-host";
import type { Http2ServerOptions } from "../http2/options.ts";
import { GrpcError } from "./error.ts";
import type { Handlers } from "./handlers.ts";
import { GrpcServer, type GrpcServerOptions } from "./server.ts";
import { GrpcStatus } from "./status.ts";

// @grpc/grpc-js as client of our server.

interface Answer {
  readonly text: string;
  readonly payload: Buffer;
  readonly index: number;
}

test("grpc-js calls every kind of method", async () => {
  await using world = await start(echoHandlers());
  assert.equal((await world.unary({ text: "a" })).text, "a");
  const streamed = await Array.fromAsync(world.serverStream({ count: 3 }));
  assert.deepEqual(
    streamed.map(({ index }) => index),
    [0, 1, 2],
  );
  const joined = Promise.withResolvers<Answer>();
  const upload = world.client["ClientStream"]!(settle(joined)) as grpc.ClientWritableStream<object>;
  for (const text of ["a", "b", "c"]) upload.write({ text });
  upload.end();
  assert.equal((await joined.promise).text, "abc");
  const both = world.client["Bidi"]!() as grpc.ClientDuplexStream<object, Answer>;
  const answers: string[] = [];
  both.write({ text: "0" });
  for await (const answer of both as AsyncIterable<Answer>) {
    answers.push(`${answer.text}${answer.index}`);
    if (answers.length < 3) both.write({ text: String(answers.length) });
    else both.end();
  }
  assert.deepEqual(answers, ["00", "11", "22"]);
});

test("grpc-js gets our metadata, and binary values", async () => {
  await using world = await start(echoHandlers());
  const metadata = new grpc.Metadata();
  metadata.set("echo-a", "1");
  metadata.set("echo-b-bin", Buffer.of(0, 255));
  metadata.set("trailer-echo-c", "3");
  const done = Promise.withResolvers<Answer>();
  const call = world.client["Unary"]!({}, metadata, settle(done)) as grpc.ClientUnaryCall;
  const [header] = (await once(call, "metadata")) as [grpc.Metadata];
  const [status] = (await once(call, "status")) as [grpc.StatusObject];
  await done.promise;
  assert.deepEqual(header.get("echo-a"), ["1"]);
  assert.deepEqual(header.get("echo-b-bin"), [Buffer.of(0, 255)]);
  assert.deepEqual(status.metadata.get("trailer-echo-c"), ["3"]);
});

test("grpc-js gets our status and details, with and without messages before it", async () => {
  await using world = await start(echoHandlers());
  const request = { count: 2, status: 9, message: "50 %: é" };
  const isIt = (error: unknown): boolean => {
    const { code, details, metadata } = error as grpc.ServiceError;
    const [bin] = metadata.get("grpc-status-details-bin") as Buffer[];
    return code === 9 && details === "50 %: é" && bin!.includes("type/of.detail");
  };
  await assert.rejects(world.unary(request), isIt);
  await assert.rejects(Array.fromAsync(world.serverStream(request)), isIt);
  const unknown = Promise.withResolvers<Answer>();
  world.client.makeUnaryRequest(
    ...(["/no.Such/Method", serialize, deserialize, {}, settle(unknown)] as const),
  );
  await assert.rejects(unknown.promise, { code: GrpcStatus.unimplemented });
});

test("grpc-js sets a deadline, and our handler hears of its end", async () => {
  const ended = Promise.withResolvers<unknown>();
  let remainingMs: number | undefined;
  await using world = await start({
    unary: (_, context) => {
      remainingMs = context.remainingMs();
      context.signal.addEventListener("abort", () => ended.resolve(context.signal.reason));
      return new Promise(() => {});
    },
  });
  const call = world.unary({}, { deadline: Date.now() + 100 });
  await assert.rejects(call, { code: GrpcStatus.deadlineExceeded });
  assert.ok((await ended.promise) instanceof GrpcError);
  assert.ok(remainingMs !== undefined && remainingMs <= 100);
});

test("grpc-js cancels a stream, and our handler hears of it", async () => {
  const ended = Promise.withResolvers<unknown>();
  await using world = await start({
    serverStream: async function* (_, { signal }) {
      yield { text: "begun" };
      await once(signal, "abort");
      ended.resolve(signal.reason);
    },
  });
  const stream = world.serverStream({});
  const failed = once(stream, "error");
  await once(stream, "data");
  stream.cancel();
  assert.equal(((await failed)[0] as grpc.ServiceError).code, GrpcStatus.cancelled);
  const reason = await ended.promise;
  assert.ok(reason instanceof GrpcError && reason.status === GrpcStatus.cancelled);
});

test("large messages pass, and our limit is RESOURCE_EXHAUSTED to grpc-js", async () => {
  await using world = await start(echoHandlers(), { maxMessageBytes: 2_000_000 });
  const payload = Buffer.alloc(1_900_000, 5);
  assert.equal(Buffer.compare((await world.unary({ payload })).payload, payload), 0);
  const tooLarge = world.unary({ payload: Buffer.alloc(2_000_001) });
  await assert.rejects(tooLarge, { code: GrpcStatus.resourceExhausted });
  assert.equal((await world.unary({ text: "still works" })).text, "still works");
});

test("a slow grpc-js reader holds our handler back", async () => {
  let made = 0;
  await using world = await start({
    serverStream: async function* () {
      for (; made < 2_000; made++) yield { payload: new Uint8Array(32_768) };
    },
  });
  const stream = world.serverStream({});
  stream.pause();
  // Round trips on the same connection: what the windows allow has been sent by then.
  for (let i = 0; i < 20; i++) await assert.rejects(world.unary({}), { code: 12 });
  assert.ok(made < 1_000, `${made} made, none read`);
  let read = 0;
  for await (const { payload } of stream as AsyncIterable<Answer>) read += payload.length;
  assert.equal(read, 2_000 * 32_768);
});

test("compressed requests are refused with UNIMPLEMENTED", async () => {
  await using world = await start(echoHandlers(), {}, {}, GZIP);
  await assert.rejects(world.unary({ text: "a" }), { code: GrpcStatus.unimplemented });
});

test("grpc-js sees a closing server as UNAVAILABLE, and its GOAWAY", async () => {
  await using world = await start({
    serverStream: async function* (_, { signal }) {
      yield {};
      await once(signal, "abort");
    },
  });
  const stream = world.serverStream({});
  const failed = once(stream, "error");
  await once(stream, "data");
  await world.host.close();
  assert.equal(((await failed)[0] as grpc.ServiceError).code, GrpcStatus.unavailable);
});

test("keep-alive pings of grpc-js are answered", async () => {
  const options = { "grpc.keepalive_time_ms": 1_000, "grpc.keepalive_timeout_ms": 1_500 };
  const handlers: Handlers<typeof Echo> = {
    unary: async () => {
      // Longer than interval and timeout together: without an answer the connection would be lost.
      await new Promise((resolve) => setTimeout(resolve, 3_000));
      return { text: "late" };
    },
  };
  await using world = await start(handlers, {}, {}, options);
  assert.equal((await world.unary({})).text, "late");
});

const GZIP: grpc.ChannelOptions = { "grpc.default_compression_algorithm": 2 };

interface World extends AsyncDisposable {
  readonly client: InstanceType<grpc.ServiceClientConstructor>;
  readonly host: GrpcHost;
  unary(request: object, options?: grpc.CallOptions): Promise<Answer>;
  serverStream(request: object): grpc.ClientReadableStream<Answer>;
}

async function start(
  handlers: Handlers<typeof Echo>,
  options: GrpcServerOptions = {},
  http2: Http2ServerOptions = {},
  client: grpc.ChannelOptions = {},
): Promise<World> {
  const host = await GrpcHost.start(new GrpcServer(options).add(Echo, handlers), http2);
  const made = new (echoClient())(host.authority, grpc.credentials.createInsecure(), client);
  return {
    client: made,
    host,
    unary: (request, callOptions = {}) => {
      const done = Promise.withResolvers<Answer>();
      made["Unary"]!(request, callOptions, settle(done));
      return done.promise;
    },
    serverStream: (request) => made["ServerStream"]!(request) as grpc.ClientReadableStream<Answer>,
    [Symbol.asyncDispose]: async () => {
      made.close();
      await host.close();
    },
  };
}

function echoClient(): grpc.ServiceClientConstructor {
  const includeDirs = [join(import.meta.dirname, "../../../api/proto")];
  const definition = loadSync("heddle/echo/v1/echo.proto", {
    ...{ includeDirs, keepCase: false, defaults: true },
  });
  const loaded = grpc.loadPackageDefinition(definition) as unknown as {
    heddle: { echo: { v1: { Echo: grpc.ServiceClientConstructor } } };
  };
  return loaded.heddle.echo.v1.Echo;
}

function settle<T>(
  done: PromiseWithResolvers<T>,
): (error: grpc.ServiceError | null, answer?: T) => void {
  return (error, answer) => (error === null ? done.resolve(answer!) : done.reject(error));
}

const serialize = (): Buffer => Buffer.alloc(0);
const deserialize = (): Answer => ({ text: "", payload: Buffer.alloc(0), index: 0 });
