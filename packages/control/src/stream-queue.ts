/**
 * What waits to be sent on one stream of answers. Whoever adds never waits: a stream whose client
 * reads too slowly ends instead, in good order, and the client asks again.
 */
export class StreamQueue<T> implements AsyncIterable<T> {
  readonly #capacity: number;
  readonly #onClose: () => void;
  readonly #waiting: T[] = [];
  #wake: (() => void) | undefined;
  #isEnded = false;
  #isClosed = false;

  /** @param onClose - Called once, when nothing more can be added. */
  constructor(capacity: number, onClose: () => void) {
    this.#capacity = capacity;
    this.#onClose = onClose;
  }

  /** False if there was no room: the stream ends, after what waits already. */
  push(item: T): boolean {
    if (this.#isEnded) return true;
    if (this.#waiting.length >= this.#capacity) {
      this.end();
      return false;
    }
    this.#waiting.push(item);
    this.#wake?.();
    return true;
  }

  /** What waits is still sent; then the stream ends with OK. */
  end(): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#close();
    this.#wake?.();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T, void> {
    try {
      for (;;) {
        const next = this.#waiting.shift();
        if (next !== undefined) yield next;
        else if (this.#isEnded) return;
        else await this.#changed();
      }
    } finally {
      this.#isEnded = true;
      this.#waiting.length = 0;
      this.#close();
    }
  }

  #changed(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = () => {
        this.#wake = undefined;
        resolve();
      };
    });
  }

  #close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#onClose();
  }
}
