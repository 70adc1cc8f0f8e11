import type { MeshError } from "@heddle/base/errors";
import { type Guard, WARNING_GUARD } from "./guard.ts";
import type { Socket, SocketAddress, SocketHandler, TlsInfo } from "./transport.ts";

/**
 * A socket with bytes in front of what it has still to say. Once they are told, the inner socket
 * talks to the handler directly, so this costs nothing per chunk but one call per write.
 */
export class PrependedSocket implements Socket {
  readonly #inner: Socket;
  readonly #guard: Guard;
  #handler: SocketHandler | undefined;
  #waiting: Uint8Array[];
  #isEnded: boolean;
  #isPaused = false;
  #isHandedOver = false;
  #isFlushing = false;
  /** The inner socket closed while nobody listened. */
  #closed: { readonly error: MeshError | undefined } | undefined;

  constructor(inner: Socket, bytes: Uint8Array, isEnded: boolean, guard: Guard = WARNING_GUARD) {
    this.#inner = inner;
    this.#guard = guard;
    this.#waiting = bytes.length > 0 ? [bytes] : [];
    this.#isEnded = isEnded;
    this.#park();
  }

  get remote(): SocketAddress {
    return this.#inner.remote;
  }

  get local(): SocketAddress {
    return this.#inner.local;
  }

  get tls(): TlsInfo | undefined {
    return this.#inner.tls;
  }

  get fd(): number {
    return this.#inner.fd;
  }

  get bytesRead(): number {
    return this.#inner.bytesRead;
  }

  get bytesWritten(): number {
    return this.#inner.bytesWritten;
  }

  setHandler(handler: SocketHandler): void {
    this.#handler = handler;
    if (this.#isHandedOver) this.#inner.setHandler(handler);
    else this.#schedule();
  }

  write(bytes: Uint8Array, start: number, end: number): boolean {
    return this.#inner.write(bytes, start, end);
  }

  writeLent(bytes: Uint8Array, start: number, end: number): boolean {
    return this.#inner.writeLent(bytes, start, end);
  }

  end(): void {
    this.#inner.end();
  }

  destroy(reason?: MeshError): void {
    this.#waiting = [];
    this.#inner.destroy(reason);
  }

  pause(): void {
    this.#isPaused = true;
    if (this.#isHandedOver) this.#inner.pause();
  }

  resume(): void {
    this.#isPaused = false;
    if (this.#isHandedOver) this.#inner.resume();
    else this.#schedule();
  }

  /** As `NodeSocket.prepend`. */
  prepend(bytes: Uint8Array, isEnded: boolean): void {
    this.#handler = undefined;
    this.#isPaused = false;
    if (isEnded) this.#isEnded = true;
    if (bytes.length > 0) this.#waiting.unshift(bytes);
    if (this.#isHandedOver) this.#park();
  }

  /** Keeps the inner socket quiet, and what it says all the same, until there is a handler. */
  #park(): void {
    this.#isHandedOver = false;
    this.#inner.pause();
    this.#inner.setHandler({
      onData: (bytes, start, end) => this.#waiting.push(Buffer.from(bytes.subarray(start, end))),
      onDrain: () => this.#handler?.onDrain(),
      onEnd: () => {
        this.#isEnded = true;
      },
      onClose: (error) => {
        this.#closed = { error };
        if (error !== undefined) this.#waiting = [];
        this.#schedule();
      },
    });
  }

  #schedule(): void {
    if (this.#isFlushing || this.#isPaused || this.#handler === undefined) return;
    this.#isFlushing = true;
    setImmediate(() => {
      this.#isFlushing = false;
      this.#flush();
    });
  }

  #flush(): void {
    while (this.#waiting.length > 0) {
      if (this.#handler === undefined || this.#isPaused) return;
      const bytes = this.#waiting.shift()!;
      this.#run((handler) => handler.onData(bytes, 0, bytes.length));
    }
    if (this.#handler === undefined || this.#isPaused) return;
    if (this.#isEnded && this.#closed?.error === undefined) {
      this.#isEnded = false;
      this.#run((handler) => handler.onEnd());
    }
    const handler = this.#handler;
    if (handler === undefined) return;
    if (this.#closed !== undefined) {
      const { error } = this.#closed;
      this.#run((last) => last.onClose(error));
      this.#handler = undefined;
      return;
    }
    this.#isHandedOver = true;
    this.#inner.setHandler(handler);
    if (!this.#isPaused) this.#inner.resume();
  }

  /** What a handler throws must end like what it throws under the inner socket's guard. */
  #run(call: (handler: SocketHandler) => void): void {
    try {
      call(this.#handler!);
    } catch (bug) {
      this.destroy();
      this.#guard.report(bug);
    }
  }
}
