import { MeshError, messageOf } from "@heddle/base/errors";
import type { Timer } from "@heddle/base/timer-wheel";
import type { HeadLimits } from "@heddle/wire/http1/request-parser";
import {
  type BodySink,
  DISCARD,
  type Flow,
  type HttpService,
  type RequestHead,
  type ResponseSink,
} from "../http.ts";
import type { Socket } from "../transport.ts";
import { Http1Client, type Http1ClientOwner } from "./client.ts";
import { connectionError } from "./errors.ts";
import { DEFAULT_RUNTIME, type Http1Runtime } from "./runtime.ts";
import { WaitingRequest } from "./waiting-request.ts";

export interface Http1PoolOptions {
  /** One attempt, with its own timeout. What it throws is what the request hears. */
  readonly dial: () => Promise<Socket>;
  readonly runtime?: Http1Runtime;
  readonly limits?: HeadLimits;
  /** Default 3 s. */
  readonly idleTimeoutMs?: number;
  /** Default 10,000. More than these are closed as they become idle. */
  readonly maxIdle?: number;
  /** Whether a connection serves only requests of one `host`. Default: no. */
  readonly byHost?: boolean;
  /**
   * Whether an idempotent request without a body is sent once more, on a new connection, if the
   * connection that it was given turns out to have been closed meanwhile. Default: yes.
   */
  readonly retriesStale?: boolean;
  readonly nowMs?: () => number;
}

interface Idle {
  readonly client: Http1Client;
  readonly host: string;
  readonly sinceMs: number;
}

/**
 * Connections to one HTTP/1 endpoint, the most recently used first. A request takes an idle one, or
 * waits for a new one or for one that becomes idle, whichever comes first, with its body paused.
 *
 * Requests of HTTP/1.0, without a `host`, and upgrades get a connection of their own that serves
 * nobody else, before or after.
 */
export class Http1Pool implements HttpService, Http1ClientOwner, AsyncDisposable {
  readonly #options: Http1PoolOptions;
  readonly #runtime: Http1Runtime;
  readonly #idleTimeoutMs: number;
  readonly #maxIdle: number;
  readonly #byHost: boolean;
  readonly #nowMs: () => number;
  readonly #idleTimer: Timer;
  readonly #clients: Map<Http1Client, string> = new Map();
  /** By `sinceMs`, the most recent last. */
  #idle: Idle[] = [];
  #waiting: WaitingRequest[] = [];
  #dialing = 0;
  #isClosed = false;

  constructor(options: Http1PoolOptions) {
    this.#options = options;
    this.#runtime = options.runtime ?? DEFAULT_RUNTIME;
    this.#idleTimeoutMs = options.idleTimeoutMs ?? 3_000;
    this.#maxIdle = options.maxIdle ?? 10_000;
    this.#byHost = options.byHost ?? false;
    this.#nowMs = options.nowMs ?? (() => performance.now());
    this.#idleTimer = this.#runtime.timers.timer(() => this.#expire());
  }

  /** Connections, idle or not; those that are being dialed are not counted. */
  get size(): number {
    return this.#clients.size;
  }

  get idleCount(): number {
    return this.#idle.length;
  }

  get waitingCount(): number {
    return this.#waiting.length;
  }

  /** Hot if there is an idle connection. */
  call(head: RequestHead, flow: Flow, response: ResponseSink): BodySink {
    if (this.#isClosed) {
      response.abort(connectionError("http1_pool_closed", "self", { retryable: true }));
      return DISCARD;
    }
    if (isOneOff(head)) return this.#wait(head, flow, response, true);
    const host = this.#hostOf(head);
    const client = this.#takeIdle(host);
    if (client === undefined) return this.#wait(head, flow, response, false);
    if (this.#byHost) this.#clients.set(client, host);
    return client.call(head, flow, response);
  }

  onIdle(client: Http1Client): void {
    const host = this.#clients.get(client);
    if (host === undefined) return;
    if (this.#isClosed) {
      client.destroy();
      return;
    }
    const request = this.#takeWaiting((waiting) => !waiting.isOneOff && this.#fits(waiting, host));
    if (request !== undefined) this.#give(client, request);
    else this.#park(client, host);
  }

  onClose(client: Http1Client): void {
    this.#clients.delete(client);
    const index = this.#idle.findLastIndex((idle) => idle.client === client);
    if (index >= 0) this.#idle.splice(index, 1);
  }

  /** Sent again on a connection that nobody used: an idle one could be as stale. */
  onStale(head: RequestHead, flow: Flow, response: ResponseSink): BodySink | undefined {
    if (this.#isClosed || this.#options.retriesStale === false) return undefined;
    return this.#wait(head, flow, response, true);
  }

  /** Takes no more requests, and lets those under way finish for `graceMs`. */
  async close(graceMs: number): Promise<void> {
    this.#shut();
    await Promise.all([...this.#clients.keys()].map((client) => client.close(graceMs)));
  }

  destroy(reason?: MeshError): void {
    this.#shut();
    for (const client of [...this.#clients.keys()]) client.destroy(reason);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close(0);
  }

  #shut(): void {
    this.#isClosed = true;
    this.#idleTimer.disarm();
    const waiting = this.#waiting;
    this.#waiting = [];
    const reason = connectionError("http1_pool_closed", "self", { retryable: true });
    for (const request of waiting) request.fail(reason);
  }

  #wait(head: RequestHead, flow: Flow, response: ResponseSink, isOneOff: boolean): BodySink {
    const request = new WaitingRequest(head, flow, response, isOneOff, (gone) => {
      const index = this.#waiting.indexOf(gone);
      if (index >= 0) this.#waiting.splice(index, 1);
    });
    this.#waiting.push(request);
    this.#dial();
    return request;
  }

  #dial(): void {
    this.#dialing++;
    this.#options.dial().then(
      (socket) => this.#guarded(() => this.#dialed(socket)),
      (error: unknown) => this.#guarded(() => this.#dialFailed(error)),
    );
  }

  #dialed(socket: Socket): void {
    this.#dialing--;
    if (this.#isClosed) {
      socket.destroy();
      return;
    }
    const options = { runtime: this.#runtime, owner: this };
    const { limits } = this.#options;
    const client = new Http1Client(socket, limits === undefined ? options : { ...options, limits });
    this.#clients.set(client, "");
    const request = this.#takeWaiting(() => true);
    if (request !== undefined) this.#give(client, request);
    else this.#park(client, "");
  }

  /** Fails the request that waits longest, unless the other dials suffice for all that wait. */
  #dialFailed(error: unknown): void {
    this.#dialing--;
    if (this.#waiting.length <= this.#dialing) return;
    const reason =
      error instanceof MeshError
        ? error
        : new MeshError("connect_failed", "server", `Cannot connect: ${messageOf(error)}`, {
            cause: error,
            retryable: true,
          });
    this.#takeWaiting(() => true)?.fail(reason);
  }

  #give(client: Http1Client, request: WaitingRequest): void {
    if (request.isOneOff) client.serveOnce();
    else this.#clients.set(client, this.#hostOf(request.head));
    request.send(client);
  }

  /** Hot. */
  #takeIdle(host: string): Http1Client | undefined {
    const idle = this.#idle;
    for (let index = idle.length - 1; index >= 0; index--) {
      const entry = idle[index]!;
      if (this.#byHost && entry.host !== "" && entry.host !== host) continue;
      if (index === idle.length - 1) idle.pop();
      else idle.splice(index, 1);
      if (entry.client.isIdle) return entry.client;
    }
    return undefined;
  }

  #takeWaiting(fits: (request: WaitingRequest) => boolean): WaitingRequest | undefined {
    const index = this.#waiting.findIndex(fits);
    return index < 0 ? undefined : this.#waiting.splice(index, 1)[0];
  }

  #fits(request: WaitingRequest, host: string): boolean {
    return !this.#byHost || host === "" || this.#hostOf(request.head) === host;
  }

  #park(client: Http1Client, host: string): void {
    if (!client.isIdle) return;
    if (this.#idle.length >= this.#maxIdle) {
      client.destroy();
      return;
    }
    this.#idle.push({ client, host, sinceMs: this.#nowMs() });
    if (!this.#idleTimer.isArmed) this.#idleTimer.arm(this.#idleTimeoutMs);
  }

  #expire(): void {
    const oldest = this.#nowMs() - this.#idleTimeoutMs;
    let count = 0;
    while (count < this.#idle.length && this.#idle[count]!.sinceMs <= oldest) count++;
    for (const { client } of this.#idle.splice(0, count)) client.destroy();
    const next = this.#idle[0];
    if (next !== undefined) this.#idleTimer.arm(Math.max(1, next.sinceMs - oldest));
  }

  #hostOf(head: RequestHead): string {
    return this.#byHost ? (head.headers.get("host") ?? head.authority) : "";
  }

  #guarded(run: () => void): void {
    try {
      run();
    } catch (bug) {
      this.#runtime.turn.guard.report(bug);
    }
  }
}

function isOneOff(head: RequestHead): boolean {
  if (head.version === "1.0" || head.upgrade) return true;
  const host = head.headers.get("host");
  return host === undefined || host === "" ? head.authority === "" : false;
}
