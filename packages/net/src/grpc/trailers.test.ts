import assert from "node:assert/strict";
import { test } from "node:test";
import { HeaderMap } from "@heddle/wire/http/headers";
import { GrpcError } from "./error.ts";
import { appendBinary } from "./metadata.ts";
import { GrpcStatus } from "./status.ts";
import { decodeTrailers, encodeTrailers } from "./trailers.ts";

test("a status, its message, details and metadata survive the wire", () => {
  const details = [detail("type/a", 1), detail("type/b", 2)];
  const metadata = HeaderMap.of({ reason: "none" });
  const sent = new GrpcError(GrpcStatus.notFound, "kein Gerät\n", { details, metadata });
  const trailers = encodeTrailers(sent, HeaderMap.of({ extra: "yes" }));
  const got = decodeTrailers(trailers, "control")!;
  assert.deepEqual([got.status, got.message, got.side], [5, "kein Gerät\n", "control"]);
  assert.deepEqual(
    got.details.map(({ typeUrl }) => typeUrl),
    ["type/a", "type/b"],
  );
  assert.deepEqual([...got.details[1]!.value], [2]);
  assert.deepEqual([got.metadata.get("reason"), got.metadata.get("extra")], ["none", "yes"]);
  assert.equal(got.metadata.has("grpc-status"), false);
});

test("OK is no error", () => {
  assert.equal(decodeTrailers(encodeTrailers(undefined), "server"), undefined);
});

test("an error that came may be passed on as it is", () => {
  const first = encodeTrailers(
    new GrpcError(GrpcStatus.internal, "x", { details: [detail("t", 1)] }),
  );
  const second = encodeTrailers(decodeTrailers(first, "server"));
  assert.deepEqual(second.getAll("grpc-status-details-bin").length, 1);
  assert.equal(second.get("grpc-message"), "x");
});

test("a strange status counts as unknown", () => {
  for (const text of ["", "17", "-1", "1.0", "0x1", "00", "four"]) {
    const error = decodeTrailers(HeaderMap.of({ "grpc-status": text }), "server");
    assert.equal(error?.status, GrpcStatus.unknown, text);
  }
});

test("details that do not parse hide neither status nor those before them", () => {
  const trailers = HeaderMap.of({ "grpc-status": "9" });
  const good = [0x1a, 3, 0x0a, 1, 0x61];
  appendBinary(trailers, "grpc-status-details-bin", Uint8Array.of(...good, 0x1a, 0x7f, 1));
  const error = decodeTrailers(trailers, "server")!;
  assert.equal(error.status, GrpcStatus.failedPrecondition);
  assert.deepEqual(
    error.details.map(({ typeUrl }) => typeUrl),
    ["a"],
  );
});

function detail(
  typeUrl: string,
  byte: number,
): { $typeName: "google.protobuf.Any"; typeUrl: string; value: Uint8Array } {
  return { $typeName: "google.protobuf.Any", typeUrl, value: Uint8Array.of(byte) };
}
