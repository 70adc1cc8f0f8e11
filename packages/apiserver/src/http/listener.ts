import { once } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer, type Server } from "node:https";
import type { AddressInfo, Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import type { Authenticator } from "@heddle/apiserver/auth/authenticator";
import { type Authorizer, PUBLIC_PATHS } from "@heddle/apiserver/auth/authorizer";
import { impersonate } from "@heddle/apiserver/auth/impersonation";
import { ANONYMOUS } from "@heddle/apiserver/auth/user";
import { badRequest, StatusError, unauthorized } from "@heddle/apiserver/status-error";
import { MeshError } from "@heddle/base/errors";
import type { Log } from "@heddle/base/log";
import { Exchange } from "./exchange.ts";
import type { Router } from "./router.ts";

export interface TlsMaterial {
  readonly certificatePem: string;
  readonly keyPem: string;
  /** Authorities whose client certificates count. */
  readonly caPem: string;
}

export interface ListenerOptions {
  readonly host: string;
  readonly port: number;
  readonly tls: TlsMaterial;
  readonly authenticator: Authenticator;
  readonly authorizer: Authorizer;
  readonly router: Router;
  readonly log: Log;
}

/** A request must have come in whole by then. Watches are answers: they may take long. */
const REQUEST_TIMEOUT_MS = 60_000;
const HEADERS_TIMEOUT_MS = 20_000;
const IDLE_TIMEOUT_MS = 120_000;
const KEEP_ALIVE_MS = 30_000;
const MAX_CONNECTIONS = 20_000;
const MAX_HEADER_BYTES = 64 * 1024;

/** The TLS port: takes requests, says who sends them, and turns refusals into answers. */
export class Listener {
  readonly #server: Server;
  readonly #options: ListenerOptions;
  readonly #sockets = new Set<Socket>();
  #isClosing = false;
  #isCut = false;

  static async start(options: ListenerOptions): Promise<Listener> {
    const listener = new Listener(options);
    const { host, port, log } = options;
    listener.#server.listen({ host, port, backlog: 1024 });
    try {
      await once(listener.#server, "listening");
    } catch (error) {
      const message = `Cannot listen on ${host} port ${port}`;
      throw new MeshError("bad_listener", "self", message, { cause: error });
    }
    // From here on: descriptors ran out, most likely. Those who are connected are served on.
    listener.#server.on("error", (error) => log.error("listener failed", { error }));
    return listener;
  }

  private constructor(options: ListenerOptions) {
    this.#options = options;
    this.#server = createServer(
      {
        ...secureOptions(options.tls),
        requestCert: true,
        // A certificate is one way of saying who one is; the authenticator judges it.
        rejectUnauthorized: false,
        minVersion: "TLSv1.3",
        maxHeaderSize: MAX_HEADER_BYTES,
        requestTimeout: REQUEST_TIMEOUT_MS,
        headersTimeout: HEADERS_TIMEOUT_MS,
        keepAliveTimeout: IDLE_TIMEOUT_MS,
        handshakeTimeout: HEADERS_TIMEOUT_MS,
        noDelay: true,
        // Watches say nothing for long: peers that are gone are found by the kernel.
        keepAlive: true,
        keepAliveInitialDelay: KEEP_ALIVE_MS,
      },
      (request, response) => {
        void this.#serve(request, response);
      },
    );
    this.#server.maxConnections = MAX_CONNECTIONS;
    // Before TLS, so that handshakes that never end are cut off as well.
    this.#server.on("connection", (socket: Socket) => this.#track(socket));
    this.#server.on("tlsClientError", (error, socket) => {
      options.log.debug?.("TLS handshake failed", { error: error.message });
      socket.destroy();
    });
    this.#server.on("clientError", (error, socket) => {
      options.log.debug?.("request could not be read", { error: error.message });
      if (socket.writable) socket.end("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n");
      else socket.destroy();
    });
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** New connections get the new certificate; old ones keep theirs. */
  setTls(tls: TlsMaterial): void {
    this.#server.setSecureContext({ ...secureOptions(tls), minVersion: "TLSv1.3" });
  }

  /** Stops taking connections, waits for answers under way, then cuts what is left. */
  async close(graceMs: number): Promise<void> {
    if (this.#isClosing) return;
    this.#isClosing = true;
    const closed = once(this.#server, "close");
    this.#server.close();
    this.#server.closeIdleConnections();
    const force = setTimeout(() => {
      this.#isCut = true;
      for (const socket of this.#sockets) socket.destroy();
    }, graceMs);
    await closed;
    clearTimeout(force);
  }

  #track(socket: Socket): void {
    // Its handshake was under way when the others were cut; a watch on it would last for minutes.
    if (this.#isCut) {
      socket.destroy();
      return;
    }
    this.#sockets.add(socket);
    socket.once("close", () => this.#sockets.delete(socket));
    // Told by the request that it breaks, if there is one.
    socket.on("error", () => {});
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (this.#isClosing) response.setHeader("connection", "close");
    let exchange: Exchange | undefined;
    try {
      const url = parseUrl(request.url ?? "/");
      exchange = new Exchange(request, response, url, ANONYMOUS);
      const user = this.#identify(request, url.path);
      exchange = new Exchange(request, response, url, user);
      await this.#options.router.route(exchange);
    } catch (error) {
      this.#refuse(request, response, error);
    }
  }

  #identify(request: IncomingMessage, path: string): Exchange["user"] {
    const { authenticator } = this.#options;
    const user = authenticator.identify(request.headers.authorization, request.socket as TLSSocket);
    if (user === ANONYMOUS && !PUBLIC_PATHS.includes(path)) throw unauthorized();
    return impersonate(user, request.headers, this.#options.authorizer);
  }

  /** The one place that turns what a handler threw into an answer. */
  #refuse(request: IncomingMessage, response: ServerResponse, error: unknown): void {
    const known = error instanceof StatusError;
    if (!known) {
      const { method, url } = request;
      this.#options.log.error("request failed", { method, url, error });
    }
    if (response.headersSent || response.destroyed) {
      response.destroy();
      return;
    }
    const refusal = known
      ? error
      : new StatusError(500, "InternalError", "Internal error occurred: see the server's log");
    const body = Buffer.from(`${JSON.stringify(refusal.toStatus())}\n`);
    const wait = refusal.details?.retryAfterSeconds;
    response.writeHead(refusal.code, {
      "content-type": "application/json",
      "content-length": body.length,
      ...(wait === undefined ? {} : { "retry-after": String(wait) }),
      // What is left of a body that was not read must not be taken for the next request.
      ...(request.complete ? {} : { connection: "close" }),
    });
    response.end(request.method === "HEAD" ? undefined : body);
  }
}

function secureOptions({ certificatePem, keyPem, caPem }: TlsMaterial): {
  readonly cert: string;
  readonly key: string;
  readonly ca: string;
} {
  return { cert: certificatePem, key: keyPem, ca: caPem };
}

function parseUrl(text: string): { readonly path: string; readonly query: URLSearchParams } {
  if (!text.startsWith("/")) throw badRequest("the request target is not a path");
  const mark = text.indexOf("?");
  const path = mark < 0 ? text : text.slice(0, mark);
  return { path, query: new URLSearchParams(mark < 0 ? "" : text.slice(mark + 1)) };
}
