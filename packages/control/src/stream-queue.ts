import type { AnswerFeed, AnswerSink } from "@heddle/net/grpc/answer-feed";

export interface StreamOwner<T> {
  /** Once: nothing more can be added. */
  streamClosed(stream: StreamQueue<T>): void;
}

/**
 * What waits to be sent on one stream of answers. Whoever adds never waits: a stream whose client
 * reads too slowly ends instead, in good order, and the client asks again.
 */
export class StreamQueue<T> implements AnswerFeed<T> {
  readonly #capacity: number;
  readonly #owner: StreamOwner<T>;
  /** Undefined while nothing waits. */
  #waiting: T[] | undefined;
  #sink: AnswerSink<T> | undefined;
  #isEnded = false;

  constructor(capacity: number, owner: StreamOwner<T>) {
    this.#capacity = capacity;
    this.#owner = owner;
  }

  /** False if there was no room: the stream ends, after what waits already. */
  push(item: T): boolean {
    if (this.#isEnded) return true;
    if (this.#waiting === undefined && this.#sink?.isOpen === true) {
      this.#sink.send(item);
      return true;
    }
    this.#waiting ??= [];
    if (this.#waiting.length >= this.#capacity) {
      this.end();
      return false;
    }
    this.#waiting.push(item);
    return true;
  }

  /** What waits is still sent; then the stream ends with OK. */
  end(): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#owner.streamClosed(this);
    if (this.#waiting === undefined) this.#sink?.complete(undefined);
  }

  attach(sink: AnswerSink<T>): void {
    this.#sink = sink;
    this.resume();
  }

  resume(): void {
    const sink = this.#sink;
    if (sink === undefined) return;
    let next = 0;
    const waiting = this.#waiting ?? [];
    while (next < waiting.length && sink.isOpen) sink.send(waiting[next++]!);
    this.#waiting = next < waiting.length ? waiting.slice(next) : undefined;
    if (this.#isEnded && this.#waiting === undefined) sink.complete(undefined);
  }

  detach(): void {
    this.#waiting = undefined;
    this.#sink = undefined;
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#owner.streamClosed(this);
  }
}
