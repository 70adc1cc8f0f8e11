import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import { Log } from "@heddle/base/log";
import { Echo, echoHandlers } from "@heddle/testkit/echo-service";
import { startGrpcWorld as start, withStatus } from "@heddle/testkit/grpc-world";
import { HeaderMap } from "@heddle/wire/http/headers";
import { GrpcClient } from "./client.ts";
import { EncodedMessage } from "./encoded-message.ts";
import { GrpcError } from "./error.ts";
import type { CallContext, Handlers } from "./handlers.ts";
import { appendBinary, binaryValue } from "./metadata.ts";
import { GrpcStatus } from "./status.ts";

const { unary, serverStream, clientStream, bidi } = Echo.method;

test("all four kinds of call work over a connection", async () => {
  await using world = await start(echoHandlers());
  const { client } = world;
  assert.equal((await client.unary(unary, { text: "a" })).text, "a");
  const streamed = await Array.fromAsync(client.serverStream(serverStream, { count: 3 }));
  assert.deepEqual(
    streamed.map(({ index }) => index),
    [0, 1, 2],
  );
  const joined = await client.clientStream(clientStream, texts("a", "b", "c"));
  assert.equal(joined.text, "abc");
  const answers = await Array.fromAsync(client.bidi(bidi, texts("x", "y")));
  assert.deepEqual(
    answers.map(({ text, index }) => [text, index]),
    [
      ["x", 0],
      ["y", 1],
    ],
  );
});

test("bidi answers come while requests are still being made", async () => {
  await using world = await start(echoHandlers());
  let answered = Promise.withResolvers<void>();
  async function* requests(): AsyncIterable<{ text: string }> {
    for (const text of ["a", "b", "c"]) {
      answered = Promise.withResolvers();
      yield { text };
      await answered.promise;
    }
  }
  const seen: string[] = [];
  for await (const { text } of world.client.bidi(bidi, requests())) {
    seen.push(text);
    answered.resolve();
  }
  assert.deepEqual(seen, ["a", "b", "c"]);
});

test("metadata travels both ways, binary values too", async () => {
  await using world = await start(echoHandlers());
  const metadata = HeaderMap.of({ "echo-a": "1", "trailer-echo-b": "2" });
  appendBinary(metadata, "echo-c-bin", Uint8Array.of(0, 255));
  let header: HeaderMap | undefined;
  let trailer: HeaderMap | undefined;
  await world.client.unary(
    unary,
    {},
    {
      metadata,
      onHeader: (fields) => {
        header = fields;
      },
      onTrailer: (fields) => {
        trailer = fields;
      },
    },
  );
  assert.equal(header?.get("echo-a"), "1");
  assert.deepEqual([...binaryValue(header!, "echo-c-bin")!], [0, 255]);
  assert.equal(trailer?.get("trailer-echo-b"), "2");
});

test("a status comes with message, details and metadata, before and after answers", async () => {
  await using world = await start(echoHandlers());
  const request = { count: 2, status: GrpcStatus.dataLoss, message: "50 % lost: é" };
  const isIt = (error: unknown): boolean =>
    error instanceof GrpcError &&
    error.status === GrpcStatus.dataLoss &&
    error.message === "50 % lost: é" &&
    error.details[0]?.typeUrl === "type/of.detail" &&
    error.metadata.get("error-reason") === "asked for";
  await assert.rejects(world.client.unary(unary, request), isIt);
  let count = 0;
  await assert.rejects(async () => {
    for await (const _ of world.client.serverStream(serverStream, request)) count++;
  }, isIt);
  assert.equal(count, 2);
});

test("the peer of a call is the connection's", async () => {
  let context: CallContext | undefined;
  await using world = await start({
    unary: async (_, seen) => {
      context = seen;
      return {};
    },
  });
  await world.client.unary(unary, {}, { timeoutMs: 60_000 });
  assert.equal(context?.peer.address?.ip, "127.0.0.1");
  assert.equal(context?.path, "/heddle.echo.v1.Echo/Unary");
  assert.equal(context?.authority, world.host.authority);
  assert.ok(context!.remainingMs()! > 0 && context!.remainingMs()! <= 60_000);
});

test("an encoded message is sent as it is, on any number of streams", async () => {
  const shared = EncodedMessage.of(unary.output, { text: "shared" });
  await using world = await start({
    unary: async () => shared,
    serverStream: async function* () {
      yield shared;
      yield shared;
    },
  });
  const streams = [1, 2, 3].map(() => Array.fromAsync(world.client.serverStream(serverStream, {})));
  for (const answers of await Promise.all(streams)) {
    assert.deepEqual(
      answers.map(({ text }) => text),
      ["shared", "shared"],
    );
  }
  assert.equal((await world.client.unary(unary, {})).text, "shared");
});

test("large messages pass in both directions, up to the limit", async () => {
  await using world = await start(echoHandlers());
  const payload = new Uint8Array(4_194_304 - 100).fill(7);
  const answer = await world.client.unary(unary, { payload });
  assert.equal(Buffer.compare(answer.payload, payload), 0);
});

test("a request over the limit is refused by the server, an answer by the client", async () => {
  await using world = await start(echoHandlers(), { maxMessageBytes: 100 });
  const refused = world.client.unary(unary, { payload: new Uint8Array(101) });
  await assert.rejects(refused, withStatus(GrpcStatus.resourceExhausted, /more than 100/));
  const small = new GrpcClient(world.connection, { authority: "a", maxMessageBytes: 100 });
  const tooMuch = small.unary(unary, { answerBytes: 101 });
  await assert.rejects(tooMuch, withStatus(GrpcStatus.resourceExhausted, /more than 100/));
  assert.equal((await small.unary(unary, { text: "still works" })).text, "still works");
});

test("unknown methods and services are UNIMPLEMENTED", async () => {
  await using world = await start({});
  const call = world.client.unary(unary, {});
  await assert.rejects(call, withStatus(GrpcStatus.unimplemented, /no such method/));
});

test("a deadline ends the call on both sides", async () => {
  const ended = Promise.withResolvers<unknown>();
  await using world = await start({
    unary: (_, { signal }) => {
      signal.addEventListener("abort", () => ended.resolve(signal.reason));
      return new Promise(() => {});
    },
  });
  const call = world.client.unary(unary, {}, { timeoutMs: 20 });
  await assert.rejects(call, withStatus(GrpcStatus.deadlineExceeded));
  // Of the server's own clock or of the client's reset: whichever was first.
  assert.ok((await ended.promise) instanceof GrpcError);
});

test("the server keeps a deadline that its client forgot", async () => {
  await using world = await start({ serverStream: never });
  const path = "/heddle.echo.v1.Echo/ServerStream";
  const { frame } = new EncodedMessage(new Uint8Array(0));
  const trailers = await world.raw(path, { "grpc-timeout": "20m" }, "POST", frame);
  assert.equal(trailers.get("grpc-status"), String(GrpcStatus.deadlineExceeded));
});

test("a malformed timeout, encoding, method or content type is refused", async () => {
  await using world = await start(echoHandlers());
  const path = "/heddle.echo.v1.Echo/Unary";
  const status = async (fields: Record<string, string>, method?: string): Promise<unknown[]> => {
    const head = await world.raw(path, fields, method);
    return [head.get(":status"), head.get("grpc-status")];
  };
  assert.deepEqual(await status({ "grpc-timeout": "soon" }), ["200", "13"]);
  assert.deepEqual(await status({ "grpc-encoding": "gzip" }), ["200", "12"]);
  assert.deepEqual(await status({ "content-type": "application/json" }), ["415", undefined]);
  assert.deepEqual(await status({ "content-type": "application/grpcish" }), ["415", undefined]);
  assert.deepEqual(await status({ "content-type": "application/grpc+json" }), ["415", undefined]);
  assert.deepEqual(await status({}, "GET"), ["405", undefined]);
  // Well-formed, but without its message.
  assert.deepEqual(await status({ "grpc-encoding": "identity" }), ["200", "12"]);
});

test("a client that leaves the iteration cancels the call, and the server hears of it", async () => {
  const left = Promise.withResolvers<unknown>();
  let wasReturned = false;
  await using world = await start({
    serverStream: async function* (_, { signal }) {
      try {
        for (let index = 0; ; index++) {
          yield { index };
          if (index === 2) await once(signal, "abort");
        }
      } finally {
        wasReturned = true;
        left.resolve(signal.reason);
      }
    },
  });
  for await (const { index } of world.client.serverStream(serverStream, {})) if (index === 2) break;
  assert.ok(withStatus(GrpcStatus.cancelled)(await left.promise));
  assert.equal(wasReturned, true);
  assert.equal(world.server.activeCalls, 0);
});

test("an abort cancels a call of every kind, and one that has not begun", async () => {
  const started = { count: 0, all: Promise.withResolvers<void>() };
  const begin = (): void => {
    if (++started.count === 4) started.all.resolve();
  };
  const hang = (): Promise<never> => {
    begin();
    return new Promise(() => {});
  };
  await using world = await start({
    unary: hang,
    clientStream: hang,
    serverStream: (request, context) => {
      begin();
      return never(request, context);
    },
    bidi: (requests, context) => {
      begin();
      return never(requests, context);
    },
  });
  const abort = new AbortController();
  const options = { signal: abort.signal };
  const { client } = world;
  const calls = [
    client.unary(unary, {}, options),
    client.clientStream(clientStream, forever(), options),
    Array.fromAsync(client.serverStream(serverStream, {}, options)),
    Array.fromAsync(client.bidi(bidi, forever(), options)),
  ];
  const outcomes = Promise.allSettled(calls);
  await started.all.promise;
  abort.abort(new Error("enough"));
  for (const outcome of await outcomes) {
    assert.equal(outcome.status, "rejected");
    assert.ok(withStatus(GrpcStatus.cancelled)(outcome.reason));
    assert.equal(outcome.reason.cause.message, "enough");
  }
  await assert.rejects(client.unary(unary, {}, options), withStatus(GrpcStatus.cancelled));
  await world.idle();
});

test("requests that fail cancel the call, and are its cause", async () => {
  await using world = await start(echoHandlers());
  async function* broken(): AsyncIterable<{ text: string }> {
    yield { text: "a" };
    throw new Error("no more");
  }
  const isIt = (error: unknown): boolean =>
    withStatus(GrpcStatus.cancelled)(error) && String((error as Error).cause).includes("no more");
  await assert.rejects(world.client.clientStream(clientStream, broken()), isIt);
  await assert.rejects(Array.fromAsync(world.client.bidi(bidi, broken())), isIt);
  await world.idle();
});

test("an answer may be complete before its requests are, which are then left", async () => {
  let left = false;
  async function* requests(): AsyncIterable<{ text: string }> {
    try {
      for (;;) {
        yield { text: "a" };
        await new Promise((resolve) => setImmediate(resolve));
      }
    } finally {
      left = true;
    }
  }
  await using world = await start({
    clientStream: async (all) => {
      for await (const { text } of all) return { text };
      return {};
    },
  });
  assert.equal((await world.client.clientStream(clientStream, requests())).text, "a");
  await world.idle();
  while (!left) await new Promise((resolve) => setImmediate(resolve));
});

test("a server does not run ahead of a client that does not read", async () => {
  const produced = { count: 0 };
  await using world = await start({
    serverStream: async function* () {
      // A server that does not wait would be stopped here, by the test.
      for (; produced.count < 200; produced.count++) yield { payload: new Uint8Array(32_768) };
      throw new GrpcError(GrpcStatus.internal, "not slowed down");
    },
  });
  const answers = world.client.serverStream(serverStream, {});
  await answers.next();
  const bound = 65_535 / 32_768 + 5;
  for (let read = 1; read < 20; read++) {
    // Another call's round trip, so that what the server could send has been sent.
    await assert.rejects(world.client.unary(unary, {}), withStatus(GrpcStatus.unimplemented));
    assert.ok(produced.count <= read + bound, `${produced.count} made, ${read} read`);
    await answers.next();
  }
  await answers.return!();
});

test("a client does not run ahead of a server that does not read", async () => {
  const go = Promise.withResolvers<void>();
  await using world = await start({
    clientStream: async (requests) => {
      await go.promise;
      let index = 0;
      for await (const { payload } of requests) index += payload.length;
      return { index };
    },
  });
  let made = 0;
  async function* requests(): AsyncIterable<{ payload: Uint8Array }> {
    for (; made < 50; made++) yield { payload: new Uint8Array(32_768) };
  }
  const call = world.client.clientStream(clientStream, requests());
  for (let i = 0; i < 10; i++) {
    await assert.rejects(world.client.unary(unary, {}), withStatus(GrpcStatus.unimplemented));
    assert.ok(made <= 65_535 / 32_768 + 5, `${made} made`);
  }
  go.resolve();
  assert.equal((await call).index, 50 * 32_768);
});

test("a lost connection is UNAVAILABLE to the client and cancels the server's handlers", async () => {
  const cancelled = Promise.withResolvers<unknown>();
  const started = Promise.withResolvers<void>();
  await using world = await start({
    serverStream: async function* (_, { signal }) {
      yield {};
      started.resolve();
      await once(signal, "abort");
      cancelled.resolve(signal.reason);
    },
  });
  const answers = world.client.serverStream(serverStream, {});
  await answers.next();
  await started.promise;
  for (const connection of world.host.connections) connection.destroy();
  await assert.rejects(answers.next(), withStatus(GrpcStatus.unavailable));
  assert.ok(withStatus(GrpcStatus.cancelled)(await cancelled.promise));
});

test("a handler's bug is INTERNAL, says nothing to the client, and is logged", async () => {
  const lines: string[] = [];
  const log = Log.root({ filter: "error", uptimeMs: () => 0, write: (line) => lines.push(line) });
  let bugs = 0;
  const onBug = (): void => {
    bugs++;
  };
  const handlers: Handlers<typeof Echo> = {
    unary: async () => {
      throw new TypeError("secret of the house");
    },
  };
  await using world = await start(handlers, { log, onBug });
  const call = world.client.unary(unary, {});
  await assert.rejects(call, withStatus(GrpcStatus.internal, /^internal error$/));
  assert.equal(bugs, 1);
  assert.match(lines.join(), /gRPC handler failed.*secret of the house/);
});

test("metadata that cannot be sent does not hide the call's end", async () => {
  let bugs = 0;
  const onBug = (): void => {
    bugs++;
  };
  const handlers: Handlers<typeof Echo> = {
    unary: async (_, context) => {
      context.trailer.append("x", "a\r\nb");
      return {};
    },
  };
  await using world = await start(handlers, { onBug });
  await assert.rejects(world.client.unary(unary, {}), withStatus(GrpcStatus.internal));
  assert.equal(bugs, 1);
});

test("more calls than the limit are refused, and fewer again served", async () => {
  const go = Promise.withResolvers<void>();
  const handlers: Handlers<typeof Echo> = {
    unary: async () => {
      await go.promise;
      return {};
    },
  };
  await using world = await start(handlers, { maxCalls: 2 });
  const first = [world.client.unary(unary, {}), world.client.unary(unary, {})];
  const third = world.client.unary(unary, {});
  await assert.rejects(third, withStatus(GrpcStatus.resourceExhausted));
  go.resolve();
  await Promise.all(first);
  await world.client.unary(unary, {});
});

test("one peer cannot take all calls", async () => {
  const handlers: Handlers<typeof Echo> = { unary: () => new Promise(() => {}) };
  await using world = await start(handlers, { maxCallsPerPeer: 1 });
  await using other = await world.host.connect();
  const abort = new AbortController();
  const options = { signal: abort.signal };
  const second = new GrpcClient(other, { authority: "a" });
  const held = [world.client, second].map((client) => client.unary(unary, {}, options));
  const ended = Promise.allSettled(held);
  await world.begun(2);
  const third = world.client.unary(unary, {});
  await assert.rejects(third, withStatus(GrpcStatus.resourceExhausted));
  abort.abort();
  await ended;
});

test("a request that does not come is not waited for", async () => {
  await using world = await start(echoHandlers(), { requestTimeoutMs: 5 });
  const trailers = await world.raw("/heddle.echo.v1.Echo/Unary", {}, "POST", undefined, false);
  assert.equal(trailers.get("grpc-status"), String(GrpcStatus.cancelled));
});

test("streams over the connection's limit wait for their turn", async () => {
  await using world = await start(echoHandlers(), {}, { maxConcurrentStreams: 1 });
  // The client knows the limit only after the server's first words.
  await world.client.unary(unary, {});
  const calls = ["a", "b", "c"].map((text) => world.client.unary(unary, { text }));
  assert.deepEqual(
    (await Promise.all(calls)).map(({ text }) => text),
    ["a", "b", "c"],
  );
});

test("close() ends streams with UNAVAILABLE, lets single calls finish, refuses new ones", async () => {
  const go = Promise.withResolvers<void>();
  await using world = await start({
    unary: async () => {
      await go.promise;
      return { text: "done" };
    },
    serverStream: async function* (_, { signal }) {
      yield {};
      await once(signal, "abort");
    },
  });
  const single = world.client.unary(unary, {});
  const stream = world.client.serverStream(serverStream, {});
  await stream.next();
  const closed = world.server.close(60_000);
  await assert.rejects(stream.next(), withStatus(GrpcStatus.unavailable, /closing/));
  await assert.rejects(world.client.unary(unary, {}), withStatus(GrpcStatus.unavailable));
  go.resolve();
  assert.equal((await single).text, "done");
  await closed;
});

test("close() ends what outlasts its grace", async () => {
  await using world = await start({ unary: () => new Promise(() => {}) });
  const call = world.client.unary(unary, {});
  const outcome = assert.rejects(call, withStatus(GrpcStatus.unavailable));
  await world.begun();
  await world.server.close(1);
  await outcome;
});

test("sendHeader() says that a stream has begun before its first message", async () => {
  const go = Promise.withResolvers<void>();
  await using world = await start({
    serverStream: async function* (_, context) {
      context.header.append("echo-early", "yes");
      context.sendHeader();
      await go.promise;
      yield { text: "late" };
    },
  });
  const header = Promise.withResolvers<HeaderMap>();
  const answers = world.client.serverStream(serverStream, {}, { onHeader: header.resolve });
  assert.equal((await header.promise).get("echo-early"), "yes");
  go.resolve();
  assert.equal((await answers.next()).value?.text, "late");
});

test("a message that does not parse is refused, however deeply it is nested", async () => {
  await using world = await start(echoHandlers());
  const path = "/heddle.echo.v1.Echo/Unary";
  const garbage = new EncodedMessage(Uint8Array.of(0x0a, 0x7f, 1)).frame;
  const groups = new EncodedMessage(new Uint8Array(100_000).fill(0x7b)).frame;
  for (const body of [garbage, groups, garbage.subarray(0, 4), Uint8Array.of(1, 0, 0, 0, 0)]) {
    assert.equal((await world.raw(path, {}, "POST", body)).get("grpc-status"), "13");
  }
});

/** A stream that ends when it is cancelled, and says nothing before. */
async function* never(_: unknown, { signal }: CallContext): AsyncIterable<never> {
  if (!signal.aborted) await once(signal, "abort");
  yield* [];
}

async function* texts(...all: string[]): AsyncIterable<{ text: string }> {
  for (const text of all) yield { text };
}

async function* forever(): AsyncIterable<{ text: string }> {
  yield { text: "first" };
  await new Promise(() => {});
}
