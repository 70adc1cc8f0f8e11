/** What our ClientHello offers, as its bytes say. A new runtime that changes it is noticed here. */
import assert from "node:assert/strict";
import { once } from "node:events";
import net from "node:net";
import { test } from "node:test";
import { TestCa } from "@heddle/testkit/ca";
import { newCredentials } from "@heddle/testkit/mesh-ends";
import { dial } from "./dialer.ts";

/** Numbers of RFC 8446 and the registries of IANA. */
const SUITES = { aes128: 0x1301, aes256: 0x1302, chacha20: 0x1303 };
const GROUPS = { x25519MlKem768: 0x11ec, x25519: 0x001d, p256: 0x0017, p384: 0x0018 };
const SIGNATURES = {
  ecdsaP256: 0x0403,
  ecdsaP384: 0x0503,
  ecdsaP521: 0x0603,
  ed25519: 0x0807,
  rsaSha256: 0x0401,
  rsaSha384: 0x0501,
  rsaSha512: 0x0601,
};
const VERSION_13 = 0x0304;
/** A signal of OpenSSL's that it knows secure renegotiation; no suite (RFC 5746). */
const RENEGOTIATION = 0x00ff;

interface Offered {
  readonly suites: readonly number[];
  readonly extensions: ReadonlyMap<number, Buffer>;
}

/** The first flight of a client: one record of a handshake (RFC 8446, sections 4.1.2 and 5.1). */
function readClientHello(record: Buffer): Offered {
  assert.deepEqual([record[0], record[5]], [22, 1]);
  let at = 5 + 4 + 2 + 32;
  at += 1 + record[at]!;
  const suitesLength = record.readUInt16BE(at);
  const suites = words(record.subarray(at + 2, at + 2 + suitesLength));
  at += 2 + suitesLength;
  at += 1 + record[at]!;
  const end = at + 2 + record.readUInt16BE(at);
  const extensions = new Map<number, Buffer>();
  for (at += 2; at < end; at += 4 + record.readUInt16BE(at + 2)) {
    const length = record.readUInt16BE(at + 2);
    extensions.set(record.readUInt16BE(at), record.subarray(at + 4, at + 4 + length));
  }
  return { suites, extensions };
}

function words(bytes: Buffer): number[] {
  return Array.from({ length: bytes.length / 2 }, (_, i) => bytes.readUInt16BE(2 * i));
}

/** Connects to a server that only listens, and returns what came first. */
async function firstFlight(): Promise<Buffer> {
  const ca = await TestCa.root();
  const credentials = await newCredentials(ca, { sans: [{ dns: "a.example" }] });
  const server = net.createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as net.AddressInfo;
  const tls = { credentials, serverName: "b.example", serverId: "b.example" };
  const dialled = dial({ address: { ip: "127.0.0.1", port }, timeoutMs: 30_000, tls });
  const [socket] = (await once(server, "connection")) as [net.Socket];
  let flight = Buffer.alloc(0);
  while (flight.length < 5 || flight.length < 5 + flight.readUInt16BE(3)) {
    flight = Buffer.concat([flight, (await once(socket, "data"))[0]]);
  }
  socket.destroy();
  await assert.rejects(dialled);
  server.close();
  return flight;
}

test("[E23] suites, groups and signatures are those of Linkerd's proxies, in our order, and no others", async () => {
  const { suites, extensions } = readClientHello(await firstFlight());
  assert.deepEqual(
    suites.filter((suite) => suite !== RENEGOTIATION),
    [SUITES.aes128, SUITES.aes256, SUITES.chacha20],
  );
  const list = (extension: number): number[] => words(extensions.get(extension)!.subarray(2));
  assert.deepEqual(list(10), Object.values(GROUPS));
  assert.deepEqual(list(13), Object.values(SIGNATURES));
  assert.deepEqual(words(extensions.get(43)!.subarray(1)), [VERSION_13]);
  assert.equal(extensions.has(35), false, "session tickets are not asked for");
});
