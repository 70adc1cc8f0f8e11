/** One simulated proxy of `bench -- control`: a connection with streams whose messages are counted. */
import { dial } from "@heddle/net/dialer";
import { NO_FLOW, type ResponseHead, type ResponseSink } from "@heddle/net/http";
import { Http2Client } from "@heddle/net/http2/client";
import type { Credentials } from "@heddle/net/tls-credentials";
import type { SocketAddress } from "@heddle/net/transport";
import { HeaderMap } from "@heddle/wire/http/headers";

/** What one stream asks for. */
export interface Watch {
  /** `/package.Service/Method`. */
  readonly method: string;
  readonly request: Uint8Array;
  /** Told of each message, with its number from 1 on. */
  readonly onMessage: (count: number) => void;
}

export interface WatcherOptions {
  readonly address: SocketAddress;
  readonly localAddress: string;
  readonly serverName: string;
  readonly credentials: Credentials;
  readonly timeoutMs: number;
  /** A stream that ends ends the benchmark. */
  readonly onLost: (why: string) => void;
}

/** A connection over mutual TLS, which only counts what comes: decoding would measure the client. */
export class Watcher {
  readonly #connection: Http2Client;
  readonly #onLost: (why: string) => void;
  #isClosed = false;

  private constructor(connection: Http2Client, onLost: (why: string) => void) {
    this.#connection = connection;
    this.#onLost = onLost;
  }

  static async connect(options: WatcherOptions): Promise<Watcher> {
    const { address, localAddress, serverName, credentials, timeoutMs, onLost } = options;
    const tls = { credentials, serverName, serverId: serverName };
    const socket = await dial({ address, localAddress, timeoutMs, tls });
    return new Watcher(new Http2Client(socket), onLost);
  }

  watch({ method, request, onMessage }: Watch): void {
    const head = {
      method: "POST",
      scheme: "https",
      authority: "control",
      path: method,
      version: "2",
      headers: grpcHeaders(),
      absoluteForm: false,
      upgrade: false,
      contentLength: request.length,
    } as const;
    const lost = (why: string): void => {
      if (!this.#isClosed) this.#onLost(`${method} ended: ${why}`);
    };
    const sink = this.#connection.call(head, NO_FLOW, new MessageCounter(onMessage, lost));
    sink.data(request, 0, request.length);
    sink.end(undefined);
  }

  close(): void {
    this.#isClosed = true;
    this.#connection.destroy();
  }
}

function grpcHeaders(): HeaderMap {
  const headers = new HeaderMap();
  headers.set("content-type", "application/grpc");
  headers.set("te", "trailers");
  return headers;
}

const PREFIX_BYTES = 5;

/** Counts length-prefixed messages, wherever they are cut. */
class MessageCounter implements ResponseSink {
  readonly #onMessage: (count: number) => void;
  readonly #onEnd: (why: string) => void;
  #count = 0;
  /** Bytes of the prefix that are there, and the length that they say so far. */
  #prefix = 0;
  #length = 0;
  /** Bytes of the message that are still to come. */
  #left = 0;

  constructor(onMessage: (count: number) => void, onEnd: (why: string) => void) {
    this.#onMessage = onMessage;
    this.#onEnd = onEnd;
  }

  head({ status, headers }: ResponseHead): void {
    const code = headers.get("grpc-status");
    if (status !== 200) this.#onEnd(`HTTP ${status}`);
    else if (code !== undefined) this.#onEnd(`gRPC status ${code} ${headers.get("grpc-message")}`);
  }

  data(bytes: Uint8Array, start: number, end: number): void {
    let at = start;
    while (at < end) {
      if (this.#prefix < PREFIX_BYTES) {
        // The first byte is the compression flag.
        this.#length = this.#prefix === 0 ? 0 : this.#length * 256 + bytes[at]!;
        this.#prefix++;
        at++;
        if (this.#prefix < PREFIX_BYTES) continue;
        this.#left = this.#length;
      }
      const taken = Math.min(this.#left, end - at);
      this.#left -= taken;
      at += taken;
      if (this.#left > 0) return;
      this.#prefix = 0;
      this.#onMessage(++this.#count);
    }
  }

  end(trailers: HeaderMap | undefined): void {
    const message = trailers?.get("grpc-message") ?? "";
    this.#onEnd(`gRPC status ${trailers?.get("grpc-status") ?? "unknown"} ${message}`);
  }

  abort(reason: Error): void {
    this.#onEnd(reason.message);
  }
}

/** A gRPC message of strings and numbers, each with the number of its field. */
export function grpcRequest(
  ...fields: readonly (readonly [number, string | number])[]
): Uint8Array {
  const parts = fields.map(([field, value]) => {
    if (typeof value === "number") return Buffer.from([field << 3, ...varint(value)]);
    const text = Buffer.from(value);
    return Buffer.concat([Buffer.from([(field << 3) | 2, ...varint(text.length)]), text]);
  });
  const body = Buffer.concat(parts);
  const prefix = Buffer.alloc(PREFIX_BYTES);
  prefix.writeUInt32BE(body.length, 1);
  return Buffer.concat([prefix, body]);
}

function varint(value: number): number[] {
  return value < 128 ? [value] : [(value & 127) | 128, ...varint(value >>> 7)];
}
