import type { JsonObject } from "@heddle/apiserver/json/value";
import { BUILT_IN_TYPES } from "@heddle/apiserver/kinds/built-in-types";
import { badRequest, unsupportedMediaType } from "@heddle/apiserver/status-error";
import { decodeMessage } from "./decode.ts";
import { BYTES, Reader } from "./reader.ts";

/** `k8s` and a zero stand before every object in Kubernetes' protobuf. */
const MAGIC = Buffer.from("k8s\0", "latin1");

/**
 * Reads an object that was sent as `application/vnd.kubernetes.protobuf`. Only built-in kinds come
 * so; answers are always JSON, which every client takes too.
 *
 * @throws StatusError 400 on bytes that are no such object, 415 on kinds that cannot be read.
 */
export function decodeEnvelope(bytes: Uint8Array): JsonObject {
  if (!MAGIC.equals(bytes.subarray(0, MAGIC.length))) {
    throw badRequest("the body does not begin as an object in Kubernetes' protobuf does");
  }
  try {
    return decode(new Reader(bytes, MAGIC.length));
  } catch (error) {
    // A decoder of text throws a TypeError of its own, which has a code.
    const isForeign = error instanceof TypeError && !("code" in error);
    if (isForeign) throw unsupportedMediaType(error.message);
    if (error instanceof SyntaxError || error instanceof TypeError) {
      throw badRequest(`the body could not be decoded as protobuf: ${error.message}`, error);
    }
    throw error;
  }
}

function decode(reader: Reader): JsonObject {
  let apiVersion = "";
  let kind = "";
  let raw: Uint8Array | undefined;
  while (!reader.isAtEnd) {
    const { number, type } = reader.tag();
    if (number === 1 && type === BYTES) {
      const meta = reader.message();
      while (!meta.isAtEnd) {
        const field = meta.tag();
        if (field.number === 1 && field.type === BYTES) apiVersion = meta.text();
        else if (field.number === 2 && field.type === BYTES) kind = meta.text();
        else meta.skip(field.type);
      }
    } else if (number === 2 && type === BYTES) raw = reader.bytes();
    else reader.skip(type);
  }
  const schema = BUILT_IN_TYPES.get(typeName(apiVersion, kind));
  if (schema === undefined || raw === undefined) {
    throw new TypeError(`${apiVersion} ${kind} cannot be sent as protobuf: send JSON`);
  }
  return { apiVersion, kind, ...decodeMessage(new Reader(raw), schema) };
}

/** Two kinds are called Event. */
function typeName(apiVersion: string, kind: string): string {
  return apiVersion.startsWith("events.k8s.io/") && kind === "Event" ? "EventsEvent" : kind;
}
