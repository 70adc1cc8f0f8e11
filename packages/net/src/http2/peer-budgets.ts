import { Budget, PRIORITIES_PER_STREAM, WINDOW_UPDATES_PER_DATA } from "./budget.ts";
import type { Http2Limits } from "./options.ts";

/** The connection, which ends with ENHANCE_YOUR_CALM. */
export interface FloodHost {
  flooded(problem: string): void;
}

/**
 * All that a peer may do only so often. Each method says false when it was too much; the connection
 * has failed then.
 */
export class PeerBudgets {
  readonly #host: FloodHost;
  readonly #maxPendingResets: number;
  readonly #maxQueuedAcks: number;
  readonly #resets: Budget;
  readonly #emptyFrames: Budget;
  readonly #pings: Budget;
  readonly #settings: Budget;
  readonly #windowUpdates: Budget;
  readonly #priorities: Budget;
  readonly #closedStreamFrames: Budget;
  /** Counts the reads, to tell what came together. */
  #reads = 0;
  #pendingResets = 0;
  #queuedAcks = 0;

  constructor(host: FloodHost, limits: Http2Limits) {
    const { budgets } = limits;
    const { nowMs } = limits.runtime;
    this.#host = host;
    this.#maxPendingResets = budgets.pendingResets;
    this.#maxQueuedAcks = budgets.queuedAcks;
    this.#resets = new Budget(budgets.resets, nowMs);
    this.#emptyFrames = new Budget(budgets.emptyFrames, nowMs);
    this.#pings = new Budget(budgets.pings, nowMs);
    this.#settings = new Budget(budgets.settings, nowMs);
    this.#windowUpdates = new Budget(budgets.windowUpdates, nowMs);
    this.#priorities = new Budget(budgets.priorities, nowMs);
    this.#closedStreamFrames = new Budget(budgets.closedStreamFrames, nowMs);
  }

  /** Bytes came from the socket. Hot. */
  readStarted(): void {
    this.#reads++;
    this.#pendingResets = 0;
  }

  /** @returns which read this is, for `unanswered`. */
  streamOpened(): number {
    this.#priorities.give(PRIORITIES_PER_STREAM);
    return this.#reads;
  }

  sentData(frames: number): void {
    this.#windowUpdates.give(frames * WINDOW_UPDATES_PER_DATA);
  }

  /** A request ended by the client's doing before it was answered, or was refused. */
  unanswered(openedInRead: number): boolean {
    if (openedInRead === this.#reads && ++this.#pendingResets > this.#maxPendingResets) {
      return this.#flood("too many requests reset at once");
    }
    return this.refused();
  }

  refused(): boolean {
    return this.#resets.take() || this.#flood("too many requests reset");
  }

  emptyFrame(): boolean {
    return this.#emptyFrames.take() || this.#flood("too many empty DATA frames");
  }

  ping(): boolean {
    return this.#pings.take() || this.#flood("too many PINGs");
  }

  settings(): boolean {
    return this.#settings.take() || this.#flood("too many SETTINGS");
  }

  windowUpdate(): boolean {
    return this.#windowUpdates.take() || this.#flood("too many WINDOW_UPDATEs");
  }

  /** PRIORITY, or a type that we do not know. */
  ignoredFrame(): boolean {
    return this.#priorities.take() || this.#flood("too many frames that mean nothing");
  }

  closedStreamFrame(): boolean {
    return this.#closedStreamFrames.take() || this.#flood("too many frames on closed streams");
  }

  /** One more answer to PING or SETTINGS is to be queued. */
  ack(): boolean {
    if (++this.#queuedAcks <= this.#maxQueuedAcks) return true;
    return this.#flood("answers to PING and SETTINGS are not taken");
  }

  /** The peer has taken all that was queued. */
  acksTaken(): void {
    this.#queuedAcks = 0;
  }

  #flood(problem: string): false {
    this.#host.flooded(problem);
    return false;
  }
}
