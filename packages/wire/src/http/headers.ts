/**
 * The header fields of a message, in the order in which they came. Names are lower-case; a name
 * may stand several times. Lookups are linear: messages have a dozen fields.
 *
 * Hot: a flat array of names and values, reused from message to message.
 */
export class HeaderMap {
  /** Name, value, name, value, …; the strings from `#end` on are empty. */
  readonly #flat: string[] = [];
  #end = 0;
  /** A bit for each length that a name has or had: most lookups are for names that are not there. */
  #lengths = 0;
  /** Names marked by `markSensitive`; mostly there are none. */
  #sensitive: string[] | undefined;

  static of(fields: Readonly<Record<string, string>>): HeaderMap {
    const headers = new HeaderMap();
    for (const [name, value] of Object.entries(fields)) headers.append(name, value);
    return headers;
  }

  /** Number of fields, a repeated name counted each time. */
  get size(): number {
    return this.#end / 2;
  }

  /** The name at `index`, which must be in range. */
  nameAt(index: number): string {
    return this.#flat[index * 2]!;
  }

  /** The value at `index`, which must be in range. */
  valueAt(index: number): string {
    return this.#flat[index * 2 + 1]!;
  }

  /** The first value of `name`, which is lower-case. */
  get(name: string): string | undefined {
    if (((this.#lengths >>> (name.length & 31)) & 1) === 0) return undefined;
    const flat = this.#flat;
    for (let i = 0; i < this.#end; i += 2) if (flat[i] === name) return flat[i + 1];
    return undefined;
  }

  has(name: string): boolean {
    return this.get(name) !== undefined;
  }

  /** Every value of `name`, in order. Allocates; not for hot paths. */
  getAll(name: string): string[] {
    const out: string[] = [];
    const flat = this.#flat;
    for (let i = 0; i < this.#end; i += 2) if (flat[i] === name) out.push(flat[i + 1]!);
    return out;
  }

  append(name: string, value: string): void {
    const end = this.#end;
    this.#flat[end] = name;
    this.#flat[end + 1] = value;
    this.#end = end + 2;
    this.#lengths |= 1 << (name.length & 31);
  }

  /** Replaces every field of this name by one, in the place of the first. */
  set(name: string, value: string): void {
    const flat = this.#flat;
    for (let i = 0; i < this.#end; i += 2) {
      if (flat[i] !== name) continue;
      flat[i + 1] = value;
      this.#deleteFrom(i + 2, name);
      return;
    }
    this.append(name, value);
  }

  /** Removes every field of this name. */
  delete(name: string): void {
    if (((this.#lengths >>> (name.length & 31)) & 1) !== 0) this.#deleteFrom(0, name);
  }

  /** Keeps the room, but no string. */
  clear(): void {
    this.#cut(0);
    this.#lengths = 0;
    this.#sensitive = undefined;
  }

  /** The sender asked that no compression remembers fields of this name (RFC 7541 §6.2.3). */
  markSensitive(name: string): void {
    if (this.#sensitive === undefined) this.#sensitive = [name];
    else if (!this.#sensitive.includes(name)) this.#sensitive.push(name);
  }

  /** Whether `markSensitive` was called for this name. Hot. */
  isSensitive(name: string): boolean {
    return this.#sensitive?.includes(name) ?? false;
  }

  clone(): HeaderMap {
    const copy = new HeaderMap();
    for (let i = 0; i < this.#end; i++) copy.#flat.push(this.#flat[i]!);
    copy.#end = this.#end;
    copy.#lengths = this.#lengths;
    copy.#sensitive = this.#sensitive?.slice();
    return copy;
  }

  #deleteFrom(start: number, name: string): void {
    const flat = this.#flat;
    const end = this.#end;
    let kept = start;
    while (kept < end && flat[kept] !== name) kept += 2;
    if (kept >= end) return;
    for (let i = kept + 2; i < end; i += 2) {
      if (flat[i] === name) continue;
      flat[kept] = flat[i]!;
      flat[kept + 1] = flat[i + 1]!;
      kept += 2;
    }
    this.#cut(kept);
  }

  #cut(end: number): void {
    for (let i = end; i < this.#end; i++) this.#flat[i] = "";
    this.#end = end;
  }
}
