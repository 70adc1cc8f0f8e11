import { digObject, type Json, type JsonObject } from "@heddle/apiserver/json/value";
import type { Column } from "@heddle/apiserver/kinds/resource-type";
import type { Entry } from "@heddle/apiserver/store/entry";
import { type Seen, toView, viewBytes } from "./present.ts";

/** In which form a client wants objects. */
export type Form =
  | { readonly kind: "object" }
  | { readonly kind: "partial" }
  | { readonly kind: "table"; readonly include: "Metadata" | "Object" | "None" };

/** Encodes objects of one resource in one form. */
export class Presenter {
  readonly #seen: Seen;
  readonly #form: Form;
  readonly #nowMs: () => number;

  constructor(seen: Seen, form: Form, nowMs: () => number) {
    this.#seen = seen;
    this.#form = form;
    this.#nowMs = nowMs;
  }

  /** One object. In a table it is a table of one row; `hasHeader` says whether with columns. */
  one(entry: Entry, hasHeader = true): Buffer {
    switch (this.#form.kind) {
      case "object":
        return viewBytes(entry, this.#seen);
      case "partial":
        return this.#partial(entry);
      default:
        return this.#table([entry], { resourceVersion: String(entry.rv) }, hasHeader);
    }
  }

  list(entries: readonly Entry[], metadata: JsonObject): Buffer {
    if (this.#form.kind === "table") return this.#table(entries, metadata, true);
    const { type, view } = this.#seen;
    const isPartial = this.#form.kind === "partial";
    const apiVersion = isPartial
      ? "meta.k8s.io/v1"
      : type.group === ""
        ? view.version
        : `${type.group}/${view.version}`;
    const kind = isPartial ? "PartialObjectMetadataList" : type.listKind;
    const head = JSON.stringify({ kind, apiVersion, metadata });
    const parts: Buffer[] = [Buffer.from(`${head.slice(0, -1)},"items":[`)];
    for (const [at, entry] of entries.entries()) {
      if (at > 0) parts.push(COMMA);
      parts.push(this.one(entry));
    }
    parts.push(END);
    return Buffer.concat(parts);
  }

  #partial(entry: Entry): Buffer {
    return entry.derive("partial", () => {
      const metadata = digObject(entry.object, "metadata") ?? {};
      return Buffer.from(JSON.stringify(partialOf(metadata)));
    });
  }

  #table(entries: readonly Entry[], metadata: JsonObject, hasHeader: boolean): Buffer {
    const { columns } = this.#seen.view;
    const nowMs = this.#nowMs();
    return Buffer.from(
      JSON.stringify({
        kind: "Table",
        apiVersion: "meta.k8s.io/v1",
        metadata,
        columnDefinitions: hasHeader ? columns.map(definitionOf) : [],
        rows: entries.map((entry) => this.#row(entry, columns, nowMs)),
      }),
    );
  }

  #row(entry: Entry, columns: readonly Column[], nowMs: number): JsonObject {
    const object = toView(entry.object, this.#seen);
    // Columns of built-in kinds read the stored form, which all their versions share.
    const source = this.#seen.type.isCustom ? object : entry.object;
    const cells = columns.map(({ value }) => value(source, nowMs) ?? null);
    const { include } = this.#form as Extract<Form, { kind: "table" }>;
    if (include === "None") return { cells };
    const whole = include === "Object" ? object : partialOf(digObject(object, "metadata") ?? {});
    return { cells, object: whole };
  }
}

const COMMA = Buffer.from(",");
const END = Buffer.from("]}\n");

function partialOf(metadata: JsonObject): JsonObject {
  return { kind: "PartialObjectMetadata", apiVersion: "meta.k8s.io/v1", metadata };
}

function definitionOf({ name, type, format, description, priority }: Column): Json {
  return { name, type, format: format ?? "", description, priority };
}
