import type { MutableHeaderFields } from "@heddle/model/route/request";

/** For tests only: header fields without `@heddle/wire`, which this package does not know. */
export class TestFields implements MutableHeaderFields {
  #fields: [name: string, value: string][] = [];

  static of(fields: Readonly<Record<string, string>>): TestFields {
    const made = new TestFields();
    for (const [name, value] of Object.entries(fields)) made.append(name, value);
    return made;
  }

  get size(): number {
    return this.#fields.length;
  }

  nameAt(index: number): string {
    return this.#fields[index]![0];
  }

  valueAt(index: number): string {
    return this.#fields[index]![1];
  }

  get(name: string): string | undefined {
    return this.getAll(name)[0];
  }

  getAll(name: string): string[] {
    return this.#fields.filter(([known]) => known === name).map(([, value]) => value);
  }

  append(name: string, value: string): void {
    this.#fields.push([name, value]);
  }

  set(name: string, value: string): void {
    this.delete(name);
    this.append(name, value);
  }

  delete(name: string): void {
    this.#fields = this.#fields.filter(([known]) => known !== name);
  }
}
