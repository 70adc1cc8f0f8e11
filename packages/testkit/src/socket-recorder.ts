import type { MeshError } from "@heddle/base/errors";
import type { Socket, SocketHandler } from "@heddle/net/transport";

/** Hears a socket and lets a test wait for what it hears. */
export class SocketRecorder implements SocketHandler {
  readonly socket: Socket;
  /** Resolves when the peer ended its side. */
  readonly ended: Promise<void>;
  /** Resolves when the socket is closed, with the reason. */
  readonly closed: Promise<MeshError | undefined>;
  #bytes: Buffer = Buffer.alloc(0);
  #waiting: { readonly count: number; readonly resolve: (bytes: Buffer) => void }[] = [];
  #drains: (() => void)[] = [];
  #end!: () => void;
  #close!: (error: MeshError | undefined) => void;

  /** Takes the socket's callbacks over. */
  constructor(socket: Socket) {
    this.socket = socket;
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
    this.closed = new Promise((resolve) => {
      this.#close = resolve;
    });
    socket.setHandler(this);
  }

  /** Everything so far. */
  get bytes(): Buffer {
    return this.#bytes;
  }

  get text(): string {
    return this.#bytes.toString("latin1");
  }

  /** Everything so far, as soon as it is `count` bytes. */
  received(count: number): Promise<Buffer> {
    if (this.#bytes.length >= count) return Promise.resolve(this.#bytes);
    return new Promise((resolve) => this.#waiting.push({ count, resolve }));
  }

  drained(): Promise<void> {
    return new Promise((resolve) => this.#drains.push(resolve));
  }

  send(text: string): boolean {
    const bytes = Buffer.from(text, "latin1");
    return this.socket.write(bytes, 0, bytes.length);
  }

  onData(bytes: Uint8Array, start: number, end: number): void {
    this.#bytes = Buffer.concat([this.#bytes, bytes.subarray(start, end)]);
    const ready = this.#waiting.filter(({ count }) => this.#bytes.length >= count);
    this.#waiting = this.#waiting.filter(({ count }) => this.#bytes.length < count);
    for (const { resolve } of ready) resolve(this.#bytes);
  }

  onDrain(): void {
    for (const resolve of this.#drains.splice(0)) resolve();
  }

  onEnd(): void {
    this.#end();
  }

  onClose(error: MeshError | undefined): void {
    this.#close(error);
  }
}
