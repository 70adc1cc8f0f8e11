/**
 * The way into a network of its own: a program inside listens on a socket in the file system, which
 * has no network, and connects whoever writes `HOST PORT` as first line. `node gate.ts SOCKET`.
 */

import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";

const LINE_BYTES = 100;

/** Passes connections to a port of this machine's loopback on to `host:port` behind the gate. */
export class Passage implements AsyncDisposable {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(server: Server) {
    this.#server = server;
  }

  static async open(gatePath: string, host: string, port: number): Promise<Passage> {
    const server = createServer({ allowHalfOpen: true });
    const passage = new Passage(server);
    server.on("connection", (client) => {
      const inner = connect({ path: gatePath, allowHalfOpen: true });
      inner.write(`${host} ${port}\n`);
      passage.#hold(client);
      passage.#hold(inner);
      join(client, inner);
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return passage;
  }

  /** `127.0.0.1:PORT`. */
  get address(): string {
    const address = this.#server.address();
    if (address === null || typeof address === "string") throw new Error("The passage is closed");
    return `127.0.0.1:${address.port}`;
  }

  #hold(socket: Socket): void {
    this.#sockets.add(socket);
    socket.once("close", () => this.#sockets.delete(socket));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    if (!this.#server.listening) return;
    this.#server.close();
    await once(this.#server, "close");
  }
}

/** Each end gets what the other sends, and ends as the other does. */
function join(a: Socket, b: Socket): void {
  for (const [from, to] of [
    [a, b],
    [b, a],
  ] as const) {
    from.pipe(to);
    // A connection that breaks is seen to break at the other end.
    from.on("error", () => to.resetAndDestroy());
    from.on("close", () => to.destroySoon());
  }
}

/** The inner side. */
function serve(path: string): void {
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: false }, (client) => {
    let head = Buffer.alloc(0);
    client.on("error", () => client.destroy());
    const read = (chunk: Buffer): void => {
      head = Buffer.concat([head, chunk]);
      const end = head.indexOf("\n");
      if (end < 0) {
        if (head.length > LINE_BYTES) client.destroy();
        return;
      }
      client.off("data", read);
      client.pause();
      const [host, port] = head.toString("latin1", 0, end).split(" ");
      const target = connect({ host: host!, port: Number(port), allowHalfOpen: true });
      target.on("error", () => client.destroy());
      target.once("connect", () => {
        target.write(head.subarray(end + 1));
        join(client, target);
      });
    };
    client.on("data", read);
  });
  server.listen(path);
}

if (import.meta.main) serve(process.argv[2]!);
