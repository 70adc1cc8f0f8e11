import type { AnswerFeed, AnswerSink } from "@heddle/net/grpc/answer-feed";
import type { Framed, Subscriber } from "./cells.ts";

/**
 * What a stream has yet to send: the latest message, and nothing of those before it. A reader that
 * is slow skips what was overtaken, and holds nothing up.
 */
export class Latest<M extends Framed> implements Subscriber<M>, AnswerFeed<M> {
  #pending: M | undefined;
  #sent: M | undefined;
  #isOver = false;
  #sink: AnswerSink<M> | undefined;
  /** Called when the reader leaves; not after `gone`. */
  onDetach: (() => void) | undefined;

  value(message: M): void {
    this.#pending = message;
    this.resume();
  }

  /** What is pending is still sent first. */
  gone(): void {
    this.#isOver = true;
    this.resume();
  }

  attach(sink: AnswerSink<M>): void {
    this.#sink = sink;
    this.resume();
  }

  resume(): void {
    const sink = this.#sink;
    if (sink === undefined) return;
    const next = this.#pending;
    if (next !== undefined && sink.isOpen) {
      this.#pending = undefined;
      // Equal messages are one object: there and back again is no change to the reader.
      if (next !== this.#sent) {
        this.#sent = next;
        sink.send(next);
      }
    }
    if (this.#isOver && this.#pending === undefined) {
      this.#sink = undefined;
      sink.complete(undefined);
    }
  }

  detach(): void {
    this.#sink = undefined;
    this.#pending = undefined;
    this.onDetach?.();
    this.onDetach = undefined;
  }
}
