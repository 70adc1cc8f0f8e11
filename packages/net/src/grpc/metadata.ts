import { HeaderMap } from "@heddle/wire/http/headers";

/** Names that belong to the protocol, whatever a caller puts into its metadata. */
const RESERVED = new Set([
  "connection",
  "content-length",
  "content-type",
  "host",
  "keep-alive",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
  "user-agent",
]);

/**
 * Copies metadata into the header fields of a message.
 *
 * @throws TypeError on a name or value that gRPC does not allow, and on names of the protocol: a
 * caller's bug. Binary values are set with `appendBinary`.
 */
export function copyMetadata(from: HeaderMap, to: HeaderMap): void {
  for (let i = 0; i < from.size; i++) {
    const name = from.nameAt(i);
    const value = from.valueAt(i);
    if (!/^[a-z0-9_.-]+$/.test(name) || isReserved(name)) {
      throw new TypeError(`Cannot send metadata "${name}": the name is reserved or not allowed`);
    }
    if (!/^[ -~]*$/.test(value)) {
      throw new TypeError(`Cannot send metadata "${name}": its value is not printable ASCII`);
    }
    to.append(name, value);
  }
}

/** What of a message's header fields the application set, fit to be sent on. */
export function applicationMetadata(headers: HeaderMap): HeaderMap {
  const out = new HeaderMap();
  for (let i = 0; i < headers.size; i++) {
    const name = headers.nameAt(i);
    if (!isReserved(name)) out.append(name, headers.valueAt(i));
  }
  return out;
}

function isReserved(name: string): boolean {
  return name.startsWith("grpc-") || RESERVED.has(name);
}

/** Adds a binary value. `name` ends with `-bin`. */
export function appendBinary(headers: HeaderMap, name: string, value: Uint8Array): void {
  const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  headers.append(name, bytes.toString("base64").replace(/=+$/, ""));
}

/** The first value of a name that ends with `-bin`; undefined if there is none. */
export function binaryValue(headers: HeaderMap, name: string): Uint8Array | undefined {
  return binaryValues(headers, name)[0];
}

/** Every value of a name that ends with `-bin`. A peer may join several with commas. */
export function binaryValues(headers: HeaderMap, name: string): Uint8Array[] {
  return headers
    .getAll(name)
    .flatMap((value) => value.split(","))
    .map((value) => Buffer.from(value.trim(), "base64"));
}
