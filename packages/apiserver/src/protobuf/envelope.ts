import type { Json } from "@heddle/apiserver/json/value";
import { unsupportedMediaType } from "@heddle/apiserver/status-error";

/** Placeholder */
export function decodeEnvelope(_bytes: Uint8Array): Json {
  throw unsupportedMediaType("protobuf");
}
