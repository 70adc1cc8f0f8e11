import { HeaderMap } from "@heddle/wire/http/headers";

/** Metadata of a call, for packages that know gRPC but not the wire. */
export function grpcMetadata(fields: Readonly<Record<string, string>>): HeaderMap {
  return HeaderMap.of(fields);
}
