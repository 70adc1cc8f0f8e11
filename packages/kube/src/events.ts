import { type Clock, systemClock } from "@heddle/base/clock";
import { messageOf } from "@heddle/base/errors";
import type { Log } from "@heddle/base/log";
import type { KubeClient } from "./client.ts";
import { EVENTS, type KubeEvent, type ObjectReference } from "./types/core.ts";

export interface EventRecord {
  /** Its namespace is where the event goes. */
  readonly about: ObjectReference;
  readonly type: "Normal" | "Warning";
  /** CamelCase, for machines. */
  readonly reason: string;
  /** For people. */
  readonly message: string;
}

/** Events beyond this are dropped: they inform, and must never hold anything up. */
const MAX_WAITING = 256;
const MAX_MESSAGE = 1024;

/** Writes Events, one after the other, in the background. */
export class EventRecorder implements AsyncDisposable {
  readonly #client: KubeClient;
  readonly #component: string;
  readonly #log: Log;
  readonly #clock: Clock;
  readonly #stop = new AbortController();
  #waiting: KubeEvent[] = [];
  #writing: Promise<void> | undefined;
  #made = 0;

  constructor(client: KubeClient, component: string, log: Log, clock: Clock = systemClock) {
    this.#client = client;
    this.#component = component;
    this.#log = log;
    this.#clock = clock;
  }

  record(record: EventRecord): void {
    if (this.#stop.signal.aborted) return;
    if (this.#waiting.length >= MAX_WAITING) {
      this.#log.debug?.("event dropped", { reason: record.reason });
      return;
    }
    this.#waiting.push(this.#eventOf(record));
    this.#writing ??= this.#write();
  }

  /** Resolves when everything recorded so far is written or given up. */
  async drained(): Promise<void> {
    await this.#writing;
  }

  async close(): Promise<void> {
    this.#stop.abort();
    this.#waiting = [];
    await this.#writing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #write(): Promise<void> {
    const { signal } = this.#stop;
    for (let event = this.#waiting.shift(); event !== undefined; event = this.#waiting.shift()) {
      try {
        await this.#client.create(EVENTS, event, { signal });
      } catch (error) {
        if (signal.aborted) break;
        this.#log.debug?.("event not written", { error: messageOf(error) });
      }
    }
    this.#writing = undefined;
  }

  #eventOf(record: EventRecord): KubeEvent {
    const wallMs = this.#clock.wallMs();
    const time = `${new Date(wallMs).toISOString().slice(0, 19)}Z`;
    this.#made++;
    const suffix = `${wallMs.toString(16)}${(this.#made % 65_536).toString(16).padStart(4, "0")}`;
    const namespace = record.about.namespace ?? "default";
    return {
      metadata: { name: `${record.about.name}.${suffix}`, namespace },
      involvedObject: record.about,
      type: record.type,
      reason: record.reason,
      message: record.message.slice(0, MAX_MESSAGE),
      count: 1,
      firstTimestamp: time,
      lastTimestamp: time,
      source: { component: this.#component },
      reportingComponent: this.#component,
      reportingInstance: "",
    };
  }
}
