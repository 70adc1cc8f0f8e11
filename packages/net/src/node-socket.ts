// As a module: the global of this name is a getter, which costs 50 ns each time.
import { Buffer } from "node:buffer";
import type net from "node:net";
import type { Side } from "@heddle/base/errors";
import { MeshError } from "@heddle/base/errors";
import { UNIX_ADDRESS, unmapIp } from "./address.ts";
import { type Guard, WARNING_GUARD } from "./guard.ts";
import { EAGAIN, EINTR, type Polled, Poller } from "./poller.ts";
import { READ_BUFFER } from "./read-buffer.ts";
import { socketError, systemError } from "./socket-errors.ts";
import type { Socket, SocketAddress, SocketHandler, TlsInfo } from "./transport.ts";

/** Small writes that come while a TLS record is on its way are gathered up to this much. */
const TAIL_MAX_BYTES = 16_384;
const TAIL_MIN_BYTES = 1_024;
/** Node hands on what it decrypts in pieces of this size. */
const TLS_RECORD_BYTES = 16_384;
const MAX_FRESH_RANGES = 8;
/** Full read buffers that one socket may take before it is another's turn. */
const MAX_READS = 4;

/** What streams say in place of an encoding, which Node's types do not know. */
const BYTES = "buffer" as BufferEncoding;

/**
 * Both high-water marks of raw sockets. One byte: `write` then says false exactly if the kernel did
 * not take everything, and reading stops with the first chunk that nobody wants.
 */
export const RAW_HIGH_WATER_BYTES = 1;

export interface NodeSocketOptions {
  /** Whose fault an error is: `client` if we accepted the connection, `server` if we dialed. */
  readonly peer: Side;
  readonly tls?: TlsInfo | undefined;
  readonly guard?: Guard | undefined;
  /** TLS: `raw` reads into a buffer of ours, by its `onread` option, and calls `take`. */
  readonly readsIntoOurs?: boolean;
  /**
   * TLS: bytes that are encrypted at a time; without it, as many as there are. The runtime keeps a
   * buffer of the largest write for as long as the connection lives, 64 KiB for a write of 48.
   */
  readonly maxTlsWriteBytes?: number | undefined;
}

/**
 * `Socket` over `node:net` and `node:tls`, documented API only. `raw` must be connected, of
 * `RAW_HIGH_WATER_BYTES` if it is not TLS, with `allowHalfOpen`, paused, and nobody else may listen
 * to it.
 *
 * Plain: where there is a `Poller`, reads come from it and never from `raw`, which then knows nothing
 * of the peer's end; writes go past `raw` for as long as the kernel takes them.
 *
 * TLS: Node encrypts or copies what it is given before `write` returns, but only while no write is
 * under way; so here one write is under way at a time. Small ones meanwhile are gathered into one
 * record (`#tail`), a large one is kept as it is (`#held`).
 */
export class NodeSocket implements Socket, Polled {
  /** A chunk that is being delivered and that nobody will ever overwrite: it needs no copies. */
  static #fresh: Uint8Array | undefined;
  readonly remote: SocketAddress;
  readonly local: SocketAddress;
  readonly tls: TlsInfo | undefined;
  bytesRead = 0;
  bytesWritten = 0;
  readonly #raw: net.Socket;
  /** Of `raw`, for as long as that is not destroyed. */
  readonly #fd: number;
  /** The same, for the poller. */
  readonly #descriptor: bigint;
  readonly #poller: Poller | undefined;
  readonly #guard: Guard;
  readonly #peer: Side;
  readonly #isTls: boolean;
  readonly #readsIntoOurs: boolean;
  /** TLS: what the handle pushes to `raw` comes here. */
  readonly #isPushed: boolean;
  readonly #maxTlsWriteBytes: number;
  readonly #onTaken: (error?: Error | null) => void;
  #handler: SocketHandler | undefined;
  /** Arrived while nobody took it. In order; what `prepend` put back comes first. */
  #backlog: Uint8Array[] = [];
  /** Data goes straight to the handler: there is one, it is not paused, no backlog waits. */
  #isOpen = false;
  #isPaused = false;
  /** Nothing is read: `raw` is paused, or the poller does not know this socket. */
  #isRawPaused = true;
  #isFlushing = false;
  #sawEnd = false;
  #toldEnd = false;
  #isEnding = false;
  #isDestroyed = false;
  #isRawClosed = false;
  #isDetached = false;
  #reason: MeshError | undefined;
  /** Plain: kept for one write. Nobody overwrites them. */
  #freshRanges: Buffer[] = [];
  /** The last write said false. */
  #needsDrain = false;
  /** TLS: a write is under way. */
  #isTaking = false;
  #tail: Buffer | undefined;
  #tailBytes = 0;
  #held: Buffer | undefined;

  constructor(raw: net.Socket, options: NodeSocketOptions) {
    this.#raw = raw;
    this.#fd = descriptorOf(raw);
    this.#peer = options.peer;
    this.#guard = options.guard ?? WARNING_GUARD;
    this.tls = options.tls;
    this.#isTls = options.tls !== undefined;
    this.#readsIntoOurs = options.readsIntoOurs === true;
    this.#maxTlsWriteBytes = options.maxTlsWriteBytes ?? Number.POSITIVE_INFINITY;
    this.#isPushed = this.#isTls && !this.#readsIntoOurs;
    this.#poller = this.#isTls || this.#fd < 0 ? undefined : Poller.get();
    this.#descriptor = BigInt(this.#fd);
    this.remote = addressOf(raw.remoteAddress, raw.remotePort);
    this.local = addressOf(raw.localAddress, raw.localPort);
    this.#onTaken = (error) => this.#taken(error);
    raw.pause();
    if (this.#poller !== undefined) raw.on("finish", () => this.#closeIfOver());
    else if (this.#isPushed) this.#takePushed();
    else if (!this.#readsIntoOurs) raw.on("data", (chunk: Buffer) => this.#arrived(chunk));
    if (!this.#isTls) raw.on("drain", () => this.#drained());
    raw.on("end", () => this.#ended());
    raw.on("error", (error: Error) => this.#failed(error));
    raw.on("close", () => this.#rawClosed());
  }

  /** The stream would emit each chunk, and then look for more in a tick of its own. */
  #takePushed(): void {
    const raw = this.#raw;
    const push = raw.push.bind(raw);
    for (let early = raw.read(); early !== null; early = raw.read()) this.#backlog.push(early);
    raw.push = (chunk: Buffer | null): boolean => {
      if (chunk === null) return push(null);
      this.#arrived(chunk);
      return !this.#isRawPaused;
    };
  }

  get fd(): number {
    return this.#raw.destroyed ? -1 : this.#fd;
  }

  get isDestroyed(): boolean {
    return this.#isDestroyed;
  }

  setHandler(handler: SocketHandler): void {
    this.#handler = handler;
    this.#open();
  }

  /** Hot. */
  write(bytes: Uint8Array, start: number, end: number): boolean {
    if (!this.#mayWrite(bytes, start, end)) return true;
    this.bytesWritten += end - start;
    if (this.#isTls) return this.#writeTls(bytes, start, end, false);
    this.#flushFresh();
    const rest = start + this.#writeNow(bytes, start, end);
    return rest === end || this.#writeRaw(viewOf(bytes, rest, end));
  }

  /** Hot. */
  writeLent(bytes: Uint8Array, start: number, end: number): boolean {
    if (!this.#mayWrite(bytes, start, end)) return true;
    this.bytesWritten += end - start;
    if (this.#isTls) return this.#writeTls(bytes, start, end, true);
    if (bytes === NodeSocket.#fresh) return this.#writeFresh(viewOf(bytes, start, end));
    this.#flushFresh();
    const rest = start + this.#writeNow(bytes, start, end);
    return rest === end || this.#writeRaw(Buffer.from(bytes.subarray(rest, end)));
  }

  end(): void {
    if (this.#isEnding || this.#isDestroyed) return;
    this.#isEnding = true;
    this.#flushFresh();
    this.#endRaw();
  }

  destroy(reason?: MeshError): void {
    if (this.#isDestroyed) return;
    this.#isDestroyed = true;
    this.#isOpen = false;
    this.#reason = reason;
    this.#backlog = [];
    this.#freshRanges = [];
    this.#tail = undefined;
    this.#held = undefined;
    this.#destroyRaw();
  }

  /** Hot. The raw socket is stopped only if something arrives before `resume`. */
  pause(): void {
    this.#isPaused = true;
    this.#isOpen = false;
    if (this.#readsIntoOurs) this.#pauseRaw();
  }

  /** Hot. */
  resume(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    this.#open();
  }

  /**
   * Puts bytes back in front of what is still to come, and takes the handler away: the next one
   * gets them first, and hears again of an end that was already told. They are kept, not copied.
   */
  prepend(bytes: Uint8Array): void {
    this.#handler = undefined;
    this.#isOpen = false;
    this.#isPaused = false;
    this.#toldEnd = false;
    if (bytes.length === 0) return;
    this.#backlog.unshift(bytes);
    // They will be counted when they are read again.
    this.bytesRead -= bytes.length;
  }

  /**
   * Gives up the raw socket, paused, with everything that was not delivered unread again. For an
   * upgrade to TLS; this object must not be used afterwards, and tells its handler nothing more.
   */
  detach(): net.Socket {
    const raw = this.#raw;
    this.#poller?.remove(this.#fd, this);
    raw.pause();
    // The other listeners stay, and find that there is nobody to tell.
    raw.removeAllListeners("data");
    if (this.#backlog.length > 0) raw.unshift(Buffer.concat(this.#backlog));
    this.#backlog = [];
    this.#isDetached = true;
    this.#isDestroyed = true;
    this.#isOpen = false;
    this.#handler = undefined;
    return raw;
  }

  /**
   * @internal What `onread` of the raw socket calls: bytes in a buffer that others use too. Hot.
   * @returns false to stop reading, until `resume`.
   */
  take(bytes: Uint8Array, end: number): boolean {
    if (this.#isOpen) {
      this.#deliver(bytes, 0, end);
      return !this.#isRawPaused;
    }
    if (this.#isDestroyed) return false;
    // Not `slice`, which on a Buffer copies nothing.
    this.#backlog.push(Buffer.from(bytes.subarray(0, end)));
    this.#isRawPaused = true;
    return false;
  }

  /** @internal For the poller. Hot. */
  onReadable(): void {
    for (let reads = 0; reads < MAX_READS; reads++) {
      if (!this.#isOpen) {
        // What has arrived stays with the kernel.
        this.#pauseRaw();
        return;
      }
      const count = this.#poller!.read(this.#descriptor);
      if (count > 0) this.#deliver(READ_BUFFER, 0, count);
      else this.#readNothing(count);
      if (count < READ_BUFFER.length) return;
    }
  }

  /** The end, or an error. */
  #readNothing(result: number): void {
    if (result === EAGAIN || result === EINTR) return;
    this.#pauseRaw();
    if (result === 0) {
      this.#ended();
      this.#closeIfOver();
      return;
    }
    this.#failed(systemError("read", result));
  }

  /** `raw` has not seen the end of what it did not read, so it does not close by itself. */
  #closeIfOver(): void {
    if (this.#sawEnd && this.#raw.writableFinished && !this.#isDetached) this.#destroyRaw();
  }

  #destroyRaw(): void {
    this.#poller?.remove(this.#fd, this);
    this.#raw.destroy();
  }

  #arrived(chunk: Buffer): void {
    if (this.#isOpen) {
      NodeSocket.#fresh = chunk;
      this.#deliver(chunk, 0, chunk.length);
      NodeSocket.#fresh = undefined;
      return;
    }
    if (this.#isDestroyed) return;
    // Nobody else has this chunk, so it is kept without a copy.
    this.#backlog.push(chunk);
    this.#pauseRaw();
  }

  #deliver(bytes: Uint8Array, start: number, end: number): void {
    this.bytesRead += end - start;
    try {
      this.#handler!.onData(bytes, start, end);
    } catch (bug) {
      this.#bug(bug);
    }
  }

  #pauseRaw(): void {
    if (this.#isRawPaused) return;
    this.#isRawPaused = true;
    // What is pushed is told by the result of `push`.
    if (this.#poller !== undefined) this.#poller.remove(this.#fd, this);
    else if (!this.#isPushed) this.#raw.pause();
  }

  /** Lets data flow again, if nothing stands against it; what waits comes in the next turn. */
  #open(): void {
    if (this.#handler === undefined || this.#isPaused || this.#isFlushing) return;
    if (this.#backlog.length > 0 || this.#sawEnd || this.#isRawClosed) {
      this.#isFlushing = true;
      setImmediate(() => this.#flush());
      return;
    }
    if (this.#isDestroyed) return;
    this.#isOpen = true;
    if (!this.#isRawPaused) return;
    this.#isRawPaused = false;
    if (this.#raw.destroyed) return;
    if (this.#poller !== undefined) this.#watch(this.#poller);
    else if (this.#isPushed) this.#raw._read(0);
    else this.#raw.resume();
  }

  #watch(poller: Poller): void {
    const result = poller.add(this.#fd, this);
    if (result !== 0) this.#failed(systemError("epoll_ctl", result));
  }

  #flush(): void {
    this.#isFlushing = false;
    while (this.#backlog.length > 0) {
      if (this.#handler === undefined || this.#isPaused || this.#isDestroyed) return;
      const chunk = this.#backlog.shift()!;
      this.#deliver(chunk, 0, chunk.length);
    }
    this.#tellEnd();
    this.#tellClose();
    if (!this.#sawEnd && !this.#isRawClosed) this.#open();
  }

  #ended(): void {
    if (this.#isDetached) return;
    this.#sawEnd = true;
    if (!this.#isFlushing && this.#backlog.length === 0) this.#tellEnd();
  }

  #tellEnd(): void {
    if (!this.#sawEnd || this.#toldEnd || this.#isPaused || this.#isDestroyed) return;
    if (this.#handler === undefined) return;
    this.#toldEnd = true;
    this.#isOpen = false;
    try {
      this.#handler.onEnd();
    } catch (bug) {
      this.#bug(bug);
    }
  }

  #drained(): void {
    // After `#flushFresh`, the raw socket drains without anybody waiting for it.
    if (!this.#needsDrain) return;
    this.#needsDrain = false;
    if (this.#isDestroyed || this.#handler === undefined) return;
    try {
      this.#handler.onDrain();
    } catch (bug) {
      this.#bug(bug);
    }
  }

  /** @returns whether there is anything to write, and a socket to write it to. */
  #mayWrite(bytes: Uint8Array, start: number, end: number): boolean {
    if (!(start >= 0 && start <= end && end <= bytes.length)) {
      throw new RangeError(`Cannot write range: [${start}, ${end}) of ${bytes.length}`);
    }
    if (this.#isDestroyed || start === end) return false;
    if (this.#isEnding) throw new Error("Cannot write to socket: its side is ended");
    if (this.#needsDrain) throw new Error("Cannot write to socket: it has not drained");
    return true;
  }

  /**
   * What is pinned goes to the kernel without Node's streams in between, whose write costs as much
   * again as the system call. @returns bytes taken.
   */
  #writeNow(bytes: Uint8Array, start: number, end: number): number {
    const raw = this.#raw;
    if (this.#poller === undefined || raw.writableLength > 0 || raw.destroyed) return 0;
    return this.#poller.write(this.#descriptor, bytes, start, end);
  }

  #writeRaw(range: Buffer): boolean {
    const isTaken = this.#raw.write(range);
    this.#needsDrain = !isTaken;
    return isTaken;
  }

  /**
   * A whole TLS record's worth is seldom the last of what has arrived: it waits for what comes in
   * this turn, so that one system call takes it all.
   */
  #writeFresh(range: Buffer): boolean {
    const fresh = this.#freshRanges;
    if (range.length < TLS_RECORD_BYTES && fresh.length === 0) return this.#writeRaw(range);
    fresh.push(range);
    if (range.length < TLS_RECORD_BYTES || fresh.length === MAX_FRESH_RANGES) {
      this.#flushFresh();
      this.#needsDrain = this.#raw.writableLength > 0;
      return !this.#needsDrain;
    }
    if (fresh.length === 1) setImmediate(() => this.#flushFresh());
    return true;
  }

  #flushFresh(): void {
    const fresh = this.#freshRanges;
    if (fresh.length === 0 || this.#isDestroyed) return;
    this.#freshRanges = [];
    this.#raw.cork();
    for (const range of fresh) this.#raw.write(range);
    this.#raw.uncork();
  }

  #writeTls(bytes: Uint8Array, start: number, end: number, isLent: boolean): boolean {
    if (this.#isTaking) return this.#gather(bytes, start, end, isLent);
    const most = start + this.#maxTlsWriteBytes;
    if (end > most) {
      this.#hold(bytes, most, end, isLent);
      this.#writeRecord(viewOf(bytes, start, most));
      return false;
    }
    this.#writeRecord(viewOf(bytes, start, end));
    return true;
  }

  /** Keeps what must wait, and the writer with it. */
  #hold(bytes: Uint8Array, start: number, end: number, isLent: boolean): void {
    const mustCopy = isLent && bytes !== NodeSocket.#fresh;
    this.#held = mustCopy ? Buffer.from(bytes.subarray(start, end)) : viewOf(bytes, start, end);
    this.#needsDrain = true;
  }

  /**
   * Past the queue of the stream, since here one write is under way at a time: it costs more than to
   * encrypt a small record.
   */
  #writeRecord(range: Buffer): void {
    this.#isTaking = true;
    this.#raw._write(range, BYTES, this.#onTaken);
  }

  /** A write to TLS that must wait. */
  #gather(bytes: Uint8Array, start: number, end: number, isLent: boolean): boolean {
    const total = this.#tailBytes + end - start;
    if (total > TAIL_MAX_BYTES) {
      this.#hold(bytes, start, end, isLent);
      return false;
    }
    this.#tail = withRoom(this.#tail, this.#tailBytes, total);
    this.#tail.set(bytes.subarray(start, end), this.#tailBytes);
    this.#tailBytes = total;
    return true;
  }

  /** The write to TLS that was under way is done. */
  #taken(error: Error | null | undefined): void {
    this.#isTaking = false;
    if (this.#isDestroyed) return;
    if (error !== undefined && error !== null) {
      this.#failed(error);
      return;
    }
    if (this.#tailBytes > 0) {
      const range = this.#tail!.subarray(0, this.#tailBytes);
      this.#tailBytes = 0;
      this.#writeRecord(range);
    } else if (this.#held !== undefined) {
      const held = this.#held;
      const most = this.#maxTlsWriteBytes;
      this.#held = held.length > most ? held.subarray(most) : undefined;
      this.#writeRecord(held.subarray(0, most));
      if (this.#held === undefined && !this.#isEnding) this.#drained();
    }
    this.#endRaw();
  }

  /** Once all is with the kernel that was written before `end`. */
  #endRaw(): void {
    if (!this.#isEnding || this.#isTaking || this.#tailBytes > 0) return;
    if (this.#held === undefined) this.#raw.end();
  }

  #failed(error: Error): void {
    if (this.#isDetached) return;
    this.#reason ??= socketError(error, this.#peer);
    // A TLS alert after the handshake is an error that destroys nothing by itself.
    this.#destroyRaw();
  }

  #rawClosed(): void {
    if (this.#isDetached) return;
    // If `raw` destroyed itself: its descriptor's number may be another socket's by now.
    this.#poller?.remove(this.#fd, this);
    this.#isRawClosed = true;
    if (!this.#isDestroyed && !(this.#sawEnd && this.#isEnding)) {
      const message = "Cannot use socket: closed before its end";
      this.#reason ??= new MeshError("connection_reset", this.#peer, message);
    }
    if (this.#isDestroyed || this.#reason !== undefined) {
      this.#isDestroyed = true;
      this.#isOpen = false;
      this.#backlog = [];
      this.#tellClose();
      return;
    }
    // Closed in good order: whoever is paused, or comes later, still gets what was sent before.
    if (!this.#isFlushing) this.#tellClose();
  }

  #tellClose(): void {
    if (!this.#isRawClosed || this.#isDetached || this.#handler === undefined) return;
    const isOver = this.#isDestroyed || (this.#backlog.length === 0 && this.#toldEnd);
    if (!isOver) return;
    this.#isDestroyed = true;
    this.#isDetached = true;
    const handler = this.#handler;
    this.#handler = undefined;
    try {
      handler.onClose(this.#reason);
    } catch (bug) {
      this.#guard.report(bug);
    }
  }

  #bug(bug: unknown): void {
    this.destroy();
    this.#guard.report(bug);
  }
}

function viewOf(bytes: Uint8Array, start: number, end: number): Buffer {
  return Buffer.from(bytes.buffer as ArrayBuffer, bytes.byteOffset + start, end - start);
}

/** The descriptor of a Node socket or server; -1 if it has none. The only look at `_handle`. */
export function descriptorOf(raw: object): number {
  return (raw as { _handle?: { fd?: number } | null })._handle?.fd ?? -1;
}

/** `tail` with `used` bytes in it, or a larger copy that can hold `needed`. */
function withRoom(tail: Buffer | undefined, used: number, needed: number): Buffer {
  if (tail !== undefined && tail.length >= needed) return tail;
  let size = tail?.length ?? TAIL_MIN_BYTES;
  while (size < needed) size *= 2;
  const larger = Buffer.allocUnsafeSlow(size);
  if (tail !== undefined) larger.set(tail.subarray(0, used));
  return larger;
}

function addressOf(ip: string | undefined, port: number | undefined): SocketAddress {
  if (ip === undefined || port === undefined) return UNIX_ADDRESS;
  return { ip: unmapIp(ip), port };
}
