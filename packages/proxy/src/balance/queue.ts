import type { MeshError } from "@heddle/base/errors";

/**
 * A request or connection that wants an endpoint. Exactly one of `dispatch` and `fail` is called,
 * once, unless it was cancelled before.
 */
export abstract class Waiter<E> {
  /** @internal */ next: Waiter<E> | undefined = undefined;
  /** @internal */ previous: Waiter<E> | undefined = undefined;
  /** @internal */ queue: WaitQueue<E> | undefined = undefined;
  /** @internal */ queuedMs = 0;

  abstract dispatch(endpoint: E): void;
  abstract fail(error: MeshError): void;

  get isQueued(): boolean {
    return this.queue !== undefined;
  }

  /** Leaves the queue; nothing is called any more. Harmless if it is in none. */
  cancel(): void {
    this.queue?.remove(this);
  }
}

/** First in, first out, with removal from the middle at constant cost. */
export class WaitQueue<E> {
  #first: Waiter<E> | undefined;
  #last: Waiter<E> | undefined;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  push(waiter: Waiter<E>, nowMs: number): void {
    waiter.queue = this;
    waiter.queuedMs = nowMs;
    waiter.previous = this.#last;
    if (this.#last === undefined) this.#first = waiter;
    else this.#last.next = waiter;
    this.#last = waiter;
    this.#length++;
  }

  shift(): Waiter<E> | undefined {
    const first = this.#first;
    if (first !== undefined) this.remove(first);
    return first;
  }

  remove(waiter: Waiter<E>): void {
    if (waiter.queue !== this) return;
    if (waiter.previous === undefined) this.#first = waiter.next;
    else waiter.previous.next = waiter.next;
    if (waiter.next === undefined) this.#last = waiter.previous;
    else waiter.next.previous = waiter.previous;
    waiter.next = undefined;
    waiter.previous = undefined;
    waiter.queue = undefined;
    this.#length--;
  }
}
