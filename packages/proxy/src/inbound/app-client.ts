import { Backoff } from "@heddle/base/backoff";
import { MeshError } from "@heddle/base/errors";
import type { Timer } from "@heddle/base/timer-wheel";
import {
  type BodySink,
  DISCARD,
  type Flow,
  type HttpService,
  type RequestHead,
  type ResponseSink,
} from "@heddle/net/http";
import { Http1Pool } from "@heddle/net/http1/pool";
import { WaitingRequest } from "@heddle/net/http1/waiting-request";
import { Http2Client } from "@heddle/net/http2/client";
import type { Socket, SocketAddress } from "@heddle/net/transport";
import { formatSocket } from "../discovery/endpoint.ts";
import type { Runtime } from "../runtime.ts";
import type { TransportMetrics } from "../tcp/transport-metrics.ts";
import type { InboundConfig } from "./config.ts";
import { connectApp } from "./connect-app.ts";

/**
 * Sends requests to the application at one address, each in the version that it has by then: a pool
 * of HTTP/1 connections, one HTTP/2 connection.
 */
export class AppClient implements HttpService {
  readonly #http1: Http1Pool;
  readonly #http2: AppHttp2;

  constructor(dialApp: () => Promise<Socket>, config: InboundConfig, runtime: Runtime) {
    this.#http1 = new Http1Pool({
      dial: dialApp,
      runtime: runtime.http1,
      idleTimeoutMs: config.poolIdleMs,
      maxIdle: config.maxIdleConnections,
      byHost: true,
      nowMs: () => runtime.clock.nowMs(),
    });
    this.#http2 = new AppHttp2(dialApp, config, runtime);
  }

  /** Hot. */
  call(head: RequestHead, flow: Flow, response: ResponseSink): BodySink {
    return head.version === "2"
      ? this.#http2.call(head, flow, response)
      : this.#http1.call(head, flow, response);
  }

  close(): void {
    void this.#http1.close(0);
    this.#http2.close();
  }
}

/**
 * One connection to an application that speaks HTTP/2, made with the first request. Requests wait
 * for it while it is being made, also over failures, until they fail fast.
 */
class AppHttp2 implements HttpService {
  readonly #dial: () => Promise<Socket>;
  readonly #config: InboundConfig;
  readonly #runtime: Runtime;
  readonly #backoff: Backoff;
  readonly #retry: Timer;
  readonly #failFast: Timer;
  #client: Http2Client | undefined;
  #isConnecting = false;
  #isFailingFast = false;
  #isClosed = false;
  readonly #waiting = new Set<WaitingRequest>();

  constructor(dialApp: () => Promise<Socket>, config: InboundConfig, runtime: Runtime) {
    this.#dial = dialApp;
    this.#config = config;
    this.#runtime = runtime;
    const { minMs, maxMs, jitter } = config.connectBackoff;
    this.#backoff = new Backoff(minMs, maxMs, jitter, runtime.random);
    this.#retry = runtime.timers.timer(() => this.#connect());
    this.#failFast = runtime.timers.timer(() => this.#enterFailFast());
  }

  call(head: RequestHead, flow: Flow, response: ResponseSink): BodySink {
    const client = this.#client;
    if (client !== undefined && !client.isDraining) return client.call(head, flow, response);
    if (this.#isClosed || this.#isFailingFast) {
      response.abort(new MeshError("load_shed", "self", "service unavailable"));
      this.#connect();
      return DISCARD;
    }
    if (this.#waiting.size >= this.#config.httpQueueCapacity) {
      response.abort(new MeshError("load_shed", "self", "service unavailable: queue is full"));
      return DISCARD;
    }
    const request = new WaitingRequest(head, flow, response, false, (gone) =>
      this.#waiting.delete(gone),
    );
    this.#waiting.add(request);
    if (!this.#failFast.isArmed) this.#failFast.arm(this.#config.httpFailFastMs);
    this.#connect();
    return request;
  }

  close(): void {
    this.#isClosed = true;
    this.#retry.disarm();
    this.#failFast.disarm();
    this.#failAll(new MeshError("load_shed", "self", "service unavailable: proxy is closing"));
    void this.#client?.close();
  }

  #connect(): void {
    if (this.#isConnecting || this.#isClosed || this.#retry.isArmed) return;
    this.#isConnecting = true;
    this.#dial().then(
      (socket) => {
        this.#isConnecting = false;
        if (this.#isClosed) socket.destroy();
        else this.#connected(socket);
      },
      (error: unknown) => {
        this.#isConnecting = false;
        if (this.#isClosed) return;
        const delayMs = this.#backoff.next();
        this.#runtime.log.debug?.("cannot connect to the application", { error, delayMs });
        // Nobody waits: the next request tries again.
        if (this.#waiting.size > 0 || this.#isFailingFast) this.#retry.arm(delayMs);
      },
    );
  }

  #connected(socket: Socket): void {
    this.#backoff.reset();
    this.#failFast.disarm();
    this.#isFailingFast = false;
    const lost = (): void => {
      if (this.#client === client) this.#client = undefined;
    };
    const client = new Http2Client(socket, {
      runtime: this.#runtime.http2,
      onDraining: lost,
      onClose: lost,
    });
    this.#client = client;
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const request of waiting) request.send(client);
  }

  #enterFailFast(): void {
    this.#isFailingFast = true;
    this.#failAll(new MeshError("fail_fast", "server", "service in fail-fast"));
  }

  #failAll(reason: MeshError): void {
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const request of waiting) request.fail(reason);
  }
}

interface Entry {
  readonly client: AppClient;
  readonly idle: Timer;
  /** Connections that send through it. */
  holders: number;
}

/** The clients of all addresses, shared by all connections, forgotten when idle for long. */
export class AppClients {
  readonly #config: InboundConfig;
  readonly #runtime: Runtime;
  readonly #toApp: TransportMetrics;
  readonly #clients = new Map<string, Entry>();

  constructor(config: InboundConfig, runtime: Runtime, toApp: TransportMetrics) {
    this.#config = config;
    this.#runtime = runtime;
    this.#toApp = toApp;
  }

  /** Once per connection, which releases it when it ends. */
  get(target: SocketAddress): AppClient {
    const key = formatSocket(target.ip, target.port);
    let entry = this.#clients.get(key);
    if (entry === undefined) {
      const dialApp = async (): Promise<Socket> =>
        this.#toApp.measure(await connectApp(target, this.#config, this.#runtime));
      const client = new AppClient(dialApp, this.#config, this.#runtime);
      const idle = this.#runtime.timers.timer(() => this.#expire(key));
      entry = { client, idle, holders: 0 };
      this.#clients.set(key, entry);
    }
    entry.holders++;
    entry.idle.disarm();
    return entry.client;
  }

  release(target: SocketAddress): void {
    const entry = this.#clients.get(formatSocket(target.ip, target.port));
    if (entry === undefined) return;
    entry.holders--;
    if (entry.holders === 0) entry.idle.arm(this.#config.discoveryIdleMs);
  }

  close(): void {
    for (const { client, idle } of this.#clients.values()) {
      idle.disarm();
      client.close();
    }
    this.#clients.clear();
  }

  #expire(key: string): void {
    const entry = this.#clients.get(key);
    if (entry === undefined || entry.holders > 0) return;
    this.#clients.delete(key);
    entry.client.close();
  }
}
