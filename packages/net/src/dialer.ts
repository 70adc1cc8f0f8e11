import net from "node:net";
import tls from "node:tls";
import { MeshError } from "@heddle/base/errors";
import { formatAddress } from "./address.ts";
import type { Dialled } from "./dialled.ts";
import type { Guard } from "./guard.ts";
import { descriptorOf, NodeSocket, RAW_HIGH_WATER_BYTES } from "./node-socket.ts";
import { READ_BUFFER } from "./read-buffer.ts";
import { setKeepAliveIdle, setUserTimeout } from "./socket-options.ts";
import { type ClientTls, clientTlsOptions, judgeServer } from "./tls-client.ts";
import type { Socket, SocketAddress } from "./transport.ts";

export interface DialOptions {
  /** An IP literal with a port, or the path of a unix socket. Names are the caller's to resolve. */
  readonly address: SocketAddress | { readonly path: string };
  /** The source address to bind, as an IP literal. */
  readonly localAddress?: string | undefined;
  /** For the TCP connection and the TLS handshake together. */
  readonly timeoutMs: number;
  readonly tls?: ClientTls | undefined;
  /** Idle time before the first keep-alive probe. Default: the system's. */
  readonly keepAliveMs?: number | undefined;
  /** TCP_USER_TIMEOUT. Default: the system's. */
  readonly userTimeoutMs?: number | undefined;
  readonly guard?: Guard | undefined;
  /** Told of the connection's two ends; not of a unix socket's. */
  readonly dialled?: Dialled | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Connects, and with `tls` shakes hands and verifies the server. One attempt.
 *
 * @throws MeshError `connect_timeout`, `connect_refused`, `connect_unreachable`, `connect_failed`,
 * `identity_mismatch`, `tls_handshake`, `tls_untrusted`; the signal's reason if it aborts.
 */
export function dial(options: DialOptions): Promise<Socket> {
  const { signal } = options;
  if (signal?.aborted === true) return Promise.reject(signal.reason);
  return new Promise((resolve, reject) => {
    let socket: NodeSocket | undefined;
    const raw = connect(options, (count, bytes) => socket?.take(bytes, count) ?? false);
    if (!("path" in options.address)) options.dialled?.follow(raw, options.address);
    let late: NodeJS.Immediate | undefined;
    // After a pause of our own the loop runs its timers first: what has come in since counts too.
    const timer = setTimeout(() => {
      late = setImmediate(() => fail(timeoutError(options)));
    }, options.timeoutMs);
    signal?.addEventListener("abort", onAbort);
    raw.on("error", onError);
    raw.on("close", onClose);
    raw.once(options.tls === undefined ? "connect" : "secureConnect", onConnect);

    function settle(): void {
      clearTimeout(timer);
      clearImmediate(late);
      signal?.removeEventListener("abort", onAbort);
      raw.off("error", onError);
      raw.off("close", onClose);
    }

    function fail(error: unknown): void {
      settle();
      // A destroyed socket may still say why; nobody needs to know.
      raw.on("error", () => {});
      raw.destroy();
      reject(error);
    }

    function onAbort(): void {
      fail(signal!.reason);
    }

    function onError(error: Error): void {
      fail(dialError(error, options));
    }

    function onClose(): void {
      const message = `Cannot connect to ${target(options)}: closed during the handshake`;
      fail(new MeshError("tls_handshake", "server", message, { retryable: true }));
    }

    function onConnect(): void {
      try {
        const info = options.tls && judgeServer(raw as tls.TLSSocket, options.tls);
        applyOptions(raw, options);
        const { guard } = options;
        const readsIntoOurs = info !== undefined;
        socket = new NodeSocket(raw, { peer: "server", tls: info, guard, readsIntoOurs });
      } catch (error) {
        fail(error);
        return;
      }
      settle();
      resolve(socket);
    }
  });
}

function connect(
  options: DialOptions,
  take: (count: number, bytes: Uint8Array) => boolean,
): net.Socket {
  const { address, localAddress } = options;
  const where = "path" in address ? address : { host: address.ip, port: address.port };
  const common = {
    ...where,
    ...(localAddress === undefined ? {} : { localAddress }),
    allowHalfOpen: true,
    autoSelectFamily: false,
    noDelay: true,
    keepAlive: true,
  };
  if (options.tls !== undefined) {
    // An option of net.Socket's, which its types leave out.
    const reads = { onread: { buffer: READ_BUFFER, callback: take } };
    return tls.connect({ ...common, ...reads, ...clientTlsOptions(options.tls) });
  }
  // Every option of the stream constructor is one of net.Socket's; its types leave this one out.
  const plain = { ...common, highWaterMark: RAW_HIGH_WATER_BYTES };
  // Paused, or it would begin to read before anybody can take it over.
  return net.connect(plain as net.NetConnectOpts).pause();
}

function applyOptions(raw: net.Socket, options: DialOptions): void {
  const { keepAliveMs, userTimeoutMs } = options;
  if ("path" in options.address) return;
  if (keepAliveMs !== undefined) setKeepAliveIdle(descriptorOf(raw), keepAliveMs);
  if (userTimeoutMs !== undefined) setUserTimeout(descriptorOf(raw), userTimeoutMs);
}

function timeoutError(options: DialOptions): MeshError {
  const message = `Cannot connect to ${target(options)}: connect timed out after ${duration(options.timeoutMs)}`;
  return new MeshError("connect_timeout", "server", message, { retryable: true });
}

function dialError(error: Error, options: DialOptions): MeshError {
  const errno = (error as NodeJS.ErrnoException).code ?? "";
  const known = DIAL_ERRORS[errno];
  if (known !== undefined) {
    const message = `Cannot connect to ${target(options)}: ${known[1]}`;
    return new MeshError(known[0], "server", message, { cause: error, retryable: true });
  }
  if (options.tls !== undefined) {
    const message = `Cannot connect to ${target(options)}: TLS handshake failed`;
    return new MeshError("tls_handshake", "server", message, { cause: error, retryable: true });
  }
  const message = `Cannot connect to ${target(options)}`;
  return new MeshError("connect_failed", "server", message, { cause: error, retryable: true });
}

const DIAL_ERRORS: Readonly<Record<string, readonly [code: string, text: string]>> = {
  ECONNREFUSED: ["connect_refused", "connection refused"],
  ENOENT: ["connect_refused", "no such socket"],
  EHOSTUNREACH: ["connect_unreachable", "host unreachable"],
  ENETUNREACH: ["connect_unreachable", "network unreachable"],
  EADDRNOTAVAIL: ["connect_failed", "no such source address, or no free port"],
  EMFILE: ["connect_failed", "no free descriptor"],
};

function target(options: DialOptions): string {
  return "path" in options.address ? options.address.path : formatAddress(options.address);
}

function duration(ms: number): string {
  return ms % 1000 === 0 ? `${ms / 1000}s` : `${ms}ms`;
}
