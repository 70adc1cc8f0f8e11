import type { Backoff } from "@heddle/base/backoff";
import type { Clock } from "@heddle/base/clock";
import { MeshError } from "@heddle/base/errors";
import type { Log } from "@heddle/base/log";
import { GrpcError } from "@heddle/net/grpc/error";
import { GrpcStatus } from "@heddle/net/grpc/status";
import type { StreamLimits } from "./config.ts";
import type { Watch } from "./discovery.ts";

export interface StreamWatchOptions<M> {
  /** For logs: `GetProfile`. */
  readonly name: string;
  /** For logs: what is asked. */
  readonly subject: string;
  readonly open: (signal: AbortSignal) => AsyncIterable<M>;
  /** @param isFirst - Of its stream. */
  readonly told: (message: M, isFirst: boolean) => void;
  /** The controller will never answer. Return true to go on all the same. */
  readonly refused: (error: GrpcError) => void;
  /** Which errors are for good. */
  readonly isTerminal: (error: GrpcError) => boolean;
  readonly backoff: Backoff;
  /**
   * `watch`: a stream that told something is opened again at once, and only failures wait.
   * `resolve`: every stream waits, and only failures make the waiting longer.
   */
  readonly mode: "watch" | "resolve";
  readonly limits: StreamLimits;
  readonly clock: Clock;
  readonly log: Log;
}

/** Streams that told something but did not last so long are not opened again at once. */
const MIN_STREAM_MS = 100;

/**
 * Keeps a stream of the control plane open, whatever happens to it, until it is closed or refused
 * for good. What was told last stays known meanwhile.
 */
export class StreamWatch<M> implements Watch {
  readonly #options: StreamWatchOptions<M>;
  readonly #stop = new AbortController();
  #hasTold = false;
  #isOpen = false;
  #wake: (() => void) | undefined;

  constructor(options: StreamWatchOptions<M>) {
    this.#options = options;
    this.#run().catch((bug: unknown) => {
      options.log.error("discovery stream failed", { name: options.name, bug });
    });
  }

  get isStale(): boolean {
    return this.#hasTold && !this.#isOpen;
  }

  close(): void {
    this.#stop.abort();
    this.#wake?.();
  }

  async #run(): Promise<void> {
    const { backoff, mode, name, subject, log } = this.#options;
    // Nothing is told during the call that opened the watch.
    await Promise.resolve();
    while (!this.#stop.signal.aborted) {
      const startedMs = this.#options.clock.nowMs();
      const outcome = await this.#stream();
      this.#isOpen = false;
      if (outcome === "refused" || this.#stop.signal.aborted) return;
      const livedMs = this.#options.clock.nowMs() - startedMs;
      if (outcome === "told" || (mode === "resolve" && outcome === "ended")) backoff.reset();
      if (mode === "watch" && outcome === "told" && livedMs >= MIN_STREAM_MS) continue;
      const delayMs = backoff.next();
      if (log.debug) log.debug("discovery stream waits", { name, subject, outcome, delayMs });
      await this.#sleep(delayMs);
    }
  }

  /** One stream, to its end. */
  async #stream(): Promise<"told" | "ended" | "failed" | "refused"> {
    const { open, told, refused, isTerminal, name, subject, log } = this.#options;
    const limits = new Limits(this.#options.limits, this.#stop.signal);
    let isFirst = true;
    try {
      for await (const message of open(limits.signal)) {
        if (this.#stop.signal.aborted) return "ended";
        limits.received();
        this.#isOpen = true;
        this.#hasTold = true;
        told(message, isFirst);
        isFirst = false;
      }
      return isFirst ? "ended" : "told";
    } catch (error) {
      if (this.#stop.signal.aborted) return "ended";
      if (limits.isOverInGoodOrder) return isFirst ? "ended" : "told";
      if (error instanceof GrpcError && isTerminal(error)) {
        refused(error);
        return "refused";
      }
      if (!(error instanceof MeshError)) throw error;
      log.warn("discovery stream failed", { name, subject, error: error.message });
      return isFirst ? "failed" : "told";
    } finally {
      limits.dispose();
    }
  }

  #sleep(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(done, ms);
      this.#wake = done;
      function done(): void {
        clearTimeout(timer);
        resolve();
      }
    });
  }
}

/** INVALID_ARGUMENT and FAILED_PRECONDITION are answers, not accidents. */
export function isRefusal(error: GrpcError): boolean {
  return (
    error.status === GrpcStatus.invalidArgument || error.status === GrpcStatus.failedPrecondition
  );
}

/** How long a stream may wait for its first message, for the next, and live at all. */
class Limits {
  readonly #abort = new AbortController();
  readonly #idleMs: number | undefined;
  readonly #outer: AbortSignal;
  readonly #onOuter: () => void;
  readonly #lifetime: NodeJS.Timeout | undefined;
  #wait: NodeJS.Timeout | undefined;
  /** Ended by us because it was old or idle: its end is no failure. */
  isOverInGoodOrder = false;

  constructor(limits: StreamLimits, outer: AbortSignal) {
    this.#idleMs = limits.idleMs;
    this.#outer = outer;
    this.#onOuter = () => this.#abort.abort(outer.reason);
    if (outer.aborted) this.#onOuter();
    else outer.addEventListener("abort", this.#onOuter, { once: true });
    const firstMs = limits.initialMs ?? limits.idleMs;
    if (firstMs !== undefined) this.#wait = setTimeout(() => this.#abort.abort(), firstMs);
    this.#lifetime =
      limits.lifetimeMs === undefined
        ? undefined
        : setTimeout(() => this.#end(), limits.lifetimeMs);
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  received(): void {
    clearTimeout(this.#wait);
    if (this.#idleMs !== undefined) this.#wait = setTimeout(() => this.#end(), this.#idleMs);
  }

  dispose(): void {
    clearTimeout(this.#wait);
    clearTimeout(this.#lifetime);
    this.#outer.removeEventListener("abort", this.#onOuter);
  }

  #end(): void {
    this.isOverInGoodOrder = true;
    this.#abort.abort();
  }
}
