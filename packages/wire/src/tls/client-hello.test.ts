import assert from "node:assert/strict";
import { test } from "node:test";
import { seededInt, seededRandom } from "@heddle/testkit/seeded-random";
import { MAX_HELLO_BYTES, readClientHello } from "./client-hello.ts";

test("readClientHello() finds the server name, in lower case", () => {
  const verdict = readClientHello(hello([sni("Web.NS.svc")]));
  assert.deepEqual(verdict, { kind: "sni", serverName: "web.ns.svc" });
});

test("[R08] text is no TLS, and every prefix of a hello is incomplete until it is not", () => {
  assert.equal(readClientHello(Buffer.from("GET / HTTP/1.1\r\n")).kind, "not-tls");
  assert.equal(readClientHello(Buffer.from("G")).kind, "not-tls");
  const whole = hello([
    extension(43, [2, 3, 4]),
    sni("foo.bar"),
    extension(51, new Array(1200).fill(7)),
  ]);
  for (const bytes of [whole, splitRecords(whole, 100), splitRecords(whole, 50)]) {
    let isDecided = false;
    for (let length = 0; length <= bytes.length; length++) {
      const { kind } = readClientHello(bytes.subarray(0, length));
      if (isDecided || kind !== "incomplete") isDecided = true;
      assert.equal(kind, isDecided ? "sni" : "incomplete", `after ${length} bytes`);
    }
    assert.ok(isDecided);
  }
});

test("what follows the hello changes nothing", () => {
  for (const bytes of [hello([sni("foo.bar")]), splitRecords(hello([sni("foo.bar")]), 20)]) {
    // A change_cipher_spec, for example, or data that did not wait for the server.
    const more = Buffer.concat([bytes, Buffer.of(20, 3, 3, 0, 1, 1, 23, 3, 3)]);
    assert.equal(readClientHello(more).kind, "sni");
  }
});

test("a hello without a usable name is a hello all the same", () => {
  const extensions = [
    [],
    [extension(43, [2, 3, 4])],
    [sni("")],
    [sni("a b")],
    [sni("a\0b")],
    [sni("x.")],
  ];
  for (const list of extensions) assert.equal(readClientHello(hello(list)).kind, "no-sni");
  assert.equal(readClientHello(hello([sni("a".repeat(254))])).kind, "no-sni");
  const twoNames = extension(0, [0, 8, 0, 0, 1, 97, 0, 0, 1, 98]);
  assert.equal(readClientHello(hello([twoNames])).kind, "no-sni");
  const noExtensions = hello([]).subarray(0, -2);
  noExtensions.writeUInt16BE(noExtensions.length - 5, 3);
  noExtensions.writeUIntBE(noExtensions.length - 9, 6, 3);
  assert.equal(readClientHello(noExtensions).kind, "no-sni");
});

test("what only looks like a hello at first is no TLS", () => {
  const good = hello([sni("foo.bar")]);
  const broken: readonly (readonly [offset: number, value: number])[] = [
    [0, 23],
    [1, 2],
    [2, 2],
    [2, 4],
    [3, 0x20], // a record of more than 8192 bytes
    [5, 2],
    [9, 2],
    [10, 1],
    [43, 33], // a session id that reaches into the rest
  ];
  for (const [offset, value] of broken) {
    const bytes = Buffer.from(good);
    bytes[offset] = value;
    const { kind } = readClientHello(bytes);
    if (offset === 43) assert.ok(kind !== "sni", `${offset}`);
    else assert.equal(kind, "not-tls", `${offset}`);
  }
  assert.equal(readClientHello(Buffer.of(22, 3, 1, 0, 0)).kind, "not-tls", "an empty record");
});

test("random and mutated bytes never throw, and never take long", () => {
  const random = seededRandom(8);
  const good = hello([extension(43, [2, 3, 4]), sni("foo.bar")]);
  for (let round = 0; round < 20_000; round++) {
    const bytes = Buffer.from(good);
    for (let count = seededInt(random, 4); count >= 0; count--) {
      bytes[seededInt(random, bytes.length)] = seededInt(random, 256);
    }
    readClientHello(bytes.subarray(0, seededInt(random, bytes.length + 1)));
  }
  const single = splitRecords(hello([sni("foo.bar")]), 1);
  assert.equal(readClientHello(single).kind, "not-tls", "single bytes in records of their own");
  const many = Array.from({ length: 1_900 }, () => extension(9, []));
  assert.equal(readClientHello(hello(many).subarray(0, MAX_HELLO_BYTES)).kind, "no-sni");
});

function hello(extensions: readonly number[][]): Buffer {
  const list = extensions.flat();
  const body = [3, 3, ...new Array<number>(32).fill(9), 32, ...new Array<number>(32).fill(8)];
  body.push(0, 6, 0x13, 1, 0x13, 2, 0x13, 3, 1, 0, list.length >> 8, list.length & 0xff, ...list);
  const message = [1, 0, body.length >> 8, body.length & 0xff, ...body];
  return Buffer.from([22, 3, 1, message.length >> 8, message.length & 0xff, ...message]);
}

function extension(type: number, content: readonly number[]): number[] {
  return [type >> 8, type & 0xff, content.length >> 8, content.length & 0xff, ...content];
}

function sni(name: string): number[] {
  const { length } = name;
  const bytes = [...Buffer.from(name, "latin1")];
  return extension(0, [0, length + 3, 0, length >> 8, length & 0xff, ...bytes]);
}

/** The same message in records of `size` bytes. */
function splitRecords(record: Buffer, size: number): Buffer {
  const out: Buffer[] = [];
  for (let at = 5; at < record.length; at += size) {
    const part = record.subarray(at, at + size);
    out.push(Buffer.from([22, 3, 1, part.length >> 8, part.length & 0xff]), part);
  }
  return Buffer.concat(out);
}
