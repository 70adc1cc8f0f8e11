/** A connection, or a pair of them, that is being served. */
export interface Served {
  /** Takes nothing new, lets what is under way finish, and ends; after `graceMs` it is cut off. */
  close(graceMs: number): Promise<void>;
}

/** Everything that a side serves, so that it can be ended in good order. */
export class Connections {
  readonly #served = new Set<Served>();
  #graceMs: number | undefined;

  get size(): number {
    return this.#served.size;
  }

  /** @returns takes it off again, when it is closed. */
  add(served: Served): () => void {
    this.#served.add(served);
    // Accepted just before the end began.
    if (this.#graceMs !== undefined) void served.close(this.#graceMs);
    return () => this.#served.delete(served);
  }

  /** Resolves when all are closed. */
  async close(graceMs: number): Promise<void> {
    this.#graceMs = graceMs;
    await Promise.all([...this.#served].map((served) => served.close(graceMs)));
  }
}
