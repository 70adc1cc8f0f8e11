import assert from "node:assert/strict";
import { once } from "node:events";
import net from "node:net";
import { before, test } from "node:test";
import tls from "node:tls";
import type { MeshError } from "@heddle/base/errors";
import { type LeafOptions, TestCa } from "@heddle/testkit/ca";
import { dialMesh, MeshServer, newCredentials } from "@heddle/testkit/mesh-ends";
import { SocketRecorder } from "@heddle/testkit/socket-recorder";
import { joinSockets, Mirror, sendAndCompare } from "@heddle/testkit/streams";
import { clientIdentity, parseLeaf } from "@heddle/wire/x509/leaf";
import { dial } from "./dialer.ts";
import { startListener } from "./listener.ts";
import { Credentials } from "./tls-credentials.ts";
import type { Socket } from "./transport.ts";

const FOO = "foo.ns1.serviceaccount.identity.linkerd.cluster.local";
const BAR = "bar.ns1.serviceaccount.identity.linkerd.cluster.local";
const SPIFFE = "spiffe://root.linkerd.cluster.local/ns/x/external/w";

let ca: TestCa;
let other: TestCa;
let foo: Credentials;
let bar: Credentials;

before(async () => {
  [ca, other] = [await TestCa.root(), await TestCa.root("other.test")];
  foo = await newCredentials(ca, { sans: [{ dns: FOO }] });
  bar = await newCredentials(ca, { sans: [{ dns: BAR }] });
});

test("[E08] [E12] two identities shake hands, see each other, and data flows both ways", async () => {
  await using server = await MeshServer.start({ credentials: foo, serverName: FOO });
  const [near, far] = await connect(server, bar, FOO);
  assert.equal(identityOf(far), BAR);
  assert.equal(identityOf(near), FOO);
  assert.deepEqual(
    [far.tls?.serverName, far.tls?.alpn, far.tls?.isAuthorized],
    [FOO, undefined, true],
  );
  const [atNear, atFar] = [new SocketRecorder(near), new SocketRecorder(far)];
  atNear.send("ping");
  await atFar.received(4);
  atFar.send("pong");
  assert.equal((await atNear.received(4)).toString(), "pong");
  near.end();
  await atFar.ended;
  atFar.send(" after close_notify");
  far.end();
  assert.equal(await atNear.closed, undefined);
  assert.equal(await atFar.closed, undefined);
  assert.equal(atNear.text, "pong after close_notify");
});

test("[E09] a server from another authority is refused, and so is a client", async () => {
  const stranger = await newCredentials(other, { sans: [{ dns: FOO }] });
  await using server = await MeshServer.start({ credentials: stranger, serverName: FOO });
  await assert.rejects(dialMesh(server, bar, FOO), hasCode("tls_untrusted", "server"));

  await using honest = await MeshServer.start({ credentials: foo, serverName: FOO });
  const { chainPem, keyPem } = await other.leaf({ sans: [{ dns: BAR }] });
  const liar = new Credentials({ anchors: ca.pem, certificate: chainPem, privateKey: keyPem });
  const near = new SocketRecorder(await dialMesh(honest, liar, FOO));
  const arrival = await honest.next();
  assert.ok(hasCode("tls_untrusted", "client")(arrival.error));
  await turnedAway(near);
});

test("[E10] a certificate for another identity does not match", async () => {
  await using server = await MeshServer.start({ credentials: foo, serverName: FOO });
  await assert.rejects(dialMesh(server, bar, FOO, BAR), (error: MeshError) => {
    assert.match(error.message, /certificate does not match TLS identity/);
    return hasCode("identity_mismatch", "server")(error);
  });
});

test("[E11] plaintext to a server that does TLS passes as plaintext", async () => {
  await using server = await MeshServer.start({ credentials: foo, serverName: FOO });
  const near = new SocketRecorder(await dial({ address: server.address, timeoutMs: 5_000 }));
  near.send("GET / HTTP/1.1\r\n\r\n");
  const { kind, socket } = await server.next();
  const far = new SocketRecorder(socket!);
  await far.received(18);
  assert.equal(kind, "none");
  assert.equal(far.text, "GET / HTTP/1.1\r\n\r\n");
  assert.deepEqual([near.socket.tls, socket!.tls], [undefined, undefined]);
  far.send("yes");
  assert.equal((await near.received(3)).toString(), "yes");
  socket!.destroy();
  await near.ended;
  near.socket.destroy();
});

test("[E13] TLS for another name passes through untouched, and its client fails", async () => {
  await using server = await MeshServer.start({ credentials: foo, serverName: FOO });
  const dialing = dialMesh(server, bar, BAR);
  dialing.catch(() => {});
  const { kind, socket } = await server.next();
  const far = new SocketRecorder(socket!);
  const hello = await far.received(6);
  assert.equal(kind, "passthru");
  assert.deepEqual([hello[0], hello[1], hello[5]], [0x16, 3, 1]);
  far.send("no TLS at all");
  socket!.end();
  await assert.rejects(dialing, hasCode("tls_handshake", "server"));
  await far.closed;
});

test("[E14] new credentials serve new handshakes in both roles, and ALPN stays", async () => {
  const first = await ca.leaf({ sans: [{ dns: FOO }] });
  const own = new Credentials(material(first));
  const alpn = ["transport.l5d.io/v1"];
  await using server = await MeshServer.start({ credentials: own, serverName: FOO, alpn });
  const before = await connect(server, bar, FOO, alpn);
  const second = await ca.leaf({ sans: [{ dns: FOO }] });
  own.set(material(second));
  const after = await connect(server, bar, FOO, alpn);
  assert.deepEqual(Buffer.from(before[0].tls!.peerLeaf!), Buffer.from(first.der));
  assert.deepEqual(Buffer.from(after[0].tls!.peerLeaf!), Buffer.from(second.der));
  assert.deepEqual(
    [before[0].tls?.alpn, after[0].tls?.alpn, after[1].tls?.alpn],
    [alpn[0], alpn[0], alpn[0]],
  );

  await using peer = await MeshServer.start({ credentials: bar, serverName: BAR });
  const [, far] = await connect(peer, own, BAR);
  assert.deepEqual(Buffer.from(far.tls!.peerLeaf!), Buffer.from(second.der));
  for (const socket of [...before, ...after, far]) socket.destroy();
});

test("new anchors serve new handshakes too, and bad material leaves the old", async () => {
  const own = new Credentials(material(await ca.leaf({ sans: [{ dns: FOO }] })));
  const stranger = new Credentials(material(await other.leaf({ sans: [{ dns: BAR }] }), ca.pem));
  await using server = await MeshServer.start({ credentials: own, serverName: FOO });
  const refused = new SocketRecorder(await dialMesh(server, stranger, FOO));
  assert.equal((await server.next()).error?.code, "tls_untrusted");
  await turnedAway(refused);
  assert.throws(() => own.set({ anchors: "rubbish" }), hasCode("bad_credentials", "self"));
  own.set({ ...own.material, anchors: ca.pem + other.pem });
  const [near, far] = await connect(server, stranger, FOO);
  assert.equal(identityOf(far), BAR);
  near.destroy();
  far.destroy();
});

const MATCHING: readonly (readonly [title: string, sans: LeafOptions["sans"], id: string])[] = [
  ["[E15] a DNS id matches a DNS SAN", [{ dns: FOO }], FOO],
  ["[E16] a SPIFFE id matches a URI SAN", [{ uri: SPIFFE }], SPIFFE],
  ["[E19] any of several SANs suffices", [{ dns: BAR }, { uri: SPIFFE }, { dns: FOO }], FOO],
  ["a DNS SAN is compared without case", [{ dns: FOO.toUpperCase() }], FOO],
];

for (const [title, sans, id] of MATCHING) {
  test(title, async () => {
    const credentials = await newCredentials(ca, { sans: sans ?? [] });
    await using server = await MeshServer.start({ credentials, serverName: FOO });
    const socket = await dialMesh(server, bar, FOO, id);
    socket.destroy();
  });
}

const MISMATCHING: typeof MATCHING = [
  ["[E17] a DNS id does not match another DNS SAN", [{ dns: BAR }], FOO],
  ["[E17] a SPIFFE id does not match another URI SAN", [{ uri: `${SPIFFE}2` }], SPIFFE],
  ["[E17] a SPIFFE id does not match a longer path", [{ uri: `${SPIFFE}/` }], SPIFFE],
  ["[E17] a wildcard matches nothing", [{ dns: "*.ns1.serviceaccount.identity.linkerd" }], FOO],
  ["[E18] a certificate without SAN never verifies, whatever its CN", undefined, FOO],
  ["[E20] none of several SANs", [{ dns: BAR }, { uri: SPIFFE }, { dns: `x.${FOO}` }], FOO],
];

for (const [title, sans, id] of MISMATCHING) {
  test(title, async () => {
    const names = sans === undefined ? { commonName: "foo" } : { sans };
    const credentials = await newCredentials(ca, names);
    await using server = await MeshServer.start({ credentials, serverName: FOO });
    const code = hasCode("identity_mismatch", "server");
    await assert.rejects(dialMesh(server, bar, FOO, id), code);
  });
}

const CLIENTS: readonly (readonly [LeafOptions["sans"], string | undefined])[] = [
  [[{ uri: SPIFFE }, { dns: BAR }, { dns: FOO }], SPIFFE],
  [[{ dns: BAR }, { dns: FOO }, { uri: SPIFFE }], BAR],
  [[{ email: "a@b.test" }, { dns: BAR }], BAR],
  [[{ dns: `${BAR}.` }], undefined],
  [[{ dns: `${BAR}.` }, { uri: SPIFFE }], SPIFFE],
  [[{ email: "a@b.test" }], undefined],
];

test("[E21] a client is who its first DNS or URI SAN says", async () => {
  await using server = await MeshServer.start({ credentials: foo, serverName: FOO });
  for (const [sans, expected] of CLIENTS) {
    const credentials = await newCredentials(ca, { sans: sans ?? [] });
    const [near, far] = await connect(server, credentials, FOO);
    assert.equal(identityOf(far), expected, JSON.stringify(sans));
    near.destroy();
    far.destroy();
  }
});

test("a client without a certificate is let in as nobody", async () => {
  await using server = await MeshServer.start({ credentials: foo, serverName: FOO });
  const [near, far] = await connect(server, new Credentials({ anchors: ca.pem }), FOO);
  assert.deepEqual([far.tls?.peerLeaf, far.tls?.isAuthorized], [undefined, false]);
  near.destroy();
  far.destroy();
});

test("expired and not yet valid certificates are refused in both roles", async () => {
  const hour = 3_600_000;
  const past = {
    notBefore: new Date(Date.now() - 2 * hour),
    notAfter: new Date(Date.now() - hour),
  };
  const coming = { notBefore: new Date(Date.now() + hour) };
  for (const validity of [past, coming]) {
    const bad = await newCredentials(ca, { sans: [{ dns: FOO }], ...validity });
    await using server = await MeshServer.start({ credentials: bad, serverName: FOO });
    await assert.rejects(dialMesh(server, bar, FOO), hasCode("tls_untrusted", "server"));
    await using honest = await MeshServer.start({ credentials: bar, serverName: BAR });
    const near = new SocketRecorder(await dialMesh(honest, bad, BAR));
    assert.ok(hasCode("tls_untrusted", "client")((await honest.next()).error));
    await turnedAway(near);
  }
});

test("a leaf for one purpose only is refused in the other role; without EKU it is for both", async () => {
  const serverOnly = await newCredentials(ca, { sans: [{ dns: FOO }], purposes: ["server"] });
  const clientOnly = await newCredentials(ca, { sans: [{ dns: FOO }], purposes: ["client"] });
  const anything = await newCredentials(ca, { sans: [{ dns: FOO }], purposes: [] });
  await using honest = await MeshServer.start({ credentials: bar, serverName: BAR });
  const near = new SocketRecorder(await dialMesh(honest, serverOnly, BAR));
  assert.equal((await honest.next()).error?.side, "client");
  await turnedAway(near);
  await using wrong = await MeshServer.start({ credentials: clientOnly, serverName: FOO });
  await assert.rejects(dialMesh(wrong, bar, FOO), (error: MeshError) => error.side === "server");
  await using both = await MeshServer.start({ credentials: anything, serverName: FOO });
  for (const socket of await connect(both, anything, FOO)) socket.destroy();
});

test("leaves of P-384 and Ed25519 and chains with an intermediate work in both roles", async () => {
  const issuer = await ca.intermediate();
  const leaves = [
    await newCredentials(ca, { sans: [{ dns: FOO }], keyType: "ec-p384" }),
    await newCredentials(ca, { sans: [{ dns: FOO }], keyType: "ed25519" }),
    new Credentials(material(await issuer.leaf({ sans: [{ dns: FOO }] }))),
  ];
  for (const credentials of leaves) {
    await using server = await MeshServer.start({ credentials, serverName: FOO });
    for (const socket of await connect(server, credentials, FOO)) socket.destroy();
  }
});

test("an intermediate may be the anchor itself", async () => {
  const issuer = await ca.intermediate();
  const credentials = new Credentials(
    material(await issuer.leaf({ sans: [{ dns: FOO }] }), issuer.pem),
  );
  await using server = await MeshServer.start({ credentials, serverName: FOO });
  for (const socket of await connect(server, credentials, FOO)) socket.destroy();
});

test("an RSA leaf cannot shake hands", async () => {
  const credentials = await newCredentials(ca, { sans: [{ dns: FOO }], keyType: "rsa" });
  await using server = await MeshServer.start({ credentials, serverName: FOO });
  await assert.rejects(dialMesh(server, bar, FOO), hasCode("tls_handshake", "server"));
  assert.equal((await server.next()).error?.code, "tls_handshake");
});

test("[E01] a connection that is stuck in detection or handshake delays no other", async () => {
  await using server = await MeshServer.start({ credentials: foo, serverName: FOO });
  const idle = new SocketRecorder(await dial({ address: server.address, timeoutMs: 5_000 }));
  const slow = new SocketRecorder(await dial({ address: server.address, timeoutMs: 5_000 }));
  slow.send("\x16\x03\x01");
  for (const socket of await connect(server, bar, FOO)) socket.destroy();
  for (const recorder of [idle, slow]) {
    recorder.socket.end();
    const { kind, socket } = await server.next();
    assert.equal(kind, "none");
    socket!.destroy();
    await recorder.closed;
  }
});

test("a client that leaves within the handshake fails it at once", async () => {
  await using server = await MeshServer.start({ credentials: foo, serverName: FOO });
  const hello = Buffer.from(await captureHello());
  const near = new SocketRecorder(await dial({ address: server.address, timeoutMs: 5_000 }));
  near.socket.write(hello, 0, hello.length);
  near.socket.end();
  assert.equal((await server.next()).error?.code, "tls_handshake");
  await leaves(near);
});

test("detection that takes too long closes the connection", async () => {
  const options = { credentials: foo, serverName: FOO, detectTimeoutMs: 20 };
  await using server = await MeshServer.start(options);
  const near = new SocketRecorder(await dial({ address: server.address, timeoutMs: 5_000 }));
  assert.equal((await server.next()).error?.code, "tls_detect_timeout");
  await near.ended;
  near.socket.destroy();
});

test("a handshake may arrive byte by byte, and its hello split over many records", async () => {
  await using server = await MeshServer.start({ credentials: foo, serverName: FOO });
  const splitter = await startListener({ at: { ip: "127.0.0.1", port: 0 } }, (client) => {
    void dial({ address: server.address, timeoutMs: 5_000 }).then((upstream) => {
      upstream.setHandler({
        onData: (bytes, start, end) => void client.writeLent(bytes, start, end),
        onDrain: () => {},
        onEnd: () => client.end(),
        onClose: () => client.destroy(),
      });
      client.setHandler({
        onData: (bytes, start, end) => {
          for (const part of splitHello(Buffer.from(bytes.subarray(start, end)))) {
            upstream.write(part, 0, part.length);
          }
        },
        onDrain: () => {},
        onEnd: () => upstream.end(),
        onClose: () => upstream.destroy(),
      });
    });
  });
  const client = { credentials: bar, serverName: FOO, serverId: FOO };
  const near = await dial({ address: splitter.address, timeoutMs: 5_000, tls: client });
  const far = (await server.next()).socket!;
  assert.equal(identityOf(far), BAR);
  const [atNear, atFar] = [new SocketRecorder(near), new SocketRecorder(far)];
  atNear.send("x".repeat(3_000));
  await atFar.received(3_000);
  far.destroy();
  await atNear.ended;
  near.destroy();
  await splitter.close();
});

test("10 MiB go each way at once over TLS, with backpressure, through a relay on both sides", async () => {
  await using server = await MeshServer.start({ credentials: foo, serverName: FOO });
  const app = await startListener({ at: { ip: "127.0.0.1", port: 0 } }, (socket) => {
    socket.setHandler(new Mirror(socket));
  });
  // As a pair of proxies: plain in, TLS between, plain out.
  const outbound = await startListener({ at: { ip: "127.0.0.1", port: 0 } }, (socket) => {
    void dialMesh(server, bar, FOO).then((secure) => joinSockets(socket, secure));
  });
  const socket = await dial({ address: outbound.address, timeoutMs: 5_000 });
  const sending = sendAndCompare(socket, 10 * 1024 * 1024);
  const far = (await server.next()).socket!;
  joinSockets(far, await dial({ address: app.address, timeoutMs: 5_000 }));
  await sending;
  await outbound.close();
  await app.close();
});

test("writes of all sizes in one turn keep their order over TLS", async () => {
  await using server = await MeshServer.start({ credentials: foo, serverName: FOO });
  const [near, far] = await connect(server, bar, FOO);
  far.setHandler(new Mirror(far));
  await sendAndCompare(near, 3 * 1024 * 1024);
});

test("a server that encrypts little at a time sends the same bytes, and its end after them", async () => {
  await using server = await MeshServer.start({
    credentials: foo,
    serverName: FOO,
    maxTlsWriteBytes: 1_000,
  });
  const [near, far] = await connect(server, bar, FOO);
  far.setHandler(new Mirror(far));
  await sendAndCompare(near, 1024 * 1024);
  const [reader, writer] = await connect(server, bar, FOO);
  const got = collect(reader);
  const sent = Buffer.from(Array.from({ length: 100_001 }, (_, i) => i % 251));
  const lent = Buffer.from(sent);
  writer.setHandler({ onData: () => {}, onDrain: () => {}, onEnd: () => {}, onClose: () => {} });
  assert.equal(writer.writeLent(lent, 0, lent.length), false);
  lent.fill(0);
  writer.end();
  assert.deepEqual(await got, sent);
  reader.destroy();
  writer.destroy();
});

/** All that comes until the peer's end. */
function collect(socket: Socket): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    socket.setHandler({
      onData: (bytes, start, end) => void chunks.push(Buffer.from(bytes.subarray(start, end))),
      onDrain: () => {},
      onEnd: () => resolve(Buffer.concat(chunks)),
      onClose: (error) => reject(error ?? new Error("closed before its end")),
    });
  });
}

test("node:tls as the client, of TLS 1.3 only, is served; of TLS 1.2 it is refused", async () => {
  await using server = await MeshServer.start({ credentials: foo, serverName: FOO });
  const { port } = server.address;
  const { certificate, privateKey } = bar.material;
  const options = { port, host: "127.0.0.1", ca: ca.pem, servername: FOO };
  const modern = tls.connect({ ...options, cert: certificate!, key: privateKey! });
  await once(modern, "secureConnect");
  assert.deepEqual([modern.authorized, modern.getProtocol()], [true, "TLSv1.3"]);
  assert.equal(modern.getCipher().standardName, "TLS_AES_128_GCM_SHA256");
  const far = new SocketRecorder((await server.next()).socket!);
  assert.equal(identityOf(far.socket), BAR);
  modern.end("bye");
  await far.ended;
  assert.equal(far.text, "bye");
  far.socket.end();
  await far.closed;

  const old = tls.connect({ ...options, maxVersion: "TLSv1.2" });
  const [error] = (await once(old, "error")) as [NodeJS.ErrnoException];
  assert.match(String(error.code), /ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION/);
  assert.equal((await server.next()).error?.code, "tls_handshake");
});

test("node:tls as the server sees our certificate; without one of its own it is refused", async () => {
  const { certificate, privateKey } = foo.material;
  const server = tls.createServer({
    ca: ca.pem,
    cert: certificate!,
    key: privateKey!,
    requestCert: true,
    minVersion: "TLSv1.3",
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as net.AddressInfo;
  const secured = once(server, "secureConnection");
  const client = { credentials: bar, serverName: FOO, serverId: FOO };
  const address = { ip: "127.0.0.1", port };
  const near = new SocketRecorder(await dial({ address, timeoutMs: 5_000, tls: client }));
  const [raw] = (await secured) as [tls.TLSSocket];
  assert.deepEqual([raw.authorized, raw.isSessionReused()], [true, false]);
  raw.end("hello");
  await near.ended;
  assert.equal(near.text, "hello");
  near.socket.end();
  await near.closed;
  server.close();
});

test("a server that closes instead of shaking hands, or never answers, is an error with a name", async () => {
  const silent = net.createServer((socket) => {
    socket.on("error", () => {});
  });
  const rude = net.createServer((socket) => {
    socket.destroy();
  });
  for (const [server, code] of [
    [silent, "connect_timeout"],
    [rude, "tls_handshake"],
  ] as const) {
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as net.AddressInfo;
    const client = { credentials: bar, serverName: FOO, serverId: FOO };
    const address = { ip: "127.0.0.1", port };
    const timeoutMs = code === "connect_timeout" ? 50 : 5_000;
    const dialing = dial({ address, timeoutMs, tls: client });
    await assert.rejects(dialing, (error: MeshError) => {
      if (code === "connect_timeout") assert.match(error.message, /connect timed out after 50ms/);
      return error.code === code && error.retryable;
    });
    server.close();
  }
});

async function connect(
  server: MeshServer,
  credentials: Credentials,
  name: string,
  alpn?: readonly string[],
): Promise<[near: Socket, far: Socket]> {
  const near = await dialMesh(server, credentials, name, name, alpn);
  const { socket, error } = await server.next();
  assert.ok(socket !== undefined, error?.message ?? "no socket");
  return [near, socket];
}

/** In TLS 1.3 a client is done before the server judges it; then it sees its connection end. */
async function turnedAway(client: SocketRecorder): Promise<void> {
  await Promise.race([client.ended, client.closed]);
  assert.equal(client.bytes.length, 0);
  client.socket.destroy();
}

/** A server that answers a hello and then sees its client leave may say so by an alert. */
async function leaves(client: SocketRecorder): Promise<void> {
  await Promise.race([client.ended, client.closed]);
  client.socket.destroy();
}

/** What our client says first, asking for FOO. */
async function captureHello(): Promise<Buffer> {
  const { promise, resolve } = Promise.withResolvers<Buffer>();
  const listener = await startListener({ at: { ip: "127.0.0.1", port: 0 } }, (socket) => {
    const recorder = new SocketRecorder(socket);
    void recorder.received(5).then((bytes) => {
      socket.destroy();
      resolve(bytes);
    });
  });
  const client = { credentials: bar, serverName: FOO, serverId: FOO };
  const dialing = dial({ address: listener.address, timeoutMs: 5_000, tls: client });
  await assert.rejects(dialing);
  await listener.close();
  return await promise;
}

function identityOf(socket: Socket): string | undefined {
  return clientIdentity(parseLeaf(socket.tls!.peerLeaf!));
}

function material(
  issued: { readonly chainPem: string; readonly keyPem: string },
  anchors: string = ca.pem,
): Credentials["material"] {
  return { anchors, certificate: issued.chainPem, privateKey: issued.keyPem };
}

function hasCode(code: string, side: MeshError["side"]): (error: unknown) => boolean {
  return (error) => {
    const { code: found, side: whose } = error as MeshError;
    assert.deepEqual([found, whose], [code, side]);
    return true;
  };
}

/** A ClientHello record as records of 200 bytes, these in single bytes; anything else as it is. */
function splitHello(bytes: Buffer): Buffer[] {
  if (bytes[0] !== 0x16 || bytes[5] !== 1) return [bytes];
  const parts: Buffer[] = [];
  const end = 5 + bytes.readUInt16BE(3);
  for (let at = 5; at < end; at += 200) {
    const payload = bytes.subarray(at, Math.min(at + 200, end));
    const record = Buffer.concat([bytes.subarray(0, 5), payload]);
    record.writeUInt16BE(payload.length, 3);
    for (const byte of record) parts.push(Buffer.of(byte));
  }
  return end < bytes.length ? [...parts, bytes.subarray(end)] : parts;
}
