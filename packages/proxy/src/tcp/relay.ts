import { MeshError } from "@heddle/base/errors";
import type { Socket, SocketHandler } from "@heddle/net/transport";

/** How two connections joined came to their end. */
export type OnRelayed = (error: MeshError | undefined) => void;

/**
 * Joins two connections byte for byte: each side's end is passed on while the other direction goes
 * on, a slow reader slows its sender down, and an error of one ends both.
 */
export class Relay {
  readonly #client: Socket;
  readonly #server: Socket;
  readonly #onClose: OnRelayed;
  #open = 2;
  #error: MeshError | undefined;

  constructor(client: Socket, server: Socket, onClose: OnRelayed) {
    this.#client = client;
    this.#server = server;
    this.#onClose = onClose;
    client.setHandler(new Direction(this, client, server));
    server.setHandler(new Direction(this, server, client));
  }

  /** Ends both now. */
  destroy(reason: MeshError): void {
    this.#error ??= reason;
    this.#client.destroy(reason);
    this.#server.destroy(reason);
  }

  /** One of the two is gone. */
  closed(other: Socket, error: MeshError | undefined): void {
    this.#open--;
    if (error !== undefined) {
      this.#error ??= error;
      other.destroy();
    }
    if (this.#open === 0) this.#onClose(this.#error);
  }
}

class Direction implements SocketHandler {
  readonly #relay: Relay;
  readonly #from: Socket;
  readonly #to: Socket;

  constructor(relay: Relay, from: Socket, to: Socket) {
    this.#relay = relay;
    this.#from = from;
    this.#to = to;
  }

  /** Hot. */
  onData(bytes: Uint8Array, start: number, end: number): void {
    if (!this.#to.writeLent(bytes, start, end)) this.#from.pause();
  }

  /** What was written here came from the other side, which waits. */
  onDrain(): void {
    this.#to.resume();
  }

  onEnd(): void {
    this.#to.end();
  }

  onClose(error: MeshError | undefined): void {
    this.#relay.closed(this.#to, error);
  }
}

/** For connections that must go because the proxy stops. */
export function stopping(): MeshError {
  return new MeshError("shutdown_grace", "self", "Cannot go on: the proxy stops");
}
