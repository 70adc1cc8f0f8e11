import { copyRange } from "@heddle/base/bytes";
import type { BodySink } from "@heddle/net/http";
import type { HeaderMap } from "@heddle/wire/http/headers";

/** Keeps a request's body while it is sent, so that it can be sent again; up to a limit. */
export class ReplayBuffer {
  readonly #maxBytes: number;
  #chunks: Uint8Array[] = [];
  #bytes = 0;
  #isCapped = false;
  #isEnded = false;
  #trailers: HeaderMap | undefined;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** The body grew beyond the limit, and what was kept is gone. */
  get isCapped(): boolean {
    return this.#isCapped;
  }

  get isEnded(): boolean {
    return this.#isEnded;
  }

  /** Copies the range. */
  data(bytes: Uint8Array, start: number, end: number): void {
    if (this.#isCapped) return;
    this.#bytes += end - start;
    if (this.#bytes > this.#maxBytes) {
      this.drop();
      return;
    }
    this.#chunks.push(copyRange(bytes, start, end));
  }

  end(trailers: HeaderMap | undefined): void {
    this.#isEnded = true;
    this.#trailers = trailers?.clone();
  }

  /** Frees what was kept; it cannot be sent again. */
  drop(): void {
    this.#isCapped = true;
    this.#chunks = [];
  }

  /** Sends what has passed so far, and the end if it has. */
  replay(sink: BodySink): void {
    for (const chunk of this.#chunks) sink.data(chunk, 0, chunk.length);
    if (this.#isEnded) sink.end(this.#trailers?.clone());
  }
}
