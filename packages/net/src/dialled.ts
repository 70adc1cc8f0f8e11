import type net from "node:net";
import type { SocketAddress } from "./transport.ts";

/**
 * Both ends of this process's own connections, as long as they are open. A redirected connection with
 * such a source and such an original destination is our own: somebody redirects us to ourselves.
 *
 * The source alone says nothing: the kernel gives out a port again for another destination.
 */
export class Dialled {
  readonly #pairs = new Set<string>();

  /** @param to - Where the connection was to go before it was redirected. */
  has(from: SocketAddress, to: SocketAddress): boolean {
    return this.#pairs.size > 0 && this.#pairs.has(keyOf(from.ip, from.port, to));
  }

  /** Follows a socket to `to` that `net.connect` or `tls.connect` has just returned. */
  follow(raw: net.Socket, to: SocketAddress): void {
    let key: string | undefined;
    const note = (): void => {
      if (key !== undefined || !raw.localPort || raw.localAddress === undefined) return;
      key = keyOf(raw.localAddress, raw.localPort, to);
      this.#pairs.add(key);
    };
    // The runtime connects in the next tick, and then the address is known. What comes back to us
    // may be accepted before "connect" is told.
    process.nextTick(note);
    raw.once("connect", note);
    raw.once("close", () => {
      if (key !== undefined) this.#pairs.delete(key);
    });
  }
}

function keyOf(fromIp: string, fromPort: number, to: SocketAddress): string {
  return `${fromIp} ${fromPort} ${to.ip} ${to.port}`;
}
