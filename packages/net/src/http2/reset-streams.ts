const MAX_REMEMBERED = 256;

/** The streams that we reset lately: frames for them may still be under way, and are no mistake. */
export class ResetStreams {
  readonly #ids = new Set<number>();
  /** Resets of streams up to this one may be forgotten. */
  #forgottenUpTo = 0;

  add(streamId: number): void {
    if (this.#ids.size >= MAX_REMEMBERED) {
      const oldest: number = this.#ids.values().next().value!;
      this.#ids.delete(oldest);
      this.#forgottenUpTo = Math.max(this.#forgottenUpTo, oldest);
    }
    this.#ids.add(streamId);
  }

  /** Of a closed stream: false only if we certainly did not reset it. */
  mayHave(streamId: number): boolean {
    return streamId <= this.#forgottenUpTo || this.#ids.has(streamId);
  }
}
