import http from "node:http";
import https from "node:https";
import type { Proof } from "./credentials.ts";
import { connectionError } from "./errors.ts";
import type { ClusterConfig } from "./kubeconfig.ts";

export interface Call {
  /** What it does, for error messages: `get services default/web`. */
  readonly action: string;
  readonly method: string;
  /** Path and query, below the server's own path. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string | string[]>>;
  readonly body?: string | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Until the head of the answer. */
  readonly headTimeoutMs: number;
  /** Watches have connections of their own, so that they never wait behind requests. */
  readonly isWatch: boolean;
}

/** Answers above this are refused: a page of a list stays far below it. */
const MAX_BODY_BYTES = 256 * 1024 * 1024;

/** HTTP/1.1 with kept connections to one API server. */
export class Transport {
  readonly #config: ClusterConfig;
  readonly #requests: http.Agent;
  readonly #watches: http.Agent;

  constructor(config: ClusterConfig, maxConnections: number) {
    this.#config = config;
    const isTls = config.server.protocol === "https:";
    const agent = (maxSockets: number): http.Agent => {
      const options = { keepAlive: true, keepAliveMsecs: 30_000, maxSockets, timeout: 0 };
      return isTls ? new https.Agent(options) : new http.Agent(options);
    };
    this.#requests = agent(maxConnections);
    this.#watches = agent(Number.POSITIVE_INFINITY);
  }

  /** Resolves at the head of the answer. Its body must be read or destroyed. */
  send(call: Call, proof: Proof): Promise<http.IncomingMessage> {
    const { server, tls } = this.#config;
    const isTls = server.protocol === "https:";
    const { signal } = call;
    return new Promise((resolve, reject) => {
      if (signal?.aborted) {
        reject(signal.reason);
        return;
      }
      const options: https.RequestOptions = {
        protocol: server.protocol,
        // URL keeps the brackets of an IPv6 literal; sockets want none.
        host: server.hostname.replace(/^\[|\]$/g, ""),
        port: server.port === "" ? (isTls ? 443 : 80) : Number(server.port),
        method: call.method,
        path: server.pathname.replace(/\/$/, "") + call.path,
        headers: { ...call.headers },
        agent: call.isWatch ? this.#watches : this.#requests,
        ...(isTls ? tls : {}),
        ...(proof.cert === undefined ? {} : { cert: proof.cert }),
        ...(proof.key === undefined ? {} : { key: proof.key }),
      };
      const headers = options.headers as Record<string, string | string[]>;
      if (proof.authorization !== undefined) headers["authorization"] = proof.authorization;
      if (call.body !== undefined) {
        headers["content-length"] = String(Buffer.byteLength(call.body));
      }
      const request = isTls ? https.request(options) : http.request(options);
      const timeout = setTimeout(() => {
        request.destroy(connectionError(call.action, `no answer within ${call.headTimeoutMs} ms`));
      }, call.headTimeoutMs);
      const onAbort = (): void => {
        request.destroy();
        reject(signal?.reason);
      };
      signal?.addEventListener("abort", onAbort, { once: true });
      request.once("response", (response) => {
        clearTimeout(timeout);
        response.once("close", () => signal?.removeEventListener("abort", onAbort));
        resolve(response);
      });
      request.on("error", (error) => {
        clearTimeout(timeout);
        signal?.removeEventListener("abort", onAbort);
        const known = "side" in error;
        reject(
          known ? error : connectionError(call.action, "the API server is unreachable", error),
        );
      });
      request.end(call.body);
    });
  }

  close(): void {
    this.#requests.destroy();
    this.#watches.destroy();
  }
}

/** Reads a whole body, within bounds and time. */
export function readBody(
  response: http.IncomingMessage,
  action: string,
  timeoutMs: number,
  signal: AbortSignal | undefined,
): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    const timeout = setTimeout(() => {
      response.destroy(connectionError(action, `the answer took longer than ${timeoutMs} ms`));
    }, timeoutMs);
    response.on("data", (chunk: Buffer) => {
      size += chunk.length;
      if (size > MAX_BODY_BYTES) {
        response.destroy(connectionError(action, `the answer exceeds ${MAX_BODY_BYTES} bytes`));
        return;
      }
      chunks.push(chunk);
    });
    response.once("end", () => {
      clearTimeout(timeout);
      resolve(Buffer.concat(chunks, size).toString("utf8"));
    });
    response.once("error", (error) => {
      clearTimeout(timeout);
      if (signal?.aborted) reject(signal.reason);
      else if ("side" in error) reject(error);
      else reject(connectionError(action, "the connection broke within the answer", error));
    });
    response.once("close", () => {
      clearTimeout(timeout);
      // After `end` or `error` this changes nothing.
      if (signal?.aborted) reject(signal.reason);
      else reject(connectionError(action, "the connection ended within the answer"));
    });
  });
}
