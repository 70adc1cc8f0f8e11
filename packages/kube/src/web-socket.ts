import type { IncomingMessage } from "node:http";
import { WebSocket } from "ws";
import type { KubeClient } from "./client.ts";
import type { Proof } from "./credentials.ts";
import { connectionError, hasReason, statusError } from "./errors.ts";
import { impersonationHeaders } from "./kubeconfig.ts";
import { readBody } from "./transport.ts";

const HANDSHAKE_MS = 10_000;
/** Of one message; those of the streaming protocols are some 32 KiB at most. */
const MAX_MESSAGE_BYTES = 4 * 1024 * 1024;

export interface WebSocketCall {
  /** What it does, for error messages: `forward port 8086 of pods linkerd/destination`. */
  readonly action: string;
  /** Path and query, below the server's own path. */
  readonly path: string;
  /** The subprotocol that the server must agree to. */
  readonly protocol: string;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Opens a WebSocket on the API server, with the client's own credentials. What comes before the
 * caller listens waits: the socket is paused.
 *
 * @throws MeshError as the client's other calls do.
 */
export async function openWebSocket(client: KubeClient, call: WebSocketCall): Promise<WebSocket> {
  const { credentials } = client.cluster;
  try {
    return await open(client, call, await credentials.current());
  } catch (error) {
    if (!hasReason(error, "Unauthorized")) throw error;
    // A token may have been replaced since we read it: once more, with a fresh one.
    credentials.refused();
    return open(client, call, await credentials.current());
  }
}

function open(client: KubeClient, call: WebSocketCall, proof: Proof): Promise<WebSocket> {
  const { server, tls } = client.cluster;
  const { action, path, protocol, signal } = call;
  if (signal?.aborted) return Promise.reject(signal.reason);
  const address = new URL(server);
  address.protocol = server.protocol === "https:" ? "wss:" : "ws:";
  const url = `${address.origin}${server.pathname.replace(/\/$/, "")}${path}`;
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(url, [protocol], {
      ...tls,
      ...(proof.cert === undefined ? {} : { cert: proof.cert }),
      ...(proof.key === undefined ? {} : { key: proof.key }),
      headers: {
        ...impersonationHeaders(client.cluster),
        ...(proof.authorization === undefined ? {} : { authorization: proof.authorization }),
      },
      handshakeTimeout: HANDSHAKE_MS,
      maxPayload: MAX_MESSAGE_BYTES,
      perMessageDeflate: false,
      followRedirects: false,
    });
    const settle = (): void => signal?.removeEventListener("abort", onAbort);
    const fail = (error: unknown): void => {
      settle();
      // A socket that is given up may still say why; nobody needs to know.
      socket.on("error", () => {});
      socket.terminate();
      reject(error);
    };
    const onAbort = (): void => fail(signal!.reason);
    signal?.addEventListener("abort", onAbort, { once: true });
    socket.once("unexpected-response", (_request, response: IncomingMessage) => {
      readBody(response, action, HANDSHAKE_MS, signal).then(
        (body) => fail(statusError(action, response.statusCode ?? 0, body)),
        fail,
      );
    });
    socket.once("error", (error) => {
      fail(connectionError(action, "the API server is unreachable", error));
    });
    socket.once("open", () => {
      settle();
      socket.removeAllListeners("error");
      socket.pause();
      resolve(socket);
    });
  });
}
