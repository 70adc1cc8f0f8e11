import { MeshError } from "@heddle/base/errors";

const NEWLINE = 0x0a;

/**
 * Splits a stream into lines and parses each as JSON. A line that the stream's end cuts off is
 * dropped: whoever reads on resumes before it.
 */
export class JsonLines {
  readonly #maxLineBytes: number;
  readonly #onValue: (value: unknown) => void;
  #held: Buffer[] = [];
  #heldBytes = 0;

  constructor(maxLineBytes: number, onValue: (value: unknown) => void) {
    this.#maxLineBytes = maxLineBytes;
    this.#onValue = onValue;
  }

  /** @throws MeshError on a line that is too long or not JSON. */
  push(chunk: Buffer): void {
    let start = 0;
    for (;;) {
      const end = chunk.indexOf(NEWLINE, start);
      if (end < 0) break;
      this.#hold(chunk.subarray(start, end));
      start = end + 1;
      this.#release();
    }
    if (start < chunk.length) this.#hold(chunk.subarray(start));
  }

  #hold(part: Buffer): void {
    this.#heldBytes += part.length;
    if (this.#heldBytes > this.#maxLineBytes) {
      const state = `a line exceeds ${this.#maxLineBytes} bytes`;
      throw new MeshError("kube_bad_stream", "control", `Cannot read watch: ${state}`);
    }
    this.#held.push(part);
  }

  #release(): void {
    const line = Buffer.concat(this.#held, this.#heldBytes).toString("utf8");
    this.#held = [];
    this.#heldBytes = 0;
    if (line.trim() === "") return;
    let value: unknown;
    try {
      value = JSON.parse(line);
    } catch (cause) {
      throw new MeshError("kube_bad_stream", "control", "Cannot read watch: a line is not JSON", {
        cause,
      });
    }
    this.#onValue(value);
  }
}
