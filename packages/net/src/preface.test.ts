import assert from "node:assert/strict";
import { test } from "node:test";
import { seededInt, seededRandom } from "@heddle/testkit/seeded-random";
import { decodePreface, encodePreface, type Preface } from "./preface.ts";

const PREFACE: Preface = {
  clientAddress: { ip: "10.1.2.3", port: 40_000 },
  originalDestination: { ip: "2001:db8::7", port: 443 },
  forwardTo: undefined,
};

test("the bytes are those of docs/wire/preface.md", () => {
  const bytes = Buffer.from(encodePreface(PREFACE)).toString("hex");
  const client = "010006" + "0a010203" + "9c40";
  const destination = "020012" + "20010db8000000000000000000000007" + "01bb";
  assert.equal(bytes, `48444c500001001e${client}${destination}`);
});

test("a preface is read back from every prefix only when it is whole", () => {
  const forwardTo = { ip: "127.0.0.1", port: 1 };
  for (const preface of [PREFACE, { ...PREFACE, forwardTo }]) {
    const bytes = Buffer.concat([encodePreface(preface), Buffer.from("rest")]);
    const end = bytes.length - 4;
    for (let length = 0; length < end; length++) {
      assert.equal(decodePreface(bytes.subarray(0, length)), false);
    }
    assert.deepEqual(decodePreface(bytes), { preface, end });
  }
});

test("an optional field that is unknown is skipped, any other refused", () => {
  const bytes = [...encodePreface(PREFACE), 200, 0, 1, 7];
  bytes[7] = bytes[7]! + 4;
  assert.ok(decodePreface(Uint8Array.from(bytes)) !== false);
  for (const type of [0, 4, 127, 1]) {
    bytes[bytes.length - 4] = type;
    assert.throws(() => decodePreface(Uint8Array.from(bytes)), { code: "bad_preface" });
  }
});

test("cut fields, odd addresses, missing ones and other versions are refused", () => {
  const good = [...encodePreface(PREFACE)];
  const bad: (readonly (readonly [at: number, value: number])[])[] = [
    [[0, 0]],
    [[5, 2]],
    [[6, 5]],
    [[7, 9]],
    [[7, 1]],
    [[10, 5]],
    [[10, 200]],
    [[17, 1]],
  ];
  for (const changes of bad) {
    const bytes = [...good];
    for (const [at, value] of changes) bytes[at] = value;
    assert.throws(
      () => decodePreface(Uint8Array.from(bytes)),
      { code: "bad_preface" },
      String(changes),
    );
  }
});

test("mutated bytes are read, refused, or incomplete", () => {
  const random = seededRandom(17);
  for (let round = 0; round < 20_000; round++) {
    const bytes = Buffer.from(encodePreface(PREFACE));
    for (let count = seededInt(random, 3); count >= 0; count--) {
      bytes[seededInt(random, bytes.length)] = seededInt(random, 256);
    }
    try {
      decodePreface(bytes);
    } catch (error) {
      assert.equal((error as { code?: string }).code, "bad_preface");
    }
  }
});
