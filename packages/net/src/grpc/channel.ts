import type { Backoff } from "@heddle/base/backoff";
import type { MeshError, Side } from "@heddle/base/errors";
import { messageOf } from "@heddle/base/errors";
import {
  type BodySink,
  DISCARD,
  type Flow,
  type HttpService,
  type RequestHead,
  type ResponseSink,
} from "../http.ts";
import { Http2Client } from "../http2/client.ts";
import type { Http2ClientOptions } from "../http2/options.ts";
import type { Socket } from "../transport.ts";
import { GrpcError } from "./error.ts";
import { GrpcStatus } from "./status.ts";
import { WaitingCall } from "./waiting-call.ts";

/**
 * - `idle`: not connected, and nobody wants it to be.
 * - `backoff`: the last attempt failed, or its connection did not last; another one will follow.
 * - `closed`: for good.
 */
export type ChannelState = "idle" | "connecting" | "ready" | "backoff" | "closed";

export interface ChannelOptions {
  /** One attempt, with whatever resolution and choice among addresses it takes. */
  readonly dial: (signal: AbortSignal) => Promise<Socket>;
  /** Between attempts; the channel's own. */
  readonly backoff: Backoff;
  /** A connection that did not last so long counts as a failed attempt. Default 1 s. */
  readonly minConnectionMs?: number;
  readonly http2?: Omit<Http2ClientOptions, "onClose" | "onDraining">;
  /**
   * How long calls wait for a connection before all of them fail, and new ones at once, until there
   * is one. 0: as soon as an attempt has failed; Infinity: never. Default 30 s.
   */
  readonly failFastMs?: number;
  /** Calls that wait; more fail. Default 1,000. */
  readonly maxWaitingCalls?: number;
  /** Whose fault it is if there is no connection. Default `server`. */
  readonly side?: Side;
  /** Hears of every change, and why. */
  readonly onState?: (state: ChannelState, cause: MeshError | undefined) => void;
  readonly nowMs?: () => number;
}

/**
 * A place to send calls to that keeps itself connected: one HTTP/2 connection, dialed when a call
 * first wants it and, once wanted, tried for with backoff until it is there. A connection that was
 * lost, or whose server goes away, is replaced when the next call comes; calls that were on it fail,
 * for only their callers know what may be repeated.
 */
export class GrpcChannel implements HttpService, AsyncDisposable {
  readonly #options: ChannelOptions;
  readonly #failFastMs: number;
  readonly #nowMs: () => number;
  readonly #waiting = new Set<WaitingCall>();
  /** The one in use, and those that finish their last calls. */
  readonly #clients = new Set<Http2Client>();
  #client: Http2Client | undefined;
  #connectedAtMs = 0;
  #state: ChannelState = "idle";
  #attempt: AbortController | undefined;
  #retry: NodeJS.Timeout | undefined;
  #failFast: NodeJS.Timeout | undefined;
  #isFailingFast = false;
  #lastError: MeshError | undefined;

  constructor(options: ChannelOptions) {
    this.#options = options;
    this.#failFastMs = options.failFastMs ?? 30_000;
    this.#nowMs = options.nowMs ?? (() => performance.now());
  }

  get state(): ChannelState {
    return this.#state;
  }

  /** Why the last attempt or connection failed; undefined if none has since the last success. */
  get lastError(): MeshError | undefined {
    return this.#lastError;
  }

  /** Calls that wait for a connection. */
  get waitingCalls(): number {
    return this.#waiting.size;
  }

  call(head: RequestHead, flow: Flow, response: ResponseSink): BodySink {
    if (this.#client !== undefined) return this.#client.call(head, flow, response);
    const refusal = this.#refusal();
    this.connect();
    if (refusal !== undefined) {
      response.abort(refusal);
      return DISCARD;
    }
    const call = new WaitingCall(head, flow, response, () => this.#waiting.delete(call));
    this.#waiting.add(call);
    return call;
  }

  /** Connects without waiting for a call to want it. Harmless in any state. */
  connect(): void {
    if (this.#state !== "idle") return;
    this.#armFailFast();
    this.#dial();
  }

  /** Fails the calls that wait, lets the others end within `graceMs`, and disconnects. */
  async close(graceMs = 0): Promise<void> {
    this.#shut(this.#unavailable("the channel is closed"));
    await Promise.all([...this.#clients].map((client) => client.close(graceMs)));
  }

  /** Ends every call now. */
  destroy(reason: MeshError = this.#unavailable("the channel is closed")): void {
    this.#shut(reason);
    for (const client of [...this.#clients]) client.destroy(reason);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #refusal(): GrpcError | undefined {
    if (this.#state === "closed") return this.#unavailable("the channel is closed");
    if (this.#isFailingFast) {
      const why =
        this.#lastError === undefined ? "there is no connection" : messageOf(this.#lastError);
      return this.#unavailable(why, this.#lastError);
    }
    if (this.#waiting.size >= (this.#options.maxWaitingCalls ?? 1_000)) {
      return this.#unavailable("too many calls wait for a connection");
    }
    return undefined;
  }

  #dial(): void {
    const attempt = new AbortController();
    this.#attempt = attempt;
    this.#become("connecting");
    this.#options.dial(attempt.signal).then(
      (socket) => {
        if (attempt.signal.aborted) socket.destroy();
        else this.#onConnected(socket);
      },
      (thrown: unknown) => {
        if (!attempt.signal.aborted) this.#onFailed(this.#unavailable(messageOf(thrown), thrown));
      },
    );
  }

  #onConnected(socket: Socket): void {
    const client: Http2Client = new Http2Client(socket, {
      ...this.#options.http2,
      onDraining: () => this.#onDraining(client),
      onClose: (error) => this.#onClosed(client, error),
    });
    this.#attempt = undefined;
    this.#client = client;
    this.#clients.add(client);
    this.#connectedAtMs = this.#nowMs();
    this.#endFailFast();
    this.#become("ready");
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    // Through `call`, as the connection may be gone again before the last of them is under way.
    for (const call of waiting) call.proceed(this);
  }

  #onFailed(error: MeshError): void {
    this.#attempt = undefined;
    this.#lastError = error;
    if (this.#failFastMs <= 0) this.#startFailFast();
    this.#retry = setTimeout(() => this.#dial(), this.#options.backoff.next());
    this.#become("backoff", error);
  }

  /** The server goes away: the connection finishes its calls, new ones need another. */
  #onDraining(client: Http2Client): void {
    if (this.#client !== client) return;
    this.#client = undefined;
    // Closed at once, it must not be dialed in a tight loop, whatever its end looked like.
    if (this.#nowMs() - this.#connectedAtMs < (this.#options.minConnectionMs ?? 1_000)) {
      this.#onFailed(this.#unavailable("the connection did not last"));
      return;
    }
    this.#options.backoff.reset();
    this.#lastError = undefined;
    this.#become("idle");
  }

  #onClosed(client: Http2Client, error: MeshError | undefined): void {
    this.#clients.delete(client);
    if (error !== undefined && this.#client === undefined) this.#lastError = error;
  }

  #armFailFast(): void {
    if (this.#failFastMs <= 0 || this.#failFastMs === Number.POSITIVE_INFINITY) return;
    this.#failFast ??= setTimeout(() => this.#startFailFast(), this.#failFastMs);
  }

  #startFailFast(): void {
    this.#isFailingFast = true;
    this.#failWaiting(this.#refusal()!);
  }

  #endFailFast(): void {
    clearTimeout(this.#failFast);
    this.#failFast = undefined;
    this.#isFailingFast = false;
  }

  #failWaiting(reason: MeshError): void {
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const call of waiting) call.fail(reason);
  }

  #shut(reason: MeshError): void {
    if (this.#state === "closed") return;
    this.#client = undefined;
    this.#become("closed", reason);
    this.#attempt?.abort(reason);
    clearTimeout(this.#retry);
    this.#endFailFast();
    this.#failWaiting(reason);
  }

  #become(state: ChannelState, cause?: MeshError): void {
    this.#state = state;
    this.#options.onState?.(state, cause);
  }

  #unavailable(why: string, cause?: unknown): GrpcError {
    return new GrpcError(GrpcStatus.unavailable, `Cannot reach server: ${why}`, {
      side: this.#options.side ?? "server",
      ...(cause === undefined ? {} : { cause }),
    });
  }
}
