import type { MeshError } from "@heddle/base/errors";
import type { Socket, SocketHandler } from "@heddle/net/transport";

/** Two connections joined back to back. */
export interface Splice {
  /** Ends both, now. */
  destroy(reason?: MeshError): void;
}

/**
 * Passes bytes between two connections, both ways, until both have ended. The end of one side is
 * passed on as a half-close while the other direction goes on; an error of one ends both. Whoever
 * does not take what it is sent makes the other side wait.
 *
 * @param done - Once, when both are closed; with the first error, if there was one.
 */
export function splice(
  client: Socket,
  server: Socket,
  done: (error: MeshError | undefined) => void,
): Splice {
  const joint = new Joint(done);
  const up = new Half(client, server, joint);
  const down = new Half(server, client, joint);
  client.setHandler(up);
  server.setHandler(down);
  return {
    destroy: (reason) => {
      client.destroy(reason);
      server.destroy(reason);
    },
  };
}

class Joint {
  readonly #done: (error: MeshError | undefined) => void;
  #open = 2;
  #error: MeshError | undefined;

  constructor(done: (error: MeshError | undefined) => void) {
    this.#done = done;
  }

  closed(error: MeshError | undefined): void {
    this.#error ??= error;
    this.#open--;
    if (this.#open === 0) this.#done(this.#error);
  }
}

/** Hears of one connection and sends to the other. */
class Half implements SocketHandler {
  readonly #self: Socket;
  readonly #other: Socket;
  readonly #joint: Joint;
  #hasEnded = false;

  constructor(self: Socket, other: Socket, joint: Joint) {
    this.#self = self;
    this.#other = other;
    this.#joint = joint;
  }

  /** Hot: what the kernel takes at once is not copied. */
  onData(bytes: Uint8Array, start: number, end: number): void {
    if (!this.#other.writeLent(bytes, start, end)) this.#self.pause();
  }

  /** What the other side sent us has all gone out. */
  onDrain(): void {
    this.#other.resume();
  }

  onEnd(): void {
    this.#hasEnded = true;
    this.#other.end();
  }

  onClose(error: MeshError | undefined): void {
    // In good order the other side knows of the end already, and has its own to send.
    if (error !== undefined || !this.#hasEnded) this.#other.destroy(error);
    this.#joint.closed(error);
  }
}
