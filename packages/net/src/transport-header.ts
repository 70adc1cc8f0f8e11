import { MeshError } from "@heddle/base/errors";
import {
  decodeTransportHeader,
  encodeTransportHeader,
  MAX_TRANSPORT_HEADER_BYTES,
  TRANSPORT_PROTOCOL,
  type TransportHeader,
} from "@heddle/wire/transport-header/transport-header";
import { peek } from "./peek.ts";
import type { Socket } from "./transport.ts";

/**
 * Reads the header that a peer sends first. The socket returned has the application's bytes still
 * to say; without a header (`undefined`), all of them.
 *
 * @throws MeshError `bad_transport_header`, `transport_header_timeout`; the socket is destroyed then.
 */
export async function readTransportHeader(
  socket: Socket,
  timeoutMs: number,
): Promise<{ readonly header: TransportHeader | undefined; readonly socket: Socket }> {
  const peeked = await peek<TransportHeader | undefined>(socket, {
    maxBytes: MAX_TRANSPORT_HEADER_BYTES,
    timeoutMs,
    timeoutError: () => {
      const message = `Cannot read transport header: nothing complete within ${timeoutMs} ms`;
      return new MeshError("transport_header_timeout", "client", message);
    },
    decide: (bytes, isLast, isEnded) => {
      const verdict = decodeTransportHeader(bytes);
      if (verdict.kind === "header") return { value: verdict.header, consumed: verdict.end };
      if (verdict.kind === "none") return { value: undefined, consumed: 0 };
      if (!isLast) return undefined;
      const state = isEnded ? "the stream ended within it" : "it is too long";
      const message = `Cannot read transport header: ${state}`;
      throw new MeshError("bad_transport_header", "client", message);
    },
  });
  return { header: peeked.value, socket: peeked.socket };
}

/**
 * Sends the header, if the server chose its protocol by ALPN; else the stream goes on without one.
 * Before anything else is written.
 *
 * @returns whether it was sent.
 */
export function writeTransportHeader(socket: Socket, header: TransportHeader): boolean {
  if (socket.tls?.alpn !== TRANSPORT_PROTOCOL) return false;
  const bytes = encodeTransportHeader(header);
  // Nothing was written before, so TLS takes it; it is never larger than a record.
  socket.write(bytes, 0, bytes.length);
  return true;
}
