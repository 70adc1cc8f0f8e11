import assert from "node:assert/strict";
import { test } from "node:test";
import type { MeshError } from "@heddle/base/errors";
import type { Socket, SocketHandler } from "@heddle/net/transport";
import { duplex, POISON } from "./duplex.ts";

/** Records what a socket hears, and resolves when it is closed. */
class Ear implements SocketHandler {
  text = "";
  ends = 0;
  drains = 0;
  last: Uint8Array | undefined;
  readonly closed: Promise<MeshError | undefined>;
  #close!: (error: MeshError | undefined) => void;

  constructor(socket: Socket) {
    this.closed = new Promise((resolve) => {
      this.#close = resolve;
    });
    socket.setHandler(this);
  }

  onData(bytes: Uint8Array, start: number, end: number): void {
    this.text += Buffer.from(bytes.subarray(start, end)).toString("latin1");
    this.last = bytes;
  }

  onDrain(): void {
    this.drains++;
  }

  onEnd(): void {
    this.ends++;
  }

  onClose(error: MeshError | undefined): void {
    this.#close(error);
  }
}

const HELLO = Buffer.from("hello, world");

test("duplex() delivers bytes, half-closes each way, and closes both sides", async () => {
  const [a, b] = duplex();
  const [atA, atB] = [new Ear(a), new Ear(b)];
  assert.equal(a.write(HELLO, 0, 5), true);
  a.end();
  await turns();
  assert.equal(atB.text, "hello");
  assert.equal(atB.ends, 1);
  b.write(HELLO, 7, 12);
  b.end();
  assert.equal(await atA.closed, undefined);
  assert.equal(await atB.closed, undefined);
  assert.equal(atA.text, "world");
});

test("duplex() overwrites a lent range after the callback", async () => {
  const [a, b] = duplex();
  const atB = new Ear(b);
  a.write(HELLO, 0, 5);
  await turns();
  assert.ok(atB.last?.every((byte) => byte === POISON));
});

test("write() that returns true has copied the range", async () => {
  const [a, b] = duplex();
  const atB = new Ear(b);
  const own = Buffer.from("hello");
  assert.equal(a.write(own, 0, 5), true);
  own.fill(0);
  await turns();
  assert.equal(atB.text, "hello");
});

test("duplex() splits deliveries as told", async () => {
  const [a, b] = duplex({ split: () => 1 });
  const atB = new Ear(b);
  a.write(HELLO, 0, 12);
  a.end();
  await turns(14);
  assert.equal(atB.text, "hello, world");
  assert.equal(atB.ends, 1);
});

test("write() returns false over the high-water mark, reads the range late, and drains", async () => {
  const [a, b] = duplex({ highWaterBytes: 4 });
  const [atA, atB] = [new Ear(a), new Ear(b)];
  const own = Buffer.from("abcdefgh");
  b.pause();
  assert.equal(a.write(own, 0, 4), true);
  assert.equal(a.write(own, 4, 8), false);
  assert.throws(() => a.write(own, 0, 1), /has not drained/);
  own.write("WXYZ", 4);
  await turns();
  assert.equal(atA.drains, 0);
  b.resume();
  await turns();
  assert.equal(atB.text, "abcdWXYZ");
  assert.equal(atA.drains, 1);
});

test("destroy() gives the peer what was written and a FIN, and a reset to its next write", async () => {
  const [a, b] = duplex();
  const [atA, atB] = [new Ear(a), new Ear(b)];
  a.write(HELLO, 0, 5);
  a.destroy();
  assert.equal(await atA.closed, undefined);
  await turns();
  assert.deepEqual([atB.text, atB.ends], ["hello", 1]);
  b.write(HELLO, 0, 5);
  assert.equal((await atB.closed)?.code, "connection_reset");
});

test("destroy() with bytes unread resets the peer", async () => {
  const [a, b] = duplex();
  const [, atB] = [new Ear(a), new Ear(b)];
  b.write(HELLO, 0, 5);
  a.destroy();
  assert.equal((await atB.closed)?.code, "connection_reset");
});

test("a handler that throws loses its socket, and the bug is reported", async () => {
  const bugs: unknown[] = [];
  const [a, b] = duplex({ onBug: (error) => bugs.push(error) });
  const atA = new Ear(a);
  b.setHandler({
    onData: () => {
      throw new Error("bug");
    },
    onDrain: () => {},
    onEnd: () => {},
    onClose: () => {},
  });
  a.write(HELLO, 0, 5);
  await turns();
  assert.equal(bugs.length, 1);
  assert.equal(b.isDestroyed, true);
  assert.equal(atA.ends, 1);
});

async function turns(count = 6): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve));
}
