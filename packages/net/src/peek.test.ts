import assert from "node:assert/strict";
import { test } from "node:test";
import type { MeshError } from "@heddle/base/errors";
import { duplex } from "@heddle/testkit/duplex";
import { SocketRecorder } from "@heddle/testkit/socket-recorder";
import { dial } from "./dialer.ts";
import { startListener } from "./listener.ts";
import { peek } from "./peek.ts";
import { detectTls } from "./tls-detect.ts";
import type { Socket } from "./transport.ts";

/** Each world gives one connection: the shared suite runs over the kernel and over memory. */
const WORLDS: Readonly<Record<string, () => Promise<[near: Socket, far: Socket]>>> = {
  "over TCP": tcpPair,
  "in memory": () => Promise.resolve(duplex()),
  "in memory, byte by byte": () => Promise.resolve(duplex({ split: () => 1 })),
};

for (const [where, pair] of Object.entries(WORLDS)) {
  test(`peek() takes what is consumed and replays the rest, with the end, ${where}`, async () => {
    const [near, far] = await pair();
    const atNear = new SocketRecorder(near);
    atNear.send("line one\nline two");
    near.end();
    const { value, socket } = await peek(far, {
      maxBytes: 100,
      timeoutMs: 5_000,
      decide: readLine,
    });
    assert.equal(value, "line one");
    const atFar = new SocketRecorder(socket);
    await atFar.ended;
    assert.equal(atFar.text, "line two");
    atFar.send("answer");
    socket.end();
    assert.equal(await atNear.closed, undefined);
    assert.equal(await atFar.closed, undefined);
    assert.equal(atNear.text, "answer");
  });

  test(`peek() twice, then a handler that pauses within the replay, ${where}`, async () => {
    const [near, far] = await pair();
    const atNear = new SocketRecorder(near);
    atNear.send("one\ntwo\nthree");
    const first = await peek(far, { maxBytes: 100, timeoutMs: 5_000, decide: readLine });
    const second = await peek(first.socket, { maxBytes: 100, timeoutMs: 5_000, decide: readLine });
    assert.deepEqual([first.value, second.value], ["one", "two"]);
    const { socket } = second;
    const atFar = new SocketRecorder(socket);
    socket.pause();
    atNear.send(" and four");
    near.end();
    await turns(20);
    assert.equal(atFar.text, "");
    socket.resume();
    await atFar.ended;
    assert.equal(atFar.text, "three and four");
    socket.end();
    await atFar.closed;
  });

  test(`peek() tells the decision that nothing more will come, ${where}`, async () => {
    const [near, far] = await pair();
    new SocketRecorder(near).send("abc");
    near.end();
    const seen: [number, boolean, boolean][] = [];
    await peek(far, {
      maxBytes: 100,
      timeoutMs: 5_000,
      decide: (bytes, isLast, isEnded) => {
        seen.push([bytes.length, isLast, isEnded]);
        return isLast ? { value: undefined, consumed: 0 } : undefined;
      },
    });
    assert.deepEqual(seen.at(-1), [3, true, true]);
    far.destroy();
    near.destroy();
  });

  test(`peek() rejects and destroys when time runs out or the decision throws, ${where}`, async () => {
    const [near, far] = await pair();
    const atNear = new SocketRecorder(near);
    const late = peek(far, { maxBytes: 100, timeoutMs: 10, decide: () => undefined });
    await assert.rejects(late, (error: MeshError) => error.code === "peek_timeout");
    await atNear.ended;
    near.destroy();

    const [other, another] = await pair();
    const atOther = new SocketRecorder(other);
    atOther.send("x");
    const bug = new Error("bug");
    const decide = (): never => {
      throw bug;
    };
    await assert.rejects(peek(another, { maxBytes: 100, timeoutMs: 5_000, decide }), bug);
    await Promise.race([atOther.ended, atOther.closed]);
    other.destroy();
  });

  test(`peek() with an answer for the timeout loses nothing, ${where}`, async () => {
    const [near, far] = await pair();
    const atNear = new SocketRecorder(near);
    atNear.send("slow");
    const decide = (): undefined => undefined;
    const options = { maxBytes: 100, timeoutMs: 50, decide, atTimeout: () => "none" };
    const { value, socket } = await peek(far, options);
    assert.equal(value, "none");
    atNear.send(" start");
    near.end();
    const atFar = new SocketRecorder(socket);
    await atFar.ended;
    assert.equal(atFar.text, "slow start");
    socket.destroy();
  });
}

test("[R09] detection leaves the whole hello, and what came with it, for the next handler", async () => {
  const hello = Buffer.concat([clientHello("other.test"), Buffer.from("more")]);
  for (const step of [1, 7, hello.length]) {
    const [near, far] = await tcpPair();
    const detecting = detectTls(far, { serverName: "ours.test", timeoutMs: 5_000 });
    new SocketRecorder(near);
    for (let at = 0; at < hello.length; at += step) {
      near.write(hello, at, Math.min(at + step, hello.length));
      await turns(1);
    }
    near.end();
    const found = await detecting;
    assert.ok(found.kind === "passthru" && found.serverName === "other.test");
    const atFar = new SocketRecorder(found.socket);
    await atFar.ended;
    assert.deepEqual(atFar.bytes, hello);
    far.destroy();
  }
});

test("a hello that is undecided after 8 KiB, or cut off by the end, is no TLS, and is passed on", async () => {
  const endless = Buffer.alloc(9_000);
  endless.set([22, 3, 1, 0x20, 0, 1, 0, 0x1f, 0xfc, 3, 3]);
  for (const bytes of [endless, clientHello("ours.test").subarray(0, 40)]) {
    const [near, far] = await tcpPair();
    new SocketRecorder(near);
    near.write(bytes, 0, bytes.length);
    near.end();
    const found = await detectTls(far, { serverName: "ours.test", timeoutMs: 5_000 });
    assert.equal(found.kind, "none");
    const atFar = new SocketRecorder(found.socket);
    await atFar.ended;
    assert.deepEqual(atFar.bytes, bytes);
    far.destroy();
  }
});

test("whatever the name's case is, a hello for us is found; with * every hello is", async () => {
  for (const [asked, ours] of [
    ["OURS.test", "ours.test"],
    ["other.test", "*"],
  ] as const) {
    const [near, far] = await tcpPair();
    const hello = clientHello(asked);
    near.write(hello, 0, hello.length);
    const found = await detectTls(far, { serverName: ours, timeoutMs: 5_000 });
    assert.equal(found.kind, "mesh");
    near.destroy();
    found.socket.destroy();
  }
});

test("peek ends without a verdict when it is told to, and takes nothing", async () => {
  const [near, far] = await tcpPair();
  near.write(Buffer.from("half a li"), 0, 9);
  const stop = new AbortController();
  const looking = peek(far, {
    maxBytes: 100,
    timeoutMs: 5_000,
    stop: { signal: stop.signal, value: "stopped" },
    decide: (bytes, isLast) => {
      if (bytes.length === 9) stop.abort();
      return readLine(bytes, isLast);
    },
  });
  const { value, socket } = await looking;
  assert.equal(value, "stopped");
  const found = await peek(socket, {
    maxBytes: 9,
    timeoutMs: 5_000,
    decide: (bytes) => ({ value: Buffer.from(bytes).toString(), consumed: 0 }),
  });
  assert.equal(found.value, "half a li");
  assert.equal(socket.bytesRead, 0, "what was put back counts once it is read");
  near.destroy();
  socket.destroy();
});

function readLine(
  bytes: Uint8Array,
  isLast: boolean,
): { readonly value: string; readonly consumed: number } | undefined {
  const at = bytes.indexOf(10);
  if (at < 0) return isLast ? { value: "none", consumed: 0 } : undefined;
  return { value: Buffer.from(bytes.subarray(0, at)).toString(), consumed: at + 1 };
}

function clientHello(name: string): Buffer {
  const server = Buffer.from(name);
  const entry = [0, 0, 0, server.length + 5, 0, server.length + 3, 0, 0, server.length, ...server];
  const body = [3, 3, ...new Array<number>(32).fill(9), 0, 0, 2, 0x13, 1, 1, 0, 0, entry.length];
  body.push(...entry);
  const message = [1, 0, 0, body.length, ...body];
  return Buffer.from([22, 3, 1, 0, message.length, ...message]);
}

async function tcpPair(): Promise<[near: Socket, far: Socket]> {
  const { promise, resolve } = Promise.withResolvers<Socket>();
  const listener = await startListener({ at: { ip: "127.0.0.1", port: 0 } }, resolve);
  const near = await dial({ address: listener.address, timeoutMs: 5_000 });
  const far = await promise;
  await listener.close();
  return [near, far];
}

async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve));
}
