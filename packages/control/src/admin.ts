import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { MeshError } from "@heddle/base/errors";
import type { Registry } from "@heddle/base/metrics";
import type { SocketAddress } from "@heddle/net/transport";

export interface AdminOptions {
  readonly at: SocketAddress;
  readonly metrics: Registry;
  /** Why we are not ready; undefined if we are. */
  readonly problem: () => string | undefined;
}

/** `/ready`, `/live`, `/ping` and `/metrics`, for kubelets, people and Prometheus. */
export class AdminServer implements AsyncDisposable {
  readonly #options: AdminOptions;
  readonly #server: Server;

  private constructor(options: AdminOptions) {
    this.#options = options;
    this.#server = createServer(
      { headersTimeout: 5_000, requestTimeout: 10_000, maxHeaderSize: 8_192 },
      (request, response) => this.#answer(request, response),
    );
    this.#server.maxConnections = 256;
  }

  /** @throws MeshError `listen_failed`. */
  static async start(options: AdminOptions): Promise<AdminServer> {
    const admin = new AdminServer(options);
    const { ip, port } = options.at;
    admin.#server.listen(port, ip);
    try {
      await once(admin.#server, "listening");
    } catch (cause) {
      const message = `Cannot listen on ${ip}:${port}`;
      throw new MeshError("listen_failed", "self", message, { cause });
    }
    return admin;
  }

  get address(): SocketAddress {
    const { address, port } = this.#server.address() as AddressInfo;
    return { ip: address, port };
  }

  async close(): Promise<void> {
    if (!this.#server.listening) return;
    this.#server.close();
    this.#server.closeAllConnections();
    await once(this.#server, "close");
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    if (request.method !== "GET" && request.method !== "HEAD") {
      response.writeHead(405, { allow: "GET, HEAD" }).end();
      return;
    }
    const path = (request.url ?? "").split("?", 1)[0];
    if (path === "/ready") {
      const problem = this.#options.problem();
      if (problem === undefined) reply(response, 200, "ok\n");
      else reply(response, 500, `not ready\n${problem}\n`);
    } else if (path === "/live" || path === "/ping") {
      reply(response, 200, "pong\n");
    } else if (path === "/metrics") {
      const type = "text/plain; version=0.0.4; charset=utf-8";
      reply(response, 200, this.#options.metrics.expose(), type);
    } else {
      reply(response, 404, "not found\n");
    }
  }
}

function reply(
  response: ServerResponse,
  status: number,
  body: string,
  type = "text/plain; charset=utf-8",
): void {
  response.writeHead(status, { "content-type": type }).end(body);
}
