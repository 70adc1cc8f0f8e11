import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync } from "node:fs";
import net from "node:net";
import { test } from "node:test";
import { descriptorOf } from "./node-socket.ts";
import { peerCredentials } from "./socket-options.ts";

test("without node:ffi connections work, and what needs it says so at its first use", () => {
  const script = `
    import { startListener } from "${import.meta.dirname}/listener.ts";
    import { dial } from "${import.meta.dirname}/dialer.ts";
    import { setUserTimeout } from "${import.meta.dirname}/socket-options.ts";
    const at = { ip: "127.0.0.1", port: 0 };
    const listener = await startListener({ at }, (socket) => socket.setHandler({
      onData: (bytes, start, end) => void socket.writeLent(bytes, start, end),
      onDrain() {}, onEnd: () => socket.end(), onClose() {},
    }));
    const socket = await dial({ address: listener.address, timeoutMs: 5000 });
    let got = 0;
    await new Promise((resolve) => {
      socket.setHandler({
        onData: (bytes, start, end) => { got += end - start; },
        onDrain() {}, onEnd() {}, onClose: resolve,
      });
      socket.write(Buffer.alloc(50_000), 0, 50_000);
      socket.end();
    });
    await listener.close();
    try { setUserTimeout(0, 1); } catch (error) { console.log(got, error.code, error.message); }`;
  const args = ["--no-experimental-ffi", "--input-type=module-typescript", "-e", script];
  const { stdout, stderr } = spawnSync(process.execPath, args, { encoding: "utf8" });
  assert.equal(stderr, "");
  assert.equal(stdout, "50000 no_ffi Cannot use socket options: this runtime has no node:ffi\n");
});

test("a descriptor that is no connected unix socket has no credentials", async () => {
  const listener = net.createServer().listen(0, "127.0.0.1");
  await once(listener, "listening");
  const fd = openSync("/dev/null", "r");
  for (const other of [fd, descriptorOf(listener), 99_999]) {
    assert.throws(() => peerCredentials(other), { code: "socket_option", side: "self" });
  }
  closeSync(fd);
  listener.close();
});
