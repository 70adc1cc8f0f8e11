import { MeshError } from "@heddle/base/errors";
import type { Socket, SocketAddress, SocketHandler, TlsInfo } from "@heddle/net/transport";

export interface DuplexOptions {
  /** Size of the next delivery, of `remaining` bytes (1 or more). Default: all of it. */
  readonly split?: (remaining: number) => number;
  /** When deliveries happen. Default: `immediate`, one delivery per socket and turn. */
  readonly turn?: "immediate" | "microtask";
  /** A `write` that would leave more than this undelivered returns false. Default: 64 KiB. */
  readonly highWaterBytes?: number;
  /** What the first side believes about TLS; the second believes `tlsOfSecond`. */
  readonly tlsOfFirst?: TlsInfo;
  readonly tlsOfSecond?: TlsInfo;
  readonly addressOfFirst?: SocketAddress;
  readonly addressOfSecond?: SocketAddress;
  /** What a handler threw. Default: thrown again, outside, so that the test fails. */
  readonly onBug?: (error: unknown) => void;
}

/** What a range is overwritten with once its callback has returned. */
export const POISON = 0xee;

/**
 * Two sockets in memory, each the other's peer. It is stricter than a kernel: deliveries are
 * asynchronous, every lent range starts at an odd offset and is overwritten as soon as the callback
 * returned, a range whose `write` returned false is read only just before `onDrain`, and breaking
 * the contract of `Socket` (writing before `onDrain`, writing after `end`) throws.
 */
export function duplex(options: DuplexOptions = {}): [MemorySocket, MemorySocket] {
  const first = new MemorySocket(
    options,
    options.addressOfFirst ?? { ip: "127.0.0.1", port: 1001 },
    options.addressOfSecond ?? { ip: "127.0.0.1", port: 1002 },
    options.tlsOfFirst,
  );
  const second = new MemorySocket(options, first.remote, first.local, options.tlsOfSecond);
  first.connect(second);
  second.connect(first);
  return [first, second];
}

/** One side of `duplex`. What it wrote and is not delivered yet is in `#outgoing`. */
export class MemorySocket implements Socket {
  readonly local: SocketAddress;
  readonly remote: SocketAddress;
  readonly tls: TlsInfo | undefined;
  readonly fd: number = -1;
  bytesRead = 0;
  bytesWritten = 0;
  /** Number of `write` calls so far. */
  writes = 0;
  readonly #options: DuplexOptions;
  readonly #highWaterBytes: number;
  #peer: MemorySocket | undefined;
  #handler: SocketHandler | undefined;
  #outgoing: Uint8Array[] = [];
  #outgoingBytes = 0;
  /** The range of a `write` that returned false. */
  #held: { bytes: Uint8Array; start: number; end: number } | undefined;
  #isPaused = false;
  #isEnding = false;
  /** The peer's FIN was handed to our handler. */
  #sawEnd = false;
  #isDestroyed = false;
  #isGone = false;
  #isScheduled = false;

  constructor(
    options: DuplexOptions,
    local: SocketAddress,
    remote: SocketAddress,
    tls: TlsInfo | undefined,
  ) {
    this.#options = options;
    this.#highWaterBytes = options.highWaterBytes ?? 65_536;
    this.local = local;
    this.remote = remote;
    this.tls = tls;
  }

  /** @internal */
  connect(peer: MemorySocket): void {
    this.#peer = peer;
  }

  get isDestroyed(): boolean {
    return this.#isDestroyed;
  }

  get isPaused(): boolean {
    return this.#isPaused;
  }

  /** `end` was called. */
  get isEnding(): boolean {
    return this.#isEnding;
  }

  setHandler(handler: SocketHandler): void {
    this.#handler = handler;
    this.#schedule();
  }

  write(bytes: Uint8Array, start: number, end: number): boolean {
    if (!(start >= 0 && start <= end && end <= bytes.length)) {
      throw new RangeError(`Cannot write range: [${start}, ${end}) of ${bytes.length}`);
    }
    if (this.#isDestroyed) return true;
    if (this.#isEnding) throw new Error("Cannot write to socket: its side is ended");
    if (this.#held !== undefined) throw new Error("Cannot write to socket: it has not drained");
    this.writes++;
    this.bytesWritten += end - start;
    if (this.#peer!.#isDestroyed) {
      // What a kernel answers to bytes for a closed socket.
      this.#later(() => this.#fail());
      return true;
    }
    if (this.#outgoingBytes + end - start > this.#highWaterBytes) {
      this.#held = { bytes, start, end };
      this.#peer!.#schedule();
      return false;
    }
    this.#push(bytes, start, end);
    return true;
  }

  writeLent(bytes: Uint8Array, start: number, end: number): boolean {
    return this.write(Uint8Array.from(bytes.subarray(start, end)), 0, end - start);
  }

  end(): void {
    if (this.#isEnding || this.#isDestroyed) return;
    this.#isEnding = true;
    this.#peer!.#schedule();
  }

  destroy(reason?: MeshError): void {
    if (this.#isDestroyed) return;
    this.#isDestroyed = true;
    const peer = this.#peer!;
    // Closing with bytes unread resets; else the peer gets what was written, and a FIN.
    const unread = peer.#outgoingBytes > 0 || peer.#held !== undefined;
    this.#takeHeld();
    peer.#outgoing = [];
    peer.#outgoingBytes = 0;
    if (unread) peer.#later(() => peer.#fail());
    this.#isEnding = true;
    peer.#schedule();
    this.#later(() => this.#close(reason));
  }

  /** As when the peer's machine sends RST: both sides are destroyed, nothing more is delivered. */
  reset(): void {
    this.#later(() => this.#fail());
    const peer = this.#peer!;
    peer.#later(() => peer.#fail());
  }

  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    this.#isPaused = false;
    this.#schedule();
  }

  #push(bytes: Uint8Array, start: number, end: number): void {
    if (start === end) return;
    // Not `slice`, which for a Buffer makes a view.
    this.#outgoing.push(new Uint8Array(bytes.subarray(start, end)));
    this.#outgoingBytes += end - start;
    this.#peer!.#schedule();
  }

  #takeHeld(): void {
    const held = this.#held;
    if (held === undefined) return;
    this.#held = undefined;
    this.#push(held.bytes, held.start, held.end);
  }

  #later(run: () => void): void {
    if (this.#options.turn === "microtask") queueMicrotask(run);
    else setImmediate(run);
  }

  #schedule(): void {
    if (this.#isScheduled || this.#handler === undefined || this.#isDestroyed) return;
    this.#isScheduled = true;
    this.#later(() => {
      this.#isScheduled = false;
      this.#deliver();
    });
  }

  /** One delivery from the peer's queue, then whatever became due by it. */
  #deliver(): void {
    const peer = this.#peer!;
    if (this.#isDestroyed || this.#isPaused || this.#handler === undefined) return;
    if (peer.#outgoing.length > 0) this.#deliverChunk(peer.#outgoing[0]!);
    if (peer.#outgoing.length === 0 && peer.#held !== undefined && !peer.#isDestroyed) {
      peer.#takeHeld();
      // The socket under test may reuse its buffer from here on.
      peer.#guard(() => peer.#handler?.onDrain());
    }
    if (peer.#outgoing.length > 0) {
      this.#schedule();
      return;
    }
    if (peer.#isEnding && peer.#held === undefined && !this.#sawEnd && !this.#isPaused) {
      if (this.#isDestroyed) return;
      this.#sawEnd = true;
      this.#guard(() => this.#handler!.onEnd());
    }
    this.#closeIfDone();
    peer.#closeIfDone();
  }

  #deliverChunk(chunk: Uint8Array): void {
    const peer = this.#peer!;
    const wanted = this.#options.split?.(peer.#outgoingBytes) ?? chunk.length;
    const length = Math.max(1, Math.min(wanted, chunk.length));
    if (length === chunk.length) peer.#outgoing.shift();
    else peer.#outgoing[0] = chunk.subarray(length);
    peer.#outgoingBytes -= length;
    this.bytesRead += length;
    // A Buffer, as real sockets lend: its `slice` is a view, and must not be mistaken for a copy.
    const lent = Buffer.alloc(length + 10, POISON);
    lent.set(chunk.subarray(0, length), 7);
    this.#guard(() => this.#handler!.onData(lent, 7, 7 + length));
    lent.fill(POISON);
  }

  #closeIfDone(): void {
    if (this.#isEnding && this.#sawEnd && this.#outgoingBytes === 0 && this.#held === undefined) {
      this.#isDestroyed = true;
      this.#close(undefined);
    }
  }

  #fail(): void {
    if (this.#isDestroyed) return;
    this.#isDestroyed = true;
    this.#close(new MeshError("connection_reset", "server", "Cannot use socket: reset by peer"));
  }

  #close(reason: MeshError | undefined): void {
    if (this.#isGone) return;
    this.#isGone = true;
    this.#held = undefined;
    this.#guard(() => this.#handler?.onClose(reason));
  }

  #guard(run: () => void): void {
    try {
      run();
    } catch (error) {
      this.destroy();
      const onBug = this.#options.onBug;
      if (onBug !== undefined) onBug(error);
      else
        setImmediate(() => {
          throw error;
        });
    }
  }
}
