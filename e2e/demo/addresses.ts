import { createServer } from "node:net";

/** The addresses of one run: a /24 for the mesh and one for the applications behind it. */
export interface Block {
  /** 127.77.N.HOST: reached by other members. */
  mesh(host: number): string;
  /** 127.78.N.HOST: reached by its own proxy alone. */
  app(host: number): string;
}

/** All of it counts as network; runs side by side use different parts. */
export const LOOPBACK_MESH = "127.77.0.0/16";

/** A block that nobody uses: its API server's address can be bound. */
export async function freeBlock(): Promise<Block> {
  for (let n = 1; n < 250; n++) {
    const block: Block = {
      mesh: (host) => `127.77.${n}.${host}`,
      app: (host) => `127.78.${n}.${host}`,
    };
    if (await canBind(block.mesh(2), 6443)) return block;
  }
  throw new Error("Cannot start: every block of 127.77.0.0/16 is in use");
}

function canBind(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen(port, host, () => server.close(() => resolve(true)));
  });
}
