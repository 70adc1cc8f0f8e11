import assert from "node:assert/strict";
import { test } from "node:test";
import { HeaderStrings, VALID_NAME, VALID_VALUE } from "./header-strings.ts";
import { huffmanLength, writeHuffman } from "./huffman.ts";

function huffman(text: string): Uint8Array {
  const bytes = new Uint8Array(huffmanLength(text));
  writeHuffman(text, bytes, 0);
  return bytes;
}

test("read() gives the same string for the same bytes, from the cache or not", () => {
  const strings = new HeaderStrings();
  for (let i = 0; i < 5000; i++) {
    const text = `value-${i % 3000}`;
    const plain = Buffer.from(text);
    const coded = huffman(text);
    assert.ok(strings.read(plain, 0, plain.length, false, true));
    assert.equal(strings.text, text);
    assert.ok(strings.read(coded, 0, coded.length, true, true));
    assert.equal(strings.text, text);
    assert.equal(strings.validity, VALID_NAME | VALID_VALUE);
  }
});

test("read() does not take Huffman-coded bytes for plain ones", () => {
  const strings = new HeaderStrings();
  const coded = huffman("abcdef");
  for (let i = 0; i < 3; i++) {
    strings.read(coded, 0, coded.length, true, true);
    assert.equal(strings.text, "abcdef");
    strings.read(coded, 0, coded.length, false, true);
    assert.equal(strings.text, Buffer.from(coded).toString("latin1"));
  }
});

test("read() keeps no reference to the bytes it was lent", () => {
  const strings = new HeaderStrings();
  const bytes = Buffer.from("lent");
  for (let i = 0; i < 3; i++) strings.read(bytes, 0, 4, false, true);
  bytes.write("gone");
  strings.read(Buffer.from("lent"), 0, 4, false, true);
  assert.equal(strings.text, "lent");
  strings.read(bytes, 0, 4, false, true);
  assert.equal(strings.text, "gone");
});

test("read() knows the validity of a cached string", () => {
  const strings = new HeaderStrings();
  const upper = Buffer.from("Upper");
  for (let i = 0; i < 4; i++) {
    strings.read(upper, 0, upper.length, false, true);
    assert.equal(strings.validity, VALID_VALUE);
    strings.read(Buffer.from("fine"), 0, 4, false, true);
    assert.equal(strings.validity, VALID_NAME | VALID_VALUE);
  }
});
