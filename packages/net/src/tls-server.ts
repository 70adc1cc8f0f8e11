import type net from "node:net";
import tls from "node:tls";
import { type Clock, systemClock } from "@heddle/base/clock";
import { MeshError } from "@heddle/base/errors";
import { parseLeaf } from "@heddle/wire/x509/leaf";
import { verifyUse } from "@heddle/wire/x509/verify";
import type { Guard } from "./guard.ts";
import { descriptorOf, NodeSocket } from "./node-socket.ts";
import { isPeerGone } from "./socket-options.ts";
import { type Credentials, contextOptions } from "./tls-credentials.ts";
import type { Socket, TlsInfo } from "./transport.ts";

export interface TerminatorOptions {
  readonly credentials: Credentials;
  /** Protocols to choose from. Undefined: clients may offer what they like, none is chosen. */
  readonly alpn?: readonly string[] | undefined;
  readonly guard?: Guard | undefined;
  /** See `NodeSocketOptions`: for whoever holds thousands of connections that are mostly quiet. */
  readonly maxTlsWriteBytes?: number;
  readonly clock?: Clock;
}

/** One handshake under way. */
interface Pending {
  readonly resolve: (socket: Socket) => void;
  readonly reject: (error: MeshError) => void;
}

/**
 * The server's side of TLS 1.3, on connections that were accepted and perhaps sniffed before. A
 * client certificate is asked for and not required; a bad one fails the handshake.
 *
 * `tls.Server` is given its connections by hand, as its documentation allows: of Node's public ways
 * to be a server, only this one tells OpenSSL's verdict on the client's chain.
 */
export class TlsTerminator {
  readonly #options: TerminatorOptions;
  readonly #clock: Clock;
  readonly #server: tls.Server;
  readonly #pending = new Map<number, Pending>();
  #version: number;

  constructor(options: TerminatorOptions) {
    const { credentials, alpn } = options;
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#version = credentials.version;
    this.#server = tls.createServer({
      ...contextOptions(credentials.material),
      requestCert: true,
      rejectUnauthorized: false,
      // Our own timer is the only one; Node's would be set for each connection.
      handshakeTimeout: LONGER_THAN_OURS_MS,
      ...(alpn === undefined ? {} : { ALPNProtocols: [...alpn] }),
      // With a server name, the context of `credentials`, which also knows partial chains.
      SNICallback: (_name, done) => done(null, credentials.context),
    });
    this.#server.on("secureConnection", (raw: tls.TLSSocket) => this.#established(raw));
    this.#server.on("tlsClientError", (error: Error, raw: tls.TLSSocket) => {
      this.#failed(error, raw);
    });
  }

  /**
   * Shakes hands as the server. What was read of `socket` must have been put back; it is used up,
   * also if this fails.
   *
   * @throws MeshError `tls_not_ready`, `tls_handshake`, `tls_handshake_timeout`, `tls_untrusted`,
   * `certificate_expired`, `certificate_purpose`, `bad_certificate`.
   */
  terminate(socket: Socket, timeoutMs: number): Promise<Socket> {
    if (!(socket instanceof NodeSocket)) {
      throw new TypeError("Cannot terminate TLS: not a socket of this transport");
    }
    const { credentials } = this.#options;
    if (!credentials.isCertified) {
      socket.destroy();
      const message = "Cannot terminate TLS: no certificate yet";
      return Promise.reject(new MeshError("tls_not_ready", "self", message));
    }
    if (credentials.version !== this.#version) {
      this.#version = credentials.version;
      this.#server.setSecureContext(contextOptions(credentials.material));
    }
    const fd = socket.fd;
    if (fd < 0 || isPeerGone(fd)) {
      socket.destroy();
      return Promise.reject(handshakeError("closed by the client", undefined));
    }
    return this.#shake(socket.detach(), fd, timeoutMs);
  }

  #shake(raw: net.Socket, fd: number, timeoutMs: number): Promise<Socket> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        const message = `Cannot terminate TLS: no handshake within ${timeoutMs} ms`;
        pending.reject(new MeshError("tls_handshake_timeout", "client", message));
      }, timeoutMs);
      const onClose = (): void => {
        pending.reject(handshakeError("closed by the client", undefined));
      };
      const settle = (): void => {
        clearTimeout(timer);
        raw.off("close", onClose);
        if (this.#pending.get(fd) === pending) this.#pending.delete(fd);
      };
      const pending: Pending = {
        resolve: (socket) => {
          settle();
          resolve(socket);
        },
        reject: (error) => {
          settle();
          raw.destroy();
          reject(error);
        },
      };
      this.#pending.set(fd, pending);
      raw.once("close", onClose);
      // Until the handshake is done, an end of the peer ends everything.
      raw.allowHalfOpen = false;
      this.#server.emit("connection", raw);
    });
  }

  #established(raw: tls.TLSSocket): void {
    const pending = this.#pending.get(descriptorOf(raw));
    if (pending === undefined) {
      raw.destroy();
      return;
    }
    raw.allowHalfOpen = true;
    try {
      const info = judgeClient(raw, this.#clock.wallMs());
      const { guard, maxTlsWriteBytes } = this.#options;
      const options = { peer: "client", tls: info, guard, maxTlsWriteBytes } as const;
      pending.resolve(new NodeSocket(raw, options));
    } catch (error) {
      raw.destroy();
      if (!(error instanceof MeshError)) throw error;
      pending.reject(error);
    }
  }

  #failed(error: Error, raw: tls.TLSSocket): void {
    // If the descriptor is gone already, the raw socket's "close" says that there is no more.
    this.#pending.get(descriptorOf(raw))?.reject(handshakeError("handshake failed", error));
  }
}

const LONGER_THAN_OURS_MS = 2_147_483_647;

/** A client without a certificate is nobody; one with a bad certificate is refused. */
function judgeClient(raw: tls.TLSSocket, wallMs: number): TlsInfo {
  const certificate = raw.getPeerX509Certificate();
  const alpn = raw.alpnProtocol || undefined;
  const serverName = raw.servername || undefined;
  if (certificate === undefined) {
    return { peerLeaf: undefined, isAuthorized: false, alpn, serverName };
  }
  if (!raw.authorized) {
    const cause = raw.authorizationError;
    throw new MeshError("tls_untrusted", "client", `Cannot trust client: ${cause}`);
  }
  verifyUse(parseLeaf(certificate.raw), "client", wallMs);
  return { peerLeaf: certificate.raw, isAuthorized: true, alpn, serverName };
}

function handshakeError(state: string, cause: Error | undefined): MeshError {
  const message = `Cannot terminate TLS: ${state}`;
  return new MeshError("tls_handshake", "client", message, cause === undefined ? {} : { cause });
}
