import { fieldOf, type Schema } from "@heddle/apiserver/schema/schema";
import { clone, isObject, type Json, type JsonObject, own, put } from "./value.ts";

const DELETE_FROM = "$deleteFromPrimitiveList/";
const ELEMENT_ORDER = "$setElementOrder/";
const RETAIN_KEYS = "$retainKeys";
const DIRECTIVE = "$patch";

/**
 * Applies a strategic merge patch to a copy: as a merge patch, but lists whose schema says so are
 * merged by a key, and directives in the patch delete, replace, order and retain.
 *
 * @throws SyntaxError on a directive that does not fit.
 */
export function applyStrategicMerge(document: JsonObject, patch: Json, schema: Schema): JsonObject {
  if (!isObject(patch)) throw new SyntaxError("a strategic merge patch is an object");
  const merged = mergeObject(clone(document), patch, schema);
  return merged ?? {};
}

/** Undefined if the patch deletes the object. */
function mergeObject(
  target: JsonObject,
  patch: JsonObject,
  schema: Schema | undefined,
): JsonObject | undefined {
  const directive = own(patch, DIRECTIVE);
  if (directive === "replace") return strip(patch);
  if (directive === "delete") return undefined;
  if (directive !== undefined && directive !== "merge") {
    throw new SyntaxError(`unknown directive ${JSON.stringify(directive)}`);
  }
  retainKeys(target, patch);
  const before = { ...target };
  for (const key of Object.keys(patch)) {
    if (key === DIRECTIVE || key === RETAIN_KEYS || key.startsWith(ELEMENT_ORDER)) continue;
    if (key.startsWith(DELETE_FROM)) {
      deleteScalars(target, key.slice(DELETE_FROM.length), patch[key]!);
    } else mergeField(target, key, patch[key]!, fieldOf(schema, key));
  }
  for (const key of Object.keys(patch)) {
    if (!key.startsWith(ELEMENT_ORDER)) continue;
    const field = key.slice(ELEMENT_ORDER.length);
    order(
      target,
      field,
      { wanted: patch[key]!, before: own(before, field) },
      fieldOf(schema, field),
    );
  }
  return target;
}

function mergeField(
  target: JsonObject,
  key: string,
  value: Json,
  schema: Schema | undefined,
): void {
  if (value === null) {
    delete target[key];
    return;
  }
  const present = own(target, key);
  if (isObject(value)) {
    const merged = isObject(present) ? mergeObject(present, value, schema) : taken(value);
    if (merged === undefined) delete target[key];
    else put(target, key, merged);
    return;
  }
  const merges = schema?.patchMerges === true && Array.isArray(value) && Array.isArray(present);
  if (merges) put(target, key, mergeList(present, value, schema));
  else put(target, key, Array.isArray(value) ? withoutDirectives(value) : clone(value));
}

function mergeList(present: readonly Json[], patch: readonly Json[], schema: Schema): Json[] {
  const mergeKey = schema.patchMergeKey;
  if (mergeKey === undefined) {
    const known = new Set(present.map(idOf));
    const merged = [...present, ...clone(patch.filter((item) => !known.has(idOf(item))))];
    return arrange(merged, patch.map(idOf), present.map(idOf), idOf);
  }
  // One item that says so makes the patch's others the new list.
  if (patch.some((item) => own(item, DIRECTIVE) === "replace")) {
    return withoutDirectives(patch.filter((item) => own(item, DIRECTIVE) === undefined));
  }
  // By merge key, in order. Items without one keep their place under a key of their own.
  const result = new Map<string, Json>();
  for (const [at, item] of present.entries()) {
    const id = own(item, mergeKey);
    result.set(id === undefined ? `#${at}` : idOf(id), item);
  }
  const before = [...result.keys()];
  const named: string[] = [];
  for (const item of patch) {
    if (!isObject(item)) throw new SyntaxError(`a list merged by "${mergeKey}" holds objects`);
    const id = own(item, mergeKey);
    if (id === undefined) throw new SyntaxError(`an item lacks its merge key "${mergeKey}"`);
    const known = result.get(idOf(id));
    const merged = isObject(known) ? mergeObject(known, item, schema.items) : taken(item);
    if (merged === undefined) result.delete(idOf(id));
    else {
      result.set(idOf(id), merged);
      named.push(idOf(id));
    }
  }
  return arrange([...result.keys()], named, before, (id) => id).map((id) => result.get(id)!);
}

/**
 * Puts what a patch names in the patch's order, and everything else in the order that it had. Where
 * that does not say which of two comes first, the patch's does.
 */
function arrange<T>(
  items: readonly T[],
  named: readonly string[],
  before: readonly string[],
  idOfItem: (item: T) => string,
): T[] {
  const ranks = new Map(named.map((id, rank) => [id, rank]));
  const places = new Map(before.map((id, place) => [id, place]));
  const rankOf = (item: T): number => ranks.get(idOfItem(item)) ?? -1;
  const placeOf = (item: T): number => places.get(idOfItem(item)) ?? -1;
  const ours = items.filter((item) => rankOf(item) >= 0).sort((a, b) => rankOf(a) - rankOf(b));
  const others = items.filter((item) => rankOf(item) < 0).sort((a, b) => placeOf(a) - placeOf(b));
  const arranged: T[] = [];
  for (const other of others) {
    while (ours.length > 0) {
      const next = ours[0]!;
      if (placeOf(next) >= 0 && placeOf(other) >= 0 && placeOf(other) < placeOf(next)) break;
      arranged.push(ours.shift()!);
    }
    arranged.push(other);
  }
  return [...arranged, ...ours];
}

/** A patch of what is not there yet, as a value; undefined if it deletes. */
function taken(patch: JsonObject): JsonObject | undefined {
  return own(patch, DIRECTIVE) === "delete" ? undefined : strip(patch);
}

/** Of a scalar: two that are equal have the same, a number and its text do not. */
function idOf(value: Json | undefined): string {
  return JSON.stringify(value) ?? "";
}

function withoutDirectives(list: readonly Json[]): Json[] {
  const kept: Json[] = [];
  for (const item of list) {
    const directive = own(item, DIRECTIVE);
    if (directive === "delete") continue;
    if (directive === "replace" && Object.keys(item as JsonObject).length === 1) continue;
    kept.push(isObject(item) ? strip(item) : clone(item));
  }
  return kept;
}

function strip(object: JsonObject): JsonObject {
  const copy: JsonObject = {};
  for (const key of Object.keys(object)) {
    if (key === DIRECTIVE || key === RETAIN_KEYS) continue;
    if (key.startsWith(DELETE_FROM) || key.startsWith(ELEMENT_ORDER)) continue;
    const value = object[key]!;
    if (Array.isArray(value)) put(copy, key, withoutDirectives(value));
    else if (!isObject(value)) put(copy, key, value);
    else {
      const kept = taken(value);
      if (kept !== undefined) put(copy, key, kept);
    }
  }
  return copy;
}

function deleteScalars(target: JsonObject, key: string, list: Json): void {
  const present = own(target, key);
  if (!Array.isArray(list)) throw new SyntaxError(`${DELETE_FROM}${key} is not a list`);
  if (!Array.isArray(present)) return;
  const gone = new Set(list.map(idOf));
  put(
    target,
    key,
    present.filter((item) => !gone.has(idOf(item))),
  );
}

function retainKeys(target: JsonObject, patch: JsonObject): void {
  const list = own(patch, RETAIN_KEYS);
  if (list === undefined) return;
  if (!Array.isArray(list)) throw new SyntaxError(`${RETAIN_KEYS} is not a list`);
  const kept = new Set(list);
  for (const key of Object.keys(target)) if (!kept.has(key)) delete target[key];
}

interface Order {
  readonly wanted: Json;
  /** The list before the patch, which orders what the patch does not name. */
  readonly before: Json | undefined;
}

/** Orders a list as the patch says. */
function order(
  target: JsonObject,
  key: string,
  { wanted, before }: Order,
  schema: Schema | undefined,
): void {
  const present = own(target, key);
  if (!Array.isArray(wanted)) throw new SyntaxError(`${ELEMENT_ORDER}${key} is not a list`);
  if (!Array.isArray(present)) return;
  const mergeKey = schema?.patchMergeKey;
  const id = (item: Json): string => idOf(mergeKey === undefined ? item : own(item, mergeKey));
  const places = Array.isArray(before) ? before.map(id) : [];
  put(target, key, arrange(present, wanted.map(id), places, id));
}
