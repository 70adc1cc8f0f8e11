import assert from "node:assert/strict";
import { test } from "node:test";
import { Output } from "../hpack/output.ts";
import {
  ErrorCode,
  errorName,
  FRAME_HEADER_BYTES,
  type FrameHeader,
  finishHeaders,
  readFrameHeader,
  readUint31,
  readUint32,
  writeDataHeader,
  writeFrameHeader,
  writeGoaway,
  writePing,
  writeRstStream,
  writeWindowUpdate,
} from "./frame.ts";
import { Settings, writeSettings, writeSettingsAck } from "./settings.ts";

function hex(out: Output): string {
  return Buffer.from(out.bytes.subarray(0, out.end)).toString("hex");
}

function tiny(): Output {
  return new Output(new Uint8Array(1));
}

test("readFrameHeader() reads what writeFrameHeader() wrote, and ignores the reserved bit", () => {
  const bytes = new Uint8Array(12);
  const frame: FrameHeader = { length: 0, type: 0, flags: 0, streamId: 0 };
  writeFrameHeader(bytes, 2, 0xabcdef, 0xfe, 0x81, 0x7fff_fffe);
  bytes[7]! |= 0x80;
  assert.equal(readFrameHeader(bytes, 2, 11, frame), true);
  assert.deepEqual(frame, { length: 0xabcdef, type: 0xfe, flags: 0x81, streamId: 0x7fff_fffe });
});

test("readFrameHeader() leaves its target alone when bytes are missing", () => {
  const frame: FrameHeader = { length: 1, type: 2, flags: 3, streamId: 4 };
  for (let end = 0; end < FRAME_HEADER_BYTES; end++) {
    assert.equal(readFrameHeader(new Uint8Array(20), 0, end, frame), false);
  }
  assert.deepEqual(frame, { length: 1, type: 2, flags: 3, streamId: 4 });
});

test("readUint32() has no sign, readUint31() no top bit", () => {
  const bytes = Uint8Array.of(0xff, 0xff, 0xff, 0xff);
  assert.equal(readUint32(bytes, 0), 0xffff_ffff);
  assert.equal(readUint31(bytes, 0), 0x7fff_ffff);
});

test("frames are written as RFC 9113 §6 draws them", () => {
  const frames: [string, (out: Output) => void][] = [
    ["000004 03 00 00000005 00000008", (out) => writeRstStream(out, 5, ErrorCode.cancel)],
    ["000004 08 00 00000000 000f0001", (out) => writeWindowUpdate(out, 0, 0xf0001)],
    [
      "000008 06 01 00000000 0102030405060708",
      (out) => writePing(out, true, Uint8Array.of(0, 1, 2, 3, 4, 5, 6, 7, 8), 1),
    ],
    [
      "00000a 07 00 00000000 7fffffff 0000000b 6869",
      (out) => writeGoaway(out, 0x7fff_ffff, 11, "hi"),
    ],
    ["000003 00 01 00000007", (out) => writeDataHeader(out, 7, 3, true)],
    [
      "00000c 04 00 00000000 0004 0000ffff 0003 80000000",
      (out) => {
        writeSettings(out, [4, 65_535, 3, 0x8000_0000]);
      },
    ],
    ["000000 04 01 00000000", (out) => writeSettingsAck(out)],
  ];
  for (const [expected, write] of frames) {
    const out = tiny();
    write(out);
    assert.equal(hex(out), expected.replaceAll(" ", ""));
  }
});

test("finishHeaders() cuts a block into frames of the allowed size, for every size", () => {
  for (let size = 0; size < 60; size++) {
    for (const max of [1, 7, 10, 30]) {
      const block = Uint8Array.from({ length: size }, (_, i) => i + 1);
      const out = tiny();
      out.append(Uint8Array.of(0xaa, 0xbb), 0, 2);
      out.append(new Uint8Array(FRAME_HEADER_BYTES), 0, FRAME_HEADER_BYTES);
      out.append(block, 0, size);
      finishHeaders(out, 2, 3, true, max);
      assert.equal(hex(out).slice(0, 4), "aabb");
      const got: number[] = [];
      const frame: FrameHeader = { length: 0, type: 0, flags: 0, streamId: 0 };
      let at = 2;
      for (let n = 0; readFrameHeader(out.bytes, at, out.end, frame); n++) {
        const isLast = at + FRAME_HEADER_BYTES + frame.length === out.end;
        assert.equal(frame.type, n === 0 ? 1 : 9);
        assert.equal(frame.flags, (n === 0 ? 1 : 0) | (isLast ? 4 : 0));
        assert.equal(frame.streamId, 3);
        assert.ok(frame.length <= max);
        at += FRAME_HEADER_BYTES;
        got.push(...out.bytes.subarray(at, at + frame.length));
        at += frame.length;
      }
      assert.equal(at, out.end);
      assert.deepEqual(got, [...block]);
    }
  }
});

test("Settings.read() takes what it knows, skips what it does not, and refuses bad values", () => {
  const settings = new Settings();
  const read = (...pairs: number[]): number => {
    const out = tiny();
    writeSettings(out, pairs);
    return settings.read(out.bytes, FRAME_HEADER_BYTES, out.end);
  };
  assert.equal(read(1, 100, 2, 0, 3, 7, 4, 0x7fff_ffff, 5, 16_777_215, 6, 5000, 99, 1), 0);
  assert.deepEqual(
    { ...settings },
    {
      headerTableBytes: 100,
      enablePush: false,
      maxConcurrentStreams: 7,
      initialWindowBytes: 0x7fff_ffff,
      maxFrameBytes: 16_777_215,
      maxHeaderListBytes: 5000,
    },
  );
  assert.equal(read(2, 2), ErrorCode.protocolError);
  assert.equal(read(4, 0x8000_0000), ErrorCode.flowControlError);
  assert.equal(read(5, 16_383), ErrorCode.protocolError);
  assert.equal(read(5, 16_777_216), ErrorCode.protocolError);
});

test("errorName() names what RFC 9113 §7 lists, and numbers the rest", () => {
  assert.equal(errorName(ErrorCode.http11Required), "HTTP_1_1_REQUIRED");
  assert.equal(errorName(0xff), "0xff");
});
