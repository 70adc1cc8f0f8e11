/**
 * Makes equal values one object: a thousand pods of one Deployment then hold its labels once.
 * Values are plain data (what JSON can say) that nobody changes. The least recently met are
 * forgotten first, and are two objects if they come again.
 */
export class Interner<T> {
  readonly #capacity: number;
  readonly #known = new Map<string, T>();

  /** @param capacity - Values that are remembered. */
  constructor(capacity = 1024) {
    this.#capacity = capacity;
  }

  /** `value`, or the equal one that came before it. */
  of(value: T): T {
    const key = JSON.stringify(value);
    const known = this.#known.get(key);
    if (known !== undefined) {
      this.#known.delete(key);
      this.#known.set(key, known);
      return known;
    }
    if (this.#known.size >= this.#capacity) {
      for (const oldest of this.#known.keys()) {
        this.#known.delete(oldest);
        break;
      }
    }
    this.#known.set(key, value);
    return value;
  }
}
