import type { KubeObject } from "@heddle/kube/types/meta";

/** Told of an object that cannot be read; what was read of it before holds on, grants aside. */
export type OnUnreadable = (kind: string, ref: string, problem: string) => void;

/** Objects of one kind, read into what an index works with, by namespace and name. */
export class Entries<T> {
  readonly #namespaces = new Map<string, Map<string, T>>();

  get(namespace: string, name: string): T | undefined {
    return this.#namespaces.get(namespace)?.get(name);
  }

  /** All of a namespace, in no order. */
  in(namespace: string): IterableIterator<T> {
    return (this.#namespaces.get(namespace) ?? new Map<string, T>()).values();
  }

  countIn(namespace: string): number {
    return this.#namespaces.get(namespace)?.size ?? 0;
  }

  namespaces(): IterableIterator<string> {
    return this.#namespaces.keys();
  }

  *all(): IterableIterator<T> {
    for (const entries of this.#namespaces.values()) yield* entries.values();
  }

  set(namespace: string, name: string, entry: T): void {
    let entries = this.#namespaces.get(namespace);
    if (entries === undefined) {
      entries = new Map();
      this.#namespaces.set(namespace, entries);
    }
    entries.set(name, entry);
  }

  delete(namespace: string, name: string): T | undefined {
    const entries = this.#namespaces.get(namespace);
    const before = entries?.get(name);
    entries?.delete(name);
    if (entries?.size === 0) this.#namespaces.delete(namespace);
    return before;
  }
}

/** Reads an object; undefined if it cannot be read, which is told and breaks nothing. */
export function readObject<O extends KubeObject, T>(
  kind: string,
  object: O,
  read: (object: O) => T,
  onUnreadable: OnUnreadable,
): T | undefined {
  try {
    return read(object);
  } catch (error) {
    // A TypeError here means a shape that no schema has checked; it is the object's fault too.
    const { namespace = "", name = "" } = object.metadata;
    const problem = error instanceof Error ? error.message : String(error);
    onUnreadable(kind, `${namespace}/${name}`, problem);
    return undefined;
  }
}
