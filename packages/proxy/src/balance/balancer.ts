import type { Clock } from "@heddle/base/clock";
import { MeshError } from "@heddle/base/errors";
import type { Timer, TimerWheel } from "@heddle/base/timer-wheel";
import type { BalancerObserver } from "./metrics.ts";
import { type Loaded, pickOfTwo } from "./p2c.ts";
import { type Waiter, WaitQueue } from "./queue.ts";

/** An endpoint of a pool. Its owner calls `Balancer.changed` whenever `isReady` may have changed. */
export interface PoolEndpoint extends Loaded {
  readonly isReady: boolean;
  /** No new requests come; those under way finish. */
  close(): void;
}

/** Where to find an endpoint and what is known of it. Equal keys and equal data: the same. */
export interface Discovered {
  /** `ip:port`. */
  readonly key: string;
  /** Whether a service made for this one would do for `other`. */
  equals(other: Discovered): boolean;
}

/** What discovery says of the set of endpoints. */
export type EndpointUpdate<D> =
  | { readonly kind: "reset"; readonly endpoints: readonly D[] }
  | { readonly kind: "add"; readonly endpoints: readonly D[] }
  | { readonly kind: "remove"; readonly keys: readonly string[] }
  | { readonly kind: "does_not_exist" }
  /** For good: requests that wait and those that come fail with it. */
  | { readonly kind: "failed"; readonly error: MeshError };

export interface BalancerOptions<D extends Discovered, E extends PoolEndpoint> {
  /** For messages: `Service.default.web:80`. */
  readonly name: string;
  readonly make: (discovered: D, changed: (endpoint: E) => void) => E;
  readonly clock: Clock;
  readonly timers: TimerWheel;
  readonly random: () => number;
  readonly metrics: BalancerObserver;
  readonly queueCapacity: number;
  readonly failFastMs: number;
}

interface Slot<D, E> {
  readonly discovered: D;
  readonly endpoint: E;
  /** Place in the array of ready endpoints, -1 if it is not ready. */
  readyAt: number;
}

/**
 * Endpoints by discovery, one of them per request by load, a queue while none is ready, and
 * fail-fast when that lasts: then the gate is shut, and whoever can choose goes elsewhere.
 *
 * Synchronous; owns one timer, which runs only while somebody waits.
 */
export class Balancer<D extends Discovered, E extends PoolEndpoint> {
  readonly #options: BalancerOptions<D, E>;
  readonly #slots = new Map<string, Slot<D, E>>();
  readonly #bySlot = new Map<E, Slot<D, E>>();
  readonly #ready: E[] = [];
  readonly #queue = new WaitQueue<E>();
  readonly #timer: Timer;
  #isGateShut = false;
  #failure: MeshError | undefined;
  #isClosed = false;

  constructor(options: BalancerOptions<D, E>) {
    this.#options = options;
    this.#timer = options.timers.timer(() => this.#failFast());
    options.metrics.gateTimeout(options.failFastMs / 1000);
  }

  /** Whether a request may come: it is dispatched at once, or waits a bounded time. */
  get isReady(): boolean {
    return !this.#isGateShut;
  }

  get size(): number {
    return this.#slots.size;
  }

  /** An endpoint, if there is one at once and nobody waits. Hot: allocates nothing. */
  pick(): E | undefined {
    if (this.#ready.length === 0 || this.#queue.length > 0 || this.#failure !== undefined) {
      return undefined;
    }
    const { clock, metrics, random } = this.#options;
    metrics.passed();
    return pickOfTwo(this.#ready, clock.nowMs(), random);
  }

  /** Hands an endpoint to `waiter`, now or later. */
  submit(waiter: Waiter<E>): void {
    const options = this.#options;
    if (this.#failure !== undefined) {
      waiter.fail(this.#failure);
      return;
    }
    const endpoint = this.pick();
    if (endpoint !== undefined) {
      waiter.dispatch(endpoint);
      return;
    }
    if (this.#isGateShut) waiter.fail(this.#failFastError());
    else if (this.#queue.length > options.queueCapacity) waiter.fail(this.#shedError());
    else {
      this.#queue.push(waiter, options.clock.nowMs());
      options.metrics.queued();
      if (!this.#timer.isArmed) this.#timer.arm(options.failFastMs);
    }
  }

  update(update: EndpointUpdate<D>): void {
    if (this.#isClosed) return;
    const { metrics } = this.#options;
    switch (update.kind) {
      case "reset":
        if (this.#reset(update.endpoints)) metrics.updated("Reset");
        break;
      case "does_not_exist":
        if (this.#reset([])) metrics.updated("Reset");
        break;
      case "add":
        if (this.#add(update.endpoints)) metrics.updated("Add");
        break;
      case "remove":
        if (this.#remove(update.keys)) metrics.updated("Remove");
        break;
      case "failed":
        this.#poison(update.error);
        break;
    }
    this.#counted();
    this.#drain();
  }

  /** The readiness of an endpoint of this pool may have changed. */
  changed(endpoint: E): void {
    const slot = this.#bySlot.get(endpoint);
    if (slot === undefined || endpoint.isReady === slot.readyAt >= 0) return;
    if (endpoint.isReady) {
      slot.readyAt = this.#ready.length;
      this.#ready.push(endpoint);
    } else {
      this.#unready(slot);
    }
    this.#counted();
    this.#drain();
  }

  /** Closes every endpoint and fails who waits. */
  close(): void {
    if (this.#isClosed) return;
    this.#reset([]);
    this.#isClosed = true;
    this.#failAll(new MeshError("closed", "self", "Cannot dispatch: the balancer is closed"));
    this.#timer.disarm();
    this.#options.metrics.close();
  }

  #reset(endpoints: readonly D[]): boolean {
    const wanted = new Set<string>();
    for (const endpoint of endpoints) wanted.add(endpoint.key);
    const gone = [...this.#slots.keys()].filter((key) => !wanted.has(key));
    const removed = this.#remove(gone);
    const added = this.#add(endpoints);
    return added || removed;
  }

  #add(endpoints: readonly D[]): boolean {
    let isChanged = false;
    for (const discovered of endpoints) {
      const known = this.#slots.get(discovered.key);
      if (known?.discovered.equals(discovered)) continue;
      isChanged = true;
      if (known !== undefined) this.#drop(discovered.key, known);
      const endpoint = this.#options.make(discovered, (e) => this.changed(e));
      const slot: Slot<D, E> = { discovered, endpoint, readyAt: -1 };
      this.#slots.set(discovered.key, slot);
      this.#bySlot.set(endpoint, slot);
      if (endpoint.isReady) {
        slot.readyAt = this.#ready.length;
        this.#ready.push(endpoint);
      }
    }
    return isChanged;
  }

  #remove(keys: readonly string[]): boolean {
    let isChanged = false;
    for (const key of keys) {
      const slot = this.#slots.get(key);
      if (slot === undefined) continue;
      isChanged = true;
      this.#drop(key, slot);
    }
    return isChanged;
  }

  #drop(key: string, slot: Slot<D, E>): void {
    this.#slots.delete(key);
    this.#bySlot.delete(slot.endpoint);
    if (slot.readyAt >= 0) this.#unready(slot);
    slot.endpoint.close();
  }

  #unready(slot: Slot<D, E>): void {
    const last = this.#ready.pop()!;
    if (last !== slot.endpoint) {
      this.#ready[slot.readyAt] = last;
      this.#bySlot.get(last)!.readyAt = slot.readyAt;
    }
    slot.readyAt = -1;
  }

  /** After every change: somebody is ready, so those who wait are served, or nobody is. */
  #drain(): void {
    const { clock, metrics, random } = this.#options;
    if (this.#ready.length > 0 && this.#isGateShut) {
      this.#isGateShut = false;
      metrics.gateOpened(clock.wallMs());
    }
    while (this.#queue.length > 0 && this.#ready.length > 0) {
      const nowMs = clock.nowMs();
      const endpoint = pickOfTwo(this.#ready, nowMs, random)!;
      const waiter = this.#queue.shift()!;
      metrics.dequeued((nowMs - waiter.queuedMs) / 1000, this.#queue.length);
      waiter.dispatch(endpoint);
    }
    if (this.#queue.length === 0) this.#timer.disarm();
    else if (!this.#timer.isArmed) this.#timer.arm(this.#options.failFastMs);
  }

  #failFast(): void {
    if (this.#queue.length === 0) return;
    this.#isGateShut = true;
    this.#options.metrics.gateShut(this.#options.clock.wallMs());
    this.#failAll(this.#failFastError());
  }

  #poison(error: MeshError): void {
    this.#failure = error;
    this.#timer.disarm();
    this.#failAll(error);
  }

  /** Those who are called may submit again; what they submit is not failed in this round. */
  #failAll(error: MeshError): void {
    for (let left = this.#queue.length; left > 0; left--) {
      const waiter = this.#queue.shift();
      if (waiter === undefined) return;
      const nowMs = this.#options.clock.nowMs();
      this.#options.metrics.dequeued((nowMs - waiter.queuedMs) / 1000, this.#queue.length);
      waiter.fail(error);
    }
  }

  #counted(): void {
    this.#options.metrics.endpoints(this.#ready.length, this.#slots.size);
  }

  #failFastError(): MeshError {
    const message = `${this.#options.name}: service in fail-fast`;
    return new MeshError("fail_fast", "server", message, { retryable: true });
  }

  #shedError(): MeshError {
    return new MeshError("load_shed", "self", `${this.#options.name}: service unavailable`);
  }
}
