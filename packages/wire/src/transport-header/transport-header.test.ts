import assert from "node:assert/strict";
import { test } from "node:test";
import { seededInt, seededRandom } from "@heddle/testkit/seeded-random";
import { type TransportEndpoint, transportTarget } from "./target.ts";
import {
  decodeTransportHeader,
  encodeTransportHeader,
  type TransportHeader,
} from "./transport-header.ts";

const HEADERS: readonly TransportHeader[] = [
  { port: 1, name: undefined, protocol: undefined },
  { port: 65_535, name: undefined, protocol: "http1" },
  { port: 4143, name: "web.ns.svc.cluster.local", protocol: "http2" },
  { port: 8080, name: "web.ns.svc.cluster.local.", protocol: undefined },
];

test("a header is read back, and bytes behind it are left alone", () => {
  for (const header of HEADERS) {
    const bytes = Buffer.concat([encodeTransportHeader(header), Buffer.from("rest")]);
    const end = bytes.length - 4;
    assert.deepEqual(decodeTransportHeader(bytes), { kind: "header", header, end });
  }
});

test("the bytes are those of the protocol's own encoder", () => {
  const header = { port: 4321, name: "a.b", protocol: "http1" } as const;
  const preface = Buffer.from("transport.l5d.io/v1\r\n\r\n").toString("hex");
  // 08 e1 21: port; 12 03 61 2e 62: name; 1a 02 0a 00: http1.
  const message = "08e1211203612e621a020a00";
  const expected = `${preface}0000000c${message}`;
  assert.equal(Buffer.from(encodeTransportHeader(header)).toString("hex"), expected);
});

test("every prefix is incomplete until the last byte", () => {
  const bytes = encodeTransportHeader(HEADERS[2]!);
  for (let length = 0; length < bytes.length; length++) {
    assert.equal(decodeTransportHeader(bytes.subarray(0, length)).kind, "incomplete");
  }
});

test("unknown fields are skipped, the last of a field counts", () => {
  const message = [0x08, 1, 0x20, 0xff, 0xff, 0x03, 0x2a, 2, 9, 9, 0x31, ...new Array(8).fill(0)];
  message.push(0x3d, 0, 0, 0, 0, 0x08, 80, 0x1a, 2, 0x0a, 0, 0x1a, 2, 0x12, 0);
  const verdict = decodeTransportHeader(framed(message));
  assert.ok(verdict.kind === "header");
  assert.deepEqual(verdict.header, { port: 80, name: undefined, protocol: "http2" });
});

const REFUSED: readonly (readonly [why: string, message: readonly number[]])[] = [
  ["no port", []],
  ["port 0", [0x08, 0]],
  ["port 65536", [0x08, 0x80, 0x80, 0x04]],
  ["a negative port", [0x08, ...new Array(9).fill(0xff), 1]],
  ["a number that never ends", [0x08, ...new Array(11).fill(0xff)]],
  ["a number cut off", [0x08, 0x80]],
  ["a name cut off", [0x08, 80, 0x12, 5, 97]],
  ["a name with a zero byte", [0x08, 80, 0x12, 3, 97, 0, 98]],
  ["a name that is an address", [0x08, 80, 0x12, 7, ...Buffer.from("1.2.3.4")]],
  ["a group", [0x08, 80, 0x23]],
  ["a field without a number", [0x08, 80, 0x02, 0]],
];

test("malformed headers are refused, and so are those that are too long", () => {
  for (const [why, message] of REFUSED) {
    assert.throws(
      () => decodeTransportHeader(framed(message)),
      { code: "bad_transport_header" },
      why,
    );
  }
  const long = framed([0x08, 80]);
  long.writeUInt32BE(65_536, 23);
  assert.throws(() => decodeTransportHeader(long), { code: "bad_transport_header" });
});

test("random messages are read or refused", () => {
  const random = seededRandom(3);
  for (let round = 0; round < 20_000; round++) {
    const message = Array.from({ length: seededInt(random, 12) }, () => seededInt(random, 256));
    try {
      decodeTransportHeader(framed(message));
    } catch (error) {
      assert.equal((error as { code?: string }).code, "bad_transport_header");
    }
  }
});

test("transportTarget() decides port and header by what the endpoint is", () => {
  const plain = { port: 80, isMeshed: true, inboundPort: undefined, authority: undefined };
  const endpoint: TransportEndpoint = { ...plain, protocol: "http2" };
  const rows: readonly (readonly [
    Partial<TransportEndpoint>,
    number,
    TransportHeader | undefined,
  ])[] = [
    [{}, 80, undefined],
    [{ isMeshed: false, inboundPort: 4143, authority: "a.b:1" }, 80, undefined],
    [{ inboundPort: 4143 }, 4143, { port: 80, name: undefined, protocol: "http2" }],
    [{ authority: "a.b:1" }, 80, { port: 1, name: "a.b", protocol: "http2" }],
    [{ authority: "a.b" }, 80, { port: 80, name: "a.b", protocol: "http2" }],
    [
      { authority: "a.b:1", inboundPort: 4143, protocol: undefined },
      4143,
      { port: 1, name: "a.b", protocol: undefined },
    ],
  ];
  for (const [changes, port, header] of rows) {
    assert.deepEqual(transportTarget({ ...endpoint, ...changes }), { port, header });
  }
});

function framed(message: readonly number[]): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(message.length);
  return Buffer.concat([Buffer.from("transport.l5d.io/v1\r\n\r\n"), length, Buffer.from(message)]);
}
