import type { Json, JsonObject } from "@heddle/apiserver/json/value";
import {
  expired,
  revisionTooLarge,
  StatusError,
  tooManyRequests,
} from "@heddle/apiserver/status-error";
import { MeshError } from "@heddle/base/errors";
import { Collection } from "./collection.ts";
import { Entry, keyOf } from "./entry.ts";
import { DEFAULT_HISTORY, History, type HistoryLimits, type StoreEvent } from "./history.ts";
import { Journal } from "./journal.ts";
import type { Row } from "./row.ts";

export interface StoreOptions {
  /** The database's file. */
  readonly path: string;
  readonly history?: HistoryLimits;
  /** Bounds the database, for tests of a full disk. */
  readonly maxPages?: number;
}

/** Where an object stands. */
export interface Place {
  readonly resource: string;
  readonly namespace: string;
  readonly name: string;
}

/** Hears of what is durable, in the order of revisions. */
export interface Subscriber {
  /** Only this resource; undefined for all. */
  readonly resource: string | undefined;
  /** Only this namespace; empty for all. */
  readonly namespace: string;
  onEvent(event: StoreEvent): void;
  /** After the events of one transaction. */
  onFlush?(): void;
}

/** What a change sees and does. Reads see writes that are on their way to the disk. */
export interface Tx {
  get(place: Place): Entry | undefined;
  /** Writes an object, which it keeps, and sets its resourceVersion. */
  set(place: Place, object: JsonObject): Entry;
  /** Ends an object; `last` is what watchers see of it. */
  remove(place: Place, last?: JsonObject): Entry;
  /** The present objects of a resource, in no particular order. */
  all(resource: string): Iterable<Entry>;
}

interface Write {
  readonly type: StoreEvent["type"];
  readonly entry: Entry;
  readonly body: string;
}

interface Pending {
  readonly writes: readonly Write[];
  resolve(): void;
  reject(error: Error): void;
}

/** Writes waiting for the disk beyond this are refused, so that memory is bounded. */
const MAX_PENDING = 10_000;
const MAX_PENDING_BYTES = 256 * 1024 * 1024;

/**
 * All objects, in memory and on the disk. Changes are computed at once on what will be, then
 * written in groups; readers, watchers and the client that asked see them when they are durable.
 * When a group fails, everything that was computed upon it fails with it.
 */
export class Store {
  readonly #collections = new Map<string, Collection>();
  /** By resource; those of all resources stand under the empty name. */
  readonly #subscribers = new Map<string, Set<Subscriber>>();
  #journal!: Journal;
  #history!: History;
  /** Of the newest durable write. */
  #revision = 0;
  /** Of the newest computed write. */
  #sequence = 0;
  /** By resource and key, the newest write of each object that is not durable yet. */
  #overlay = new Map<string, Map<string, Write>>();
  #pending: Pending[] = [];
  #pendingBytes = 0;
  #isWriting = false;
  #isScheduled = false;
  #idle: (() => void)[] = [];

  /** Opens or creates the database and reads all of it. */
  static async open(options: StoreOptions): Promise<Store> {
    const store = new Store();
    await store.#load(options);
    return store;
  }

  private constructor() {}

  /** The revision of the newest write that is durable. */
  get revision(): number {
    return this.#revision;
  }

  /** Watches from before this revision cannot be resumed. */
  get compacted(): number {
    return this.#history.compacted;
  }

  /** Why nothing can be written any more, if so. */
  get failure(): MeshError | undefined {
    return this.#journal.failure;
  }

  /** Runs once, when the database is lost: what was under way may or may not be on the disk. */
  onLost(listener: (error: MeshError) => void): void {
    this.#journal.onLost(listener);
  }

  get(place: Place): Entry | undefined {
    return this.#collections.get(place.resource)?.get(keyOf(place.namespace, place.name));
  }

  /** The number of present objects of a resource. */
  count(resource: string): number {
    return this.#collections.get(resource)?.size ?? 0;
  }

  /** The present objects of a resource, in no particular order. */
  all(resource: string): Iterable<Entry> {
    return this.#collections.get(resource)?.values() ?? [];
  }

  /** Names of resources that have, or had, objects. */
  resources(): Iterable<string> {
    return this.#collections.keys();
  }

  /** Present objects in the order of their keys, behind the key `after`. */
  scan(resource: string, namespace: string, after?: string): Iterable<Entry> {
    return this.#collections.get(resource)?.from(namespace, after) ?? [];
  }

  /**
   * As `scan`, but of the past: what stood there at revision `rv`.
   *
   * @throws StatusError if that revision is no longer kept, or not yet reached.
   */
  scanAt(resource: string, namespace: string, rv: number, after?: string): Iterable<Entry> {
    if (rv === this.#revision) return this.scan(resource, namespace, after);
    this.#checkRevision(rv);
    const past = new Map<string, Entry>();
    for (const entry of this.scan(resource, namespace, after)) past.set(entry.key, entry);
    const undone = [...this.#history.since(rv)].reverse();
    for (const { entry, previous } of undone) {
      if (entry.resource !== resource) continue;
      if (namespace !== "" && entry.namespace !== namespace) continue;
      if (after !== undefined && entry.key <= after) continue;
      if (previous === undefined) past.delete(entry.key);
      else past.set(entry.key, previous);
    }
    return [...past.values()].sort((a, b) => (a.key < b.key ? -1 : 1));
  }

  /**
   * Computes a change on the newest state and resolves when it is durable. `change` runs at once,
   * in one go; what it throws changes nothing. A dry run is computed and forgotten.
   *
   * @throws StatusError 507 if the disk is full, 503 if the store is lost.
   */
  async commit<T>(change: (tx: Tx) => T, isDryRun = false): Promise<T> {
    if (this.#journal.failure !== undefined) throw refusal(this.#journal.failure);
    if (this.#pending.length >= MAX_PENDING || this.#pendingBytes >= MAX_PENDING_BYTES)
      throw tooManyRequests("too many writes are waiting");
    const before = this.#sequence;
    const writes: Write[] = [];
    let result: T;
    try {
      result = change(this.#transaction(writes));
    } catch (error) {
      this.#sequence = before;
      throw error;
    }
    if (isDryRun) {
      this.#sequence = before;
      return result;
    }
    // What the change saw may itself not be durable yet, so that even a change of nothing waits.
    if (writes.length === 0 && this.#overlay.size === 0) return result;
    for (const write of writes) {
      this.#cover(write);
      this.#pendingBytes += write.body.length;
    }
    await new Promise<void>((resolve, reject) => {
      this.#pending.push({ writes, resolve, reject });
      this.#schedule();
    });
    return result;
  }

  /** Hears of every event from now on. Nothing is replayed. */
  subscribe(subscriber: Subscriber): () => void {
    const key = subscriber.resource ?? "";
    let among = this.#subscribers.get(key);
    if (among === undefined) {
      among = new Set();
      this.#subscribers.set(key, among);
    }
    among.add(subscriber);
    return () => among.delete(subscriber);
  }

  /**
   * The kept events behind revision `rv`, oldest first.
   *
   * @throws StatusError 410 if some of them are no longer kept, or if `rv` was never reached.
   */
  since(rv: number): Iterable<StoreEvent> {
    if (rv < this.#history.compacted) {
      throw expired(`too old resource version: ${rv} (${this.#history.compacted})`);
    }
    // From the future: the client knew another store. It must list again.
    if (rv > this.#revision) throw expired(`unknown resource version: ${rv} (${this.#revision})`);
    return this.#history.since(rv);
  }

  /** Bytes derived from schemas that have changed are made again. */
  forgetDerived(resource: string): void {
    for (const entry of this.all(resource)) entry.forgetDerived();
  }

  /** Waits for the writes under way, then closes the database. */
  async close(): Promise<void> {
    if (this.#isWriting || this.#pending.length > 0) {
      await new Promise<void>((resolve) => this.#idle.push(resolve));
    }
    await this.#journal.close();
  }

  async #load(options: StoreOptions): Promise<void> {
    const rows: Row[] = [];
    const { journal, compacted } = await Journal.open(
      { path: options.path, maxPages: options.maxPages },
      (some) => {
        for (const row of some) rows.push(row);
      },
    );
    this.#journal = journal;
    this.#history = new History(compacted, options.history ?? DEFAULT_HISTORY);
    for (const row of rows) this.#restore(row, compacted);
    this.#sequence = Math.max(this.#revision, compacted);
    this.#revision = this.#sequence;
  }

  #restore(row: Row, compacted: number): void {
    const entry = new Entry(row, row.rv, row.body);
    const previous = this.get(row);
    const type = row.deleted ? "DELETED" : previous === undefined ? "ADDED" : "MODIFIED";
    this.#apply(type, entry);
    this.#revision = row.rv;
    if (row.rv > compacted) this.#history.push({ type, rv: row.rv, entry, previous });
    else {
      if (previous !== undefined) this.#history.discard(previous.rv);
      if (row.deleted) this.#history.discard(row.rv);
    }
  }

  #transaction(writes: Write[]): Tx {
    const mine = new Map<string, Write>();
    const idOf = ({ resource, namespace, name }: Place): string =>
      `${resource} ${keyOf(namespace, name)}`;
    const get = (place: Place): Entry | undefined => {
      const own = mine.get(idOf(place));
      return own === undefined ? this.#latest(place) : stateOf(own);
    };
    const write = (type: StoreEvent["type"], place: Place, object: JsonObject): Entry => {
      const rv = ++this.#sequence;
      (object["metadata"] as JsonObject)["resourceVersion"] = String(rv);
      const body = JSON.stringify(object);
      const entry = new Entry(place, rv, body, object);
      const made = { type, entry, body };
      writes.push(made);
      mine.set(idOf(place), made);
      return entry;
    };
    return {
      get,
      set: (place, object) => write(get(place) === undefined ? "ADDED" : "MODIFIED", place, object),
      remove: (place, last) => {
        const present = get(place);
        if (present === undefined) throw new Error(`nothing to remove at ${idOf(place)}`);
        const object = last ?? present.object;
        const metadata = { ...(object["metadata"] as JsonObject) } as Json;
        return write("DELETED", place, { ...object, metadata });
      },
      all: (resource) => this.#latestOf(resource),
    };
  }

  #latest(place: Place): Entry | undefined {
    const covered = this.#overlay.get(place.resource)?.get(keyOf(place.namespace, place.name));
    return covered === undefined ? this.get(place) : stateOf(covered);
  }

  *#latestOf(resource: string): Generator<Entry> {
    const covered = this.#overlay.get(resource);
    for (const entry of this.all(resource)) if (!covered?.has(entry.key)) yield entry;
    for (const { type, entry } of covered?.values() ?? []) if (type !== "DELETED") yield entry;
  }

  #cover(write: Write): void {
    let covered = this.#overlay.get(write.entry.resource);
    if (covered === undefined) {
      covered = new Map();
      this.#overlay.set(write.entry.resource, covered);
    }
    covered.set(write.entry.key, write);
  }

  /** Gathers what comes in one turn of the event loop, and while a batch is on its way. */
  #schedule(): void {
    if (this.#isScheduled || this.#isWriting) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      void this.#flush();
    });
  }

  async #flush(): Promise<void> {
    this.#isWriting = true;
    while (this.#pending.length > 0) {
      const group = this.#pending;
      this.#pending = [];
      this.#pendingBytes = 0;
      try {
        await this.#write(group);
      } catch (error) {
        this.#fail(group, error);
        continue;
      }
      this.#publish(group);
    }
    this.#isWriting = false;
    for (const resolve of this.#idle.splice(0)) resolve();
  }

  #publish(group: readonly Pending[]): void {
    const touched = new Set<Subscriber>();
    for (const { writes } of group) {
      for (const { type, entry } of writes) {
        const previous = this.get(entry);
        this.#apply(type, entry);
        this.#uncover(entry);
        this.#revision = entry.rv;
        const event = { type, rv: entry.rv, entry, previous };
        this.#history.push(event);
        this.#tell(event, touched);
      }
    }
    for (const subscriber of touched) subscriber.onFlush?.();
    for (const { resolve } of group) resolve();
  }

  #tell(event: StoreEvent, touched: Set<Subscriber>): void {
    const { resource, namespace } = event.entry;
    for (const among of [this.#subscribers.get(resource), this.#subscribers.get("")]) {
      for (const subscriber of among ?? []) {
        if (subscriber.namespace !== "" && subscriber.namespace !== namespace) continue;
        subscriber.onEvent(event);
        touched.add(subscriber);
      }
    }
  }

  /** On a full disk most of the history is given up, once, to make room. */
  async #write(group: readonly Pending[]): Promise<void> {
    const rows = group.flatMap(({ writes }) => writes.map(rowOf));
    try {
      await this.#commitRows(rows);
    } catch (error) {
      if (!(error instanceof MeshError) || error.code !== "disk_full") throw error;
      this.#history.shrink(0.1);
      await this.#commitRows([]);
      await this.#commitRows(rows);
    }
  }

  async #commitRows(rows: readonly Row[]): Promise<void> {
    const obsolete = this.#history.takeObsolete();
    try {
      await this.#journal.commit({ rows, obsolete, compacted: this.#history.compacted });
    } catch (error) {
      this.#history.returnObsolete(obsolete);
      throw error;
    }
  }

  /** A failed group takes with it what was computed upon it. */
  #fail(group: readonly Pending[], cause: unknown): void {
    const error = refusal(cause);
    const lost = [...group, ...this.#pending];
    this.#pending = [];
    this.#pendingBytes = 0;
    this.#overlay = new Map();
    this.#sequence = this.#revision;
    for (const { reject } of lost) reject(error);
  }

  #apply(type: StoreEvent["type"], entry: Entry): void {
    let collection = this.#collections.get(entry.resource);
    if (collection === undefined) {
      collection = new Collection();
      this.#collections.set(entry.resource, collection);
    }
    if (type === "DELETED") collection.delete(entry.key);
    else collection.set(entry);
  }

  /** What has become durable is no longer pending, unless a later write covers it. */
  #uncover(entry: Entry): void {
    const covered = this.#overlay.get(entry.resource);
    if (covered === undefined || covered.get(entry.key)?.entry !== entry) return;
    covered.delete(entry.key);
    if (covered.size === 0) this.#overlay.delete(entry.resource);
  }

  #checkRevision(rv: number): void {
    if (rv > this.#revision) throw revisionTooLarge(rv, this.#revision);
    if (rv < this.#history.compacted) {
      throw expired("The provided continue parameter is too old, list again without it");
    }
  }
}

function stateOf({ type, entry }: Write): Entry | undefined {
  return type === "DELETED" ? undefined : entry;
}

function rowOf({ type, entry, body }: Write): Row {
  const { rv, resource, namespace, name } = entry;
  return { rv, resource, namespace, name, deleted: type === "DELETED", body };
}

function refusal(cause: unknown): StatusError {
  const message = cause instanceof Error ? cause.message : String(cause);
  if (cause instanceof MeshError && cause.code === "disk_full") {
    return new StatusError(507, "InsufficientStorage", `${message}; nothing was changed`, {
      cause,
    });
  }
  if (cause instanceof MeshError && cause.code === "store_lost") {
    return new StatusError(503, "ServiceUnavailable", message, { cause });
  }
  return new StatusError(500, "InternalError", message, { cause });
}
