import { MeshError } from "@heddle/base/errors";
import { NodeSocket } from "./node-socket.ts";
import { PrependedSocket } from "./prepended-socket.ts";
import type { Socket, SocketHandler } from "./transport.ts";

export interface PeekOptions<T> {
  /** `decide` is told that it has seen the last once this much is there. */
  readonly maxBytes: number;
  readonly timeoutMs: number;
  /** The error for which time runs out. Default: `peek_timeout`. */
  readonly timeoutError?: () => MeshError;
  /** What to say when time runs out, in place of an error. Nothing is consumed then. */
  readonly atTimeout?: () => T;
  /** What to say when `signal` aborts, in place of going on. Nothing is consumed then. */
  readonly stop?: { readonly signal: AbortSignal; readonly value: T };
  /**
   * Looks at everything so far. Undefined: more is needed, which counts only if `isLast` is false.
   * `consumed` bytes are taken off the stream, the rest is replayed. What it throws destroys the
   * socket and rejects the promise.
   *
   * @param isLast - Nothing more will come: the peer ended its side, or `maxBytes` are there.
   */
  readonly decide: (
    bytes: Uint8Array,
    isLast: boolean,
    isEnded: boolean,
  ) => { readonly value: T; readonly consumed: number } | undefined;
}

export interface Peeked<T> {
  readonly value: T;
  /** The same connection. It waits, with what was not consumed, for its next handler. */
  readonly socket: Socket;
}

/**
 * Looks at the first bytes of a connection. The next handler gets them as if they had just arrived,
 * and an end of the peer's as well. Cold: once or twice per connection.
 *
 * @throws MeshError of `decide`, of the timeout, or of the socket if it closes; it is destroyed then.
 */
export function peek<T>(socket: Socket, options: PeekOptions<T>): Promise<Peeked<T>> {
  return new Promise((resolve, reject) => {
    new Peek(socket, options, resolve, reject).start();
  });
}

/**
 * Puts bytes in front of what a socket has still to say, and takes its handler away. @returns the
 * same socket if it can do that itself, else one that stands before it.
 */
export function prepend(socket: Socket, bytes: Uint8Array, isEnded: boolean): Socket {
  if (socket instanceof NodeSocket) {
    socket.prepend(bytes);
    return socket;
  }
  if (socket instanceof PrependedSocket) {
    socket.prepend(bytes, isEnded);
    return socket;
  }
  return new PrependedSocket(socket, bytes, isEnded);
}

class Peek<T> implements SocketHandler {
  readonly #socket: Socket;
  readonly #options: PeekOptions<T>;
  readonly #resolve: (peeked: Peeked<T>) => void;
  readonly #reject: (error: unknown) => void;
  #timer: NodeJS.Timeout | undefined;
  /** Doubled as needed, so that a peer that sends byte by byte costs no more than another. */
  #buffer: Uint8Array = new Uint8Array(0);
  #length = 0;
  #isEnded = false;
  #isDone = false;
  readonly #onStop: () => void;

  constructor(
    socket: Socket,
    options: PeekOptions<T>,
    resolve: (peeked: Peeked<T>) => void,
    reject: (error: unknown) => void,
  ) {
    this.#socket = socket;
    this.#options = options;
    this.#resolve = resolve;
    this.#reject = reject;
    this.#onStop = () => this.#settle(options.stop!.value, 0);
  }

  start(): void {
    const { timeoutMs, timeoutError, atTimeout, stop } = this.#options;
    stop?.signal.addEventListener("abort", this.#onStop);
    this.#timer = setTimeout(() => {
      if (atTimeout !== undefined) {
        this.#settle(atTimeout(), 0);
        return;
      }
      const message = `Cannot read from client: no verdict within ${timeoutMs} ms`;
      this.#fail(timeoutError?.() ?? new MeshError("peek_timeout", "client", message));
    }, timeoutMs);
    this.#socket.setHandler(this);
    if (stop?.signal.aborted === true) this.#onStop();
  }

  onData(bytes: Uint8Array, start: number, end: number): void {
    // The range is lent, so it is copied, also if it alone decides: the next turn is too late.
    const total = this.#length + end - start;
    if (total > this.#buffer.length) {
      const larger = new Uint8Array(Math.max(total, this.#buffer.length * 2));
      larger.set(this.#buffer.subarray(0, this.#length));
      this.#buffer = larger;
    }
    this.#buffer.set(bytes.subarray(start, end), this.#length);
    this.#length = total;
    this.#decide(total >= this.#options.maxBytes);
  }

  onDrain(): void {
    // Nothing is written while looking.
  }

  onEnd(): void {
    this.#isEnded = true;
    this.#decide(true);
  }

  onClose(error: MeshError | undefined): void {
    const message = "Cannot read from client: closed before protocol detection";
    this.#fail(error ?? new MeshError("connection_closed", "client", message));
  }

  #decide(isLast: boolean): void {
    if (this.#isDone) return;
    try {
      const bytes = this.#buffer.subarray(0, this.#length);
      const verdict = this.#options.decide(bytes, isLast, this.#isEnded);
      if (verdict === undefined) {
        if (isLast) throw new Error("Cannot go on peeking: there is nothing more to see");
        return;
      }
      this.#settle(verdict.value, verdict.consumed);
    } catch (error) {
      this.#fail(error);
    }
  }

  #settle(value: T, consumed: number): void {
    if (!this.#finish()) return;
    const rest = this.#buffer.subarray(consumed, this.#length);
    this.#resolve({ value, socket: prepend(this.#socket, rest, this.#isEnded) });
  }

  #fail(error: unknown): void {
    if (!this.#finish()) return;
    this.#socket.destroy();
    this.#reject(error);
  }

  /** @returns false if it was done already. */
  #finish(): boolean {
    if (this.#isDone) return false;
    this.#isDone = true;
    clearTimeout(this.#timer);
    this.#options.stop?.signal.removeEventListener("abort", this.#onStop);
    return true;
  }
}
