import type { Entry } from "./entry.ts";

/** The present objects of one resource, in the order of their keys. */
export class Collection {
  readonly #entries = new Map<string, Entry>();
  /** Sorted, but for keys added since `#isSorted` was last true. */
  #keys: string[] = [];
  #isSorted = true;
  /** Keys that are gone but still stand in `#keys`. */
  #stale = 0;

  get size(): number {
    return this.#entries.size;
  }

  get(key: string): Entry | undefined {
    return this.#entries.get(key);
  }

  set(entry: Entry): void {
    const { key } = entry;
    if (!this.#entries.has(key)) {
      const last = this.#keys.at(-1);
      if (last !== undefined && last >= key) this.#isSorted = false;
      this.#keys.push(key);
    }
    this.#entries.set(key, entry);
  }

  delete(key: string): void {
    if (this.#entries.delete(key)) this.#stale++;
  }

  /** In no particular order. */
  values(): IterableIterator<Entry> {
    return this.#entries.values();
  }

  /** Entries of a namespace (empty: of all) in order, beginning behind the key `after`. */
  *from(namespace: string, after: string | undefined): Generator<Entry> {
    const keys = this.#ordered();
    const prefix = namespace === "" ? "" : `${namespace}/`;
    const start = after === undefined || after < prefix ? prefix : after;
    for (let at = lowerBound(keys, start); at < keys.length; at++) {
      const key = keys[at]!;
      if (!key.startsWith(prefix)) return;
      const entry = key === after ? undefined : this.#entries.get(key);
      if (entry !== undefined) yield entry;
    }
  }

  /** Sorts only when somebody reads in order: nearly sorted input costs one pass. */
  #ordered(): string[] {
    if (!this.#isSorted || this.#stale > 0) {
      const present = this.#keys.filter((key) => this.#entries.has(key)).sort();
      // A key that went and came again stands twice.
      this.#keys = present.filter((key, at) => key !== present[at - 1]);
      this.#isSorted = true;
      this.#stale = 0;
    }
    return this.#keys;
  }
}

/** The index of the first key that is not less than `wanted`. */
function lowerBound(keys: readonly string[], wanted: string): number {
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (keys[middle]! < wanted) low = middle + 1;
    else high = middle;
  }
  return low;
}
