/** Something that may be unable to take a request at once. */
export interface MaybeReady {
  readonly isReady: boolean;
}

/** Chooses one of several backends for each request, among those that are ready. */
export interface Distribution<B extends MaybeReady> {
  readonly backends: readonly B[];
  /** Hot. Undefined if none is ready: the request is shed. */
  pick(): B | undefined;
}

export class FirstAvailable<B extends MaybeReady> implements Distribution<B> {
  readonly backends: readonly B[];

  constructor(backends: readonly B[]) {
    this.backends = backends;
  }

  pick(): B | undefined {
    for (const backend of this.backends) if (backend.isReady) return backend;
    return undefined;
  }
}

/** By weight among the ready ones. A weight of zero is never drawn. */
export class RandomAvailable<B extends MaybeReady> implements Distribution<B> {
  readonly backends: readonly B[];
  readonly #weights: readonly number[];
  readonly #random: () => number;

  constructor(backends: readonly B[], weights: readonly number[], random: () => number) {
    this.backends = backends;
    this.#weights = weights;
    this.#random = random;
  }

  pick(): B | undefined {
    let total = 0;
    for (let i = 0; i < this.backends.length; i++) {
      if (this.backends[i]!.isReady) total += this.#weights[i]!;
    }
    if (total === 0) return undefined;
    let at = this.#random() * total;
    for (let i = 0; i < this.backends.length; i++) {
      const backend = this.backends[i]!;
      const weight = this.#weights[i]!;
      if (weight === 0 || !backend.isReady) continue;
      at -= weight;
      if (at < 0) return backend;
    }
    return undefined;
  }
}
