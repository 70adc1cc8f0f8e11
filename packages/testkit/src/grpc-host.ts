import { dial } from "@heddle/net/dialer";
import type { GrpcPeer } from "@heddle/net/grpc/handlers";
import type { GrpcServer } from "@heddle/net/grpc/server";
import { Http2Client } from "@heddle/net/http2/client";
import type { Http2ClientOptions, Http2ServerOptions } from "@heddle/net/http2/options";
import { type Http2Server, serveHttp2 } from "@heddle/net/http2/server";
import { type Listener, startListener } from "@heddle/net/listener";
import type { SocketAddress } from "@heddle/net/transport";

/** A gRPC server on a real socket of the loopback, in plaintext. */
export class GrpcHost implements AsyncDisposable {
  /** Live connections, for tests that break them. */
  readonly connections: Set<Http2Server> = new Set();
  readonly #server: GrpcServer;
  readonly #options: Http2ServerOptions;
  #listener: Listener | undefined;

  private constructor(server: GrpcServer, options: Http2ServerOptions) {
    this.#server = server;
    this.#options = options;
  }

  /** @param at - Default: a port that the kernel chooses. */
  static async start(
    server: GrpcServer,
    options: Http2ServerOptions = {},
    at: SocketAddress = { ip: "127.0.0.1", port: 0 },
  ): Promise<GrpcHost> {
    const host = new GrpcHost(server, options);
    host.#listener = await startListener({ at }, (socket) => {
      const peer: GrpcPeer = { address: socket.remote };
      const connection = serveHttp2(socket, server.forPeer(peer), {
        ...host.#options,
        onClose: () => host.connections.delete(connection),
      });
      host.connections.add(connection);
    });
    return host;
  }

  get address(): SocketAddress {
    return this.#listener!.address;
  }

  get authority(): string {
    return `${this.address.ip}:${this.address.port}`;
  }

  /** A connection to it. */
  async connect(options: Http2ClientOptions = {}): Promise<Http2Client> {
    return new Http2Client(await dial({ address: this.address, timeoutMs: 5000 }), options);
  }

  async close(): Promise<void> {
    await this.#listener?.close();
    await this.#server.close();
    const gone = [...this.connections].map((connection) => connection.close(1000));
    await Promise.all(gone);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
