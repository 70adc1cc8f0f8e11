import assert from "node:assert/strict";
import { test } from "node:test";
import { seededInt, seededRandom } from "@heddle/testkit/seeded-random";
import { HeaderMap } from "../http/headers.ts";
import { OutBuffer, SlabPool } from "../out-buffer.ts";
import { FieldLines } from "./field-lines.ts";
import { Body, HAS_CLOSE, HAS_DATE, HAS_HOST, HAS_LENGTH, HeadWriter } from "./head-writer.ts";
import { stripHopByHop } from "./hop-by-hop.ts";

function text(out: OutBuffer): string {
  return out.bytes.toString("latin1", 0, out.end);
}

test("OutBuffer grows, and gives what it took back to the pool", () => {
  const slabs = new SlabPool();
  const out = new OutBuffer(slabs);
  const random = seededRandom(2);
  let expected = "";
  for (let i = 0; i < 400; i++) {
    const piece = "abcdefghij".repeat(seededInt(random, 40));
    if (random() < 0.5) out.latin1(piece);
    else out.append(Buffer.from(`.${piece}.`), 1, piece.length + 1);
    expected += piece;
  }
  assert.equal(text(out), expected);
  out.take();
  out.latin1("x");
  const slab = out.take();
  slabs.give(slab);
  assert.equal(slabs.take(), slab);
});

test("OutBuffer writes digits of numbers from 0 to over 2^32", () => {
  for (const value of [
    0, 1, 9, 10, 15, 16, 255, 4096, 65_535, 4_294_967_296, 999_999_999_999_999,
  ]) {
    for (const radix of [10, 16] as const) {
      const out = new OutBuffer(new SlabPool());
      out.digits(value, radix);
      assert.equal(text(out), value.toString(radix));
    }
  }
});

test("FieldLines writes every field right, however often it comes", () => {
  const lines = new FieldLines();
  const random = seededRandom(9);
  for (let round = 0; round < 30_000; round++) {
    const out = new OutBuffer(new SlabPool());
    const name = `x-${seededInt(random, 30)}`;
    const value = `${"v\xe4".repeat(seededInt(random, 5))}${seededInt(random, 50)}`;
    lines.write(out, name, value);
    assert.equal(text(out), `${name}: ${value}\r\n`);
  }
});

test("FieldLines refuses what is no token or breaks out of its line, and writes nothing of it", () => {
  const lines = new FieldLines();
  const out = new OutBuffer(new SlabPool());
  const long = "x".repeat(40);
  const badNames = [
    "",
    "\0",
    "a\0b",
    "A",
    "a b",
    "a:",
    "\xe4",
    "\u0161",
    `${long}\u0161`,
    `${long}\0`,
  ];
  const badValues = [
    "\0",
    "a\r\nb",
    "\n",
    "\x7f",
    "\u0141",
    `${long}\u0141`,
    `${long}\r`,
    `\u010a${long}`,
  ];
  for (const name of badNames) {
    assert.throws(() => lines.write(out, name, "v"), { code: "http1_unwritable" }, name);
  }
  for (const value of badValues) {
    assert.throws(() => lines.write(out, "n", value), { code: "http1_unwritable" }, value);
  }
  assert.equal(out.end, 0);
});

test("HeadWriter writes a status line for every status, and the version asked for", () => {
  const writer = new HeadWriter();
  const line = (status: number, minor: 0 | 1): string => {
    const out = new OutBuffer(new SlabPool());
    writer.statusLine(out, status, minor);
    return text(out);
  };
  assert.equal(line(200, 1), "HTTP/1.1 200 OK\r\n");
  assert.equal(line(404, 0), "HTTP/1.0 404 Not Found\r\n");
  assert.equal(line(200, 1), "HTTP/1.1 200 OK\r\n");
  assert.equal(line(299, 1), "HTTP/1.1 299 \r\n");
  assert.equal(line(999, 0), "HTTP/1.0 999 \r\n");
});

test("fields() leaves out what frames this hop, and tells what it met", () => {
  const writer = new HeadWriter();
  const headers = HeaderMap.of({
    host: "a",
    date: "d",
    connection: "x, close",
    "keep-alive": "5",
    "proxy-connection": "keep-alive",
    upgrade: "u",
    "transfer-encoding": "chunked",
    "content-length": "007",
    "x-a": "b",
  });
  const write = (body: number, isUpgrade = false): [string, number] => {
    const out = new OutBuffer(new SlabPool());
    const met = writer.fields(out, headers, body, isUpgrade);
    return [text(out), met];
  };
  const all = HAS_HOST | HAS_DATE | HAS_CLOSE;
  assert.deepEqual(write(7), [
    "host: a\r\ndate: d\r\ncontent-length: 7\r\nx-a: b\r\n",
    all | HAS_LENGTH,
  ]);
  assert.deepEqual(write(Body.CHUNKED)[0], "host: a\r\ndate: d\r\nx-a: b\r\n");
  assert.deepEqual(
    write(Body.AS_DECLARED)[0],
    "host: a\r\ndate: d\r\ncontent-length: 007\r\nx-a: b\r\n",
  );
  assert.match(write(Body.UNDECLARED, true)[0], /connection: x, close\r\n.*upgrade: u\r\n/s);
});

test("stripHopByHop() takes named fields away, but none that frame or route", () => {
  const headers = HeaderMap.of({
    host: "a",
    "x-named": "1",
    "content-length": "5",
    connection: "X-Named, host, content-length , ,close",
    "keep-alive": "5",
    "proxy-connection": "x",
    "x-kept": "2",
  });
  headers.append("connection", "x-second");
  headers.append("x-second", "3");
  stripHopByHop(headers);
  const names = Array.from({ length: headers.size }, (_, i) => headers.nameAt(i));
  assert.deepEqual(names, ["host", "content-length", "x-kept"]);
});
