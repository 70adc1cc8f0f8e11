import assert from "node:assert/strict";
import { test } from "node:test";
import { HeaderMap } from "@heddle/wire/http/headers";
import { appendBinary, binaryValue, binaryValues, copyMetadata } from "./metadata.ts";

test("binary values survive, padded or not, joined or not", () => {
  const headers = new HeaderMap();
  appendBinary(headers, "x-bin", Uint8Array.of(0xff, 0));
  assert.equal(headers.get("x-bin"), "/wA");
  assert.deepEqual([...binaryValue(headers, "x-bin")!], [0xff, 0]);
  headers.append("x-bin", "AQ==, Ag");
  assert.deepEqual(
    binaryValues(headers, "x-bin").map((value) => [...value]),
    [[0xff, 0], [1], [2]],
  );
  assert.equal(binaryValue(headers, "y-bin"), undefined);
});

test("copyMetadata() refuses names of the protocol and what is no header field", () => {
  const copy = (name: string, value: string): void =>
    copyMetadata(HeaderMap.of({ [name]: value }), new HeaderMap());
  copy("x-ok_1.2", "any ~ value");
  for (const name of ["grpc-status", "content-type", "te", "host", "X-Upper", ":path", "a b", ""]) {
    assert.throws(() => copy(name, "v"), /reserved or not allowed/, name);
  }
  for (const value of ["a\r\nb: c", "é", "\u{0}"]) {
    assert.throws(() => copy("x", value), /not printable ASCII/);
  }
});
