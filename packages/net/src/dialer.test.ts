import assert from "node:assert/strict";
import { test } from "node:test";
import type { MeshError } from "@heddle/base/errors";
import { dial } from "./dialer.ts";
import { type Listener, startListener } from "./listener.ts";
import { readNumber } from "./socket-options.ts";
import type { Socket, SocketAddress } from "./transport.ts";

const ANY: SocketAddress = { ip: "127.0.0.1", port: 0 };

test("a connection that is not answered times out, and says so", async () => {
  const listener = await startListener({ at: ANY, backlog: 1 }, (socket) => socket.destroy());
  listener.pause();
  // A full backlog: the kernel answers no more, and only retries.
  const waiting: Socket[] = [];
  const error = await fill(listener, waiting);
  assert.equal(error.code, "connect_timeout");
  assert.match(error.message, /connect timed out after 300ms/);
  assert.deepEqual([error.side, error.retryable], ["server", true]);
  for (const socket of waiting) socket.destroy();
  await listener.close();
});

test("a refused connection and a missing unix socket are told apart from others", async () => {
  const listener = await startListener({ at: ANY }, (socket) => socket.destroy());
  const { address } = listener;
  await listener.close();
  for (const target of [address, { path: "/nonexistent/socket" }]) {
    await assert.rejects(dial({ address: target, timeoutMs: 5_000 }), (error: MeshError) => {
      return error.code === "connect_refused" && error.retryable;
    });
  }
});

test("a source address that is not ours is an error", async () => {
  const localAddress = "203.0.113.7";
  const dialing = dial({ address: { ip: "127.0.0.1", port: 1 }, timeoutMs: 5_000, localAddress });
  await assert.rejects(dialing, { code: "connect_failed" });
});

test("an abort ends dialing with its own reason, before and during", async () => {
  const reason = new Error("enough");
  const address = { ip: "127.0.0.1", port: 1 };
  const aborted = AbortSignal.abort(reason);
  await assert.rejects(dial({ address, timeoutMs: 5_000, signal: aborted }), reason);
  const controller = new AbortController();
  const dialing = dial({ address, timeoutMs: 5_000, signal: controller.signal });
  controller.abort(reason);
  await assert.rejects(dialing, reason);
});

test("TCP_NODELAY and keep-alive are always on; idle time and user timeout if told", async () => {
  const [TCP, NODELAY, KEEPIDLE, KEEPINTVL, USER_TIMEOUT] = [6, 1, 4, 5, 18];
  const [SOCKET, KEEPALIVE] = [1, 9];
  for (const options of [{}, { keepAliveMs: 123_000, userTimeoutMs: 45_000 }]) {
    const { promise, resolve } = Promise.withResolvers<Socket>();
    const listener = await startListener({ at: ANY, ...options }, resolve);
    const near = await dial({ address: listener.address, timeoutMs: 5_000, ...options });
    for (const { fd } of [near, await promise]) {
      assert.equal(readNumber(fd, TCP, NODELAY), 1);
      assert.equal(readNumber(fd, SOCKET, KEEPALIVE), 1);
      const isSet = "keepAliveMs" in options;
      if (isSet) assert.equal(readNumber(fd, TCP, KEEPIDLE), 123);
      assert.equal(readNumber(fd, TCP, USER_TIMEOUT), isSet ? 45_000 : 0);
      assert.notEqual(readNumber(fd, TCP, KEEPINTVL), 1, "the system's interval stays");
    }
    near.destroy();
    (await promise).destroy();
    await listener.close();
  }
});

/** Dials until the kernel no longer answers. */
async function fill(listener: Listener, waiting: Socket[]): Promise<MeshError> {
  for (;;) {
    try {
      waiting.push(await dial({ address: listener.address, timeoutMs: 300 }));
    } catch (error) {
      return error as MeshError;
    }
  }
}

test("a connection that was answered in time counts, also where our loop stood still meanwhile", async () => {
  const listener = await startListener({ at: ANY }, (socket) => socket.destroy());
  const dialing = dial({ address: listener.address, timeoutMs: 20 });
  // The kernel is asked to connect, and then nobody looks until the time is over.
  await new Promise<void>((resolve) => process.nextTick(resolve));
  const until = performance.now() + 60;
  while (performance.now() < until);
  const [outcome] = await Promise.allSettled([dialing]);
  await listener.close();
  assert.equal(outcome.status, "fulfilled");
  outcome.value.destroy();
});
