import type { Json, JsonObject } from "@heddle/apiserver/json/value";
import type { StatusError } from "@heddle/apiserver/status-error";
import { Entry } from "@heddle/apiserver/store/entry";
import type { StoreEvent } from "@heddle/apiserver/store/history";
import type { Store } from "@heddle/apiserver/store/store";
import type { Presenter } from "./form.ts";
import type { Selection } from "./selection.ts";

/** Takes the lines of a watch. */
export interface WatchSink {
  /** One or more whole lines. */
  write(lines: Buffer): void;
}

/**
 * The lines of the event that is being told, made once for all watches of one form. Only the latest
 * event's are kept.
 */
export class LineCache {
  #entry: Entry | undefined;
  readonly #lines = new Map<string, Buffer>();

  get(entry: Entry, form: string, encode: () => Buffer): Buffer {
    if (this.#entry !== entry) {
      this.#entry = entry;
      this.#lines.clear();
    }
    let found = this.#lines.get(form);
    if (found === undefined) {
      found = encode();
      this.#lines.set(form, found);
    }
    return found;
  }
}

export interface WatchOptions {
  readonly store: Store;
  /** Key of the resource in the store. */
  readonly resource: string;
  readonly namespace: string;
  readonly selection: Selection;
  readonly presenter: Presenter;
  /** Where lines are shared with other watches, and the name of their form; undefined: nowhere. */
  readonly shared: { readonly cache: LineCache; readonly form: string } | undefined;
  readonly sink: WatchSink;
  /** What a bookmark calls itself. */
  readonly bookmark: { readonly apiVersion: string; readonly kind: string };
}

/** Where a watch begins: behind a revision, or with the objects that there are. */
export type Beginning =
  | { readonly kind: "revision"; readonly rv: number }
  | {
      readonly kind: "objects";
      /** A bookmark says which of the events was the last of these: a list that is streamed. */
      readonly hasEnd: boolean;
    };

/** On the bookmark behind the objects with which a watch begins. */
const INITIAL_EVENTS_END = "k8s.io/initial-events-end";

/** One client's view of the changes of a resource: the same events, as its selection sees them. */
export class Watch {
  readonly #options: WatchOptions;
  #unsubscribe: (() => void) | undefined;
  #lines: Buffer[] = [];
  #isFirst = true;
  #sentRv = 0;

  constructor(options: WatchOptions) {
    this.#options = options;
  }

  /** @throws StatusError 410 if the revision to begin behind is no longer kept. */
  start(beginning: Beginning): void {
    const { store, resource, namespace, selection } = this.#options;
    if (beginning.kind === "objects") {
      for (const entry of store.scan(resource, namespace)) {
        if (selection.has(entry)) this.#send("ADDED", entry);
      }
      this.#sentRv = store.revision;
    } else {
      for (const event of store.since(beginning.rv)) {
        const isOurs = event.entry.resource === resource;
        if (isOurs && (namespace === "" || event.entry.namespace === namespace)) this.#take(event);
      }
    }
    this.#flush();
    if (beginning.kind === "objects" && beginning.hasEnd) {
      this.#tellRevision({ annotations: { [INITIAL_EVENTS_END]: "true" } });
    }
    this.#unsubscribe = store.subscribe({
      resource,
      namespace,
      onEvent: (event) => this.#take(event),
      onFlush: () => this.#flush(),
    });
  }

  /** Tells the client how far it has seen, so that it can resume from there. */
  bookmark(): void {
    if (this.#options.store.revision > this.#sentRv) this.#tellRevision({});
  }

  stop(): void {
    this.#unsubscribe?.();
    this.#unsubscribe = undefined;
  }

  #tellRevision(more: JsonObject): void {
    const { store, bookmark, sink } = this.#options;
    this.#sentRv = store.revision;
    const metadata = { resourceVersion: String(this.#sentRv), creationTimestamp: null, ...more };
    sink.write(line("BOOKMARK", { ...bookmark, metadata }));
  }

  #take(event: StoreEvent): void {
    const { selection } = this.#options;
    const { entry, previous, rv } = event;
    const was = previous !== undefined && selection.has(previous);
    const is = event.type !== "DELETED" && selection.has(entry);
    if (is) this.#send(was ? "MODIFIED" : "ADDED", entry);
    // The last state has the revision of its end; it left the selection, or the world.
    else if (event.type === "DELETED" && (was || selection.has(entry)))
      this.#send("DELETED", entry);
    else if (was) this.#send("DELETED", withRevision(previous, rv));
    this.#sentRv = rv;
  }

  #send(type: string, entry: Entry): void {
    const { presenter, shared } = this.#options;
    const encode = (): Buffer =>
      Buffer.concat([
        Buffer.from(`{"type":"${type}","object":`),
        trimmed(presenter.one(entry, this.#isFirst)),
        LINE_END,
      ]);
    this.#lines.push(
      shared === undefined ? encode() : shared.cache.get(entry, `${type} ${shared.form}`, encode),
    );
    this.#isFirst = false;
  }

  #flush(): void {
    const lines = this.#lines;
    if (lines.length === 0) return;
    this.#lines = [];
    this.#options.sink.write(lines.length === 1 ? lines[0]! : Buffer.concat(lines));
  }
}

const LINE_END = Buffer.from("}\n");

/** Without a final newline. */
function trimmed(bytes: Buffer): Buffer {
  return bytes.at(-1) === 0x0a ? bytes.subarray(0, -1) : bytes;
}

function line(type: string, object: Json): Buffer {
  return Buffer.from(`${JSON.stringify({ type, object })}\n`);
}

/** The last line of a watch that cannot go on. */
export function errorLine(error: StatusError): Buffer {
  return line("ERROR", error.toStatus());
}

function withRevision(entry: Entry, rv: number): Entry {
  const { object } = entry;
  const metadata = { ...(object["metadata"] as object), resourceVersion: String(rv) };
  const copy = { ...object, metadata } as typeof object;
  return new Entry(entry, rv, JSON.stringify(copy), copy);
}
