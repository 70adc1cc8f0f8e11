import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import { dial } from "./dialer.ts";
import { Dialled } from "./dialled.ts";
import { startListener } from "./listener.ts";

test("a connection of our own is known when it is accepted, and until it is closed", async () => {
  const dialled = new Dialled();
  const arrivals: { readonly port: number; readonly isOwn: boolean }[] = [];
  const listener = await startListener(
    { at: { ip: "127.0.0.1", port: 0 } },
    (socket, { clientAddress }) => {
      const isOwn = dialled.has(clientAddress, address);
      arrivals.push({ port: clientAddress.port, isOwn });
      // The kernel may give the same source to a connection that goes somewhere else.
      assert.equal(dialled.has(clientAddress, { ip: "127.0.0.1", port: 1 }), false);
      assert.equal(dialled.has(clientAddress, { ip: "127.0.0.2", port: address.port }), false);
      socket.destroy();
    },
  );
  const { address } = listener;
  for (let i = 0; i < 50; i++) {
    const isOurs = i % 2 === 0;
    const socket = await dial({ address, timeoutMs: 30_000, ...(isOurs ? { dialled } : {}) });
    while (arrivals.length === i) await nextTurn();
    assert.deepEqual(arrivals[i], { port: socket.local.port, isOwn: isOurs });
    socket.destroy();
    while (dialled.has(socket.local, address)) await nextTurn();
  }
  await listener.close();
});

test("a connection that never comes about leaves nothing behind", async () => {
  const dialled = new Dialled();
  const address = { ip: "127.0.0.1", port: 1 };
  await assert.rejects(dial({ address, timeoutMs: 30_000, dialled }), /refused/);
  const ports = Array.from({ length: 65_535 }, (_, i) => i + 1);
  const isKnown = (port: number): boolean => dialled.has({ ip: "127.0.0.1", port }, address);
  // It is forgotten when it is closed, which comes after the error.
  while (ports.some(isKnown)) await nextTurn();
});
