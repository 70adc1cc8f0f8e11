import type { ClientRequest, IncomingMessage } from "node:http";
import { Agent, type RequestOptions, request } from "node:https";
import { isIP } from "node:net";
import type { Store } from "@heddle/apiserver/store/store";
import { MeshError, messageOf } from "@heddle/base/errors";
import { serviceAddress } from "./service-address.ts";
import type { Destination, Webhook } from "./webhook.ts";

/** An answer that holds a patch of the largest object, and then some. */
const MAX_ANSWER_BYTES = 8 * 1024 * 1024;
/** To one webhook at a time; more wait, and their time runs. */
const MAX_CONNECTIONS = 64;
const IDLE_MS = 30_000;

/** Asks webhooks over HTTPS. Connections are kept: each write may cost several questions. */
export class WebhookCaller implements Disposable {
  readonly #store: Store;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: MAX_CONNECTIONS, timeout: IDLE_MS });

  constructor(store: Store) {
    this.#store = store;
  }

  /** @throws MeshError `webhook_call` or `webhook_service`, with the address and what went wrong. */
  async call(webhook: Webhook, body: Buffer): Promise<Buffer> {
    const { destination, timeoutMs } = webhook;
    const path = pathOf(destination, timeoutMs);
    const signal = AbortSignal.timeout(timeoutMs);
    try {
      return await this.#ask({ ...this.#options(webhook), path, signal }, body);
    } catch (cause) {
      const state = signal.aborted ? `no answer within ${timeoutMs} ms` : messageOf(cause);
      const message = `failed to call webhook: Post "${originOf(destination)}${path}": ${state}`;
      throw new MeshError("webhook_call", "server", message, { cause });
    }
  }

  [Symbol.dispose](): void {
    this.#agent.destroy();
  }

  async #ask(options: RequestOptions, body: Buffer): Promise<Buffer> {
    const sent = request({ ...options, agent: this.#agent });
    try {
      return await exchange(sent, body);
    } catch (error) {
      // The webhook closed a connection that was kept, while we wrote: it has read nothing.
      const isStale = sent.reusedSocket && (error as NodeJS.ErrnoException).code === "ECONNRESET";
      if (!isStale) throw error;
      return await exchange(request({ ...options, agent: false }), body);
    }
  }

  #options({ destination, caPem }: Webhook): RequestOptions {
    const { host, port, serverName } = this.#place(destination);
    return {
      method: "POST",
      host,
      port,
      minVersion: "TLSv1.2",
      headers: {
        host: new URL(originOf(destination)).host,
        accept: "application/json",
        "content-type": "application/json",
      },
      ...(serverName === "" ? {} : { servername: serverName }),
      ...(caPem === undefined ? {} : { ca: caPem }),
    };
  }

  #place(destination: Destination): {
    readonly host: string;
    readonly port: number;
    readonly serverName: string;
  } {
    if (destination.kind === "service") {
      const { name, namespace } = destination;
      const at = serviceAddress(this.#store, destination);
      return { ...at, serverName: `${name}.${namespace}.svc` };
    }
    const { hostname, port } = destination.url;
    const host = hostname.replace(/^\[(.*)\]$/, "$1");
    // An address is no server name; the certificate is held to it all the same.
    return { host, port: Number(port || 443), serverName: isIP(host) === 0 ? host : "" };
  }
}

function pathOf(destination: Destination, timeoutMs: number): string {
  const path = destination.kind === "url" ? destination.url.pathname : destination.path;
  return `${path.startsWith("/") ? path : `/${path}`}?timeout=${timeoutMs / 1_000}s`;
}

function originOf(destination: Destination): string {
  if (destination.kind === "url") return destination.url.origin;
  const { name, namespace, port } = destination;
  return `https://${name}.${namespace}.svc:${port}`;
}

function responseTo(sent: ClientRequest): Promise<IncomingMessage> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  sent.once("response", resolve);
  // Told by the response, once there is one; without a listener it would end the process.
  sent.on("error", reject);
  // One that wants to switch protocols is cut off without an error.
  sent.once("close", () => reject(new Error("the connection ended without an answer")));
  return promise;
}

async function exchange(sent: ClientRequest, body: Buffer): Promise<Buffer> {
  sent.setHeader("content-length", body.length);
  const answered = responseTo(sent);
  sent.end(body);
  const response = await answered;
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > MAX_ANSWER_BYTES) {
      sent.destroy();
      throw new Error(`the answer is larger than ${MAX_ANSWER_BYTES} bytes`);
    }
    chunks.push(chunk);
  }
  const { statusCode = 0 } = response;
  if (statusCode < 200 || statusCode > 206) throw new Error(`the server answered ${statusCode}`);
  return Buffer.concat(chunks);
}
