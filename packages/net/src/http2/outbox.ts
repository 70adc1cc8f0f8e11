import type { Output } from "@heddle/wire/hpack/output";
import { Flag, FRAME_HEADER_BYTES } from "@heddle/wire/http2/frame";
import type { Socket } from "../transport.ts";
import { type Http2Runtime, SLAB_BYTES } from "./runtime.ts";

/**
 * What is to be sent on one connection, gathered within a turn of the event loop and written at
 * once. Positions count the bytes of the whole connection, so that a frame can be found again while
 * it has not gone out.
 */
export class Outbox {
  readonly #socket: Socket;
  readonly #runtime: Http2Runtime;
  /** Only while there is something to send. */
  #slab: Output | undefined;
  /** Position of the slab's first byte. */
  #base = 0;
  /** Bytes of the slab that were handed to the socket. While blocked it may still read them. */
  #sent = 0;
  #isBlocked = false;
  /** `end` was called; what is gathered still goes out. */
  #isEnding = false;
  #hasEnded = false;

  constructor(socket: Socket, runtime: Http2Runtime) {
    this.#socket = socket;
    this.#runtime = runtime;
  }

  /** The socket has not taken all yet: wait for `drained`. */
  get isBlocked(): boolean {
    return this.#isBlocked;
  }

  /** Bytes gathered that the socket was not given. */
  get pendingBytes(): number {
    return this.#slab === undefined ? 0 : this.#slab.end - this.#sent;
  }

  /** To append to, at once; somebody has to call `flush` later. Hot. */
  open(): Output {
    this.#slab ??= this.#runtime.takeSlab();
    return this.#slab;
  }

  /** Where the next byte goes. */
  get position(): number {
    return this.#base + (this.#slab?.end ?? 0);
  }

  /**
   * Sets END_STREAM in the frame at `position`, if it has not gone out: this saves an empty frame
   * whenever a body's end is known in the same turn as its last bytes. Hot.
   */
  endStreamAt(position: number): boolean {
    const slab = this.#slab;
    const offset = position - this.#base;
    if (slab === undefined || offset < this.#sent) return false;
    slab.bytes[offset + 4]! |= Flag.endStream;
    return true;
  }

  /**
   * Whether a frame of `count` bytes of DATA may be appended; control frames always may. Writes what
   * is in the slab if the frame does not fit behind it. Hot.
   */
  hasRoom(count: number): boolean {
    if (this.#isBlocked || this.#isEnding) return false;
    const slab = this.#slab;
    if (slab === undefined || slab.end + count + FRAME_HEADER_BYTES <= SLAB_BYTES) return true;
    this.flush();
    return !this.#isBlocked;
  }

  /** Hands what was gathered to the socket, if that takes any. */
  flush(): void {
    const slab = this.#slab;
    if (slab === undefined || this.#isBlocked || this.#hasEnded) return;
    const start = this.#sent;
    this.#sent = slab.end;
    // Blocked first: the socket may call back.
    this.#isBlocked = true;
    if (!this.#socket.write(slab.bytes, start, slab.end)) return;
    this.#isBlocked = false;
    this.#recycle();
  }

  /** The socket has taken all that it was given. */
  drained(): void {
    this.#isBlocked = false;
    const slab = this.#slab;
    if (slab !== undefined) {
      if (this.#sent === slab.end) {
        this.#recycle();
      } else {
        slab.bytes.copyWithin(0, this.#sent, slab.end);
        slab.end -= this.#sent;
        this.#base += this.#sent;
        this.#sent = 0;
        this.flush();
      }
    }
    if (this.#isEnding) this.end();
  }

  /** Our side ends once everything gathered is with the socket. */
  end(): void {
    this.#isEnding = true;
    this.flush();
    if (this.#isBlocked || this.#hasEnded) return;
    this.#hasEnded = true;
    this.#socket.end();
  }

  /** The socket's side is ended: what is appended now is lost. */
  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  /** The socket is gone. */
  shut(): void {
    this.#isEnding = true;
    this.#hasEnded = true;
    this.#slab = undefined;
  }

  #recycle(): void {
    const slab = this.#slab!;
    this.#base += slab.end;
    this.#sent = 0;
    this.#slab = undefined;
    this.#runtime.giveSlab(slab);
  }
}
