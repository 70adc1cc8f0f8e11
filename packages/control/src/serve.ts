import { MeshError, messageOf } from "@heddle/base/errors";
import type { Log } from "@heddle/base/log";
import type { Counter, Registry } from "@heddle/base/metrics";
import { Slots } from "@heddle/base/slots";
import type { GrpcServer } from "@heddle/net/grpc/server";
import { LoggingGuard } from "@heddle/net/guard";
import { Http2Runtime } from "@heddle/net/http2/runtime";
import { type Http2Server, serveHttp2 } from "@heddle/net/http2/server";
import { type Listener, startListener } from "@heddle/net/listener";
import { peerIdentity } from "@heddle/net/peer-identity";
import { detectTls } from "@heddle/net/tls-detect";
import type { Socket, SocketAddress } from "@heddle/net/transport";
import { Turn } from "@heddle/net/turn";
import type { GrpcMetrics } from "./grpc-metrics.ts";
import type { OwnCertificates } from "./identity/own-certificates.ts";

export interface GrpcPortOptions {
  /** In logs and metrics: `destination`. */
  readonly name: string;
  readonly at: SocketAddress;
  readonly grpc: GrpcServer;
  readonly certificates: OwnCertificates;
  /** The name that we have for clients which ask for one that we do not have, or for none. */
  readonly serverName: string;
  /** Whether a client at this address, which came to that one of ours, may speak plaintext. */
  readonly isPlaintextAllowed: (from: string, own: string) => boolean;
  readonly log: Log;
  readonly metrics: Registry;
  readonly calls: GrpcMetrics;
}

/**
 * From the first byte to the end of the handshake, its turn awaited. When a control plane comes back,
 * ten thousand proxies do at once, and all their handshakes take some 20 s; gRPC in Go gives them 120.
 */
const HANDSHAKE_TIMEOUT_MS = 60_000;
/**
 * Handshakes side by side. All of ten thousand at once would each end when the last one does, long
 * after its client has given up; in turn, the first are served while the others wait.
 */
const HANDSHAKES_AT_ONCE = 32;
/** Whoever takes longer goes on beside the others, so that silent clients hold nobody up. */
const TURN_MS = 1_000;
/** A proxy that is gone without a word holds its streams no longer than this. */
const KEEP_ALIVE = { keepAliveIntervalMs: 20_000, keepAliveTimeoutMs: 10_000 } as const;

/**
 * One gRPC port: TLS 1.3 from anywhere, with a client certificate asked for and never required,
 * and plaintext HTTP/2 from where that is allowed. Which of them it is, the first bytes tell.
 */
export class GrpcPort implements AsyncDisposable {
  readonly #options: GrpcPortOptions;
  readonly #connections = new Set<Http2Server>();
  readonly #guard: LoggingGuard;
  readonly #http2: Http2Runtime;
  readonly #turns = new Slots(HANDSHAKES_AT_ONCE);
  readonly #accepted: { readonly tls: Counter; readonly plaintext: Counter; readonly no: Counter };
  #listener: Listener | undefined;
  #isClosed = false;

  private constructor(options: GrpcPortOptions) {
    this.#options = options;
    const { metrics, log, name: port } = options;
    const family = metrics.counter(
      "heddle_control_connections_total",
      "Connections to gRPC ports, by what they spoke",
    );
    this.#accepted = {
      tls: family.with({ port, transport: "tls" }),
      plaintext: family.with({ port, transport: "plaintext" }),
      no: family.with({ port, transport: "refused" }),
    };
    const open = metrics
      .gauge("heddle_control_open_connections", "Connections to gRPC ports")
      .with({ port });
    metrics.collect(() => open.set(this.#connections.size));
    this.#guard = new LoggingGuard(log);
    this.#http2 = new Http2Runtime({ turn: new Turn({ guard: this.#guard }) });
  }

  /** @throws MeshError `listen_failed`. */
  static async start(options: GrpcPortOptions): Promise<GrpcPort> {
    const port = new GrpcPort(options);
    const { at, log } = options;
    port.#listener = await startListener({ at, log, guard: port.#guard }, (socket) => {
      port.#admit(socket).catch((error: unknown) => {
        socket.destroy();
        port.#guard.report(error);
      });
    });
    log.info("listening", { port: options.name, address: at.ip, number: port.address.port });
    return port;
  }

  get address(): SocketAddress {
    return this.#listener!.address;
  }

  /** Takes nothing new, ends streams, lets other calls finish within the grace. */
  async close(graceMs = 0): Promise<void> {
    this.#isClosed = true;
    await this.#listener?.close();
    await this.#options.grpc.close(graceMs);
    await Promise.all([...this.#connections].map((connection) => connection.close(graceMs)));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Throws only what is a bug: what clients do wrong is counted and logged here. */
  async #admit(socket: Socket): Promise<void> {
    const { remote } = socket;
    try {
      const detected = await detectTls(socket, {
        serverName: "*",
        timeoutMs: HANDSHAKE_TIMEOUT_MS,
      });
      if (detected.kind === "mesh") await this.#serveTls(detected.socket, detected.serverName);
      else this.#servePlaintext(detected.socket);
    } catch (error) {
      if (!(error instanceof MeshError)) throw error;
      this.#accepted.no.inc();
      const { name: port, log } = this.#options;
      log.debug?.("connection refused", { port, client: remote.ip, error: messageOf(error) });
    }
  }

  async #serveTls(socket: Socket, serverName: string): Promise<void> {
    const terminator = this.#options.certificates.terminator(serverName, this.#options.serverName);
    if (terminator === undefined) {
      const reason = new MeshError("tls_not_ready", "self", "Cannot serve: no certificate yet");
      socket.destroy(reason);
      throw reason;
    }
    const secured = await this.#inTurn(() => terminator.terminate(socket, HANDSHAKE_TIMEOUT_MS));
    this.#accepted.tls.inc();
    this.#serve(secured, peerIdentity(secured));
  }

  async #inTurn<T>(shake: () => Promise<T>): Promise<T> {
    await this.#turns.take();
    let hasTurn = true;
    const giveUp = (): void => {
      if (hasTurn) this.#turns.give();
      hasTurn = false;
    };
    const timer = setTimeout(giveUp, TURN_MS);
    try {
      return await shake();
    } finally {
      clearTimeout(timer);
      giveUp();
    }
  }

  #servePlaintext(socket: Socket): void {
    if (!this.#options.isPlaintextAllowed(socket.remote.ip, socket.local.ip)) {
      const state = `plaintext is for this machine only, not for ${socket.remote.ip}`;
      const reason = new MeshError("plaintext_refused", "client", `Cannot serve: ${state}`);
      socket.destroy(reason);
      throw reason;
    }
    this.#accepted.plaintext.inc();
    this.#serve(socket, undefined);
  }

  #serve(socket: Socket, identity: string | undefined): void {
    if (this.#isClosed) {
      socket.destroy();
      return;
    }
    const { grpc, calls } = this.#options;
    const service = calls.metered(grpc, grpc.forPeer({ address: socket.remote, identity }));
    const connection: Http2Server = serveHttp2(socket, service, {
      ...KEEP_ALIVE,
      runtime: this.#http2,
      onClose: () => this.#connections.delete(connection),
    });
    this.#connections.add(connection);
  }
}
