import { MeshError } from "@heddle/base/errors";
import { dial } from "@heddle/net/dialer";
import { type Listener, startListener } from "@heddle/net/listener";
import { Credentials } from "@heddle/net/tls-credentials";
import { detectTls } from "@heddle/net/tls-detect";
import { TlsTerminator } from "@heddle/net/tls-server";
import type { Socket } from "@heddle/net/transport";
import type { LeafOptions, TestCa } from "./ca.ts";

/** Credentials of a new leaf with these names. */
export async function newCredentials(ca: TestCa, options: LeafOptions): Promise<Credentials> {
  const { chainPem, keyPem } = await ca.leaf(options);
  return new Credentials({ anchors: ca.pem, certificate: chainPem, privateKey: keyPem });
}

/** What came of one connection to a `MeshServer`. */
export interface Arrival {
  readonly kind: "mesh" | "passthru" | "none" | "failed";
  readonly socket: Socket | undefined;
  readonly error: MeshError | undefined;
}

export interface MeshServerOptions {
  readonly credentials: Credentials;
  readonly serverName: string;
  readonly alpn?: readonly string[];
  readonly detectTimeoutMs?: number;
  readonly maxTlsWriteBytes?: number;
}

/** A listener that sniffs and terminates TLS, as an inbound proxy does. Arrivals come in order. */
export class MeshServer implements AsyncDisposable {
  #listener!: Listener;
  readonly #options: MeshServerOptions;
  readonly #terminator: TlsTerminator;
  readonly #arrived: Arrival[] = [];
  readonly #waiting: ((arrival: Arrival) => void)[] = [];

  private constructor(options: MeshServerOptions) {
    this.#options = options;
    this.#terminator = new TlsTerminator(options);
  }

  static async start(options: MeshServerOptions): Promise<MeshServer> {
    const server = new MeshServer(options);
    server.#listener = await startListener({ at: { ip: "127.0.0.1", port: 0 } }, (socket) => {
      void server.#receive(socket);
    });
    return server;
  }

  get address(): Listener["address"] {
    return this.#listener.address;
  }

  next(): Promise<Arrival> {
    const arrival = this.#arrived.shift();
    if (arrival !== undefined) return Promise.resolve(arrival);
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#listener.close();
  }

  async #receive(socket: Socket): Promise<void> {
    const arrival = await this.#detect(socket);
    const waiting = this.#waiting.shift();
    if (waiting !== undefined) waiting(arrival);
    else this.#arrived.push(arrival);
  }

  async #detect(socket: Socket): Promise<Arrival> {
    try {
      const { serverName, detectTimeoutMs: timeoutMs = 5_000 } = this.#options;
      const found = await detectTls(socket, { serverName, timeoutMs });
      if (found.kind !== "mesh") return { ...found, error: undefined };
      const secure = await this.#terminator.terminate(found.socket, 5_000);
      return { kind: "mesh", socket: secure, error: undefined };
    } catch (error) {
      if (!(error instanceof MeshError)) throw error;
      return { kind: "failed", socket: undefined, error };
    }
  }
}

/** A TLS connection from `credentials` to `server`, which must prove `serverId`. */
export function dialMesh(
  server: MeshServer,
  credentials: Credentials,
  serverName: string,
  serverId: string = serverName,
  alpn?: readonly string[],
): Promise<Socket> {
  const tls = { credentials, serverName, serverId, alpn };
  return dial({ address: server.address, timeoutMs: 5_000, tls });
}
