import assert from "node:assert/strict";
import { test } from "node:test";
import { seededInt, seededRandom } from "@heddle/testkit/seeded-random";
import { Decoded, type FieldSink, HpackDecoder } from "./decoder.ts";
import { HpackEncoder } from "./encoder.ts";
import { HeaderStrings } from "./header-strings.ts";
import { Output } from "./output.ts";

interface Got {
  readonly name: string;
  readonly value: string;
  readonly isValid: boolean;
  readonly neverIndex: boolean;
}

class Gather implements FieldSink {
  readonly fields: Got[] = [];

  field(name: string, value: string, isValid: boolean, neverIndex: boolean): void {
    this.fields.push({ name, value, isValid, neverIndex });
  }
}

function decoder(tableBytes = 4096): HpackDecoder {
  return new HpackDecoder(new HeaderStrings(), tableBytes);
}

function decode(
  hpack: HpackDecoder,
  hex: string,
  maxListBytes = 16_384,
): { decoded: Decoded; fields: Got[] } {
  const bytes = Buffer.from(hex.replaceAll(" ", ""), "hex");
  const sink = new Gather();
  return { decoded: hpack.decode(bytes, 0, bytes.length, maxListBytes, sink), fields: sink.fields };
}

function encode(
  hpack: HpackEncoder,
  fields: readonly (readonly [string, string, boolean?])[],
): Buffer {
  const out = new Output(new Uint8Array(1));
  hpack.begin(out);
  for (const [name, value, neverIndex] of fields) hpack.field(out, name, value, neverIndex);
  return Buffer.from(out.bytes.subarray(0, out.end));
}

test("decode() refuses what is not HPACK", () => {
  const bad: Record<string, string> = {
    "index 0": "80",
    "index behind the static table, with nothing in the dynamic one": "be",
    "name index that is not there": "7e 01 61",
    "integer without an end": "ff 80 80 80",
    "integer of more than 28 bits": "ff 80 80 80 80 01",
    "string longer than its block": "40 05 61 62",
    "value missing": "40 01 61",
    "Huffman padding of 8 bits": "40 81 ff 01 61",
    "table larger than announced": "3f e2 1f",
    "table resized after a field": "82 20",
  };
  for (const [what, hex] of Object.entries(bad)) {
    assert.equal(decode(decoder(), hex).decoded, Decoded.corrupt, what);
  }
});

test("decode() follows size updates, also two at the start of a block", () => {
  const hpack = decoder();
  decode(hpack, "40 01 61 01 62");
  assert.equal(hpack.tableBytes, 34);
  assert.equal(decode(hpack, "20 3f e1 1f 82").decoded, Decoded.ok);
  assert.equal(hpack.tableBytes, 0);
  decode(hpack, "40 01 61 01 62");
  assert.deepEqual(decode(hpack, "be").fields[0]?.name, "a");
});

test("decode() empties the table for an entry that does not fit, and goes on", () => {
  const hpack = decoder(64);
  decode(hpack, "3f 21 40 01 61 01 62");
  assert.equal(hpack.tableBytes, 34);
  const value = Buffer.alloc(64, "x").toString("hex");
  assert.equal(decode(hpack, `40 01 61 40 ${value}`).decoded, Decoded.ok);
  assert.equal(hpack.tableBytes, 0);
});

test("decode() tells names and values with forbidden bytes, also from the table", () => {
  const name = (hex: string): string => `40 ${bytesHex(hex)} 01 62`;
  const value = (hex: string): string => `40 01 61 ${bytesHex(hex)}`;
  for (const bad of [
    name("41"),
    name("61203a"),
    name("613a"),
    name("00"),
    name("7f"),
    name("e4"),
  ]) {
    assert.equal(decode(decoder(), bad).fields[0]?.isValid, false, bad);
  }
  for (const bad of [value("00"), value("610d"), value("0a61"), value("2061"), value("6109")]) {
    const hpack = decoder();
    assert.equal(decode(hpack, bad).fields[0]?.isValid, false, bad);
    assert.equal(decode(hpack, "be").fields[0]?.isValid, false, bad);
    // The name is good, with another value.
    assert.equal(decode(hpack, "7e 01 63").fields[0]?.isValid, true, bad);
  }
  for (const good of [name("3a61"), name("612d5f7e"), value(""), value("e4"), value("612062")]) {
    assert.equal(decode(decoder(), good).fields[0]?.isValid, true, good);
  }
  const hpack = decoder();
  decode(hpack, name("41"));
  assert.equal(decode(hpack, "7e 01 63").fields[0]?.isValid, false);
});

function bytesHex(hex: string): string {
  return (hex.length / 2).toString(16).padStart(2, "0") + hex;
}

test("decode() counts the list as decoded and keeps the table intact when it is too large", () => {
  const hpack = decoder();
  const field = `40 01 61 ${bytesHex("62".repeat(67))}`; // 100 bytes in the table and in lists
  const large = decode(hpack, `${field} be be`, 299);
  assert.equal(large.decoded, Decoded.tooLarge);
  assert.equal(large.fields.length, 2);
  assert.equal(hpack.listBytes, 300);
  assert.equal(decode(hpack, `be be be`, 300).decoded, Decoded.ok);
});

test("decode() gives up on a list that is more than four times too large", () => {
  const field = `40 01 61 ${bytesHex("62".repeat(67))}`;
  assert.equal(decode(decoder(), `${field} be be be`, 100).decoded, Decoded.tooLarge);
  assert.equal(decode(decoder(), `${field} be be be be`, 100).decoded, Decoded.bomb);
});

test("decode() sizes an entry by the name that is stored", () => {
  // :authority by static index 1: 10 bytes, not the 4 of `host`.
  const hpack = decoder();
  decode(hpack, `41 ${bytesHex(Buffer.from("example").toString("hex"))}`);
  assert.equal(hpack.tableBytes, 10 + 7 + 32);
});

test("field() never indexes secrets, and says so", () => {
  const hpack = new HpackEncoder();
  const secrets = [
    ["authorization", "Bearer abc"],
    ["proxy-authorization", "Basic abc"],
    ["cookie", "short=1"],
    ["set-cookie", "short=1"],
    ["x-any", "secret", true],
  ] as const;
  const dec = decoder();
  for (let round = 0; round < 3; round++) {
    const got = decode(dec, encode(hpack, secrets).toString("hex"));
    assert.deepEqual(
      got.fields.map((f) => [f.name, f.value, f.neverIndex]),
      secrets.map(([name, value]) => [name, value, true]),
    );
  }
  assert.equal(hpack.tableBytes, 0);
});

test("field() indexes a long cookie when it comes for the second time", () => {
  const hpack = new HpackEncoder();
  const cookie = ["cookie", "session=0123456789abcdef0123"] as const;
  const sizes = [0, 1, 2].map(() => encode(hpack, [cookie]).length);
  assert.deepEqual(sizes.at(-1), 1);
});

test("field() stops indexing names whose values never repeat", () => {
  const hpack = new HpackEncoder();
  for (let i = 0; i < 100; i++) encode(hpack, [["x-request-id", `id-${i}`]]);
  assert.equal(hpack.tableBytes, "x-request-id".length + "id-0".length + 32);
});

test("field() replaces what would break out of a field", () => {
  const got = decode(
    decoder(),
    encode(new HpackEncoder(), [["x", "a\r\nb\0\u2603"]]).toString("hex"),
  );
  assert.equal(got.fields[0]?.value, "a??b??");
  // Their low bytes would be a line feed and a letter.
  const long = encode(new HpackEncoder(), [["x", "\u010abcdefghijklmnop\u0141\xe4"]]);
  assert.equal(decode(decoder(), long.toString("hex")).fields[0]?.value, "?bcdefghijklmnop?\xe4");
  const huffman = encode(new HpackEncoder(4096, true), [["x", "aaaaaaaaaaaa\r\n\u2603"]]);
  assert.equal(decode(decoder(), huffman.toString("hex")).fields[0]?.value, "aaaaaaaaaaaa???");
});

test("setPeerLimit() is announced in the next block, the smallest and the last", () => {
  const hpack = new HpackEncoder();
  encode(hpack, [["a", "b"]]);
  hpack.setPeerLimit(0);
  hpack.setPeerLimit(1000);
  assert.equal(hpack.tableBytes, 0);
  assert.equal(encode(hpack, []).toString("hex"), "203fc907");
  assert.equal(encode(hpack, []).toString("hex"), "");
  hpack.setPeerLimit(1_000_000);
  assert.equal(encode(hpack, []).toString("hex"), "3fe11f");
});

for (const [limit, isHuffman] of [
  [4096, false],
  [4096, true],
  [200, false],
  [0, true],
] as const) {
  test(`encoder and decoder stay in step over random lists, table ${limit}, Huffman ${isHuffman}`, () => {
    const random = seededRandom(limit + Number(isHuffman));
    const enc = new HpackEncoder(4096, isHuffman);
    const dec = decoder();
    enc.setPeerLimit(limit);
    const names = [
      ":path",
      ":authority",
      "host",
      "cookie",
      "x-a",
      "accept",
      "content-length",
      "x-b",
    ];
    for (let block = 0; block < 2000; block++) {
      if (block % 97 === 0) enc.setPeerLimit(seededInt(random, limit + 1));
      const fields = Array.from({ length: seededInt(random, 12) }, (): [string, string] => {
        const rare = random() < 0.1 ? `x-${seededInt(random, 2000)}` : undefined;
        const name = rare ?? names[seededInt(random, names.length)]!;
        return [name, "v".repeat(seededInt(random, 60)) + seededInt(random, 5)];
      });
      const got = decode(dec, encode(enc, fields).toString("hex"));
      assert.equal(got.decoded, Decoded.ok);
      assert.deepEqual(
        got.fields.map((f) => [f.name, f.value]),
        fields,
      );
      assert.equal(dec.tableBytes, enc.tableBytes);
    }
  });
}

test("decode() survives random and mutated blocks", () => {
  const random = seededRandom(7);
  const enc = new HpackEncoder(4096, true);
  let dec = decoder();
  const sink: FieldSink = { field: (name, value) => assert.ok(name.length + value.length < 1e6) };
  for (let i = 0; i < 20_000; i++) {
    const fields = [
      [":path", `/${i % 7}`],
      ["x-a", `value ${i % 11}`],
      [`x-${i % 5}`, "b"],
    ] as const;
    const bytes = encode(enc, fields);
    if (i % 2 === 0) bytes[seededInt(random, bytes.length)] = seededInt(random, 256);
    else for (let at = 0; at < bytes.length; at++) bytes[at] = seededInt(random, 256);
    const decoded = dec.decode(bytes, 0, bytes.length, 1000, sink);
    assert.ok(dec.tableBytes <= 4096);
    if (decoded === Decoded.corrupt) dec = decoder();
  }
});
