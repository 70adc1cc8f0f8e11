import assert from "node:assert/strict";
import { test } from "node:test";
import { Decoded, type FieldSink, HpackDecoder } from "./decoder.ts";
import { HpackEncoder } from "./encoder.ts";
import { HeaderStrings } from "./header-strings.ts";
import { Output } from "./output.ts";

type Field = readonly [string, string];

class Fields implements FieldSink {
  readonly all: Field[] = [];

  field(name: string, value: string): void {
    this.all.push([name, value]);
  }
}

interface Block {
  readonly hex: string;
  readonly fields: readonly Field[];
  /** Size of the dynamic table behind it. */
  readonly tableBytes: number;
}

const GET: readonly Field[] = [
  [":method", "GET"],
  [":scheme", "http"],
  [":path", "/"],
  [":authority", "www.example.com"],
];
const GET_SECURE: readonly Field[] = [
  [":method", "GET"],
  [":scheme", "https"],
  [":path", "/index.html"],
  [":authority", "www.example.com"],
];
const DATE: Field = ["date", "Mon, 21 Oct 2013 20:13:21 GMT"];
const LOCATION: Field = ["location", "https://www.example.com"];
const FOUND: readonly Field[] = [[":status", "302"], ["cache-control", "private"], DATE, LOCATION];
const MOVED: readonly Field[] = [[":status", "307"], ["cache-control", "private"], DATE, LOCATION];
const OK: readonly Field[] = [
  [":status", "200"],
  ["cache-control", "private"],
  ["date", "Mon, 21 Oct 2013 20:13:22 GMT"],
  LOCATION,
  ["content-encoding", "gzip"],
  ["set-cookie", "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1"],
];

/** RFC 7541, appendix C: number, size of the table, blocks of one connection. */
const VECTORS: readonly (readonly [string, number, readonly Block[]])[] = [
  [
    "C.2.1 literal with indexing",
    4096,
    [
      {
        hex: "400a637573746f6d2d6b65790d637573746f6d2d686561646572",
        fields: [["custom-key", "custom-header"]],
        tableBytes: 55,
      },
    ],
  ],
  [
    "C.2.2 literal without indexing",
    4096,
    [{ hex: "040c2f73616d706c652f70617468", fields: [[":path", "/sample/path"]], tableBytes: 0 }],
  ],
  [
    "C.2.3 literal never indexed",
    4096,
    [
      {
        hex: "100870617373776f726406736563726574",
        fields: [["password", "secret"]],
        tableBytes: 0,
      },
    ],
  ],
  ["C.2.4 indexed", 4096, [{ hex: "82", fields: [[":method", "GET"]], tableBytes: 0 }]],
  [
    "C.3 requests without Huffman",
    4096,
    [
      { hex: "828684410f7777772e6578616d706c652e636f6d", fields: GET, tableBytes: 57 },
      {
        hex: "828684be58086e6f2d6361636865",
        fields: [...GET, ["cache-control", "no-cache"]],
        tableBytes: 110,
      },
      {
        hex: "828785bf400a637573746f6d2d6b65790c637573746f6d2d76616c7565",
        fields: [...GET_SECURE, ["custom-key", "custom-value"]],
        tableBytes: 164,
      },
    ],
  ],
  [
    "C.4 requests with Huffman",
    4096,
    [
      { hex: "828684418cf1e3c2e5f23a6ba0ab90f4ff", fields: GET, tableBytes: 57 },
      {
        hex: "828684be5886a8eb10649cbf",
        fields: [...GET, ["cache-control", "no-cache"]],
        tableBytes: 110,
      },
      {
        hex: "828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf",
        fields: [...GET_SECURE, ["custom-key", "custom-value"]],
        tableBytes: 164,
      },
    ],
  ],
  [
    "C.5 responses without Huffman, with eviction",
    256,
    [
      {
        hex:
          "4803333032580770726976617465611d4d6f6e2c203231204f637420323031332032303a31333a323120474d54" +
          "6e1768747470733a2f2f7777772e6578616d706c652e636f6d",
        fields: FOUND,
        tableBytes: 222,
      },
      { hex: "4803333037c1c0bf", fields: MOVED, tableBytes: 222 },
      {
        hex:
          "88c1611d4d6f6e2c203231204f637420323031332032303a31333a323220474d54c05a04677a69707738666f6f" +
          "3d4153444a4b48514b425a584f5157454f50495541585157454f49553b206d61782d6167653d333630303b2076" +
          "657273696f6e3d31",
        fields: OK,
        tableBytes: 215,
      },
    ],
  ],
  [
    "C.6 responses with Huffman, with eviction",
    256,
    [
      {
        hex:
          "488264025885aec3771a4b6196d07abe941054d444a8200595040b8166e082a62d1bff6e919d29ad171863c78f" +
          "0b97c8e9ae82ae43d3",
        fields: FOUND,
        tableBytes: 222,
      },
      { hex: "4883640effc1c0bf", fields: MOVED, tableBytes: 222 },
      {
        hex:
          "88c16196d07abe941054d444a8200595040b8166e084a62d1bffc05a839bd9ab77ad94e7821dd7f2e6c7b335df" +
          "dfcd5b3960d5af27087f3672c1ab270fb5291f9587316065c003ed4ee5b1063d5007",
        fields: OK,
        tableBytes: 215,
      },
    ],
  ],
];

for (const [title, tableBytes, blocks] of VECTORS) {
  test(`HpackDecoder.decode() reads RFC 7541 ${title}`, () => {
    const decoder = new HpackDecoder(new HeaderStrings(), tableBytes);
    for (const block of blocks) {
      const bytes = Buffer.from(`ff${block.hex}ff`, "hex");
      const sink = new Fields();
      assert.equal(decoder.decode(bytes, 1, bytes.length - 1, 4096, sink), Decoded.ok);
      assert.deepEqual(sink.all, block.fields);
      assert.equal(decoder.tableBytes, block.tableBytes);
    }
  });

  test(`HpackDecoder.decode() reads no cut of RFC 7541 ${title} as the whole`, () => {
    const block = blocks[0]!;
    const bytes = Buffer.from(block.hex, "hex");
    for (let end = 0; end < bytes.length; end++) {
      const sink = new Fields();
      const decoder = new HpackDecoder(new HeaderStrings(), tableBytes);
      const decoded = decoder.decode(bytes, 0, end, 4096, sink);
      // A cut between two fields is a whole block, of fewer fields.
      assert.deepEqual(sink.all, block.fields.slice(0, sink.all.length), `cut at ${end}`);
      assert.ok(sink.all.length < block.fields.length, `cut at ${end}`);
      assert.ok(decoded === Decoded.ok || decoded === Decoded.corrupt, `cut at ${end}`);
    }
  });
}

for (const [title, isHuffman, at] of [
  ["C.3", false, 4],
  ["C.4", true, 5],
] as const) {
  test(`HpackEncoder.field() writes RFC 7541 ${title}`, () => {
    const encoder = new HpackEncoder(4096, isHuffman);
    for (const block of VECTORS[at]![2]) {
      const out = new Output(new Uint8Array(1));
      encoder.begin(out);
      for (const [name, value] of block.fields) encoder.field(out, name, value);
      assert.equal(Buffer.from(out.bytes.subarray(0, out.end)).toString("hex"), block.hex);
      assert.equal(encoder.tableBytes, block.tableBytes);
    }
  });
}
