/**
 * The thread that owns the database. node:sqlite is synchronous, and a commit waits for the disk:
 * neither may hold up the thread that serves.
 */
import { chmodSync, closeSync, openSync } from "node:fs";
import { DatabaseSync, type StatementSync } from "node:sqlite";
import { type MessagePort, parentPort, workerData } from "node:worker_threads";
import type { Batch, FromWriter, Row, ToWriter, WriterOptions } from "./row.ts";

/** Of the tables below. A database of a later version is refused, never guessed at. */
const FORMAT = 1;
const ROWS_PER_MESSAGE = 2_000;

/**
 * Room that is kept in the file for deletes: on a full disk they too need a place to be written, and
 * without them it would stay full.
 */
const RESERVE_BYTES = 64 * 1024;

const TABLES = `
  CREATE TABLE revisions (
    rv INTEGER PRIMARY KEY,
    resource TEXT NOT NULL,
    namespace TEXT NOT NULL,
    name TEXT NOT NULL,
    deleted INTEGER NOT NULL,
    body TEXT NOT NULL
  ) STRICT;
  CREATE TABLE state (id INTEGER PRIMARY KEY CHECK (id = 1), compacted INTEGER NOT NULL) STRICT;
  INSERT INTO state VALUES (1, 0);
  CREATE TABLE reserve (filler BLOB NOT NULL) STRICT;
  PRAGMA user_version = ${FORMAT};
`;

class Writer {
  readonly #port: MessagePort;
  readonly #database: DatabaseSync;
  readonly #insert: StatementSync;
  readonly #forget: StatementSync;
  readonly #compact: StatementSync;
  #hasReserve = false;

  constructor(port: MessagePort, { path, maxPages }: WriterOptions) {
    this.#port = port;
    // Secrets are in it: its owner only, whatever the umask says. The WAL takes the same mode.
    closeSync(openSync(path, "a", 0o600));
    chmodSync(path, 0o600);
    this.#database = new DatabaseSync(path);
    // Exclusive: a second server on the same data would hand out the same revisions again.
    this.#database.exec("PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL");
    this.#database.exec("PRAGMA synchronous = FULL; PRAGMA trusted_schema = OFF");
    if (maxPages !== undefined) this.#database.exec(`PRAGMA max_page_count = ${maxPages}`);
    this.#prepareTables();
    this.#insert = this.#database.prepare("INSERT INTO revisions VALUES (?, ?, ?, ?, ?, ?)");
    this.#forget = this.#database.prepare("DELETE FROM revisions WHERE rv = ?");
    this.#compact = this.#database.prepare("UPDATE state SET compacted = ? WHERE id = 1");
    const reserved = this.#database.prepare("SELECT count(*) AS count FROM reserve").get();
    this.#hasReserve = reserved?.["count"] !== 0;
    this.#restoreReserve();
  }

  /** Sends every row, oldest first, then `open`. */
  load(): void {
    let rows: Row[] = [];
    const all = this.#database.prepare(
      "SELECT rv, resource, namespace, name, deleted, body FROM revisions ORDER BY rv",
    );
    for (const found of all.iterate()) {
      rows.push({ ...(found as unknown as Row), deleted: found["deleted"] === 1 });
      if (rows.length >= ROWS_PER_MESSAGE) {
        this.#post({ kind: "rows", rows });
        rows = [];
      }
    }
    this.#post({ kind: "rows", rows });
    const state = this.#database.prepare("SELECT compacted FROM state WHERE id = 1").get();
    this.#post({ kind: "open", compacted: Number(state?.["compacted"] ?? 0) });
  }

  commit(batch: Batch): void {
    const onlyDeletes = batch.rows.every(({ deleted }) => deleted);
    let problem = onlyDeletes || this.#restoreReserve() ? this.#write(batch) : FULL;
    if (problem?.code === FULL.code && onlyDeletes && this.#hasReserve) {
      problem = this.#attempt(() => this.#database.exec("DELETE FROM reserve"));
      this.#hasReserve = problem !== undefined;
      problem ??= this.#write(batch);
    }
    this.#post(problem === undefined ? { kind: "done" } : { kind: "failed", ...problem });
  }

  #write({ rows, obsolete, compacted }: Batch): Problem | undefined {
    return this.#attempt(() => {
      for (const { rv, resource, namespace, name, deleted, body } of rows) {
        this.#insert.run(rv, resource, namespace, name, deleted ? 1 : 0, body);
      }
      for (const rv of obsolete) this.#forget.run(rv);
      if (obsolete.length > 0) this.#compact.run(compacted);
    });
  }

  /** False if there is no room for it, and so none for anything but deletes. */
  #restoreReserve(): boolean {
    this.#hasReserve ||=
      this.#attempt(() =>
        this.#database.exec(`INSERT INTO reserve VALUES (zeroblob(${RESERVE_BYTES}))`),
      ) === undefined;
    return this.#hasReserve;
  }

  /** One transaction: all of it, or nothing and why. */
  #attempt(work: () => void): Problem | undefined {
    try {
      this.#database.exec("BEGIN IMMEDIATE");
      work();
      this.#database.exec("COMMIT");
      return undefined;
    } catch (error) {
      // SQLite may have rolled back by itself already: on a full disk it does.
      if (this.#database.isTransaction) this.#database.exec("ROLLBACK");
      return describe(error);
    }
  }

  close(): void {
    this.#database.close();
    this.#port.close();
  }

  #prepareTables(): void {
    const version = Number(this.#database.prepare("PRAGMA user_version").get()?.["user_version"]);
    if (version > FORMAT) {
      throw new Error(`its format ${version} is newer than ${FORMAT}, the newest known here`);
    }
    if (version === 0) this.#database.exec(`BEGIN IMMEDIATE; ${TABLES} COMMIT`);
  }

  #post(message: FromWriter): void {
    this.#port.postMessage(message);
  }
}

interface Problem {
  readonly code: string;
  readonly message: string;
}

const FULL: Problem = { code: "disk_full", message: "database or disk is full" };

function describe(error: unknown): Problem {
  const { errcode } = error as { readonly errcode?: unknown };
  const message = error instanceof Error ? error.message : String(error);
  // 13 is SQLITE_FULL; extended codes keep the primary one in their low byte.
  if (typeof errcode === "number" && (errcode & 0xff) === 13) return FULL;
  return { code: "store_failed", message };
}

function run(port: MessagePort): void {
  let writer: Writer;
  try {
    writer = new Writer(port, workerData as WriterOptions);
    writer.load();
  } catch (error) {
    port.postMessage({ kind: "failed", ...describe(error) } satisfies FromWriter);
    port.close();
    return;
  }
  port.on("message", (message: ToWriter) => {
    if (message.kind === "commit") writer.commit(message.batch);
    else writer.close();
  });
}

if (parentPort !== null) run(parentPort);
