import type { Json } from "@heddle/apiserver/json/value";
import { ANYTHING, RAW_JSON, type Schema, type WireField } from "./schema.ts";

/**
 * Reads the notation in which built-in types are written:
 *
 *     ServicePort: 1:name string; 3:port* int32; 2:protocol (TCP|UDP) =TCP; 2.4:on bool?
 *
 * In front stands the field's number in protobuf, behind those of embedded messages that JSON does
 * not show. A star marks a required field; a question mark a scalar whose zero is not the same as
 * its absence, an exclamation mark what Go's structs always have. A type is a scalar below, the
 * name of a type, `[T]` a list, `{T}` a map, or an enumeration of strings. Behind it: `=value` a
 * default, `~key` a list that strategic merge merges by that key (`~` alone: a list of scalars),
 * `retain` a union whose other members it drops, `set` a list without duplicates, `#a,b` a list
 * with those keys (`#`: the merge key), `atomic` a map that one manager owns whole. A type of which
 * that is true everywhere says so behind its name: `RoleRef(atomic): …`.
 */
export function parseTypes(text: string): ReadonlyMap<string, Schema> {
  const sources = new Map<string, { readonly fields: string; readonly isAtomic: boolean }>();
  for (const paragraph of text.split(/\n(?=\S)/)) {
    const line = paragraph.replaceAll(/\s+/g, " ").trim();
    if (line === "") continue;
    const colon = line.indexOf(":");
    const head = line.slice(0, colon);
    const name = head.replace(/\(atomic\)$/, "");
    if (sources.has(name)) throw new SyntaxError(`type ${name} stands twice`);
    sources.set(name, { fields: line.slice(colon + 1).trim(), isAtomic: name !== head });
  }
  const types = new Map<string, Schema>();
  const resolve = (name: string): Schema => {
    const known = types.get(name);
    if (known !== undefined) return known;
    const source = sources.get(name);
    if (source === undefined) throw new SyntaxError(`no type ${name}`);
    const properties = new Map<string, Schema>();
    const required: string[] = [];
    const wire = new Map<string, WireField>();
    const atomic = source.isAtomic ? ({ mapType: "atomic" } as const) : {};
    const made: Schema = { name, type: "object", properties, required, wire, ...atomic };
    types.set(name, made);
    for (const field of source.fields.split("; ")) {
      if (field !== "") readField(field, resolve, { properties, required, wire });
    }
    return made;
  };
  for (const name of sources.keys()) resolve(name);
  return types;
}

type Resolve = (name: string) => Schema;

interface Parts {
  readonly properties: Map<string, Schema>;
  readonly required: string[];
  readonly wire: Map<string, WireField>;
}

function readField(text: string, resolve: Resolve, { properties, required, wire }: Parts): void {
  const [lead = "", typeText = "", ...marks] = text.split(" ");
  const [numbers, star] = lead.includes(":") ? lead.split(":") : ["", lead];
  const key = star!.replace(/\*$/, "");
  if (key !== star) required.push(key);
  const keepsZero = typeText.endsWith("?");
  const isAlways = typeText.endsWith("!");
  const type = keepsZero || isAlways ? typeText.slice(0, -1) : typeText;
  if (numbers !== "") wire.set(key, { path: numbers!.split(".").map(Number), keepsZero });
  let schema = readType(type, resolve);
  if (isAlways) schema = { ...schema, isAlways };
  for (const mark of marks) schema = readMark(mark, schema);
  if (schema.listType === "map" && schema.listMapKeys === undefined) {
    schema = { ...schema, listMapKeys: [schema.patchMergeKey!] };
  }
  properties.set(key, schema);
}

const SCALARS: ReadonlyMap<string, Schema> = new Map<string, Schema>([
  ["string", { type: "string" }],
  ["bool", { type: "boolean" }],
  ["int32", { type: "integer", format: "int32" }],
  ["int64", { type: "integer", format: "int64" }],
  ["number", { type: "number", format: "double" }],
  ["bytes", { type: "string", format: "byte" }],
  ["time", { type: "string", format: "date-time" }],
  ["micro-time", { type: "string", format: "date-time-micro" }],
  ["quantity", { isIntOrString: true, format: "quantity" }],
  ["int-or-string", { isIntOrString: true, format: "int-or-string" }],
  ["any", ANYTHING],
  ["json", { ...ANYTHING, format: RAW_JSON }],
]);

function readType(text: string, resolve: Resolve): Schema {
  const inner = text.slice(1, -1);
  if (text.startsWith("[")) return { type: "array", items: readType(inner, resolve) };
  if (text.startsWith("{"))
    return { type: "object", additionalProperties: readType(inner, resolve) };
  if (text.startsWith("(")) return { type: "string", enum: inner.split("|") };
  return SCALARS.get(text) ?? resolve(text);
}

function readMark(mark: string, schema: Schema): Schema {
  if (mark.startsWith("=")) return { ...schema, default: readDefault(mark.slice(1), schema) };
  if (mark === "~") return { ...schema, patchMerges: true };
  if (mark.startsWith("~")) return { ...schema, patchMerges: true, patchMergeKey: mark.slice(1) };
  if (mark === "retain") return { ...schema, patchRetainsKeys: true };
  if (mark === "atomic") return { ...schema, mapType: "atomic" };
  if (mark === "set") return { ...schema, listType: "set" };
  if (mark === "#") return { ...schema, listType: "map" };
  if (mark.startsWith("#")) {
    return { ...schema, listType: "map", listMapKeys: mark.slice(1).split(",") };
  }
  throw new SyntaxError(`unknown mark ${mark}`);
}

function readDefault(text: string, schema: Schema): Json {
  return schema.type === "string" ? text : (JSON.parse(text) as Json);
}
