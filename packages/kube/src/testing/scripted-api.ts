import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { KubeClient } from "../client.ts";
import { NO_CREDENTIALS } from "../credentials.ts";

export interface ScriptedRequest {
  readonly method: string;
  readonly url: URL;
  readonly headers: IncomingMessage["headers"];
  readonly body: string;
}

export type Scripted = (request: ScriptedRequest, response: ServerResponse) => void;

/** For tests: an API server that answers each request by the next step of its script. */
export class ScriptedApi implements AsyncDisposable {
  readonly requests: ScriptedRequest[] = [];
  readonly #server: Server;
  readonly #steps: Scripted[] = [];
  #waiting: (() => void)[] = [];

  private constructor(server: Server) {
    this.#server = server;
  }

  static async start(...steps: Scripted[]): Promise<ScriptedApi> {
    const server = createServer();
    const api = new ScriptedApi(server);
    api.#steps.push(...steps);
    server.on("request", (request, response) => api.#take(request, response));
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return api;
  }

  get client(): KubeClient {
    const { port } = this.#server.address() as AddressInfo;
    const server = new URL(`http://127.0.0.1:${port}`);
    const cluster = { server, namespace: "default", tls: {}, credentials: NO_CREDENTIALS };
    return new KubeClient({ cluster, requestTimeoutMs: 5_000 });
  }

  expect(...steps: Scripted[]): void {
    this.#steps.push(...steps);
  }

  /** Resolves when this many requests have come in, all in all. */
  async seen(count: number): Promise<void> {
    while (this.requests.length < count) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, "close");
  }

  #take(request: IncomingMessage, response: ServerResponse): void {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const { method = "", url = "/", headers } = request;
      const body = Buffer.concat(chunks).toString("utf8");
      const seen = { method, url: new URL(url, "http://api"), headers, body };
      this.requests.push(seen);
      const step = this.#steps.shift();
      if (step === undefined) response.writeHead(503).end("the script is over");
      else step(seen, response);
      const waiting = this.#waiting;
      this.#waiting = [];
      for (const wake of waiting) wake();
    });
  }
}

export function answer(status: number, body: object): Scripted {
  return (_request, response) => {
    response.writeHead(status, { "content-type": "application/json" });
    response.end(JSON.stringify(body));
  };
}

export function failure(code: number, reason: string, message = "scripted"): Scripted {
  return answer(code, { kind: "Status", status: "Failure", code, reason, message });
}

export function list(resourceVersion: string, ...items: object[]): Scripted {
  return answer(200, { metadata: { resourceVersion }, items });
}

/** Sends events; then ends the watch, breaks it, or leaves it open. */
export function events(then: "end" | "break" | "open", ...lines: (object | string)[]): Scripted {
  return (_request, response) => {
    response.writeHead(200, { "content-type": "application/json" });
    response.flushHeaders();
    const text = lines
      .map((line) => (typeof line === "string" ? line : `${JSON.stringify(line)}\n`))
      .join("");
    response.write(text, () => {
      if (then === "end") response.end();
      else if (then === "break") response.destroy();
    });
  };
}

export function configMap(name: string, resourceVersion: string, uid = `uid-${name}`): object {
  return { metadata: { name, namespace: "ns", resourceVersion, uid } };
}

export function event(type: string, object: object): object {
  return { type, object };
}
