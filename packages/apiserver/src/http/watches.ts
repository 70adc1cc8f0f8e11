import type { ServerResponse } from "node:http";
import { apiVersionOf } from "@heddle/apiserver/kinds/resource-type";
import { Presenter } from "@heddle/apiserver/objects/form";
import { parseRevision } from "@heddle/apiserver/objects/lister";
import { Selection } from "@heddle/apiserver/objects/selection";
import type { Target } from "@heddle/apiserver/objects/target";
import { type Beginning, errorLine, LineCache, Watch } from "@heddle/apiserver/objects/watch";
import {
  type Cause,
  invalid,
  revisionTooLarge,
  StatusError,
  tooManyRequests,
} from "@heddle/apiserver/status-error";
import type { Store } from "@heddle/apiserver/store/store";
import type { Exchange } from "./exchange.ts";

export interface WatchLimits {
  /** Open at the same time. */
  readonly maxWatches: number;
  /** Bytes that wait for a client that does not read; then it is cut off, and must resume. */
  readonly maxBufferedBytes: number;
  readonly bookmarkMs: number;
}

export const DEFAULT_WATCH_LIMITS: WatchLimits = {
  maxWatches: 10_000,
  maxBufferedBytes: 8 * 1024 * 1024,
  bookmarkMs: 60_000,
};

/** Without a wish of the client's, watches end after half an hour to an hour. */
const MIN_LIFE_MS = 1_800_000;
const MAX_LIFE_MS = 86_400_000;

/** All open watches. */
export class Watches {
  readonly #store: Store;
  readonly #limits: WatchLimits;
  readonly #nowMs: () => number;
  readonly #open = new Set<OpenWatch>();
  readonly #lines = new LineCache();
  readonly #bookmarks: NodeJS.Timeout;
  #cutOff = 0;

  constructor(store: Store, limits: WatchLimits, nowMs: () => number) {
    this.#store = store;
    this.#limits = limits;
    this.#nowMs = nowMs;
    this.#bookmarks = setInterval(() => {
      for (const watch of this.#open) watch.bookmark();
    }, limits.bookmarkMs);
    this.#bookmarks.unref();
  }

  get size(): number {
    return this.#open.size;
  }

  /** How many clients were cut off because they did not read. */
  get cutOff(): number {
    return this.#cutOff;
  }

  /** Answers a request for a watch, and keeps it up. */
  open(exchange: Exchange, target: Target, name: string): void {
    const { query } = exchange;
    const { type, view, namespace } = target;
    const beginning = readBeginning(query, this.#store);
    if (name !== "") query.set("fieldSelector", `metadata.name=${name}`);
    const selection = Selection.parse(query, view);
    if (this.#open.size >= this.#limits.maxWatches) {
      throw tooManyRequests(`${this.#open.size} watches are open, which is the limit`);
    }
    const { form } = exchange;
    const presenter = new Presenter(target, form, this.#nowMs);
    const { response } = exchange;
    response.writeHead(200, {
      "content-type": "application/json",
      "cache-control": "no-cache, private",
    });
    response.flushHeaders();
    const watch = new Watch({
      store: this.#store,
      resource: type.key,
      namespace,
      selection,
      presenter,
      // Tables hold ages, and columns in their first line: they are made for each client.
      shared:
        form.kind === "table"
          ? undefined
          : { cache: this.#lines, form: `${form.kind} ${type.group}/${view.version}` },
      sink: { write: (lines) => open.write(lines) },
      bookmark:
        form.kind === "partial"
          ? { apiVersion: "meta.k8s.io/v1", kind: "PartialObjectMetadata" }
          : { apiVersion: apiVersionOf(type.group, view.version), kind: type.kind },
    });
    const open = new OpenWatch(watch, response, {
      lifeMs: readLife(query.get("timeoutSeconds")),
      hasBookmarks: query.get("allowWatchBookmarks") === "true",
      maxBufferedBytes: this.#limits.maxBufferedBytes,
      onEnd: (wasSlow) => {
        this.#open.delete(open);
        if (wasSlow) this.#cutOff++;
      },
    });
    this.#open.add(open);
    open.start(beginning);
  }

  /** Ends all watches; their clients resume elsewhere. */
  close(): void {
    clearInterval(this.#bookmarks);
    for (const watch of this.#open) watch.end();
  }
}

interface OpenOptions {
  readonly lifeMs: number;
  readonly hasBookmarks: boolean;
  readonly maxBufferedBytes: number;
  readonly onEnd: (wasSlow: boolean) => void;
}

class OpenWatch {
  readonly #watch: Watch;
  readonly #response: ServerResponse;
  readonly #options: OpenOptions;
  readonly #timer: NodeJS.Timeout;
  #isOpen = true;
  /** Bytes of the present objects, with which a watch begins; they may take their time. */
  #startBytes = 0;
  #isStarted = false;

  constructor(watch: Watch, response: ServerResponse, options: OpenOptions) {
    this.#watch = watch;
    this.#response = response;
    this.#options = options;
    this.#timer = setTimeout(() => this.end(), options.lifeMs);
    this.#timer.unref();
    response.once("close", () => this.#stop(false));
    response.on("error", () => this.#stop(false));
    response.once("drain", () => {
      this.#startBytes = 0;
    });
  }

  start(beginning: Beginning): void {
    try {
      this.#watch.start(beginning);
    } catch (error) {
      if (!(error instanceof StatusError)) throw error;
      this.#response.write(errorLine(error));
      this.end();
    }
    this.#isStarted = true;
  }

  write(lines: Buffer): void {
    if (!this.#isOpen) return;
    if (!this.#isStarted) this.#startBytes += lines.length;
    // What waits from before, so that one large event is not held against its reader.
    if (this.#response.writableLength > this.#options.maxBufferedBytes + this.#startBytes) {
      this.#stop(true);
      this.#response.destroy();
      return;
    }
    this.#response.write(lines);
  }

  bookmark(): void {
    if (this.#isOpen && this.#options.hasBookmarks) this.#watch.bookmark();
  }

  end(): void {
    if (!this.#isOpen) return;
    // A last bookmark, so that the client need not read again what it has seen.
    this.bookmark();
    this.#stop(false);
    this.#response.end();
  }

  #stop(wasSlow: boolean): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    clearTimeout(this.#timer);
    this.#watch.stop();
    this.#options.onEnd(wasSlow);
  }
}

/**
 * Where a watch begins: with the present objects, whose end a bookmark may tell, or behind a
 * revision.
 *
 * @throws StatusError 422 on parameters that do not go together, 504 on a revision from the future.
 */
function readBeginning(query: URLSearchParams, store: Store): Beginning {
  const initial = query.get("sendInitialEvents");
  checkMatch(query, initial !== null);
  const wanted = query.get("resourceVersion") ?? "";
  const rv = wanted === "" || wanted === "0" ? undefined : parseRevision(wanted);
  if (initial === null)
    return rv === undefined ? { kind: "objects", hasEnd: false } : { kind: "revision", rv };
  const sendsObjects = initial === "true" || initial === "1";
  if (!sendsObjects) return { kind: "revision", rv: rv ?? store.revision };
  if (rv !== undefined && rv > store.revision) throw revisionTooLarge(rv, store.revision);
  return { kind: "objects", hasEnd: query.get("allowWatchBookmarks") === "true" };
}

function checkMatch(query: URLSearchParams, hasInitial: boolean): void {
  const causes: Cause[] = [];
  const field = "resourceVersionMatch";
  const forbid = (why: string): void => {
    causes.push({ reason: "FieldValueForbidden", message: `Forbidden: ${why}`, field });
  };
  const match = query.get(field) ?? "";
  const isFit = match === "NotOlderThan";
  if (hasInitial && !isFit) {
    forbid("sendInitialEvents requires setting resourceVersionMatch to NotOlderThan");
  }
  if (match !== "") {
    if (!hasInitial) {
      forbid("resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided");
    }
    if (!isFit) {
      const message = `Unsupported value: ${JSON.stringify(match)}: supported values: "NotOlderThan"`;
      causes.push({ reason: "FieldValueNotSupported", message, field });
    }
    if ((query.get("continue") ?? "") !== "") {
      forbid("resourceVersionMatch is forbidden when continue is provided");
    }
  }
  if (causes.length > 0) throw invalid({ group: "meta.k8s.io", kind: "ListOptions" }, "", causes);
}

function readLife(text: string | null): number {
  if (text === null || !/^\d{1,9}$/.test(text) || text === "0") {
    return MIN_LIFE_MS * (1 + Math.random());
  }
  return Math.min(Number(text) * 1000, MAX_LIFE_MS);
}
