import { chmodSync, readFileSync, renameSync, rmSync, statSync, unlinkSync } from "node:fs";
import net from "node:net";
import { MeshError, messageOf } from "@heddle/base/errors";
import { Log } from "@heddle/base/log";
import { formatAddress, UNIX_ADDRESS, unmapIp } from "./address.ts";
import { type Guard, LoggingGuard } from "./guard.ts";
import { descriptorOf, NodeSocket, RAW_HIGH_WATER_BYTES } from "./node-socket.ts";
import { readPreface } from "./preface.ts";
import {
  closeDescriptor,
  duplicateDescriptor,
  originalDestination,
  peerCredentials,
  setKeepAliveIdle,
  setUserTimeout,
} from "./socket-options.ts";
import type { PeerCredentials, Socket, SocketAddress } from "./transport.ts";

/** Where to listen: an address, a unix socket, or a descriptor that listens or is bound already. */
export type ListenAt =
  | SocketAddress
  | { readonly path: string; readonly mode?: number }
  | { readonly fd: number };

/**
 * How accepted connections learn where their client wanted to go.
 * - `own`: the address that was connected to.
 * - `redirected`: SO_ORIGINAL_DST; without a NAT entry the own address, or the connection is
 *   refused.
 * - `declared`: always the same, for explicitly declared listeners.
 * - `preface`: a trusted peer on a unix socket says so (docs/wire/preface.md).
 */
export type DestinationSource =
  | { readonly kind: "own" }
  | { readonly kind: "redirected"; readonly otherwise: "own" | "refuse" }
  | {
      readonly kind: "declared";
      readonly originalDestination: SocketAddress;
      readonly forwardTo?: SocketAddress;
    }
  | {
      readonly kind: "preface";
      readonly trustedUids: readonly number[];
      readonly timeoutMs: number;
    };

/** What accepting yields, beside the socket. */
export interface Accepted {
  readonly clientAddress: SocketAddress;
  readonly originalDestination: SocketAddress;
  /** Where the bytes shall go, if that is not the original destination. */
  readonly forwardTo: SocketAddress | undefined;
  /** Set on unix sockets. */
  readonly credentials: PeerCredentials | undefined;
}

/** Runs under the guard, once per connection. Takes the socket over. */
export type OnAccept = (socket: Socket, accepted: Accepted) => void;

export interface ListenOptions {
  readonly at: ListenAt;
  readonly destination?: DestinationSource;
  /** Default 4096, which the kernel cuts to net.core.somaxconn. */
  readonly backlog?: number | undefined;
  /** SO_REUSEPORT. */
  readonly reusePort?: boolean;
  /** Idle time before the first keep-alive probe. Default: the system's. */
  readonly keepAliveMs?: number | undefined;
  /** TCP_USER_TIMEOUT. Default: the system's. */
  readonly userTimeoutMs?: number | undefined;
  readonly log?: Log;
  readonly guard?: Guard;
}

export interface Listener extends AsyncDisposable {
  /** With the port that the kernel chose. `UNIX_ADDRESS` for a unix socket. */
  readonly address: SocketAddress;
  /** Accepts nothing until `resume`; the kernel keeps clients waiting in its backlog. */
  pause(): void;
  resume(): void;
  /** Stops listening, for good. Connections that were accepted live on. */
  close(): Promise<void>;
}

const DEFAULT_BACKLOG = 4_096;
/**
 * Accepting pauses while fewer descriptors are free: without any, libuv would accept and close, and
 * nobody could dial. A descriptor's number tells, since the kernel gives out the lowest free one.
 */
const RESERVED_DESCRIPTORS = 16;
/** How long to accept nothing after the process ran out of descriptors or memory. */
const EXHAUSTED_PAUSE_MS = 100;

/** @throws MeshError `listen_failed`. */
export async function startListener(options: ListenOptions, onAccept: OnAccept): Promise<Listener> {
  const listener = new NodeListener(options, onAccept);
  await listener.start();
  return listener;
}

class NodeListener implements Listener {
  address: SocketAddress = UNIX_ADDRESS;
  readonly #options: ListenOptions;
  readonly #onAccept: OnAccept;
  readonly #log: Log;
  readonly #guard: Guard;
  readonly #source: DestinationSource;
  #server: net.Server | undefined;
  /** While paused: the listening socket, held open by a descriptor that nothing polls. */
  #pausedFd = -1;
  #isClosed = false;
  #isUnix = false;
  #exhausted: NodeJS.Timeout | undefined;
  /** Of the unix socket's file, so that we remove only our own. */
  #inode = 0;

  constructor(options: ListenOptions, onAccept: OnAccept) {
    this.#options = options;
    this.#onAccept = onAccept;
    this.#log = options.log ?? Log.silent();
    this.#guard = options.guard ?? new LoggingGuard(this.#log);
    this.#source = options.destination ?? { kind: "own" };
  }

  async start(): Promise<void> {
    const { at } = this.#options;
    try {
      if ("fd" in at) await this.#listen({ fd: at.fd });
      else if ("path" in at) await this.#listenAtPath(at.path, at.mode ?? 0o600);
      else await this.#listenAtAddress(at);
    } catch (error) {
      if (error instanceof MeshError) throw error;
      const message = `Cannot listen on ${describe(at)}: ${messageOf(error)}`;
      throw new MeshError("listen_failed", "self", message, { cause: error });
    }
    const bound = this.#server!.address();
    this.#isUnix = bound === null || typeof bound === "string";
    if (bound !== null && typeof bound === "object") {
      this.address = { ip: unmapIp(bound.address), port: bound.port };
    }
  }

  pause(): void {
    if (this.#isClosed || this.#pausedFd >= 0) return;
    this.#pausedFd = duplicateDescriptor(descriptorOf(this.#server!));
    this.#server!.close();
  }

  resume(): void {
    clearTimeout(this.#exhausted);
    this.#exhausted = undefined;
    if (this.#isClosed || this.#pausedFd < 0) return;
    const fd = this.#pausedFd;
    this.#pausedFd = -1;
    this.#listen({ fd }).catch((error: unknown) => {
      this.#log.error("cannot accept again", { address: this.#name(), error: messageOf(error) });
      if (this.#isClosed) closeDescriptor(fd);
      else this.#pausedFd = fd;
      this.#exhausted = setTimeout(() => this.resume(), EXHAUSTED_PAUSE_MS);
    });
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearTimeout(this.#exhausted);
    if (this.#pausedFd >= 0) closeDescriptor(this.#pausedFd);
    else this.#server?.close();
    this.#pausedFd = -1;
    const { at } = this.#options;
    if ("path" in at && isFile(at.path)) removeIfSame(at.path, this.#inode);
    // Libuv closes the descriptor in its next turn; then the port is free.
    await new Promise((resolve) => setImmediate(resolve));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #listenAtAddress(at: SocketAddress): Promise<void> {
    const { reusePort } = this.#options;
    await this.#listen({ host: at.ip, port: at.port, reusePort: reusePort === true });
  }

  /**
   * Binds beside the path and renames: the socket appears with its mode, takes the place of one
   * that a dead process left, and is not unlinked by Node when a pause closes its first server.
   */
  async #listenAtPath(path: string, mode: number): Promise<void> {
    if (!isFile(path)) {
      await this.#listen({ path });
      return;
    }
    await refuseLiving(path);
    const beside = `${path}~`;
    rmSync(beside, { force: true });
    await this.#listen({ path: beside });
    chmodSync(beside, mode);
    renameSync(beside, path);
    this.#inode = statSync(path).ino;
  }

  async #listen(where: net.ListenOptions | { readonly fd: number }): Promise<void> {
    const server = net.createServer({
      allowHalfOpen: true,
      pauseOnConnect: true,
      noDelay: true,
      keepAlive: true,
      highWaterMark: RAW_HIGH_WATER_BYTES,
    });
    this.#server = server;
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen({ ...where, backlog: this.#options.backlog ?? DEFAULT_BACKLOG }, () => {
        server.off("error", reject);
        resolve();
      });
    });
    server.on("error", (error) => this.#exhaust(messageOf(error)));
    server.on("connection", (raw: net.Socket) => this.#accepted(raw));
  }

  #accepted(raw: net.Socket): void {
    const fd = descriptorOf(raw);
    if (fd >= descriptorLimit() - RESERVED_DESCRIPTORS) this.#exhaust("descriptors nearly used up");
    try {
      this.#configure(raw, fd);
    } catch (error) {
      // For example reset by the client before we got here.
      raw.destroy();
      this.#log.warn("connection refused", { address: this.#name(), error: messageOf(error) });
    }
  }

  #configure(raw: net.Socket, fd: number): void {
    const { keepAliveMs, userTimeoutMs } = this.#options;
    const isUnix = this.#isUnix;
    if (!isUnix && raw.remoteAddress === undefined) {
      throw new MeshError("connection_reset", "client", "Cannot accept: reset by the client");
    }
    if (!isUnix && keepAliveMs !== undefined) setKeepAliveIdle(fd, keepAliveMs);
    if (!isUnix && userTimeoutMs !== undefined) setUserTimeout(fd, userTimeoutMs);
    const credentials = isUnix ? peerCredentials(fd) : undefined;
    const socket = new NodeSocket(raw, { peer: "client", guard: this.#guard });
    try {
      this.#route(socket, credentials);
    } catch (error) {
      socket.destroy();
      throw error;
    }
  }

  #route(socket: Socket, credentials: PeerCredentials | undefined): void {
    const source = this.#source;
    if (source.kind === "preface") {
      this.#readPreface(socket, credentials, source);
      return;
    }
    const forwardTo = source.kind === "declared" ? source.forwardTo : undefined;
    const originalDestination = this.#destinationOf(socket, source);
    const clientAddress = socket.remote;
    this.#handOver(socket, { clientAddress, originalDestination, forwardTo, credentials });
  }

  #destinationOf(socket: Socket, source: DestinationSource): SocketAddress {
    if (source.kind === "declared") return source.originalDestination;
    if (source.kind === "redirected") {
      const found = originalDestination(socket.fd, socket.remote.ip.includes(":"));
      if (found !== undefined) return found;
      if (source.otherwise === "refuse") {
        const message = "Cannot tell original destination: connection is not redirected";
        throw new MeshError("no_original_destination", "client", message);
      }
    }
    return socket.local;
  }

  #readPreface(
    socket: Socket,
    credentials: PeerCredentials | undefined,
    source: DestinationSource & { readonly kind: "preface" },
  ): void {
    if (credentials === undefined || !source.trustedUids.includes(credentials.uid)) {
      const who = credentials === undefined ? "not on a unix socket" : `uid ${credentials.uid}`;
      throw new MeshError("untrusted_peer", "client", `Cannot trust preface: peer is ${who}`);
    }
    readPreface(socket, source.timeoutMs).then(
      (read) => this.#handOver(read.socket, { ...read.preface, credentials }),
      (error: unknown) => {
        this.#log.warn("connection refused", { address: this.#name(), error: messageOf(error) });
      },
    );
  }

  #handOver(socket: Socket, accepted: Accepted): void {
    try {
      this.#onAccept(socket, accepted);
    } catch (bug) {
      socket.destroy();
      this.#guard.report(bug);
    }
  }

  /** Accepts nothing for a while: clients wait in the backlog instead of being turned away. */
  #exhaust(cause: string): void {
    if (this.#exhausted !== undefined || this.#isClosed) return;
    this.#log.warn("accepting paused", { address: this.#name(), cause });
    this.#exhausted = setTimeout(() => this.resume(), EXHAUSTED_PAUSE_MS);
    try {
      this.pause();
    } catch (error) {
      // Without a spare descriptor there is no pause; libuv then closes what it cannot serve.
      this.#log.error("accepting cannot pause", { error: messageOf(error) });
    }
  }

  #name(): string {
    const { at } = this.#options;
    return "path" in at ? at.path : formatAddress(this.address);
  }
}

function describe(at: ListenAt): string {
  if ("fd" in at) return `descriptor ${at.fd}`;
  return "path" in at ? at.path : formatAddress(at);
}

/** Abstract sockets begin with a zero byte and have no file. */
function isFile(path: string): boolean {
  return !path.startsWith("\0");
}

/** Throws if somebody listens at `path`; a socket that nobody serves may be replaced. */
async function refuseLiving(path: string): Promise<void> {
  const isLiving = await new Promise<boolean>((resolve) => {
    const probe = net.connect({ path });
    probe.once("connect", () => resolve(true));
    probe.once("error", () => resolve(false));
    probe.once("connect", () => probe.destroy());
  });
  if (!isLiving) return;
  const message = `Cannot listen on ${path}: another process does`;
  throw new MeshError("listen_failed", "self", message);
}

function removeIfSame(path: string, inode: number): void {
  if (statSync(path, { throwIfNoEntry: false })?.ino === inode) unlinkSync(path);
}

/** RLIMIT_NOFILE, the soft limit, which Node raises to the hard one at start. */
function descriptorLimit(): number {
  descriptors ??= Number(
    /^Max open files\s+(\d+)/m.exec(readFileSync("/proc/self/limits", "utf8"))?.[1] ??
      Number.POSITIVE_INFINITY,
  );
  return descriptors;
}

// Read once: it does not change.
let descriptors: number | undefined;
