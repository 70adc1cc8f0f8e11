import type { Flow } from "../http.ts";

/**
 * Messages on their way to whoever iterates over them. The sender is paused while one waits, so at
 * most what it had already sent is held.
 *
 * One iteration only, one `next` at a time.
 */
export class Incoming<T> implements AsyncIterableIterator<T> {
  readonly #waiting: T[] = [];
  readonly #onReturn: () => void;
  #flow: Flow | undefined;
  #reader: PromiseWithResolvers<IteratorResult<T>> | undefined;
  /** Undefined until the last message came; then how it ended. */
  #ended: { readonly error: Error | undefined } | undefined;

  /** @param onReturn - The reader left before the end. */
  constructor(onReturn: () => void) {
    this.#onReturn = onReturn;
  }

  /** From when on the sender can be paused. */
  attach(flow: Flow): void {
    this.#flow = flow;
    if (this.#waiting.length > 0) flow.pause();
  }

  push(message: T): void {
    if (this.#ended !== undefined) return;
    const reader = this.#reader;
    if (reader !== undefined) {
      this.#reader = undefined;
      reader.resolve({ value: message, done: false });
      return;
    }
    this.#waiting.push(message);
    this.#flow?.pause();
  }

  /** After the last message. Those that wait are still read first. */
  end(): void {
    this.#finish(undefined);
  }

  /** As `end`, but the reader then gets `error`, once. Messages that wait are still read first. */
  fail(error: Error): void {
    this.#finish(error);
  }

  next(): Promise<IteratorResult<T>> {
    if (this.#reader !== undefined) throw new Error("Cannot read message: another read is waiting");
    const message = this.#waiting.shift();
    if (message !== undefined) {
      if (this.#waiting.length === 0) this.#flow?.resume();
      return Promise.resolve({ value: message, done: false });
    }
    if (this.#ended !== undefined) {
      const { error } = this.#ended;
      this.#ended = { error: undefined };
      return error === undefined ? Promise.resolve(DONE) : Promise.reject(error);
    }
    this.#reader = Promise.withResolvers();
    return this.#reader.promise;
  }

  return(): Promise<IteratorResult<T>> {
    this.#waiting.length = 0;
    if (this.#ended === undefined) {
      this.#finish(undefined);
      this.#flow?.resume();
      this.#onReturn();
    } else this.#ended = { error: undefined };
    return Promise.resolve(DONE);
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #finish(error: Error | undefined): void {
    if (this.#ended !== undefined) return;
    const reader = this.#reader;
    this.#reader = undefined;
    if (reader === undefined) {
      this.#ended = { error };
      return;
    }
    this.#ended = { error: undefined };
    if (error === undefined) reader.resolve(DONE);
    else reader.reject(error);
  }
}

const DONE: IteratorReturnResult<undefined> = { value: undefined, done: true };
