/**
 * Which things rest on which facts. A fact that changes makes the things that rest on it dirty, so
 * that of ten thousand routes only those are looked at that it concerns.
 */
export class Dependents {
  readonly #factsOf = new Map<string, ReadonlySet<string>>();
  readonly #byFact = new Map<string, Set<string>>();
  readonly #dirty = new Set<string>();

  /** Replaces what a thing rests on. It is dirty then, whatever it was. */
  set(key: string, facts: Iterable<string>): void {
    this.#unlink(key);
    const set = new Set(facts);
    this.#factsOf.set(key, set);
    for (const fact of set) {
      const keys = this.#byFact.get(fact);
      if (keys === undefined) this.#byFact.set(fact, new Set([key]));
      else keys.add(key);
    }
    this.#dirty.add(key);
  }

  delete(key: string): void {
    this.#unlink(key);
    this.#factsOf.delete(key);
    this.#dirty.delete(key);
  }

  touch(fact: string): void {
    for (const key of this.#byFact.get(fact) ?? []) this.#dirty.add(key);
  }

  /** All that is dirty, which it then is no more. */
  take(): string[] {
    const keys = [...this.#dirty];
    this.#dirty.clear();
    return keys;
  }

  #unlink(key: string): void {
    for (const fact of this.#factsOf.get(key) ?? []) {
      const keys = this.#byFact.get(fact);
      keys?.delete(key);
      if (keys?.size === 0) this.#byFact.delete(fact);
    }
  }
}
