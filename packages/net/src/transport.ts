import type { MeshError } from "@heddle/base/errors";

/** An address of a TCP peer. IPv4-mapped IPv6 addresses are unwrapped before anyone sees them. */
export interface SocketAddress {
  /** A literal, without brackets. */
  readonly ip: string;
  readonly port: number;
}

/** Who is at the other end of a unix socket, from SO_PEERCRED. */
export interface PeerCredentials {
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
}

/**
 * Hears of one socket. Every callback runs under the transport's guard: what it throws destroys
 * the socket, is logged with its stack and counted.
 */
export interface SocketHandler {
  /** Bytes arrived. The range is lent until this returns. Never called while paused. Hot. */
  onData(bytes: Uint8Array, start: number, end: number): void;
  /** After a `write` that returned false: everything is with the kernel, write again. Hot. */
  onDrain(): void;
  /** The peer will send no more (FIN, or close_notify); our side stays open until `end`. */
  onEnd(): void;
  /** Once, last. `error` unless both sides ended in good order or we destroyed it without a reason. */
  onClose(error: MeshError | undefined): void;
}

/** What TLS established. Judged by `net/tls-verify`: the chain by OpenSSL, identity by us. */
export interface TlsInfo {
  /** The peer's leaf in DER; undefined if it presented none. */
  readonly peerLeaf: Uint8Array | undefined;
  /** The peer's chain is good by our anchors. False if there is no certificate. */
  readonly isAuthorized: boolean;
  readonly alpn: string | undefined;
  readonly serverName: string | undefined;
}

/**
 * The seam between the mesh and the runtime's sockets: one connection, plain or TLS. Nothing above
 * it knows `node:net`. One handler at a time; bytes that arrive while there is none wait.
 */
export interface Socket {
  readonly remote: SocketAddress;
  readonly local: SocketAddress;
  /** Set after a TLS handshake. */
  readonly tls: TlsInfo | undefined;
  /** The descriptor, for socket options; -1 if there is none. */
  readonly fd: number;
  readonly bytesRead: number;
  readonly bytesWritten: number;
  /** Takes over the callbacks. Data comes from the next turn on, never during this call. */
  setHandler(handler: SocketHandler): void;
  /**
   * Sends a range. True: the bytes are taken, the caller may reuse its buffer at once. False: the
   * socket keeps the range until `onDrain`; the caller leaves it alone and writes nothing until
   * then. Hot.
   */
  write(bytes: Uint8Array, start: number, end: number): boolean;
  /**
   * As `write`, for a range that is itself only lent, such as one of another socket's `onData`: what
   * the socket must keep it copies. So a relay passes ranges on, and on false waits for `onDrain`.
   * Hot.
   */
  writeLent(bytes: Uint8Array, start: number, end: number): boolean;
  /** Half-close, after what was written. */
  end(): void;
  /** Now, in both directions. With a reason, `onClose` hears of it. Harmless twice. */
  destroy(reason?: MeshError): void;
  pause(): void;
  resume(): void;
}
