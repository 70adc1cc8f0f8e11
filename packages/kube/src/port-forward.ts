import { once } from "node:events";
import net from "node:net";
import { MeshError, messageOf } from "@heddle/base/errors";
import type { RawData, WebSocket } from "ws";
import type { KubeClient } from "./client.ts";
import { connectionError } from "./errors.ts";
import { openWebSocket } from "./web-socket.ts";

/** Each message begins with its channel: for the first port, 0 is data and 1 is what went wrong. */
const PROTOCOL = "v4.channel.k8s.io";
const DATA = 0;
const ERROR = 1;
/** Each channel begins with the port's number. */
const PORT_BYTES = 2;
/** More that waits for the API server stops reading from whoever connected to us. */
const MAX_WAITING_BYTES = 1024 * 1024;
const MAX_ERROR_CHARS = 1_000;

export interface PortForwardTarget {
  readonly namespace: string;
  readonly pod: string;
  readonly port: number;
}

/** A port of this machine's loopback that leads into a pod. */
export interface PortForward extends AsyncDisposable {
  readonly ip: string;
  readonly port: number;
  /** Why the last connection could not be forwarded, if so: who connected saw it end only. */
  problem(): MeshError | undefined;
  close(): Promise<void>;
}

/**
 * Listens on a free port of 127.0.0.1 and forwards each connection into the pod, through the API
 * server and the pod's kubelet, as `kubectl port-forward` does. Connections that are half closed end:
 * the protocol cannot say it.
 */
export async function startPortForward(
  client: KubeClient,
  target: PortForwardTarget,
): Promise<PortForward> {
  const forward = new Forward(client, target);
  await forward.listen();
  return forward;
}

class Forward implements PortForward {
  readonly ip = "127.0.0.1";
  readonly #client: KubeClient;
  readonly #target: PortForwardTarget;
  readonly #server: net.Server;
  readonly #sockets = new Set<net.Socket>();
  readonly #closing = new AbortController();
  #problem: MeshError | undefined;

  constructor(client: KubeClient, target: PortForwardTarget) {
    this.#client = client;
    this.#target = target;
    this.#server = net.createServer(
      { pauseOnConnect: true },
      (socket) => void this.#forward(socket),
    );
  }

  get port(): number {
    return (this.#server.address() as net.AddressInfo).port;
  }

  async listen(): Promise<void> {
    this.#server.listen(0, this.ip);
    await once(this.#server, "listening");
  }

  problem(): MeshError | undefined {
    return this.#problem;
  }

  async close(): Promise<void> {
    if (this.#closing.signal.aborted) return;
    this.#closing.abort(new MeshError("closed", "self", "Cannot forward: the forward is closed"));
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, "close");
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Never rejects: what goes wrong is kept, and ends the connection. */
  async #forward(socket: net.Socket): Promise<void> {
    this.#sockets.add(socket);
    socket.once("close", () => this.#sockets.delete(socket));
    // Its end is heard of by `close`; a reset says nothing more.
    socket.on("error", () => {});
    const { namespace, pod, port } = this.#target;
    const action = `forward port ${port} of pods ${namespace}/${pod}`;
    const at = `/api/v1/namespaces/${encodeURIComponent(namespace)}/pods/${encodeURIComponent(pod)}`;
    try {
      const channel = await openWebSocket(this.#client, {
        action,
        path: `${at}/portforward?ports=${port}`,
        protocol: PROTOCOL,
        signal: this.#closing.signal,
      });
      relay(socket, channel, (text) => {
        this.#problem = connectionError(action, text);
      });
    } catch (error) {
      this.#problem = isMesh(error) ? error : connectionError(action, messageOf(error), error);
      socket.destroy();
    }
  }
}

function isMesh(error: unknown): error is MeshError {
  return error instanceof MeshError;
}

/** Moves bytes both ways until one side ends, slowing each sender down to its receiver. */
function relay(socket: net.Socket, channel: WebSocket, onProblem: (text: string) => void): void {
  const begun = new Set<number>();
  channel.on("message", (data: RawData) => {
    const message = data as Buffer;
    const number = message[0] ?? -1;
    const body = begun.has(number) ? message.subarray(1) : message.subarray(1 + PORT_BYTES);
    begun.add(number);
    if (body.length === 0) return;
    if (number === DATA) {
      if (socket.write(body)) return;
      channel.pause();
      socket.once("drain", () => channel.resume());
    } else if (number === ERROR) {
      onProblem(body.toString("utf8", 0, MAX_ERROR_CHARS).trim());
      socket.destroy();
    }
  });
  channel.on("error", (error) => onProblem(messageOf(error)));
  channel.once("close", () => socket.end());
  socket.on("data", (bytes: Buffer) => {
    channel.send(Buffer.concat([Buffer.of(DATA), bytes]), () => {
      if (channel.bufferedAmount <= MAX_WAITING_BYTES) socket.resume();
    });
    if (channel.bufferedAmount > MAX_WAITING_BYTES) socket.pause();
  });
  socket.once("close", () => channel.terminate());
  if (socket.destroyed) channel.terminate();
  channel.resume();
  socket.resume();
}
