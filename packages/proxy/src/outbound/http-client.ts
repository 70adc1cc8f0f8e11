import { Backoff } from "@heddle/base/backoff";
import { MeshError, messageOf } from "@heddle/base/errors";
import type { Timer } from "@heddle/base/timer-wheel";
import {
  type BodySink,
  DISCARD,
  type Flow,
  type HttpService,
  type RequestHead,
  type ResponseSink,
} from "@heddle/net/http";
import { Http2Client } from "@heddle/net/http2/client";
import type { Http2ClientOptions } from "@heddle/net/http2/options";
import type { EndpointFacts } from "../discovery/endpoint.ts";
import type { Runtime } from "../runtime.ts";
import type { TransportMetrics } from "../tcp/transport-metrics.ts";
import type { OutboundConfig } from "./config.ts";
import { dialEndpoint } from "./connect.ts";

/** Sends requests to one endpoint; made once per endpoint of a pool. */
export interface EndpointClient extends HttpService {
  /** Whether a request would go out without waiting for a connection. */
  readonly isReady: boolean;
  /** Takes no more requests; those under way finish. */
  close(): void;
}

export interface Http2EndpointOptions {
  readonly facts: EndpointFacts;
  readonly config: OutboundConfig;
  readonly runtime: Runtime;
  /** `isReady` may have changed. */
  readonly changed: () => void;
  readonly transport: TransportMetrics;
}

/**
 * One HTTP/2 connection to an endpoint, made at once and made again when it is lost, with backoff
 * while that fails or does not last. Not ready while there is none.
 */
export class Http2EndpointClient implements EndpointClient {
  readonly #facts: EndpointFacts;
  readonly #config: OutboundConfig;
  readonly #runtime: Runtime;
  readonly #changed: () => void;
  readonly #transport: TransportMetrics;
  readonly #backoff: Backoff;
  readonly #minBackoffMs: number;
  readonly #retry: Timer;
  readonly #stop = new AbortController();
  #client: Http2Client | undefined;
  #isClosed = false;

  constructor(options: Http2EndpointOptions) {
    const { facts, config, runtime, changed, transport } = options;
    this.#transport = transport;
    this.#facts = facts;
    this.#config = config;
    this.#runtime = runtime;
    this.#changed = changed;
    const { minMs, maxMs, jitter } = config.connectBackoff;
    this.#minBackoffMs = minMs;
    this.#backoff = new Backoff(minMs, maxMs, jitter, runtime.random);
    this.#retry = runtime.timers.timer(() => this.#connect());
    this.#connect();
  }

  get isReady(): boolean {
    return this.#client !== undefined && !this.#client.isDraining;
  }

  /** Hot. */
  call(head: RequestHead, flow: Flow, response: ResponseSink): BodySink {
    const client = this.#client;
    if (client === undefined) {
      const message = "Cannot send request: the endpoint has no connection";
      response.abort(new MeshError("connection_lost", "server", message, { retryable: true }));
      return DISCARD;
    }
    return client.call(head, flow, response);
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#retry.disarm();
    this.#stop.abort();
    void this.#client?.close();
  }

  #connect(): void {
    const { signal } = this.#stop;
    const dialing = dialEndpoint(this.#facts, "http2", this.#config, this.#runtime, signal);
    this.#transport.dialed(dialing).then(
      (socket) => {
        if (this.#isClosed) {
          socket.destroy();
          return;
        }
        const sinceMs = this.#runtime.clock.nowMs();
        const client: Http2Client = new Http2Client(socket, {
          ...clientOptions(this.#facts, this.#config, this.#runtime),
          onDraining: () => this.#lost(client, sinceMs),
          onClose: () => this.#lost(client, sinceMs),
        });
        this.#client = client;
        this.#changed();
      },
      (error: unknown) => {
        if (this.#isClosed) return;
        const delayMs = this.#backoff.next();
        const { ip, port } = this.#facts;
        this.#runtime.log.warn("Failed to connect", {
          ip,
          port,
          error: messageOf(error),
          delayMs: Math.round(delayMs),
        });
        this.#retry.arm(delayMs);
      },
    );
  }

  /** The connection takes no more requests, or is gone. Both may be told. */
  #lost(client: Http2Client, sinceMs: number): void {
    if (this.#client !== client) return;
    this.#client = undefined;
    if (this.#isClosed) return;
    this.#changed();
    // A peer that takes connections only to close them is no better than one that refuses them.
    if (this.#runtime.clock.nowMs() - sinceMs < this.#minBackoffMs) {
      this.#retry.arm(this.#backoff.next());
      return;
    }
    this.#backoff.reset();
    this.#connect();
  }
}

export function clientOptions(
  facts: EndpointFacts,
  config: OutboundConfig,
  runtime: Runtime,
): Http2ClientOptions {
  const given = facts.http2;
  const stream = given?.streamWindowBytes ?? config.streamWindowBytes;
  const connection = given?.connectionWindowBytes ?? config.connectionWindowBytes;
  return {
    runtime: runtime.http2,
    initialStreamWindowBytes: stream,
    initialConnectionWindowBytes: connection,
    adaptiveFlowControl: given?.isAdaptive ?? false,
    ...(given?.maxFrameBytes === undefined ? {} : { maxFrameBytes: given.maxFrameBytes }),
    ...(given?.maxSendBufferBytes === undefined
      ? {}
      : { maxSendBufferBytes: given.maxSendBufferBytes }),
    ...(given?.keepAliveIntervalMs === undefined || given.keepAliveTimeoutMs === undefined
      ? {}
      : {
          keepAliveIntervalMs: given.keepAliveIntervalMs,
          keepAliveTimeoutMs: given.keepAliveTimeoutMs,
          keepAliveWhileIdle: given.keepAliveWhileIdle,
        }),
  };
}
