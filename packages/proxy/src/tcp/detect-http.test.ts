import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, type Socket as NetSocket } from "node:net";
import { test } from "node:test";
import { startListener } from "@heddle/net/listener";
import type { Socket } from "@heddle/net/transport";
import { classifyHttp, detectHttp } from "./detect-http.ts";

interface Pair extends AsyncDisposable {
  readonly client: NetSocket;
  readonly server: Socket;
}

/** Two ends of a connection over loopback. */
async function pair(): Promise<Pair> {
  const accepted = Promise.withResolvers<Socket>();
  const at = { ip: "127.0.0.1", port: 0 };
  const listener = await startListener({ at }, (socket) => accepted.resolve(socket));
  const client = connect({ port: listener.address.port, host: at.ip, allowHalfOpen: true });
  client.on("error", () => client.destroy());
  await once(client, "connect");
  const server = await accepted.promise;
  return {
    client,
    server,
    async [Symbol.asyncDispose]() {
      client.destroy();
      server.destroy();
      await listener.close();
    },
  };
}

const of = (text: string): string => classifyHttp(Buffer.from(text, "latin1"));

test("[R01] a client that says nothing in time gives a timeout, and the connection goes on", async () => {
  await using ends = await pair();
  const { value, socket } = await detectHttp(ends.server, 20);
  assert.equal(value, "timeout");
  const heard = Promise.withResolvers<string>();
  socket.setHandler({
    onData: (bytes, start, end) => heard.resolve(Buffer.from(bytes).toString("latin1", start, end)),
    onDrain() {},
    onEnd() {},
    onClose() {},
  });
  ends.client.write("late");
  assert.equal(await heard.promise, "late");
});

test("[R02] the preface of HTTP/2 is known, whatever follows", () => {
  assert.equal(of("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), "http2");
  assert.equal(of("PRI * HTTP/2.0 garbage"), "http2");
});

test("[R03] a request line is known from 14 bytes on, whole or begun", () => {
  assert.equal(of("GET / HTTP/1."), "not_http");
  assert.equal(of("GET / HTTP/1.1\r\n"), "http1");
  const whole = "POST /foo HTTP/1.1\r\nhost: example.com\r\naccept: */*\r\n\r\n";
  for (let end = 14; end <= whole.length; end++) assert.equal(of(whole.slice(0, end)), "http1");
});

test("[R04] text that is no HTTP is told so, and its bytes are still to be read", async () => {
  const text = "EHLO mail.example.com, is anybody there?\r\n";
  await using ends = await pair();
  ends.client.write(text);
  const { value, socket } = await detectHttp(ends.server, 5_000);
  assert.equal(value, "not_http");
  const heard = Promise.withResolvers<string>();
  socket.setHandler({
    onData: (bytes, start, end) => heard.resolve(Buffer.from(bytes).toString("latin1", start, end)),
    onDrain() {},
    onEnd() {},
    onClose() {},
  });
  assert.equal(await heard.promise, text);
});

test("[R05] a client that ends before it said anything is an error", async () => {
  await using ends = await pair();
  ends.client.end();
  await assert.rejects(detectHttp(ends.server, 5_000), { code: "connection_closed" });
});
