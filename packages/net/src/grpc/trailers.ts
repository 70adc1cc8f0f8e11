import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { BinaryReader, BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import type { Any } from "@bufbuild/protobuf/wkt";
import { AnySchema } from "@bufbuild/protobuf/wkt";
import type { Side } from "@heddle/base/errors";
import { HeaderMap } from "@heddle/wire/http/headers";
import { GrpcError } from "./error.ts";
import { appendBinary, applicationMetadata, binaryValue, copyMetadata } from "./metadata.ts";
import { decodeGrpcMessage, encodeGrpcMessage } from "./percent.ts";
import { GrpcStatus, parseGrpcStatus } from "./status.ts";

/** The trailers of a call that ended well, or with `error`. `extra` is the handler's own. */
export function encodeTrailers(error: GrpcError | undefined, extra?: HeaderMap): HeaderMap {
  const trailers = new HeaderMap();
  trailers.append("grpc-status", String(error?.status ?? GrpcStatus.ok));
  if (error !== undefined) {
    if (error.message !== "") trailers.append("grpc-message", encodeGrpcMessage(error.message));
    if (error.details.length > 0) {
      appendBinary(trailers, "grpc-status-details-bin", encodeStatus(error));
    }
    copyMetadata(error.metadata, trailers);
  }
  if (extra !== undefined) copyMetadata(extra, trailers);
  return trailers;
}

/** Undefined if the trailers say OK. `trailers` hold `grpc-status`. */
export function decodeTrailers(trailers: HeaderMap, side: Side): GrpcError | undefined {
  const status = parseGrpcStatus(trailers.get("grpc-status") ?? "");
  if (status === GrpcStatus.ok) return undefined;
  const message = decodeGrpcMessage(trailers.get("grpc-message") ?? "");
  const bytes = binaryValue(trailers, "grpc-status-details-bin");
  const details = bytes === undefined ? [] : decodeDetails(bytes);
  return new GrpcError(status, message, { side, details, metadata: applicationMetadata(trailers) });
}

/** `google.rpc.Status`, by hand: this package knows no generated code. */
function encodeStatus(error: GrpcError): Uint8Array {
  const writer = new BinaryWriter();
  writer.tag(1, WireType.Varint).int32(error.status);
  writer.tag(2, WireType.LengthDelimited).string(error.message);
  for (const detail of error.details) {
    writer.tag(3, WireType.LengthDelimited).bytes(toBinary(AnySchema, create(AnySchema, detail)));
  }
  return writer.finish();
}

/** Details that do not parse are left out: they must not hide the status. */
function decodeDetails(bytes: Uint8Array): Any[] {
  const details: Any[] = [];
  try {
    const reader = new BinaryReader(bytes);
    while (reader.pos < reader.len) {
      const [field, wireType] = reader.tag();
      if (field === 3 && wireType === WireType.LengthDelimited) {
        details.push(fromBinary(AnySchema, reader.bytes()));
      } else reader.skip(wireType, field);
    }
  } catch {
    // Hostile or cut short. What was read before it is as good as any.
  }
  return details;
}
