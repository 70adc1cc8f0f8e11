import assert from "node:assert/strict";
import { before, test } from "node:test";
import type { MeshError } from "@heddle/base/errors";
import { TestCa } from "@heddle/testkit/ca";
import { dialMesh, MeshServer, newCredentials } from "@heddle/testkit/mesh-ends";
import { SocketRecorder } from "@heddle/testkit/socket-recorder";
import { type TransportEndpoint, transportTarget } from "@heddle/wire/transport-header/target";
import {
  encodeTransportHeader,
  TRANSPORT_PROTOCOL,
  type TransportHeader,
} from "@heddle/wire/transport-header/transport-header";
import { dial } from "./dialer.ts";
import { startListener } from "./listener.ts";
import type { Credentials } from "./tls-credentials.ts";
import type { Socket } from "./transport.ts";
import { readTransportHeader, writeTransportHeader } from "./transport-header.ts";

const FOO = "foo.ns1.serviceaccount.identity.linkerd.cluster.local";
const NAMED: TransportHeader = { port: 4321, name: "web.ns.svc.cluster.local", protocol: "http2" };

let credentials: Credentials;

before(async () => {
  credentials = await newCredentials(await TestCa.root(), { sans: [{ dns: FOO }] });
});

test("[D03] a header is read off the stream, and the bytes behind it stay", async () => {
  const [near, far] = await plainPair();
  const atNear = new SocketRecorder(near);
  near.write(encodeTransportHeader(NAMED), 0, encodeTransportHeader(NAMED).length);
  atNear.send("application bytes");
  near.end();
  const read = await readTransportHeader(far, 5_000);
  const atFar = new SocketRecorder(read.socket);
  await atFar.ended;
  assert.deepEqual(read.header, NAMED);
  assert.equal(atFar.text, "application bytes");
  far.destroy();
});

test("[D04] a stream without the preface has no header, and all its bytes stay", async () => {
  for (const text of ["GET / HTTP/1.1\r\n\r\n", "transport.l5d.io/v2\r\n\r\n\0\0\0\0", "t!"]) {
    const [near, far] = await plainPair();
    const atNear = new SocketRecorder(near);
    atNear.send(text);
    near.end();
    const read = await readTransportHeader(far, 5_000);
    const atFar = new SocketRecorder(read.socket);
    await atFar.ended;
    assert.equal(read.header, undefined);
    assert.equal(atFar.text, text);
    far.destroy();
  }
});

test("[D05] a header in any pieces is read", async () => {
  const bytes = encodeTransportHeader(NAMED);
  const cuts = [
    [8, 16, 23, 27],
    [1, 2, 24, 26, 30],
    Array.from({ length: bytes.length - 1 }, (_, index) => index + 1),
  ];
  for (const places of cuts) {
    const [near, far] = await plainPair();
    new SocketRecorder(near);
    const reading = readTransportHeader(far, 5_000);
    let start = 0;
    for (const end of [...places, bytes.length]) {
      near.write(bytes, start, end);
      await new Promise((resolve) => setImmediate(resolve));
      start = end;
    }
    assert.deepEqual((await reading).header, NAMED);
    near.destroy();
    far.destroy();
  }
});

test("a header that never comes, is cut off, or is malformed fails the connection", async () => {
  const whole = encodeTransportHeader(NAMED);
  const malformed = encodeTransportHeader({ ...NAMED, port: 0 });
  for (const [bytes, isEnded, code] of [
    [whole.subarray(0, 20), false, "transport_header_timeout"],
    [whole.subarray(0, 40), true, "bad_transport_header"],
    [new Uint8Array(0), true, "bad_transport_header"],
    [malformed, false, "bad_transport_header"],
  ] as const) {
    const [near, far] = await plainPair();
    const atNear = new SocketRecorder(near);
    near.write(bytes, 0, bytes.length);
    if (isEnded) near.end();
    const timeoutMs = code === "transport_header_timeout" ? 20 : 5_000;
    await assert.rejects(
      readTransportHeader(far, timeoutMs),
      (error: MeshError) => error.code === code,
    );
    await Promise.race([atNear.ended, atNear.closed]);
    near.destroy();
  }
});

const NONE = { isMeshed: true, inboundPort: undefined, authority: undefined, protocol: undefined };

test("[D06] an endpoint without override is connected to on its own port, without header", async () => {
  assert.equal(await exchange(NONE, "own"), undefined);
});

test("[D07] with an inbound port, the header names the endpoint's own port and nothing else", async () => {
  const header = await exchange({ ...NONE, inboundPort: "server" }, "inbound");
  assert.deepEqual(header, { port: 8080, name: undefined, protocol: undefined });
});

test("[D08] an authority with a port gives the header its port and its name", async () => {
  const header = await exchange({ ...NONE, authority: "foo.bar.example.com:5555" }, "own");
  assert.deepEqual(header, { port: 5555, name: "foo.bar.example.com", protocol: undefined });
});

test("[D09] an HTTP/1 session is named in the header, with and without a name", async () => {
  const http1 = { ...NONE, protocol: "http1" } as const;
  assert.deepEqual(await exchange({ ...http1, inboundPort: "server" }, "inbound"), {
    port: 8080,
    name: undefined,
    protocol: "http1",
  });
  assert.deepEqual(await exchange({ ...http1, authority: "foo.bar.example.com" }, "own"), {
    port: 8080,
    name: "foo.bar.example.com",
    protocol: "http1",
  });
});

test("a server that does not choose the protocol is sent no header", async () => {
  await using server = await MeshServer.start({ credentials, serverName: FOO });
  const near = await dialMesh(server, credentials, FOO, FOO, [TRANSPORT_PROTOCOL]);
  assert.equal(writeTransportHeader(near, NAMED), false);
  const far = new SocketRecorder((await server.next()).socket!);
  new SocketRecorder(near).send("raw");
  await far.received(3);
  assert.equal(far.text, "raw");
  near.destroy();
  far.socket.destroy();
});

/**
 * Connects as an outbound proxy to an endpoint of port 8080, of which `inboundPort: "server"` stands
 * for the port that the server has. Returns what the server reads.
 */
async function exchange(
  endpoint: Omit<TransportEndpoint, "port" | "inboundPort"> & {
    readonly inboundPort?: "server" | undefined;
  },
  expected: "own" | "inbound",
): Promise<TransportHeader | undefined> {
  const alpn = [TRANSPORT_PROTOCOL];
  await using server = await MeshServer.start({ credentials, serverName: FOO, alpn });
  const inboundPort = endpoint.inboundPort === "server" ? server.address.port : undefined;
  const target = transportTarget({ ...endpoint, port: 8080, inboundPort });
  assert.equal(target.port, expected === "inbound" ? server.address.port : 8080);
  const offer = target.header === undefined ? undefined : alpn;
  // Whichever port it is, this server plays it.
  const near = await dialMesh(server, credentials, FOO, FOO, offer);
  if (target.header !== undefined) assert.ok(writeTransportHeader(near, target.header));
  const atNear = new SocketRecorder(near);
  atNear.send("then the application");
  near.end();
  const arrived = (await server.next()).socket!;
  const read = await readTransportHeader(arrived, 5_000);
  const far = new SocketRecorder(read.socket);
  await far.ended;
  assert.equal(far.text, "then the application");
  read.socket.end();
  await atNear.closed;
  return read.header;
}

async function plainPair(): Promise<[near: Socket, far: Socket]> {
  const { promise, resolve } = Promise.withResolvers<Socket>();
  const listener = await startListener({ at: { ip: "127.0.0.1", port: 0 } }, resolve);
  const near = await dial({ address: listener.address, timeoutMs: 5_000 });
  const far = await promise;
  await listener.close();
  return [near, far];
}
