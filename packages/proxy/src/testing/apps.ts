import http from "node:http";
import { MeshError } from "@heddle/base/errors";
import { dial } from "@heddle/net/dialer";
import {
  type BodySink,
  type Flow,
  type HttpService,
  NO_FLOW,
  type RequestHead,
  type ResponseHead,
  type ResponseSink,
} from "@heddle/net/http";
import { Http1Client } from "@heddle/net/http1/client";
import { serveHttp1 } from "@heddle/net/http1/server";
import { Http2Client } from "@heddle/net/http2/client";
import { serveHttp2 } from "@heddle/net/http2/server";
import { type Listener, startListener } from "@heddle/net/listener";
import type { Credentials } from "@heddle/net/tls-credentials";
import { detectTls } from "@heddle/net/tls-detect";
import { TlsTerminator } from "@heddle/net/tls-server";
import type { Socket } from "@heddle/net/transport";
import { readTransportHeader } from "@heddle/net/transport-header";
import { HeaderMap } from "@heddle/wire/http/headers";
import {
  TRANSPORT_PROTOCOL,
  type TransportHeader,
} from "@heddle/wire/transport-header/transport-header";

/** Where applications and peers of tests listen: a part of the network of tests. */
export const APP_IP = "127.77.0.10";

export interface Answer {
  readonly status: number;
  readonly version: string;
  readonly headers: HeaderMap;
  readonly body: string;
  readonly trailers: HeaderMap | undefined;
  /** The body broke off. */
  readonly error: MeshError | undefined;
}

export interface Asked {
  readonly head: RequestHead;
  readonly body: string;
  readonly trailers: HeaderMap | undefined;
}

export interface Reply {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** Body and end are held back until this resolves. */
  readonly until?: Promise<unknown>;
  readonly trailers?: Readonly<Record<string, string>>;
  /** Breaks the answer off in place of answering. */
  readonly abort?: MeshError;
  /** Breaks the answer off behind its body. */
  readonly breaksWith?: MeshError;
}

export type Handler = (asked: Asked) => Reply | Promise<Reply>;

/** An application that answers whole requests, over HTTP/1 and HTTP/2, in plaintext. */
export class TestApp implements AsyncDisposable {
  readonly asked: Asked[] = [];
  /** Connections accepted. */
  accepted = 0;
  readonly #open = new Set<{ destroy(): void }>();
  #listener!: Listener;

  /** @param port - Default: any that is free. */
  static async start(version: "http1" | "http2", handler: Handler, port = 0): Promise<TestApp> {
    const app = new TestApp();
    const service = new HandlerService((asked) => {
      app.asked.push(asked);
      return handler(asked);
    });
    app.#listener = await startListener({ at: { ip: APP_IP, port } }, (socket) => {
      app.accepted++;
      app.#open.add(
        version === "http1" ? serveHttp1(socket, service) : serveHttp2(socket, service),
      );
    });
    return app;
  }

  get authority(): string {
    return `${APP_IP}:${this.#listener.address.port}`;
  }

  /** As if it had died. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#listener.close();
    for (const connection of this.#open) connection.destroy();
  }
}

/** A meshed peer: what stands at the inbound port of another proxy. */
export class TestPeer implements AsyncDisposable {
  readonly headers: (TransportHeader | undefined)[] = [];
  readonly asked: Asked[] = [];
  readonly #open = new Set<{ destroy(): void }>();
  #listener!: Listener;

  /**
   * @param serve - What it speaks after the handshake: HTTP, or bytes handed to `raw`.
   */
  static async start(
    credentials: Credentials,
    serverName: string,
    serve:
      | { readonly version: "http1" | "http2"; readonly handler: Handler }
      | { readonly raw: (socket: Socket) => void },
  ): Promise<TestPeer> {
    const peer = new TestPeer();
    const terminator = new TlsTerminator({ credentials, alpn: [TRANSPORT_PROTOCOL] });
    const accept = async (accepted: Socket): Promise<void> => {
      const found = await detectTls(accepted, { serverName, timeoutMs: 5_000 });
      let socket = found.socket;
      if (found.kind === "mesh") {
        const secure = await terminator.terminate(found.socket, 5_000);
        socket = secure;
        if (secure.tls?.alpn === TRANSPORT_PROTOCOL) {
          const read = await readTransportHeader(secure, 5_000);
          peer.headers.push(read.header);
          socket = read.socket;
        } else {
          peer.headers.push(undefined);
        }
      }
      peer.#open.add(socket);
      if ("raw" in serve) {
        serve.raw(socket);
        return;
      }
      const service = new HandlerService((asked) => {
        peer.asked.push(asked);
        return serve.handler(asked);
      });
      peer.#open.add(
        serve.version === "http1" ? serveHttp1(socket, service) : serveHttp2(socket, service),
      );
    };
    peer.#listener = await startListener({ at: { ip: APP_IP, port: 0 } }, (socket) => {
      peer.#open.add(socket);
      accept(socket).catch((error: unknown) => {
        if (!(error instanceof MeshError)) throw error;
      });
    });
    return peer;
  }

  get port(): number {
    return this.#listener.address.port;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#listener.close();
    for (const connection of this.#open) connection.destroy();
  }
}

class HandlerService implements HttpService {
  readonly #handler: Handler;

  constructor(handler: Handler) {
    this.#handler = handler;
  }

  call(head: RequestHead, _flow: Flow, response: ResponseSink): BodySink {
    let body = "";
    let isOver = false;
    const reply = async (trailers: HeaderMap | undefined): Promise<void> => {
      const kept = { ...head, headers: head.headers.clone() };
      const given = await this.#handler({ head: kept, body, trailers });
      if (isOver) return;
      if (given.abort !== undefined) {
        response.abort(given.abort);
        return;
      }
      const bytes = Buffer.from(given.body ?? "");
      const headers = HeaderMap.of(given.headers ?? {});
      const isSized = given.trailers === undefined && !headers.has("transfer-encoding");
      if (isSized && !headers.has("content-length")) {
        headers.append("content-length", String(bytes.length));
      }
      const contentLength = isSized ? bytes.length : -1;
      response.head(
        { status: given.status ?? 200, version: head.version, headers, contentLength },
        NO_FLOW,
      );
      await given.until;
      if (isOver) return;
      if (bytes.length > 0) response.data(bytes, 0, bytes.length);
      if (given.breaksWith !== undefined) {
        // What was said before goes out first.
        setImmediate(() => response.abort(given.breaksWith!));
        return;
      }
      response.end(given.trailers === undefined ? undefined : HeaderMap.of(given.trailers));
    };
    return {
      data: (bytes, start, end) => {
        body += Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString("latin1");
      },
      end: (trailers) => void reply(trailers),
      abort: () => {
        isOver = true;
      },
    };
  }
}

export interface Ask {
  readonly method?: string;
  readonly path?: string;
  readonly authority?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** One HTTP/1 request of node:http, on a connection of its own. */
export function ask(port: number, options: Ask & http.RequestOptions = {}): Promise<Answer> {
  const { body, authority = "web", headers, ...rest } = options;
  return new Promise((resolve, reject) => {
    const request = http.request(
      { host: "127.0.0.1", port, agent: false, ...rest, headers: { host: authority, ...headers } },
      (response) => {
        let text = "";
        let error: MeshError | undefined;
        response.on("data", (chunk) => {
          text += chunk;
        });
        response.on("error", (cause) => {
          error = new MeshError("broken", "server", "broken", { cause });
        });
        response.on("close", () =>
          resolve({
            status: response.statusCode!,
            version: response.httpVersion,
            headers: headerMap(response.rawHeaders),
            body: text,
            trailers: headerMap(response.rawTrailers),
            error,
          }),
        );
      },
    );
    request.on("error", reject);
    request.end(body);
  });
}

function headerMap(raw: readonly string[]): HeaderMap {
  const headers = new HeaderMap();
  for (let i = 0; i < raw.length; i += 2) headers.append(raw[i]!.toLowerCase(), raw[i + 1]!);
  return headers;
}

/** One HTTP/1 request on a connection that is there already, and will not be used again. */
export async function askHttp1(socket: Socket, options: Ask = {}): Promise<Answer> {
  const { method = "GET", path = "/", authority = "web", headers = {} } = options;
  await using client = new Http1Client(socket);
  return await new Promise((resolve, reject) => {
    const head: RequestHead = {
      method,
      scheme: "http",
      authority: "",
      path,
      version: "1.1",
      headers: HeaderMap.of({ host: authority, ...headers }),
      absoluteForm: false,
      upgrade: false,
      contentLength: 0,
    };
    client.call(head, NO_FLOW, new AnswerSink(resolve, reject)).end(undefined);
  });
}

/** A client of HTTP/2 with one connection, prior knowledge. */
export class Http2Asker implements AsyncDisposable {
  readonly client: Http2Client;

  constructor(client: Http2Client) {
    this.client = client;
  }

  static async connect(port: number, localAddress?: string): Promise<Http2Asker> {
    const address = { ip: "127.0.0.1", port };
    const socket = await dial({ address, timeoutMs: 5_000, localAddress });
    return new Http2Asker(new Http2Client(socket));
  }

  /** Rejects with the error if the answer breaks off before its head. */
  ask(options: Ask = {}): Promise<Answer> {
    const { method = "GET", path = "/", authority = "web", headers = {}, body } = options;
    const head: RequestHead = {
      method,
      scheme: "http",
      authority,
      path,
      version: "2",
      headers: HeaderMap.of(headers),
      absoluteForm: false,
      upgrade: false,
      contentLength: body === undefined ? 0 : -1,
    };
    return new Promise((resolve, reject) => {
      const sink = this.client.call(head, NO_FLOW, new AnswerSink(resolve, reject));
      if (body !== undefined) {
        const bytes = Buffer.from(body);
        sink.data(bytes, 0, bytes.length);
      }
      sink.end(undefined);
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.client.destroy();
  }
}

class AnswerSink implements ResponseSink {
  readonly #resolve: (answer: Answer) => void;
  readonly #reject: (error: MeshError) => void;
  #head: ResponseHead | undefined;
  #body = "";

  constructor(resolve: (answer: Answer) => void, reject: (error: MeshError) => void) {
    this.#resolve = resolve;
    this.#reject = reject;
  }

  head(head: ResponseHead): void {
    this.#head = { ...head, headers: head.headers.clone() };
  }

  data(bytes: Uint8Array, start: number, end: number): void {
    this.#body += Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString(
      "latin1",
    );
  }

  end(trailers: HeaderMap | undefined): void {
    this.#finish(trailers, undefined);
  }

  abort(reason: MeshError): void {
    if (this.#head === undefined) this.#reject(reason);
    else this.#finish(undefined, reason);
  }

  #finish(trailers: HeaderMap | undefined, error: MeshError | undefined): void {
    const { status, version, headers } = this.#head!;
    this.#resolve({ status, version, headers, body: this.#body, trailers, error });
  }
}
