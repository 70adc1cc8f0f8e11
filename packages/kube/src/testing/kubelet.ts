import { once } from "node:events";
import http from "node:http";
import https from "node:https";
import net from "node:net";
import { messageOf } from "@heddle/base/errors";
import { WebSocket, WebSocketServer } from "ws";

const PROTOCOL = "v4.channel.k8s.io";
const DATA = 0;
const ERROR = 1;

/** A port of a pod, as somebody asks for it. */
export interface PodPort {
  readonly namespace: string;
  readonly pod: string;
  readonly port: number;
}

export interface TestKubeletOptions {
  /** Without: plaintext. */
  readonly tls?: { readonly key: string; readonly cert: string };
  /** Where a pod's port really is; text is what the kubelet says instead. */
  readonly resolve: (asked: PodPort) => { readonly ip: string; readonly port: number } | string;
  /** Judges a request before it is upgraded: the status to refuse it with. */
  readonly refuse?: (request: http.IncomingMessage) => number | undefined;
}

/**
 * For tests: what of a kubelet forwards ports, at its own path and, for tests that have no API server
 * before it, at the API server's.
 */
export class TestKubelet implements AsyncDisposable {
  readonly #server: http.Server;
  readonly #options: TestKubeletOptions;
  readonly #channels: WebSocketServer;
  readonly #sockets = new Set<net.Socket>();

  private constructor(options: TestKubeletOptions) {
    this.#options = options;
    this.#server =
      options.tls === undefined ? http.createServer() : https.createServer(options.tls);
    this.#channels = new WebSocketServer({
      noServer: true,
      handleProtocols: (offered) => (offered.has(PROTOCOL) ? PROTOCOL : false),
    });
    this.#server.on("connection", (socket: net.Socket) => this.#hold(socket));
    this.#server.on("upgrade", (request, socket: net.Socket, head) =>
      this.#onUpgrade(request, socket, head),
    );
  }

  static async start(options: TestKubeletOptions): Promise<TestKubelet> {
    const kubelet = new TestKubelet(options);
    kubelet.#server.listen(0, "127.0.0.1");
    await once(kubelet.#server, "listening");
    return kubelet;
  }

  get port(): number {
    return (this.#server.address() as net.AddressInfo).port;
  }

  async close(): Promise<void> {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
    await once(this.#server, "close");
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #hold(socket: net.Socket): void {
    this.#sockets.add(socket);
    // Tests break connections on purpose.
    socket.on("error", () => {});
    socket.once("close", () => this.#sockets.delete(socket));
  }

  #onUpgrade(request: http.IncomingMessage, socket: net.Socket, head: Buffer): void {
    const asked = askedOf(request.url ?? "");
    const refusal = asked === undefined ? 404 : this.#options.refuse?.(request);
    if (asked === undefined || refusal !== undefined) {
      const body = JSON.stringify({ kind: "Status", message: `no, with ${refusal}` });
      socket.end(
        `HTTP/1.1 ${refusal} No\r\ncontent-length: ${body.length}\r\nconnection: close\r\n\r\n${body}`,
      );
      return;
    }
    this.#channels.handleUpgrade(request, socket, head, (channel) => this.#serve(channel, asked));
  }

  #serve(channel: WebSocket, asked: PodPort): void {
    const say = (number: number, bytes: Uint8Array): void => {
      if (channel.readyState !== WebSocket.OPEN) return;
      channel.send(Buffer.concat([Buffer.of(number), bytes]));
    };
    const port = Buffer.alloc(2);
    port.writeUInt16LE(asked.port);
    say(DATA, port);
    say(ERROR, port);
    const target = this.#options.resolve(asked);
    const fail = (text: string): void => {
      say(ERROR, Buffer.from(text));
      channel.close();
    };
    if (typeof target === "string") {
      fail(target);
      return;
    }
    const inner = net.connect({ host: target.ip, port: target.port });
    this.#sockets.add(inner);
    inner.on("error", (error) => fail(messageOf(error)));
    inner.on("data", (bytes: Buffer) => say(DATA, bytes));
    inner.once("close", () => {
      this.#sockets.delete(inner);
      channel.close();
    });
    channel.on("message", (data) => {
      const message = data as Buffer;
      if (message[0] === DATA) inner.write(message.subarray(1));
    });
    channel.on("error", () => inner.destroy());
    channel.once("close", () => inner.destroy());
  }
}

/** `/portForward/NS/POD?port=N` of a kubelet, `…/portforward?ports=N` of an API server. */
function askedOf(path: string): PodPort | undefined {
  const { pathname, searchParams } = new URL(path, "http://kubelet");
  const kubelet = /^\/portForward\/([^/]+)\/([^/]+)$/.exec(pathname);
  const api = /^\/api\/v1\/namespaces\/([^/]+)\/pods\/([^/]+)\/portforward$/.exec(pathname);
  const [, namespace = "", pod = ""] = kubelet ?? api ?? [];
  if (pod === "") return undefined;
  return {
    namespace: decodeURIComponent(namespace),
    pod: decodeURIComponent(pod),
    port: Number(searchParams.get(kubelet === null ? "ports" : "port")),
  };
}
