/** Entries of one generation. With the generation before it some tens of megabytes at most. */
const MAX_ENTRIES = 16_384;

/**
 * Remembers how parts of messages are encoded, by all that they are made from. What has not been
 * asked for during a whole generation is forgotten.
 */
export class EntryCache {
  #young = new Map<string, Uint8Array>();
  #old = new Map<string, Uint8Array>();

  entry(key: string, encode: () => Uint8Array): Uint8Array {
    const young = this.#young.get(key);
    if (young !== undefined) return young;
    const entry = this.#old.get(key) ?? encode();
    if (this.#young.size >= MAX_ENTRIES) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(key, entry);
    return entry;
  }
}
