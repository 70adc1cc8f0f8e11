import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { KubeClient } from "../client.ts";
import { NO_CREDENTIALS } from "../credentials.ts";
import type { Lease } from "../types/core.ts";

/** For tests: an API server that holds one Lease, with optimistic concurrency. */
export class LeaseApi implements AsyncDisposable {
  lease: Lease | undefined;
  /** Requests are answered with 503. */
  isDown = false;
  readonly #server: Server;
  readonly #clients: KubeClient[] = [];
  readonly #watchers = new Set<() => void>();
  #version = 0;

  private constructor(server: Server) {
    this.#server = server;
  }

  static async start(): Promise<LeaseApi> {
    const server = createServer();
    const api = new LeaseApi(server);
    server.on("request", (request, response) => {
      const chunks: Buffer[] = [];
      request.on("data", (chunk: Buffer) => chunks.push(chunk));
      request.on("end", () => {
        const text = Buffer.concat(chunks).toString("utf8");
        const body = text === "" ? undefined : (JSON.parse(text) as Lease);
        const [status, answer] = api.#answer(request.method ?? "", body);
        response.writeHead(status).end(JSON.stringify(answer));
        for (const wake of [...api.#watchers]) wake();
      });
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return api;
  }

  newClient(): KubeClient {
    const { port } = this.#server.address() as AddressInfo;
    const server = new URL(`http://127.0.0.1:${port}`);
    const cluster = { server, namespace: "default", tls: {}, credentials: NO_CREDENTIALS };
    const client = new KubeClient({ cluster });
    this.#clients.push(client);
    return client;
  }

  /** Resolves after a request that leaves it so. */
  async until(isSo: (lease: Lease | undefined) => boolean): Promise<void> {
    while (!isSo(this.lease)) {
      await new Promise<void>((resolve) => {
        const wake = (): void => {
          this.#watchers.delete(wake);
          resolve();
        };
        this.#watchers.add(wake);
      });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const client of this.#clients) client.close();
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, "close");
  }

  #answer(method: string, body: Lease | undefined): [number, object] {
    if (this.isDown) return [503, { kind: "Status", reason: "ServiceUnavailable" }];
    const current = this.lease;
    if (method === "GET") {
      return current === undefined ? [404, { kind: "Status", reason: "NotFound" }] : [200, current];
    }
    if (method === "POST" && current !== undefined) {
      return [409, { kind: "Status", reason: "AlreadyExists" }];
    }
    const seen = body?.metadata.resourceVersion;
    if (method === "PUT" && seen !== current?.metadata.resourceVersion) {
      return [409, { kind: "Status", reason: "Conflict" }];
    }
    this.#version++;
    const metadata = { ...body?.metadata, resourceVersion: String(this.#version) };
    this.lease = { ...body, metadata };
    return [200, this.lease];
  }
}
