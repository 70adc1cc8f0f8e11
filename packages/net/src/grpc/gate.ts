import type { Flow } from "../http.ts";

/** A sender that is told. */
export interface GateOwner {
  /** It may go on. Not called by `release`. */
  gateOpened(): void;
}

/** Makes a sender that can await, or be told, out of a `Flow`. */
export class Gate implements Flow {
  readonly #owner: GateOwner | undefined;
  #waiting: PromiseWithResolvers<void> | undefined;
  #isPaused = false;
  #isReleased = false;

  constructor(owner?: GateOwner) {
    this.#owner = owner;
  }

  get isPaused(): boolean {
    return this.#isPaused;
  }

  pause(): void {
    this.#isPaused = !this.#isReleased;
  }

  resume(): void {
    this.#open();
    this.#owner?.gateOpened();
  }

  /** Opens it for good: nobody is interested any more in what the sender has. */
  release(): void {
    this.#isReleased = true;
    this.#open();
  }

  /** Undefined if the sender may go on at once. */
  opened(): Promise<void> | undefined {
    if (!this.#isPaused) return undefined;
    this.#waiting ??= Promise.withResolvers();
    return this.#waiting.promise;
  }

  #open(): void {
    this.#isPaused = false;
    this.#waiting?.resolve();
    this.#waiting = undefined;
  }
}
