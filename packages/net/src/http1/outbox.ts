import { OutBuffer, type SlabPool } from "@heddle/wire/out-buffer";
import type { Socket } from "../transport.ts";

/** Gathered output above this is written at once; below, it waits for its message's end. */
const GATHER_BYTES = 65_536;

/**
 * What is to be sent on one connection. Whoever appends to `buffer` calls `flush`, at the end of a
 * message or of the turn: head and body go out as one write.
 */
export class Outbox {
  readonly buffer: OutBuffer;
  readonly #socket: Socket;
  readonly #slabs: SlabPool;
  /** The slab that the socket reads from until it has drained. */
  #held: Buffer | undefined;
  #isBlocked = false;
  #isEnding = false;
  #isShut = false;

  constructor(socket: Socket, slabs: SlabPool) {
    this.#socket = socket;
    this.#slabs = slabs;
    this.buffer = new OutBuffer(slabs);
  }

  /** The socket has not taken all: whoever sends should pause. */
  get isBlocked(): boolean {
    return this.#isBlocked;
  }

  get isEmpty(): boolean {
    return this.buffer.end === 0;
  }

  /** So much is gathered that it should not wait for more. */
  get isFull(): boolean {
    return this.buffer.end >= GATHER_BYTES;
  }

  /** Hands to the socket what was gathered, unless it is blocked. Hot. */
  flush(): void {
    const count = this.buffer.end;
    if (count === 0 || this.#isBlocked || this.#isShut) return;
    const slab = this.buffer.take();
    if (this.#socket.write(slab, 0, count)) {
      this.#slabs.give(slab);
    } else {
      this.#held = slab;
      this.#isBlocked = true;
    }
  }

  /** Half-closes the connection after what was gathered. */
  end(): void {
    this.#isEnding = true;
    this.flush();
    this.#endIfDone();
  }

  /** For `onDrain`. What waited is written; look at `isBlocked` afterwards. */
  drained(): void {
    this.#isBlocked = false;
    if (this.#held !== undefined) this.#slabs.give(this.#held);
    this.#held = undefined;
    this.flush();
    this.#endIfDone();
  }

  /** The connection is gone, and with it what was not sent. */
  shut(): void {
    this.#isShut = true;
    // The socket may still read from what it held, so that slab is not used again.
    this.#held = undefined;
    if (this.buffer.bytes.length > 0) this.#slabs.give(this.buffer.take());
  }

  #endIfDone(): void {
    if (!this.#isEnding || this.#isBlocked || this.#isShut) return;
    this.#isEnding = false;
    this.#socket.end();
  }
}
