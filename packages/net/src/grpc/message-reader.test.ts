import assert from "node:assert/strict";
import { test } from "node:test";
import { seededInt, seededRandom } from "@heddle/testkit/seeded-random";
import { EncodedMessage } from "./encoded-message.ts";
import { GrpcError } from "./error.ts";
import { MessageReader } from "./message-reader.ts";
import { GrpcStatus } from "./status.ts";

const MESSAGES = ["", "a", "hello", ""].map((text) => Buffer.from(text));
const BODY = Buffer.concat(MESSAGES.map((message) => new EncodedMessage(message).frame));

test("feed() finds the same messages whatever the split", () => {
  for (let first = 0; first <= BODY.length; first++) {
    for (let second = first; second <= BODY.length; second++) {
      const { reader, texts } = newReader();
      reader.feed(BODY, 0, first);
      reader.feed(BODY, first, second);
      reader.feed(BODY, second, BODY.length);
      assert.deepEqual(texts, ["", "a", "hello", ""]);
      assert.equal(reader.isPartial, false);
    }
  }
});

test("feed() keeps nothing of a lent range", () => {
  const { reader, texts } = newReader();
  for (const byte of BODY) {
    const lent = Uint8Array.of(byte);
    reader.feed(lent, 0, 1);
    lent.fill(0xee);
  }
  assert.deepEqual(texts, ["", "a", "hello", ""]);
});

test("feed() reassembles large messages from random pieces", () => {
  const random = seededRandom(7);
  const sent = [0, 1, 4_095, 4_096, 4_097, 70_000].map((size) =>
    Buffer.from(Array.from({ length: size }, () => seededInt(random, 256))),
  );
  const body = Buffer.concat(sent.map((message) => new EncodedMessage(message).frame));
  const found: Uint8Array[] = [];
  const reader = new MessageReader(70_000, (message) => found.push(message));
  for (let at = 0; at < body.length; ) {
    const end = Math.min(body.length, at + 1 + seededInt(random, 5_000));
    reader.feed(body, at, end);
    at = end;
  }
  assert.equal(found.length, sent.length);
  for (const [i, message] of found.entries()) assert.equal(Buffer.compare(message, sent[i]!), 0);
});

test("feed() refuses a message over the limit before it has come", () => {
  const reader = new MessageReader(10, () => assert.fail("no message"));
  const prefix = Uint8Array.of(0, 0xff, 0xff, 0xff, 0xff);
  assert.throws(() => reader.feed(prefix, 0, 5), withStatus(GrpcStatus.resourceExhausted));
  const exact = newReader(5);
  exact.reader.feed(new EncodedMessage(Buffer.from("12345")).frame, 0, 10);
  assert.deepEqual(exact.texts, ["12345"]);
});

test("feed() refuses flags, as no compression was agreed on", () => {
  for (const flags of [1, 2, 0x80]) {
    const { reader } = newReader();
    const bytes = Uint8Array.of(flags, 0, 0, 0, 0);
    assert.throws(() => reader.feed(bytes, 0, 5), withStatus(GrpcStatus.internal));
  }
});

test("a claimed length sets no memory aside", () => {
  const before = process.memoryUsage().arrayBuffers;
  const readers = Array.from({ length: 1_000 }, () => {
    const { reader } = newReader(4_194_304);
    reader.feed(Uint8Array.of(0, 0, 0x3f, 0xff, 0xff), 0, 5);
    return reader;
  });
  assert.ok(process.memoryUsage().arrayBuffers - before < 64 * 1_048_576);
  assert.ok(readers.every((reader) => reader.isPartial));
});

function newReader(maxBytes = 100): { reader: MessageReader; texts: string[] } {
  const texts: string[] = [];
  const reader = new MessageReader(maxBytes, (m) => texts.push(Buffer.from(m).toString()));
  return { reader, texts };
}

function withStatus(status: GrpcStatus): (error: unknown) => boolean {
  return (error) => error instanceof GrpcError && error.status === status;
}
