import type { Log } from "@heddle/base/log";
import { type KubeObject, keyOf, type Resource } from "./types/meta.ts";
import { type WatchHandler, type WatchSettings, watchResource } from "./watch.ts";

/** One difference between what was known and what is. At least one of the two is set. */
export interface Change<T> {
  readonly key: string;
  /** Undefined if the object is new. */
  readonly before: T | undefined;
  /** Undefined if the object is gone. */
  readonly after: T | undefined;
}

/**
 * `versions`: for whoever makes something of each object as it comes and needs it no more. Then
 * `before` has metadata only, and only those of it that name the object.
 */
export type Keeps = "objects" | "versions";

export type ChangeHandler<T> = (change: Change<T>) => void;

/**
 * All objects of a kind, kept current. A list that repeats what is known, or an event for a
 * version that we have, changes nothing and tells nobody.
 */
export class Store<T extends KubeObject> implements WatchHandler<T> {
  readonly #keeps: Keeps;
  readonly #objects = new Map<string, T>();
  readonly #handlers = new Set<ChangeHandler<T>>();
  readonly #synced: PromiseWithResolvers<void> = Promise.withResolvers();
  #isSynced = false;

  constructor(keeps: Keeps = "objects") {
    this.#keeps = keeps;
  }

  /** After the first list. */
  get isSynced(): boolean {
    return this.#isSynced;
  }

  get synced(): Promise<void> {
    return this.#synced.promise;
  }

  get size(): number {
    return this.#objects.size;
  }

  /** @param key - `namespace/name`, or `name`. */
  get(key: string): T | undefined {
    return this.#objects.get(key);
  }

  values(): IterableIterator<T> {
    return this.#objects.values();
  }

  /** Hears of all that is known, at once, and of every change from then on. */
  subscribe(handler: ChangeHandler<T>): () => void {
    if (this.#keeps === "versions" && this.#objects.size > 0) {
      throw new Error("Cannot subscribe: what was heard before is not kept");
    }
    for (const [key, after] of this.#objects) handler({ key, before: undefined, after });
    this.#handlers.add(handler);
    return () => this.#handlers.delete(handler);
  }

  onList(items: readonly T[]): void {
    const gone = new Set(this.#objects.keys());
    for (const item of items) {
      gone.delete(keyOf(item));
      this.onApplied(item);
    }
    for (const key of gone) this.#remove(key);
    this.#isSynced = true;
    this.#synced.resolve();
  }

  /** Takes the object over, without its managed fields, which nobody reads and are half of it. */
  onApplied(after: T): void {
    delete (after.metadata as { managedFields?: unknown }).managedFields;
    const key = keyOf(after);
    const before = this.#objects.get(key);
    if (before !== undefined && isSameVersion(before, after)) return;
    this.#objects.set(key, this.#keeps === "versions" ? remnantOf(after) : after);
    // Gone and made anew while we looked away: two objects, hence two changes.
    if (before !== undefined && before.metadata.uid !== after.metadata.uid) {
      this.#tell({ key, before, after: undefined });
      this.#tell({ key, before: undefined, after });
    } else {
      this.#tell({ key, before, after });
    }
  }

  onDeleted(object: T): void {
    this.#remove(keyOf(object));
  }

  #remove(key: string): void {
    const before = this.#objects.get(key);
    if (before === undefined) return;
    this.#objects.delete(key);
    this.#tell({ key, before, after: undefined });
  }

  #tell(change: Change<T>): void {
    for (const handler of this.#handlers) handler(change);
  }
}

/** What tells one state of an object from another, and whose it is. */
function remnantOf<T extends KubeObject>({ metadata }: T): T {
  const { name, namespace, uid, resourceVersion } = metadata;
  return { metadata: { name, namespace, uid, resourceVersion } } as unknown as T;
}

function isSameVersion(a: KubeObject, b: KubeObject): boolean {
  const version = a.metadata.resourceVersion;
  return (
    version !== undefined &&
    version === b.metadata.resourceVersion &&
    a.metadata.uid === b.metadata.uid
  );
}

export type InformerSettings<T extends KubeObject> = Omit<
  WatchSettings<T>,
  "handler" | "signal" | "onVersion"
> & { readonly keeps?: Keeps };

/**
 * A store with the watch that feeds it.
 *
 * @param onBug - What a handler threw. The watch is over then, and what it fed goes stale; the
 * process should end.
 */
export class Informer<T extends KubeObject> implements AsyncDisposable {
  readonly store: Store<T>;
  readonly #settings: InformerSettings<T>;
  readonly #stop = new AbortController();
  #running: Promise<void> | undefined;
  #version: Resource<T>;

  constructor(settings: InformerSettings<T>) {
    this.#settings = settings;
    this.store = new Store<T>(settings.keeps);
    this.#version = settings.resource;
  }

  /** The version of the kind that the server was last seen to serve; until then the best one. */
  get version(): Resource<T> {
    return this.#version;
  }

  start(onBug: (error: unknown) => void): this {
    this.#running ??= watchResource({
      ...this.#settings,
      handler: this.store,
      onVersion: (version) => {
        this.#version = version;
      },
      signal: this.#stop.signal,
    }).catch(onBug);
    return this;
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/** What informers of one process have in common. */
export interface InformerRuntime {
  readonly log: Log;
  readonly onBug: (error: unknown) => void;
}
