import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import { Backoff } from "@heddle/base/backoff";
import { MeshError } from "@heddle/base/errors";
import { Echo, echoHandlers } from "@heddle/testkit/echo-service";
import { GrpcHost } from "@heddle/testkit/grpc-host";
import { dial } from "../dialer.ts";
import type { Socket, SocketAddress } from "../transport.ts";
import { type ChannelOptions, type ChannelState, GrpcChannel } from "./channel.ts";
import { GrpcClient } from "./client.ts";
import { GrpcError } from "./error.ts";
import type { Handlers } from "./handlers.ts";
import { GrpcServer } from "./server.ts";
import { GrpcStatus } from "./status.ts";

const { unary, serverStream } = Echo.method;

test("a channel dials when a call wants it, and once for many", async () => {
  await using host = await newHost();
  await using world = newWorld(() => host.address);
  assert.equal(world.channel.state, "idle");
  const calls = ["a", "b", "c"].map((text) => world.client.unary(unary, { text }));
  assert.equal(world.channel.waitingCalls, 3);
  assert.deepEqual(
    (await Promise.all(calls)).map(({ text }) => text),
    ["a", "b", "c"],
  );
  assert.deepEqual(world.states, ["connecting", "ready"]);
  assert.equal(world.dials, 1);
});

test("connect() needs no call", async () => {
  await using host = await newHost();
  await using world = newWorld(() => host.address);
  world.channel.connect();
  world.channel.connect();
  await world.until("ready");
  assert.equal(world.dials, 1);
});

test("calls wait through failed attempts, with backoff between them", async () => {
  await using host = await newHost();
  let left = 3;
  await using world = newWorld(() => {
    if (left-- > 0) throw new MeshError("connect_refused", "server", "Cannot connect: refused");
    return host.address;
  });
  assert.equal((await world.client.unary(unary, { text: "late" })).text, "late");
  assert.equal(world.dials, 4);
  const failure = ["connecting", "backoff"];
  assert.deepEqual(world.states, [...failure, ...failure, ...failure, "connecting", "ready"]);
});

test("a large request that waited arrives whole", async () => {
  await using host = await newHost();
  await using world = newWorld(() => host.address);
  const payload = new Uint8Array(1_000_000).fill(3);
  const answer = await world.client.unary(unary, { payload });
  assert.equal(Buffer.compare(answer.payload, payload), 0);
});

test("with failFastMs 0 a failed attempt fails the calls that wait, and new ones at once", async () => {
  await using world = newWorld(() => refused(), {
    failFastMs: 0,
    backoff: new Backoff(60_000, 60_000),
  });
  const isRefused = withStatus(GrpcStatus.unavailable, /refused/);
  await assert.rejects(world.client.unary(unary, {}), isRefused);
  assert.equal(world.channel.state, "backoff");
  await assert.rejects(world.client.unary(unary, {}), isRefused);
  assert.equal(world.dials, 1);
});

test("without a connection for failFastMs, calls fail, until there is one again", async () => {
  await using host = await newHost();
  let isReachable = false;
  const options = { failFastMs: 5, backoff: new Backoff(5, 5) };
  await using world = newWorld(() => (isReachable ? host.address : refused()), options);
  await assert.rejects(world.client.unary(unary, {}), withStatus(GrpcStatus.unavailable));
  isReachable = true;
  await world.until("ready");
  assert.equal((await world.client.unary(unary, { text: "back" })).text, "back");
});

test("a dial that hangs does not keep calls for ever", async () => {
  await using world = newWorld(() => new Promise(() => {}), { failFastMs: 5 });
  await assert.rejects(world.client.unary(unary, {}), withStatus(GrpcStatus.unavailable));
});

test("more waiting calls than the limit are refused", async () => {
  await using world = newWorld(() => new Promise(() => {}), { maxWaitingCalls: 1 });
  const first = assert.rejects(world.client.unary(unary, {}), withStatus(GrpcStatus.unavailable));
  const second = world.client.unary(unary, {});
  await assert.rejects(second, withStatus(GrpcStatus.unavailable, /too many/));
  await world.channel.close();
  await first;
});

test("a call that is cancelled or out of time while it waits is gone", async () => {
  await using world = newWorld(() => new Promise(() => {}));
  const late = world.client.unary(unary, {}, { timeoutMs: 5 });
  await assert.rejects(late, withStatus(GrpcStatus.deadlineExceeded));
  const abort = new AbortController();
  const left = world.client.unary(unary, {}, { signal: abort.signal });
  abort.abort();
  await assert.rejects(left, withStatus(GrpcStatus.cancelled));
  assert.equal(world.channel.waitingCalls, 0);
});

test("a lost connection fails its calls, and the next call makes another", async () => {
  await using host = await newHost();
  await using world = newWorld(() => host.address, { minConnectionMs: 0 });
  const stream = world.client.serverStream(serverStream, {});
  assert.equal((await stream.next()).value?.text, "begun");
  for (const connection of host.connections) connection.destroy();
  await assert.rejects(stream.next(), withStatus(GrpcStatus.unavailable));
  assert.equal(world.channel.state, "idle");
  assert.equal((await world.client.unary(unary, { text: "again" })).text, "again");
  assert.equal(world.dials, 2);
});

test("on GOAWAY running calls finish where they are, and new ones go elsewhere", async () => {
  await using first = await newHost();
  await using second = await newHost();
  let address = first.address;
  await using world = newWorld(() => address, { minConnectionMs: 0 });
  const stream = world.client.serverStream(serverStream, {});
  await stream.next();
  address = second.address;
  const draining = world.until("idle");
  const gone = [...first.connections].map((connection) => connection.close(60_000));
  await draining;
  assert.equal((await world.client.unary(unary, { text: "b" })).text, "b");
  assert.equal(second.connections.size, 1);
  assert.equal(first.connections.size, 1);
  await stream.return!();
  await Promise.all(gone);
});

test("a connection that does not last is followed by backoff, not by the next dial", async () => {
  await using host = await newHost();
  const backoff = new Backoff(60_000, 60_000);
  await using world = newWorld(() => host.address, { minConnectionMs: 60_000, backoff });
  await world.client.unary(unary, {});
  const state = world.until("backoff");
  for (const connection of host.connections) connection.destroy();
  await state;
  assert.equal(world.dials, 1);
});

test("close() fails waiting calls, ends the dial, and stays closed", async () => {
  let signal: AbortSignal | undefined;
  const channel = new GrpcChannel({
    backoff: new Backoff(1, 1),
    dial: (given) => {
      signal = given;
      return new Promise(() => {});
    },
  });
  const client = new GrpcClient(channel, { authority: "a" });
  const waiting = assert.rejects(client.unary(unary, {}), withStatus(GrpcStatus.unavailable));
  await channel.close();
  await channel.close();
  await waiting;
  assert.equal(signal?.aborted, true);
  assert.equal(channel.state, "closed");
  const later = client.unary(unary, {});
  await assert.rejects(later, withStatus(GrpcStatus.unavailable, /closed/));
});

test("a dial that ends after close() leaves no socket", async () => {
  await using host = await newHost();
  const dialed = Promise.withResolvers<Socket>();
  const channel = new GrpcChannel({ backoff: new Backoff(1, 1), dial: () => dialed.promise });
  channel.connect();
  await channel.close();
  const socket = await dial({ address: host.address, timeoutMs: 5_000 });
  const closed = Promise.withResolvers<void>();
  socket.setHandler({
    ...{ onData: () => {}, onDrain: () => {}, onEnd: () => {} },
    onClose: () => closed.resolve(),
  });
  dialed.resolve(socket);
  await closed.promise;
});

interface World extends AsyncDisposable {
  readonly channel: GrpcChannel;
  readonly client: GrpcClient;
  readonly states: ChannelState[];
  readonly dials: number;
  until(state: ChannelState): Promise<void>;
}

/** @param where - Throws, or never says, to fail the attempt. */
function newWorld(
  where: () => SocketAddress | Promise<SocketAddress>,
  options: Partial<ChannelOptions> = {},
): World {
  const states: ChannelState[] = [];
  const waiting = new Map<ChannelState, () => void>();
  let dials = 0;
  const channel = new GrpcChannel({
    backoff: new Backoff(1, 2),
    dial: async (signal) => {
      dials++;
      return await dial({ address: await where(), timeoutMs: 5_000, signal });
    },
    onState: (state) => {
      states.push(state);
      waiting.get(state)?.();
    },
    ...options,
  });
  return {
    channel,
    client: new GrpcClient(channel, { authority: "test" }),
    states,
    get dials() {
      return dials;
    },
    until: (state) =>
      channel.state === state
        ? Promise.resolve()
        : new Promise((resolve) => waiting.set(state, resolve)),
    [Symbol.asyncDispose]: () => channel.close(),
  };
}

function newHost(): Promise<GrpcHost> {
  const handlers: Handlers<typeof Echo> = {
    ...echoHandlers(),
    serverStream: async function* (_, { signal }) {
      yield { text: "begun" };
      await once(signal, "abort");
    },
  };
  return GrpcHost.start(new GrpcServer().add(Echo, handlers));
}

function refused(): never {
  throw new MeshError("connect_refused", "server", "Cannot connect: refused");
}

function withStatus(status: GrpcStatus, message = /(?:)/): (error: unknown) => boolean {
  return (error) =>
    error instanceof GrpcError && error.status === status && message.test(error.message);
}
