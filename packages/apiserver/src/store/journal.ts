import { Worker } from "node:worker_threads";
import { MeshError } from "@heddle/base/errors";
import type { Batch, FromWriter, Row, ToWriter, WriterOptions } from "./row.ts";

/** A transaction under way; there is never more than one. */
interface Waiting {
  resolve(): void;
  reject(error: Error): void;
}

/**
 * The database, seen from the thread that serves: takes one batch at a time and says when it is on
 * the disk. A batch that fails has left nothing behind.
 */
export class Journal {
  readonly #worker: Worker;
  readonly #gone: Promise<void>;
  #waiting: Waiting | undefined;
  #lost: MeshError | undefined;
  #isClosed = false;
  #onLost: ((error: MeshError) => void) | undefined;

  /** Reads all rows, oldest first, before it resolves. */
  static async open(
    options: WriterOptions,
    onRows: (rows: readonly Row[]) => void,
  ): Promise<{ readonly journal: Journal; readonly compacted: number }> {
    const worker = new Worker(new URL("./writer.ts", import.meta.url), {
      workerData: options,
      execArgv: ["--disable-warning=ExperimentalWarning"],
    });
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    const fail = (error: unknown): void => reject(lost(options.path, error));
    const read = (message: FromWriter): void => {
      if (message.kind === "rows") onRows(message.rows);
      else if (message.kind === "failed") fail(new Error(message.message));
      else if (message.kind === "open") resolve(message.compacted);
    };
    worker.on("error", fail).on("message", read);
    try {
      const compacted = await promise;
      return { journal: new Journal(worker, options.path), compacted };
    } finally {
      worker.off("error", fail).off("message", read);
    }
  }

  private constructor(worker: Worker, path: string) {
    this.#worker = worker;
    worker.on("message", (message: FromWriter) => this.#answer(message));
    worker.on("error", (error) => this.#lose(lost(path, error)));
    this.#gone = new Promise((resolve) => {
      worker.once("exit", () => {
        this.#lose(lost(path, new Error("its thread ended")));
        resolve();
      });
    });
  }

  /** Why nothing can be written any more, if so: the outcome of a last batch is then unknown. */
  get failure(): MeshError | undefined {
    return this.#lost;
  }

  /** Resolves when the batch is durable. Not to be called while one is under way. */
  commit(batch: Batch): Promise<void> {
    if (this.#lost !== undefined) return Promise.reject(this.#lost);
    if (this.#waiting !== undefined) throw new Error("a batch is already under way");
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
      this.#worker.postMessage({ kind: "commit", batch } satisfies ToWriter);
    });
  }

  onLost(listener: (error: MeshError) => void): void {
    this.#onLost = listener;
  }

  /** Closes the database after the batch under way. */
  async close(): Promise<void> {
    this.#isClosed = true;
    if (this.#lost === undefined) this.#worker.postMessage({ kind: "close" } satisfies ToWriter);
    await this.#gone;
  }

  #answer(message: FromWriter): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (message.kind === "done") waiting?.resolve();
    else if (message.kind === "failed") {
      waiting?.reject(
        new MeshError(message.code, "self", `Cannot write to the store: ${message.message}`),
      );
    }
  }

  #lose(error: MeshError): void {
    const isNews = this.#lost === undefined && !this.#isClosed;
    this.#lost ??= error;
    if (isNews) this.#onLost?.(error);
    this.#waiting?.reject(this.#lost);
    this.#waiting = undefined;
  }
}

function lost(path: string, cause: unknown): MeshError {
  return new MeshError("store_lost", "self", `Cannot use the database ${path}`, { cause });
}
