import { hash } from "node:crypto";

/** A message as it goes to every stream that needs it. Encoded once; equal digests, equal bytes. */
export interface Encoded {
  readonly bytes: Uint8Array;
  readonly digest: string;
}

/** What a question is answered with: a message, or the end of the stream. */
export type Answer = Uint8Array | "gone";

/** Names a fact that an answer was made from, such as `service:ns/name`. */
export type Dependency = string;

/** Answers one question from the present state, and tells each fact that it looked at. */
export type Compute = (track: (fact: Dependency) => void) => Answer;

/** Hears of the present answer at once, then of each different one, then perhaps of the end. */
export interface Subscriber {
  value(encoded: Encoded): void;
  gone(): void;
}

interface Cell {
  readonly key: string;
  readonly compute: Compute;
  readonly subscribers: Set<Subscriber>;
  facts: Set<Dependency>;
  current: Encoded;
}

/**
 * The answers that somebody watches. A fact that changes makes the answers that depend on it be
 * worked out anew at the next `flush`; only those that differ are told. Knows nothing of what is
 * asked.
 */
export class Cells {
  readonly #cells = new Map<string, Cell>();
  readonly #byFact = new Map<Dependency, Set<Cell>>();
  readonly #dirty = new Set<Cell>();
  readonly #onDirty: () => void;
  readonly #pool = new EncodedPool();

  /** @param onDirty - Told when `flush` is due; may be told again before it has run. */
  constructor(onDirty: () => void) {
    this.#onDirty = onDirty;
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
  subscribe(key: string, compute: Compute, subscriber: Subscriber): (() => void) | undefined {
    const known = this.#cells.get(key);
    // A stale answer must not go out first: whoever asks now gets what holds now.
    if (known !== undefined && this.#dirty.delete(known)) this.#recompute(known);
    const cell = this.#cells.get(key) ?? this.#open(key, compute);
    if (cell === undefined) return undefined;
    cell.subscribers.add(subscriber);
    subscriber.value(cell.current);
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

  #open(key: string, compute: Compute): Cell | undefined {
    const facts = new Set<Dependency>();
    const answer = compute((fact) => facts.add(fact));
    if (answer === "gone") return undefined;
    const current = this.#pool.take(answer);
    const cell: Cell = { key, compute, subscribers: new Set(), facts, current };
    this.#cells.set(key, cell);
    for (const fact of facts) this.#link(fact, cell);
    return cell;
  }

  #recompute(cell: Cell): void {
    const facts = new Set<Dependency>();
    const answer = cell.compute((fact) => facts.add(fact));
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
    for (const subscriber of [...cell.subscribers]) subscriber.value(cell.current);
  }

  #end(cell: Cell): void {
    const subscribers = [...cell.subscribers];
    this.#drop(cell);
    for (const subscriber of subscribers) subscriber.gone();
  }

  #unsubscribe(cell: Cell, subscriber: Subscriber): void {
    if (!cell.subscribers.delete(subscriber) || cell.subscribers.size > 0) return;
    this.#drop(cell);
  }

  #drop(cell: Cell): void {
    if (this.#cells.get(cell.key) !== cell) return;
    this.#cells.delete(cell.key);
    this.#dirty.delete(cell);
    cell.subscribers.clear();
    for (const fact of cell.facts) this.#unlink(fact, cell);
    this.#pool.release(cell.current);
  }

  #link(fact: Dependency, cell: Cell): void {
    let cells = this.#byFact.get(fact);
    if (cells === undefined) {
      cells = new Set();
      this.#byFact.set(fact, cells);
    }
    cells.add(cell);
  }

  #unlink(fact: Dependency, cell: Cell): void {
    const cells = this.#byFact.get(fact);
    cells?.delete(cell);
    if (cells?.size === 0) this.#byFact.delete(fact);
  }
}

/** Equal messages are held once: a thousand pods of one Deployment have the same policy. */
class EncodedPool {
  readonly #held = new Map<string, { readonly encoded: Encoded; uses: number }>();

  get size(): number {
    return this.#held.size;
  }

  take(bytes: Uint8Array): Encoded {
    const digest = hash("sha256", bytes, "base64");
    let entry = this.#held.get(digest);
    if (entry === undefined) {
      entry = { encoded: { bytes, digest }, uses: 0 };
      this.#held.set(digest, entry);
    }
    entry.uses++;
    return entry.encoded;
  }

  release(encoded: Encoded): void {
    const entry = this.#held.get(encoded.digest);
    if (entry === undefined) return;
    entry.uses--;
    if (entry.uses === 0) this.#held.delete(encoded.digest);
  }
}
