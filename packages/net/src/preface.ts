import { MeshError } from "@heddle/base/errors";
import { formatIp, ipBytes } from "./address.ts";
import { peek } from "./peek.ts";
import type { Socket, SocketAddress } from "./transport.ts";

/** What a trusted peer on a unix socket says before the bytes of a connection it hands over. */
export interface Preface {
  readonly clientAddress: SocketAddress;
  readonly originalDestination: SocketAddress;
  readonly forwardTo: SocketAddress | undefined;
}

/** `HDLP`, then version 1 in binary; no text protocol and no TLS record begins like it. */
const MAGIC: Uint8Array = Uint8Array.of(0x48, 0x44, 0x4c, 0x50, 0x00, 0x01);
const HEADER_BYTES = 8;
const MAX_FIELDS_BYTES = 1_024;

const CLIENT_ADDRESS = 1;
const ORIGINAL_DESTINATION = 2;
const FORWARD_TO = 3;
/** Fields from here on may be skipped by whoever does not know them. */
const FIRST_OPTIONAL = 128;

export function encodePreface(preface: Preface): Uint8Array {
  const fields = [
    field(CLIENT_ADDRESS, preface.clientAddress),
    field(ORIGINAL_DESTINATION, preface.originalDestination),
  ];
  if (preface.forwardTo !== undefined) fields.push(field(FORWARD_TO, preface.forwardTo));
  const body = fields.flat();
  return Uint8Array.from([...MAGIC, body.length >> 8, body.length & 0xff, ...body]);
}

/**
 * @returns the preface and where it ends, or false if more bytes are needed.
 * @throws MeshError `bad_preface`.
 */
export function decodePreface(bytes: Uint8Array): { preface: Preface; end: number } | false {
  for (let at = 0; at < Math.min(MAGIC.length, bytes.length); at++) {
    if (bytes[at] !== MAGIC[at]) throw refused("it does not begin with the magic bytes");
  }
  if (bytes.length < HEADER_BYTES) return false;
  const length = (bytes[6]! << 8) | bytes[7]!;
  if (length > MAX_FIELDS_BYTES) throw refused(`${length} bytes of fields`);
  const end = HEADER_BYTES + length;
  if (bytes.length < end) return false;
  const found = new Map<number, SocketAddress>();
  for (let at = HEADER_BYTES; at < end; ) {
    if (end - at < 3) throw refused("a field is cut off");
    const type = bytes[at]!;
    const size = (bytes[at + 1]! << 8) | bytes[at + 2]!;
    at += 3;
    if (end - at < size) throw refused("a field is cut off");
    if (type < FIRST_OPTIONAL) {
      if (type < CLIENT_ADDRESS || type > FORWARD_TO) throw refused(`field ${type} is unknown`);
      if (found.has(type)) throw refused(`field ${type} stands twice`);
      found.set(type, readAddress(bytes.subarray(at, at + size)));
    }
    at += size;
  }
  const clientAddress = found.get(CLIENT_ADDRESS);
  const originalDestination = found.get(ORIGINAL_DESTINATION);
  if (clientAddress === undefined || originalDestination === undefined) {
    throw refused("an address is missing");
  }
  const preface = { clientAddress, originalDestination, forwardTo: found.get(FORWARD_TO) };
  return { preface, end };
}

/** Reads the preface off `socket`; what follows it is for the next handler. */
export async function readPreface(
  socket: Socket,
  timeoutMs: number,
): Promise<{ readonly preface: Preface; readonly socket: Socket }> {
  const peeked = await peek(socket, {
    maxBytes: HEADER_BYTES + MAX_FIELDS_BYTES,
    timeoutMs,
    decide: (bytes, isLast) => {
      const decoded = decodePreface(bytes);
      if (decoded === false) {
        if (isLast) throw refused("it is cut off");
        return undefined;
      }
      return { value: decoded.preface, consumed: decoded.end };
    },
  });
  return { preface: peeked.value, socket: peeked.socket };
}

function field(type: number, address: SocketAddress): number[] {
  const ip = ipBytes(address.ip);
  return [type, 0, ip.length + 2, ...ip, address.port >> 8, address.port & 0xff];
}

function readAddress(bytes: Uint8Array): SocketAddress {
  if (bytes.length !== 6 && bytes.length !== 18) throw refused(`${bytes.length} bytes of address`);
  const at = bytes.length - 2;
  return { ip: formatIp(bytes.subarray(0, at)), port: (bytes[at]! << 8) | bytes[at + 1]! };
}

function refused(state: string): MeshError {
  return new MeshError("bad_preface", "client", `Cannot read preface: ${state}`);
}
