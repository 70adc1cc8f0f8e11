import assert from "node:assert/strict";
import { test } from "node:test";
import { decodeGrpcMessage, encodeGrpcMessage } from "./percent.ts";

test("encodeGrpcMessage() escapes all but printable ASCII, and the percent sign", () => {
  assert.equal(encodeGrpcMessage("plain: ~text!"), "plain: ~text!");
  assert.equal(encodeGrpcMessage("100%\r\n"), "100%25%0D%0A");
  assert.equal(encodeGrpcMessage("é☃"), "%C3%A9%E2%98%83");
  assert.equal(encodeGrpcMessage("\u{7f}"), "%7F");
});

test("encodeGrpcMessage() escapes blanks at the ends, which no field value may have", () => {
  assert.equal(encodeGrpcMessage(" a b "), "%20a b%20");
  assert.equal(encodeGrpcMessage(" "), "%20");
});

test("decodeGrpcMessage() undoes it", () => {
  for (const text of ["", "a", "100%", "%25", "é☃𝄞", "\u{0}\t", "a b\r\nc"]) {
    assert.equal(decodeGrpcMessage(encodeGrpcMessage(text)), text);
  }
});

test("decodeGrpcMessage() leaves alone what is no escape", () => {
  for (const text of ["%", "%4", "%zz", "a%", "%%2", "50% off"]) {
    assert.equal(decodeGrpcMessage(text), text);
  }
  assert.equal(decodeGrpcMessage("%41%zz%4"), "A%zz%4");
  assert.equal(decodeGrpcMessage("%ff"), "\u{fffd}");
});
