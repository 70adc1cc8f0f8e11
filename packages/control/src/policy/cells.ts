import { hash } from "node:crypto";

/** A message as it goes to every stream that needs it: `EncodedMessage` is one. */
export interface Framed {
  /** All that goes over the wire. Never changed. */
  readonly frame: Uint8Array;
}

/** What a question is answered with: a message, or the end of the stream. */
export type Answer<M extends Framed> = M | "gone";

/** Names a fact that an answer was made from, such as `service:ns/name`. */
export type Dependency = string;

/** Answers one question from the present state, and tells each fact that it looked at. */
export type Compute<M extends Framed> = (track: (fact: Dependency) => void) => Answer<M>;

/** Hears of the present answer at once, then of each different one, then perhaps of the end. */
export interface Subscriber<M extends Framed> {
  value(message: M): void;
  gone(): void;
}

interface Cell<M extends Framed> {
  readonly key: string;
  readonly compute: Compute<M>;
  readonly subscribers: Set<Subscriber<M>>;
  facts: Set<Dependency>;
  current: Pooled<M>;
}

/**
 * The answers that somebody watches. A fact that changes makes the answers that depend on it be
 * worked out anew at the next `flush`; only those that differ are told. Knows nothing of what is
 * asked.
 */
export class Cells<M extends Framed> {
  readonly #cells = new Map<string, Cell<M>>();
  readonly #byFact = new Map<Dependency, Set<Cell<M>>>();
  readonly #dirty = new Set<Cell<M>>();
  readonly #onDirty: () => void;
  readonly #onBug: (error: unknown) => void;
  readonly #pool = new Pool<M>();

  /**
   * @param onDirty - Told when `flush` is due; may be told again before it has run.
   * @param onBug - Told of an answer that could not be worked out; the one before stays.
   */
  constructor(onDirty: () => void, onBug: (error: unknown) => void) {
    this.#onDirty = onDirty;
    this.#onBug = onBug;
  }

  get size(): number {
    return this.#cells.size;
  }

  /** Distinct messages held. */
  get messages(): number {
    return this.#pool.size;
  }

  /**
   * Subscribes to the answer of `compute`. All subscribers of a key share one cell, so their
   * questions must be the same.
   *
   * @returns how to unsubscribe; undefined if the answer is already "gone".
   */
  subscribe(key: string, compute: Compute<M>, subscriber: Subscriber<M>): (() => void) | undefined {
    const known = this.#cells.get(key);
    // A stale answer must not go out first: whoever asks now gets what holds now.
    if (known !== undefined && this.#dirty.delete(known)) this.#recompute(known);
    const cell = this.#cells.get(key) ?? this.#open(key, compute);
    if (cell === undefined) return undefined;
    cell.subscribers.add(subscriber);
    subscriber.value(cell.current.message);
    return () => this.#unsubscribe(cell, subscriber);
  }

  /** A fact has changed, has come or is gone. */
  touch(fact: Dependency): void {
    const cells = this.#byFact.get(fact);
    if (cells === undefined) return;
    for (const cell of cells) this.#dirty.add(cell);
    this.#onDirty();
  }

  /** Works out all that is dirty, and tells what differs. */
  flush(): void {
    for (const cell of this.#dirty) {
      this.#dirty.delete(cell);
      this.#recompute(cell);
    }
  }

  /** Ends every stream. */
  close(): void {
    for (const cell of [...this.#cells.values()]) this.#end(cell);
  }

  #open(key: string, compute: Compute<M>): Cell<M> | undefined {
    const facts = new Set<Dependency>();
    const answer = compute((fact) => facts.add(fact));
    if (answer === "gone") return undefined;
    const current = this.#pool.take(answer);
    const cell: Cell<M> = { key, compute, subscribers: new Set(), facts, current };
    this.#cells.set(key, cell);
    for (const fact of facts) this.#link(fact, cell);
    return cell;
  }

  #recompute(cell: Cell<M>): void {
    const facts = new Set<Dependency>();
    let answer: Answer<M>;
    try {
      answer = cell.compute((fact) => facts.add(fact));
    } catch (error) {
      this.#onBug(error);
      return;
    }
    if (answer === "gone") {
      this.#end(cell);
      return;
    }
    for (const fact of cell.facts) if (!facts.has(fact)) this.#unlink(fact, cell);
    for (const fact of facts) if (!cell.facts.has(fact)) this.#link(fact, cell);
    cell.facts = facts;
    const before = cell.current;
    cell.current = this.#pool.take(answer);
    this.#pool.release(before);
    if (cell.current.digest === before.digest) return;
    for (const subscriber of [...cell.subscribers]) subscriber.value(cell.current.message);
  }

  #end(cell: Cell<M>): void {
    const subscribers = [...cell.subscribers];
    this.#drop(cell);
    for (const subscriber of subscribers) subscriber.gone();
  }

  #unsubscribe(cell: Cell<M>, subscriber: Subscriber<M>): void {
    if (!cell.subscribers.delete(subscriber) || cell.subscribers.size > 0) return;
    this.#drop(cell);
  }

  #drop(cell: Cell<M>): void {
    if (this.#cells.get(cell.key) !== cell) return;
    this.#cells.delete(cell.key);
    this.#dirty.delete(cell);
    cell.subscribers.clear();
    for (const fact of cell.facts) this.#unlink(fact, cell);
    this.#pool.release(cell.current);
  }

  #link(fact: Dependency, cell: Cell<M>): void {
    let cells = this.#byFact.get(fact);
    if (cells === undefined) {
      cells = new Set();
      this.#byFact.set(fact, cells);
    }
    cells.add(cell);
  }

  #unlink(fact: Dependency, cell: Cell<M>): void {
    const cells = this.#byFact.get(fact);
    cells?.delete(cell);
    if (cells?.size === 0) this.#byFact.delete(fact);
  }
}

interface Pooled<M extends Framed> {
  readonly message: M;
  readonly digest: string;
  uses: number;
}

/** Equal messages are held once: a thousand pods of one Deployment have the same policy. */
class Pool<M extends Framed> {
  readonly #held = new Map<string, Pooled<M>>();

  get size(): number {
    return this.#held.size;
  }

  take(message: M): Pooled<M> {
    const digest = hash("sha256", message.frame, "base64");
    let pooled = this.#held.get(digest);
    if (pooled === undefined) {
      pooled = { message, digest, uses: 0 };
      this.#held.set(digest, pooled);
    }
    pooled.uses++;
    return pooled;
  }

  release(pooled: Pooled<M>): void {
    pooled.uses--;
    if (pooled.uses === 0) this.#held.delete(pooled.digest);
  }
}
