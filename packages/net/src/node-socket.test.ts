import assert from "node:assert/strict";
import { once } from "node:events";
import net from "node:net";
import { test } from "node:test";
import { MeshError } from "@heddle/base/errors";
import { SocketRecorder } from "@heddle/testkit/socket-recorder";
import { joinSockets, Mirror, sendAndCompare } from "@heddle/testkit/streams";
import { dial } from "./dialer.ts";
import { startListener } from "./listener.ts";
import type { Socket } from "./transport.ts";

test("a socket delivers bytes, half-closes each way, and closes in good order", async () => {
  const { near, far } = await pair();
  const [atNear, atFar] = [new SocketRecorder(near), new SocketRecorder(far)];
  atNear.send("hello");
  near.end();
  await atFar.ended;
  assert.equal(atFar.text, "hello");
  atFar.send("world");
  far.end();
  assert.equal(await atNear.closed, undefined);
  assert.equal(await atFar.closed, undefined);
  assert.equal(atNear.text, "world");
  assert.deepEqual([near.bytesRead, near.bytesWritten], [5, 5]);
});

test("addresses name both ends, and a source address is bound", async () => {
  const { near, far } = await pair({ localAddress: "127.77.3.4" });
  assert.equal(far.remote.ip, "127.77.3.4");
  assert.deepEqual(far.remote, near.local);
  assert.deepEqual(far.local, near.remote);
  near.destroy();
  far.destroy();
});

test("bytes and an end that come before there is a handler wait for it", async () => {
  const { near, far } = await pair();
  const atNear = new SocketRecorder(near);
  atNear.send("early");
  near.end();
  await turns(5);
  const atFar = new SocketRecorder(far);
  assert.equal(atFar.text, "", "never during setHandler");
  await atFar.ended;
  assert.equal(atFar.text, "early");
  far.destroy();
});

test("a paused socket tells nothing, neither data nor end, until resume", async () => {
  for (const side of ["accepted", "dialed"] as const) {
    const { near, far } = await pair();
    const [reader, writer] = side === "accepted" ? [far, near] : [near, far];
    const atReader = new SocketRecorder(reader);
    const atWriter = new SocketRecorder(writer);
    reader.pause();
    atWriter.send("later");
    writer.end();
    await turns(5);
    assert.equal(atReader.text, "");
    reader.resume();
    await atReader.ended;
    assert.equal(atReader.text, "later");
    reader.end();
    assert.equal(await atWriter.closed, undefined);
  }
});

test("write() says false when the kernel is full, keeps the range, and drains", async () => {
  const { near, far } = await pair();
  const atNear = new SocketRecorder(near);
  const chunk = Buffer.alloc(1_000_000, "x");
  let written = 0;
  for (let taken = true; taken; ) {
    taken = near.write(chunk, 0, chunk.length);
    written += chunk.length;
  }
  assert.throws(() => near.write(chunk, 0, 1), /has not drained/);
  const drained = atNear.drained();
  const atFar = new SocketRecorder(far);
  await drained;
  near.end();
  await atFar.ended;
  assert.equal(atFar.bytes.length, written);
  far.destroy();
});

test("10 MiB go each way at once through a relay of lent ranges, with slow readers", async () => {
  const upstream = await startListener({ at: ANY }, (socket) => {
    socket.setHandler(new Mirror(socket));
  });
  const relay = await startListener({ at: ANY }, (socket) => {
    void dial({ address: upstream.address, timeoutMs: 5_000 }).then((other) =>
      joinSockets(socket, other),
    );
  });
  const socket = await dial({ address: relay.address, timeoutMs: 5_000 });
  const total = 10 * 1024 * 1024;
  await sendAndCompare(socket, total);
  await relay.close();
  await upstream.close();
});

test("destroy() with a reason tells it to the handler, without one tells nothing", async () => {
  const { near, far } = await pair();
  const [atNear, atFar] = [new SocketRecorder(near), new SocketRecorder(far)];
  const reason = new MeshError("because", "self", "Cannot go on: because");
  near.destroy(reason);
  near.destroy();
  assert.equal(await atNear.closed, reason);
  await atFar.ended;
  far.destroy();
  assert.equal(await atFar.closed, undefined);
  assert.equal(near.write(Buffer.from("x"), 0, 1), true, "swallowed");
});

test("a reset by the peer is an error on its side", async () => {
  const { near, far } = await pair();
  const atNear = new SocketRecorder(near);
  atNear.send("unread");
  await turns(3);
  // Closing with bytes unread makes the kernel send RST.
  far.destroy();
  const error = await atNear.closed;
  assert.deepEqual([error?.code, error?.side], ["connection_reset", "server"]);
});

test("what a handler throws destroys its socket and is reported, and no other connection", async () => {
  const bugs: unknown[] = [];
  const { near, far } = await pair({ onBug: (bug) => bugs.push(bug) });
  const atNear = new SocketRecorder(near);
  const bug = new Error("bug");
  const handler = new SocketRecorder(far);
  far.setHandler({
    onData: () => {
      throw bug;
    },
    onDrain: () => {},
    onEnd: () => {},
    onClose: (error) => handler.onClose(error),
  });
  atNear.send("x");
  await atNear.ended;
  assert.deepEqual(bugs, [bug]);
  await handler.closed;
  near.destroy();
});

test("writing after end is a bug of the caller", async () => {
  const { near, far } = await pair();
  near.end();
  assert.throws(() => near.write(Buffer.from("x"), 0, 1), /its side is ended/);
  assert.throws(() => far.write(Buffer.from("x"), 1, 0), RangeError);
  near.destroy();
  far.destroy();
});

test("the raw socket's water marks let write() see whether the kernel took everything", async () => {
  const server = net.createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as net.AddressInfo;
  const raw = net.connect({ port, host: "127.0.0.1", highWaterMark: 1 } as net.NetConnectOpts);
  await once(raw, "connect");
  assert.equal(raw.writableHighWaterMark, 1);
  assert.equal(raw.write(Buffer.alloc(100)), true, "taken at once is no reason to wait");
  raw.destroy();
  server.close();
});

interface PairOptions {
  readonly localAddress?: string;
  readonly onBug?: (bug: unknown) => void;
}

const ANY = { ip: "127.0.0.1", port: 0 };

/** One connection over loopback: what dialed it, and what accepted it. */
async function pair(options: PairOptions = {}): Promise<{ near: Socket; far: Socket }> {
  const { promise, resolve } = Promise.withResolvers<Socket>();
  const guard = { report: (bug: unknown) => (options.onBug ?? fail)(bug) };
  const listener = await startListener({ at: ANY, guard }, resolve);
  const { localAddress } = options;
  const near = await dial({ address: listener.address, timeoutMs: 5_000, localAddress, guard });
  const far = await promise;
  await listener.close();
  return { near, far };
}

function fail(bug: unknown): void {
  throw bug;
}

async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    await new Promise((resolve) => setImmediate(resolve));
  }
}
