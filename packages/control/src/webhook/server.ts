import { once } from "node:events";
import { readFileSync } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { MeshError, messageOf } from "@heddle/base/errors";
import type { Log } from "@heddle/base/log";
import type { SocketAddress } from "@heddle/net/transport";
import { type AdmissionHandler, parseReview } from "./review.ts";

export interface WebhookServerOptions {
  readonly at: SocketAddress;
  /** Holds `tls.crt` and `tls.key`, which are read again when they change. */
  readonly tlsFolder: string;
  /** By path: `/` is the injector's. */
  readonly handlers: ReadonlyMap<string, AdmissionHandler>;
  readonly log: Log;
  /** How often the certificate is looked at. Only tests change it. */
  readonly reloadMs?: number;
}

const MAX_BODY_BYTES = 10 * 1024 * 1024;
const HEADERS_TIMEOUT_MS = 15_000;
const REQUEST_TIMEOUT_MS = 30_000;
const MAX_CONNECTIONS = 1_024;
/** A kubelet changes mounted Secrets by replacing a link: looking is surer than watching. */
const RELOAD_MS = 10_000;

/** The HTTPS server of all admission webhooks. Only the API server comes here; it is not trusted. */
export class WebhookServer implements AsyncDisposable {
  readonly #options: WebhookServerOptions;
  readonly #server: Server;
  readonly #reload: NodeJS.Timeout;
  #pair: Pair;
  #port = 0;

  private constructor(options: WebhookServerOptions, pair: Pair) {
    this.#options = options;
    this.#pair = pair;
    const limits = { headersTimeout: HEADERS_TIMEOUT_MS, requestTimeout: REQUEST_TIMEOUT_MS };
    this.#server = createServer({ ...pair, ...limits, minVersion: "TLSv1.3" }, (request, answer) =>
      this.#serve(request, answer),
    );
    this.#server.maxConnections = MAX_CONNECTIONS;
    this.#reload = setInterval(() => this.#look(), options.reloadMs ?? RELOAD_MS);
    this.#reload.unref();
  }

  /** @throws MeshError `webhook_certificate` or `listen_failed`. */
  static async start(options: WebhookServerOptions): Promise<WebhookServer> {
    const { at, tlsFolder, log } = options;
    const server = new WebhookServer(options, readPair(tlsFolder));
    server.#server.listen(at.port, at.ip);
    try {
      await once(server.#server, "listening");
    } catch (cause) {
      clearInterval(server.#reload);
      const message = `Cannot listen on ${at.ip}:${at.port}`;
      throw new MeshError("listen_failed", "self", message, { cause });
    }
    server.#port = (server.#server.address() as AddressInfo).port;
    log.info("listening", { port: "webhooks", address: at.ip, number: server.address.port });
    return server;
  }

  get address(): SocketAddress {
    return { ip: this.#options.at.ip, port: this.#port };
  }

  /** Takes no new connections, and answers what was asked. */
  async close(): Promise<void> {
    clearInterval(this.#reload);
    if (!this.#server.listening) return;
    const closed = once(this.#server, "close");
    this.#server.close();
    this.#server.closeIdleConnections();
    await closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #look(): void {
    const { tlsFolder, log } = this.#options;
    try {
      const pair = readPair(tlsFolder);
      if (pair.cert === this.#pair.cert && pair.key === this.#pair.key) return;
      this.#server.setSecureContext({ ...pair, minVersion: "TLSv1.3" });
      this.#pair = pair;
      log.info("webhook certificate read again", { folder: tlsFolder });
    } catch (error) {
      // Half-written, perhaps: the one that we have goes on until there is a good one.
      log.warn("webhook certificate not usable", { folder: tlsFolder, error: messageOf(error) });
    }
  }

  #serve(request: IncomingMessage, answer: ServerResponse): void {
    this.#respond(request, answer).catch((error: unknown) => {
      this.#options.log.error("webhook failed", { path: request.url ?? "", error });
      if (!answer.headersSent) answer.statusCode = 500;
      answer.end();
    });
  }

  async #respond(request: IncomingMessage, answer: ServerResponse): Promise<void> {
    const handler = this.#options.handlers.get((request.url ?? "").split("?", 1)[0]!);
    if (handler === undefined) return finish(answer, 404, "no webhook has this path\n");
    if (request.method !== "POST") return finish(answer, 405, "a webhook takes POST only\n");
    const body = await readBody(request);
    if (body === undefined) {
      answer.setHeader("connection", "close");
      return finish(answer, 500, `the body is larger than ${MAX_BODY_BYTES} bytes\n`);
    }
    if (body === "") return finish(answer, 200, "");
    let review: ReturnType<typeof parseReview>;
    try {
      review = parseReview(body);
    } catch (error) {
      return finish(answer, 400, `${messageOf(error)}\n`);
    }
    const response = await handler(review);
    // A connection that is kept open would keep the server from ending.
    if (!this.#server.listening) answer.setHeader("connection", "close");
    answer.setHeader("content-type", "application/json");
    // As it came, with the answer: the API server wants its own version and kind back.
    finish(answer, 200, JSON.stringify({ ...review, response }));
  }
}

interface Pair {
  readonly cert: string;
  readonly key: string;
}

function readPair(folder: string): Pair {
  try {
    const read = (file: string): string => readFileSync(join(folder, file), "utf8");
    return { cert: read("tls.crt"), key: read("tls.key") };
  } catch (cause) {
    const message = `Cannot read the webhooks' certificate: ${messageOf(cause)}`;
    throw new MeshError("webhook_certificate", "self", message, { cause });
  }
}

/** Undefined if it is too large. */
async function readBody(request: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = [];
  let size = 0;
  // Without destroying the request on return: the answer goes over the same socket.
  for await (const chunk of request.iterator({ destroyOnReturn: false })) {
    size += (chunk as Buffer).length;
    if (size > MAX_BODY_BYTES) return undefined;
    chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks).toString("utf8");
}

function finish(answer: ServerResponse, status: number, text: string): void {
  answer.statusCode = status;
  answer.end(text);
}
