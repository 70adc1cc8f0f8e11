import type { Socket, SocketHandler } from "@heddle/net/transport";

/** Sends everything back. */
export class Mirror implements SocketHandler {
  readonly #socket: Socket;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  onData(bytes: Uint8Array, start: number, end: number): void {
    if (!this.#socket.writeLent(bytes, start, end)) this.#socket.pause();
  }

  onDrain(): void {
    this.#socket.resume();
  }

  onEnd(): void {
    this.#socket.end();
  }

  onClose(): void {
    // Nothing to free.
  }
}

/** Passes everything on, both ways, half-close included. */
export function joinSockets(a: Socket, b: Socket): void {
  const forward = (from: Socket, to: Socket): SocketHandler => ({
    onData: (bytes, start, end) => {
      if (!to.writeLent(bytes, start, end)) from.pause();
    },
    onDrain: () => to.resume(),
    onEnd: () => to.end(),
    onClose: () => to.destroy(),
  });
  a.setHandler(forward(a, b));
  b.setHandler(forward(b, a));
}

/** Sends a pattern in odd pieces, reads it back with pauses, and compares byte for byte. */
export function sendAndCompare(socket: Socket, total: number): Promise<void> {
  return new Promise((resolve, reject) => {
    let [sent, got, reads] = [0, 0, 0];
    const size = 100_003;
    const expected = Buffer.alloc(size);
    for (let at = 0; at < size; at++) expected[at] = (at * 31 + (at >> 8)) & 0xff;
    socket.setHandler({
      onData: (bytes, start, end) => {
        for (let at = start; at < end; ) {
          const from = got % size;
          const length = Math.min(end - at, size - from);
          if (expected.compare(bytes, at, at + length, from, from + length) !== 0) {
            reject(new Error(`differs within ${length} bytes from ${got}`));
            socket.destroy();
            return;
          }
          at += length;
          got += length;
        }
        if (++reads % 7 === 0) {
          socket.pause();
          setImmediate(() => socket.resume());
        }
      },
      onDrain: send,
      onEnd: () => {},
      onClose: (error) => {
        if (error === undefined && got === total) resolve();
        else reject(error ?? new Error(`closed after ${got}`));
      },
    });
    send();

    function send(): void {
      while (sent < total) {
        const from = sent % size;
        const length = Math.min(size - from, total - sent, sent % 3 === 0 ? 70_001 : 1_009);
        sent += length;
        if (!socket.write(expected, from, from + length)) return;
      }
      socket.end();
    }
  });
}
