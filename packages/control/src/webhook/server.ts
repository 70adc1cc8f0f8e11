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
const HANDSHAKE_TIMEOUT_MS = 10_000;
/**
 * Longer than API servers keep a connection that is idle, so that they close it. If we did, it
 * could be just when they ask something: a call that fails, and perhaps an object taken unseen.
 */
const IDLE_TIMEOUT_MS = 100_000;
const MAX_CONNECTIONS = 1_024;
/** Of bodies at once, over all connections. Anybody may send them. */
const MAX_HELD_BYTES = 64 * 1024 * 1024;
/** A kubelet changes mounted Secrets by replacing a link: looking is surer than watching. */
const RELOAD_MS = 10_000;

/** The HTTPS server of all admission webhooks. Only the API server comes here; it is not trusted. */
export class WebhookServer implements AsyncDisposable {
  readonly #options: WebhookServerOptions;
  readonly #server: Server;
  readonly #reload: NodeJS.Timeout;
  #pair: Pair;
  #port = 0;
  #heldBytes = 0;

  private constructor(options: WebhookServerOptions, pair: Pair) {
    this.#options = options;
    this.#pair = pair;
    const limits = {
      handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
      headersTimeout: HEADERS_TIMEOUT_MS,
      requestTimeout: REQUEST_TIMEOUT_MS,
      keepAliveTimeout: IDLE_TIMEOUT_MS,
    };
    this.#server = createServer({ ...pair, ...limits, minVersion: "TLSv1.3" }, (request, answer) =>
      this.#serve(request, answer),
    );
    this.#server.maxConnections = MAX_CONNECTIONS;
    // Whoever holds connections for nothing makes room for those who ask.
    this.#server.on("drop", () => this.#server.closeIdleConnections());
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
    // From here on: descriptors ran out, most likely. Those who are connected are served on.
    server.#server.on("error", (error) => log.error("webhook listener failed", { error }));
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
      // Went away, or was too slow: nobody is left to be answered, and nothing was wrong here.
      if (!request.complete) {
        this.#options.log.debug?.("webhook request ended early", { error });
        answer.destroy();
        return;
      }
      this.#options.log.error("webhook failed", { path: request.url ?? "", error });
      if (!answer.headersSent) answer.statusCode = 500;
      answer.end();
    });
  }

  async #respond(request: IncomingMessage, answer: ServerResponse): Promise<void> {
    const handler = this.#options.handlers.get((request.url ?? "").split("?", 1)[0]!);
    if (handler === undefined || request.method !== "POST") {
      return finish(answer, 404, "no webhook here: they have their paths, and take POST only\n");
    }
    const held: Held = { chunks: [], size: 0 };
    try {
      const refusal = await this.#read(request, held);
      if (refusal === undefined) return await this.#review(held, handler, answer);
      answer.setHeader("connection", "close");
      finish(answer, refusal.status, refusal.why);
    } finally {
      this.#heldBytes -= held.size;
    }
  }

  /** Reads the body into `held`; why it does not take it all, if it does not. */
  async #read(request: IncomingMessage, held: Held): Promise<Refusal | undefined> {
    // Without destroying the request on return: the answer goes over the same socket.
    for await (const chunk of request.iterator({ destroyOnReturn: false })) {
      const { length } = chunk as Buffer;
      held.size += length;
      this.#heldBytes += length;
      if (held.size > MAX_BODY_BYTES) {
        return { status: 500, why: `the body is larger than ${MAX_BODY_BYTES} bytes\n` };
      }
      if (this.#heldBytes > MAX_HELD_BYTES) {
        return { status: 503, why: "too much is asked at once; try again\n" };
      }
      held.chunks.push(chunk as Buffer);
    }
    return undefined;
  }

  async #review(held: Held, handler: AdmissionHandler, answer: ServerResponse): Promise<void> {
    const body = Buffer.concat(held.chunks).toString("utf8");
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

/** A body, as far as it has come. */
interface Held {
  readonly chunks: Buffer[];
  size: number;
}

interface Refusal {
  readonly status: number;
  readonly why: string;
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

function finish(answer: ServerResponse, status: number, text: string): void {
  answer.statusCode = status;
  answer.end(text);
}
