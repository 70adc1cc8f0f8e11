import type { Flow } from "../http.ts";

/** Makes a sender that can await out of a `Flow`: while it is paused, `opened` waits. */
export class Gate implements Flow {
  #waiting: PromiseWithResolvers<void> | undefined;
  #isPaused = false;
  #isReleased = false;

  pause(): void {
    this.#isPaused = !this.#isReleased;
  }

  resume(): void {
    this.#isPaused = false;
    this.#waiting?.resolve();
    this.#waiting = undefined;
  }

  /** Opens it for good: nobody is interested any more in what the sender has. */
  release(): void {
    this.#isReleased = true;
    this.resume();
  }

  /** Undefined if the sender may go on at once. */
  opened(): Promise<void> | undefined {
    if (!this.#isPaused) return undefined;
    this.#waiting ??= Promise.withResolvers();
    return this.#waiting.promise;
  }
}
