import type net from "node:net";
import type { SocketAddress } from "./transport.ts";

/**
 * From which addresses this process's own connections come, as long as they are open. A connection
 * that is accepted from one of them is our own: somebody redirects us to ourselves.
 */
export class Dialled {
  readonly #addresses = new Set<string>();

  has(address: SocketAddress): boolean {
    return this.#addresses.size > 0 && this.#addresses.has(keyOf(address.ip, address.port));
  }

  /** Follows a socket that `net.connect` or `tls.connect` has just returned. */
  follow(raw: net.Socket): void {
    let key: string | undefined;
    const note = (): void => {
      if (key !== undefined || !raw.localPort || raw.localAddress === undefined) return;
      key = keyOf(raw.localAddress, raw.localPort);
      this.#addresses.add(key);
    };
    // The runtime connects in the next tick, and then the address is known. What comes back to us
    // may be accepted before "connect" is told.
    process.nextTick(note);
    raw.once("connect", note);
    raw.once("close", () => {
      if (key !== undefined) this.#addresses.delete(key);
    });
  }
}

function keyOf(ip: string, port: number): string {
  return `${ip} ${port}`;
}
