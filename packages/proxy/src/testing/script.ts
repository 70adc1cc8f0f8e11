import { GrpcError } from "@heddle/net/grpc/error";
import type { GrpcStatus } from "@heddle/net/grpc/status";

type Step<T> = { readonly message: T } | { readonly end: true } | { readonly error: GrpcError };

/**
 * What a scripted controller sends on its streams: everything sent so far to each new stream, and
 * what is sent later to all that are open.
 */
export class Script<T> {
  #history: T[] = [];
  #failure: GrpcError | undefined;
  readonly #streams = new Set<StreamQueue<T>>();
  /** Streams ever opened. */
  opened = 0;
  #onOpened: (() => void)[] = [];

  static of<T>(...messages: T[]): Script<T> {
    const script = new Script<T>();
    for (const message of messages) script.send(message);
    return script;
  }

  static failing<T>(status: GrpcStatus): Script<T> {
    const script = new Script<T>();
    script.fail(status);
    return script;
  }

  get open(): number {
    return this.#streams.size;
  }

  send(message: T): void {
    this.#history.push(message);
    for (const stream of this.#streams) stream.push({ message });
  }

  /** Ends the open streams; those that come get these messages instead. */
  restart(...messages: T[]): void {
    this.#history = messages;
    this.#failure = undefined;
    for (const stream of this.#streams) stream.push({ end: true });
  }

  /** Fails the open streams and all that come. */
  fail(status: GrpcStatus): void {
    this.#failure = new GrpcError(status, "scripted");
    for (const stream of this.#streams) stream.push({ error: this.#failure });
  }

  /** Resolves when `count` streams were opened since the beginning. */
  async whenOpened(count: number): Promise<void> {
    while (this.opened < count) {
      await new Promise<void>((resolve) => this.#onOpened.push(resolve));
    }
  }

  async *stream(signal: AbortSignal): AsyncGenerator<T> {
    const stream = new StreamQueue<T>();
    this.opened++;
    for (const wake of this.#onOpened.splice(0)) wake();
    for (const message of this.#history) stream.push({ message });
    if (this.#failure !== undefined) stream.push({ error: this.#failure });
    this.#streams.add(stream);
    const stop = (): void => stream.push({ end: true });
    signal.addEventListener("abort", stop);
    try {
      for (;;) {
        const step = await stream.next();
        if ("error" in step) throw step.error;
        if ("end" in step) return;
        yield step.message;
      }
    } finally {
      signal.removeEventListener("abort", stop);
      this.#streams.delete(stream);
    }
  }
}

class StreamQueue<T> {
  readonly #steps: Step<T>[] = [];
  #wake: (() => void) | undefined;

  push(step: Step<T>): void {
    this.#steps.push(step);
    this.#wake?.();
  }

  async next(): Promise<Step<T>> {
    while (this.#steps.length === 0) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    return this.#steps.shift()!;
  }
}
