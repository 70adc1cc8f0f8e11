/** One revision of one object, as the database keeps it. */
export interface Row {
  /** The revision: one sequence for the whole store. */
  readonly rv: number;
  /** `group/plural`; the core group is empty: `/pods`. */
  readonly resource: string;
  /** Empty for objects without a namespace. */
  readonly namespace: string;
  readonly name: string;
  /** A tombstone: `body` is the last state, with the revision of its end. */
  readonly deleted: boolean;
  /** The object as JSON. */
  readonly body: string;
}

/** What is written in one transaction: all of it or nothing. */
export interface Batch {
  readonly rows: readonly Row[];
  /** Revisions that no watch can ask for any more and that are nobody's present state. */
  readonly obsolete: readonly number[];
  /** Watches from before this revision must list again. */
  readonly compacted: number;
}

export type ToWriter =
  | { readonly kind: "commit"; readonly batch: Batch }
  | { readonly kind: "close" };

export type FromWriter =
  | { readonly kind: "rows"; readonly rows: readonly Row[] }
  | { readonly kind: "open"; readonly compacted: number }
  | { readonly kind: "done" }
  | { readonly kind: "failed"; readonly code: string; readonly message: string };

export interface WriterOptions {
  readonly path: string;
  /** Bounds the database, for tests of a full disk. */
  readonly maxPages: number | undefined;
}
