import type { Framed, Subscriber } from "./cells.ts";

/**
 * What a stream has yet to send: the latest message, and nothing of those before it. A reader that
 * is slow skips what was overtaken, and holds nothing up.
 */
export class Latest<M extends Framed> implements Subscriber<M> {
  #pending: M | undefined;
  #sent: M | undefined;
  #isOver = false;
  #wake: (() => void) | undefined;

  value(message: M): void {
    this.#pending = message;
    this.#wake?.();
  }

  gone(): void {
    this.#isOver = true;
    this.#wake?.();
  }

  /** What is pending is still sent first. Ends at `gone`, or when the signal aborts. */
  async *messages(signal: AbortSignal): AsyncGenerator<M, void, undefined> {
    const wake = (): void => this.#wake?.();
    signal.addEventListener("abort", wake);
    try {
      while (!signal.aborted) {
        const next = this.#pending;
        this.#pending = undefined;
        if (next !== undefined && next !== this.#sent) {
          // Equal messages are one object: there and back again is no change to the reader.
          this.#sent = next;
          yield next;
        } else if (next === undefined) {
          if (this.#isOver) return;
          await this.#changed(signal);
        }
      }
    } finally {
      signal.removeEventListener("abort", wake);
    }
  }

  #changed(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = () => {
        this.#wake = undefined;
        resolve();
      };
      if (signal.aborted) this.#wake();
    });
  }
}
