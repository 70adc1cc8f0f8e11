import assert from "node:assert/strict";
import { test } from "node:test";
import { seededInt, seededRandom } from "@heddle/testkit/seeded-random";
import { huffmanLength, readHuffman, writeHuffman } from "./huffman.ts";

function encode(text: string): Uint8Array {
  const bytes = new Uint8Array(huffmanLength(text));
  assert.equal(writeHuffman(text, bytes, 0), bytes.length);
  return bytes;
}

function decode(bytes: Uint8Array): string | undefined {
  const out = new Uint8Array(Math.ceil((bytes.length * 8) / 5));
  const length = readHuffman(bytes, 0, bytes.length, out);
  return length < 0 ? undefined : Buffer.from(out.subarray(0, length)).toString("latin1");
}

/** Bit strings straight from RFC 7541, appendix B, some of each length. */
const CODES: readonly (readonly [number, string])[] = [
  [0x30, "00000"],
  [0x74, "01001"],
  [0x20, "010100"],
  [0x75, "101101"],
  [0x3a, "1011100"],
  [0x7a, "1111011"],
  [0x26, "11111000"],
  [0x58, "11111100"],
  [0x21, "1111111000"],
  [0x27, "11111111010"],
  [0x23, "111111111010"],
  [0x00, "1111111111000"],
  [0x7e, "1111111111101"],
  [0x5e, "11111111111100"],
  [0x7b, "111111111111110"],
  [0x5c, "1111111111111110000"],
  [0xd0, "1111111111111110010"],
  [0x80, "11111111111111100110"],
  [0x99, "111111111111111011100"],
  [0x81, "1111111111111111010010"],
  [0x01, "11111111111111111011000"],
  [0x09, "111111111111111111101010"],
  [0xc7, "1111111111111111111101100"],
  [0xc0, "11111111111111111111100000"],
  [0xcb, "111111111111111111111011110"],
  [0xf9, "1111111111111111111111111110"],
  [0x0a, "111111111111111111111111111100"],
  [0x16, "111111111111111111111111111110"],
];

test("writeHuffman() writes the codes of appendix B, padded with ones", () => {
  for (const [symbol, bits] of CODES) {
    const padded = bits.padEnd(Math.ceil(bits.length / 8) * 8, "1");
    const expected = Buffer.from(padded.match(/.{8}/g)!.map((byte) => Number.parseInt(byte, 2)));
    assert.deepEqual(Buffer.from(encode(String.fromCharCode(symbol))), expected, `${symbol}`);
  }
});

test("readHuffman() reads back every byte, alone, in pairs and in random strings", () => {
  const random = seededRandom(1);
  for (let a = 0; a < 256; a++) {
    for (let b = 0; b < 256; b++) {
      const text = String.fromCharCode(a, b);
      assert.equal(decode(encode(text)), text);
    }
  }
  for (let i = 0; i < 2000; i++) {
    const codes = Array.from({ length: seededInt(random, 40) }, () => seededInt(random, 256));
    const text = String.fromCharCode(...codes);
    assert.equal(decode(encode(text)), text);
  }
});

test("readHuffman() refuses padding of 8 bits or more, padding with zeros, and EOS", () => {
  assert.equal(decode(Uint8Array.of(0xff)), undefined);
  assert.equal(decode(Uint8Array.of(0x07, 0xff)), undefined); // "0", then 11 ones
  assert.equal(decode(Uint8Array.of(0b00000_000)), undefined); // "0", then 3 zeros
  assert.equal(decode(Uint8Array.of(0b00000_110)), undefined);
  assert.equal(decode(Uint8Array.of(0xff, 0xff, 0xff, 0xff)), undefined);
  assert.equal(decode(Uint8Array.of(0b00000_111)), "0");
});

/** Bit by bit over a map of codes: slow, and plainly right. */
function naiveDecode(bytes: Uint8Array, codes: ReadonlyMap<string, number>): string | undefined {
  let bits = "";
  let text = "";
  for (const byte of bytes) {
    for (let bit = 7; bit >= 0; bit--) {
      bits += (byte >> bit) & 1;
      const symbol = codes.get(bits);
      if (symbol === undefined) continue;
      text += String.fromCharCode(symbol);
      bits = "";
    }
  }
  return bits.length < 8 && !bits.includes("0") ? text : undefined;
}

test("readHuffman() agrees with a naive decoder on random bytes", () => {
  const codes = new Map<string, number>();
  for (let symbol = 0; symbol < 256; symbol++) {
    const alone = encode(String.fromCharCode(symbol));
    const bits = [...alone].map((byte) => byte.toString(2).padStart(8, "0")).join("");
    codes.set(bits.slice(0, codeBits(symbol)), symbol);
  }
  const random = seededRandom(2);
  for (let i = 0; i < 20_000; i++) {
    const bytes = Uint8Array.from({ length: seededInt(random, 12) }, () => {
      return random() < 0.3 ? 0xff : seededInt(random, 256);
    });
    assert.equal(decode(bytes), naiveDecode(bytes, codes), Buffer.from(bytes).toString("hex"));
  }
});

/** Eight times the same symbol take exactly its number of bits in bytes. */
function codeBits(symbol: number): number {
  return huffmanLength(String.fromCharCode(symbol).repeat(8));
}
