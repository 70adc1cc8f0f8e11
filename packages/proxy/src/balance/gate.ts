const OPEN = 0;
const SHUT = 1;
const LIMITED = 2;

/** Lets requests through to an endpoint, or not, or a few. Turned by a breaker. */
export class Gate {
  readonly #onChange: () => void;
  #state: typeof OPEN | typeof SHUT | typeof LIMITED = OPEN;
  #permits = 0;

  /** @param onChange - Called whenever `isOpen` may have changed. */
  constructor(onChange: () => void) {
    this.#onChange = onChange;
  }

  get isOpen(): boolean {
    return this.#state === OPEN || (this.#state === LIMITED && this.#permits > 0);
  }

  open(): void {
    this.#state = OPEN;
    this.#onChange();
  }

  shut(): void {
    this.#state = SHUT;
    this.#onChange();
  }

  /** Lets `permits` more requests through, then none. */
  limit(permits: number): void {
    this.#state = LIMITED;
    this.#permits = permits;
    this.#onChange();
  }

  /** A request goes through. Only when open. Hot. */
  take(): void {
    if (this.#state !== LIMITED) return;
    this.#permits--;
    if (this.#permits === 0) this.#onChange();
  }
}
