import { MeshError } from "@heddle/base/errors";
import { dnsId } from "../x509/id.ts";

/** The ALPN protocol under which a header is sent, and the first bytes of one. */
export const TRANSPORT_PROTOCOL = "transport.l5d.io/v1";

export type SessionProtocol = "http1" | "http2";

/**
 * What a proxy says to the inbound port of another before the bytes of a connection:
 * `transport.l5d.io.Header` (docs/wire/transport-header.md).
 */
export interface TransportHeader {
  /** 1 to 65535. Where the peer shall forward to. */
  readonly port: number;
  /** For gateways: the name that is meant. */
  readonly name: string | undefined;
  /** What the bytes are, if they need no detection. Undefined: opaque. */
  readonly protocol: SessionProtocol | undefined;
}

export type TransportHeaderVerdict =
  | { readonly kind: "incomplete" }
  /** The stream does not begin with the preface. */
  | { readonly kind: "none" }
  /** Application bytes begin at `end`. */
  | { readonly kind: "header"; readonly header: TransportHeader; readonly end: number };

/** The most that a header may take, preface and length included. */
export const MAX_TRANSPORT_HEADER_BYTES = 65_536;

const PREFACE: Uint8Array = Buffer.from(`${TRANSPORT_PROTOCOL}\r\n\r\n`);
const LENGTH_END: number = PREFACE.length + 4;

const VARINT = 0;
const FIXED64 = 1;
const BYTES = 2;
const FIXED32 = 5;

export function encodeTransportHeader(header: TransportHeader): Uint8Array {
  const name = Buffer.from(header.name ?? "");
  const message: number[] = [0x08, ...varint(header.port)];
  if (name.length > 0) message.push(0x12, ...varint(name.length), ...name);
  if (header.protocol !== undefined) message.push(0x1a, 2, PROTOCOL_FIELDS[header.protocol], 0);
  const out = Buffer.alloc(LENGTH_END + message.length);
  out.set(PREFACE);
  out.writeUInt32BE(message.length, PREFACE.length);
  out.set(message, LENGTH_END);
  return out;
}

/**
 * Reads a header at the beginning of a stream, of which `bytes` are the first.
 *
 * @throws MeshError `bad_transport_header`.
 */
export function decodeTransportHeader(bytes: Uint8Array): TransportHeaderVerdict {
  const known = Math.min(bytes.length, PREFACE.length);
  for (let at = 0; at < known; at++) if (bytes[at] !== PREFACE[at]) return { kind: "none" };
  if (bytes.length < LENGTH_END) return { kind: "incomplete" };
  const length = Buffer.from(bytes.buffer, bytes.byteOffset).readUInt32BE(PREFACE.length);
  const end = LENGTH_END + length;
  if (end > MAX_TRANSPORT_HEADER_BYTES) throw refused(`${length} bytes`);
  if (bytes.length < end) return { kind: "incomplete" };
  return { kind: "header", header: readMessage(new FieldReader(bytes, LENGTH_END, end)), end };
}

function readMessage(fields: FieldReader): TransportHeader {
  let port = 0;
  let name: string | undefined;
  let protocol: SessionProtocol | undefined;
  while (fields.next()) {
    if (fields.number === 1 && fields.type === VARINT) port = fields.value;
    else if (fields.number === 2 && fields.type === BYTES) name = fields.text();
    else if (fields.number === 3 && fields.type === BYTES) protocol = readProtocol(fields);
  }
  if (port < 1 || port > 65_535) throw refused(`port ${port}`);
  if (name === "") name = undefined;
  if (name !== undefined && dnsId(name.replace(/\.$/, "")) === undefined) {
    throw refused("its name is no DNS name");
  }
  return { port, name, protocol };
}

const PROTOCOL_FIELDS: Readonly<Record<SessionProtocol, number>> = { http1: 0x0a, http2: 0x12 };

function readProtocol(outer: FieldReader): SessionProtocol | undefined {
  const fields = new FieldReader(outer.bytes, outer.contentStart, outer.contentEnd);
  let protocol: SessionProtocol | undefined;
  while (fields.next()) {
    if (fields.type !== BYTES) continue;
    if (fields.number === 1) protocol = "http1";
    if (fields.number === 2) protocol = "http2";
  }
  return protocol;
}

/** Walks the fields of one protobuf message, those that nobody knows included. */
class FieldReader {
  readonly bytes: Uint8Array;
  readonly #end: number;
  #at: number;
  number = 0;
  type = 0;
  /** Of a varint; everything beyond 2^53 is only known to be large. */
  value = 0;
  contentStart = 0;
  contentEnd = 0;

  constructor(bytes: Uint8Array, start: number, end: number) {
    this.bytes = bytes;
    this.#at = start;
    this.#end = end;
  }

  next(): boolean {
    if (this.#at === this.#end) return false;
    const tag = this.#varint();
    this.number = Math.floor(tag / 8);
    this.type = tag % 8;
    if (this.number === 0 || this.number > 536_870_911) throw refused("a field without a number");
    if (this.type === VARINT) this.value = this.#varint();
    else this.#skip(this.#size());
    return true;
  }

  text(): string {
    return Buffer.from(this.bytes.subarray(this.contentStart, this.contentEnd)).toString("utf8");
  }

  #size(): number {
    if (this.type === BYTES) return this.#varint();
    if (this.type === FIXED64) return 8;
    if (this.type === FIXED32) return 4;
    throw refused(`a field of type ${this.type}`);
  }

  #skip(size: number): void {
    if (this.#end - this.#at < size) throw refused("a field is cut off");
    this.contentStart = this.#at;
    this.contentEnd = this.#at + size;
    this.#at = this.contentEnd;
  }

  #varint(): number {
    let value = 0;
    for (let count = 0; count < 10; count++) {
      if (this.#at === this.#end) throw refused("a number is cut off");
      const octet = this.bytes[this.#at++]!;
      value += (octet & 0x7f) * 2 ** (7 * count);
      if (octet < 0x80) return value;
    }
    throw refused("a number of more than ten octets");
  }
}

function varint(value: number): number[] {
  const octets: number[] = [];
  let rest = value;
  while (rest >= 0x80) {
    octets.push((rest & 0x7f) | 0x80);
    rest >>>= 7;
  }
  octets.push(rest);
  return octets;
}

function refused(state: string): MeshError {
  const message = `Cannot read transport header: ${state}`;
  return new MeshError("bad_transport_header", "client", message);
}
