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
  for (const key of Object.keys(patch)) {
    if (key === DIRECTIVE || key === RETAIN_KEYS || key.startsWith(ELEMENT_ORDER)) continue;
    if (key.startsWith(DELETE_FROM)) {
      deleteScalars(target, key.slice(DELETE_FROM.length), patch[key]!);
    } else mergeField(target, key, patch[key]!, fieldOf(schema, key));
  }
  for (const key of Object.keys(patch)) {
    if (!key.startsWith(ELEMENT_ORDER)) continue;
    const field = key.slice(ELEMENT_ORDER.length);
    order(target, field, patch[key]!, fieldOf(schema, field));
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
    const merged = mergeObject(isObject(present) ? present : {}, value, schema);
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
    return [...present, ...clone(patch.filter((item) => !known.has(idOf(item))))];
  }
  if (patch.some((item) => isReplaceAll(item, mergeKey))) return withoutDirectives(patch);
  // By merge key, in order. Items without one keep their place under a key of their own.
  const result = new Map<string, Json>();
  for (const [at, item] of present.entries()) {
    const id = own(item, mergeKey);
    result.set(id === undefined ? `#${at}` : idOf(id), item);
  }
  for (const item of patch) {
    if (!isObject(item)) throw new SyntaxError(`a list merged by "${mergeKey}" holds objects`);
    const id = own(item, mergeKey);
    if (id === undefined) throw new SyntaxError(`an item lacks its merge key "${mergeKey}"`);
    const before = result.get(idOf(id));
    const merged = mergeObject(isObject(before) ? before : {}, item, schema.items);
    if (merged === undefined) result.delete(idOf(id));
    else result.set(idOf(id), merged);
  }
  return [...result.values()];
}

/** Of a scalar: two that are equal have the same, a number and its text do not. */
function idOf(value: Json | undefined): string {
  return JSON.stringify(value) ?? "";
}

/** `{"$patch": "replace"}` as an item of its own makes the patch's list the new list. */
function isReplaceAll(item: Json, mergeKey: string): boolean {
  return own(item, DIRECTIVE) === "replace" && own(item, mergeKey) === undefined;
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
    else put(copy, key, isObject(value) ? strip(value) : value);
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

/**
 * Orders a list as the patch says. Items that the patch does not name keep their place relative to
 * the named item that they stood behind.
 */
function order(target: JsonObject, key: string, wanted: Json, schema: Schema | undefined): void {
  const present = own(target, key);
  if (!Array.isArray(wanted)) throw new SyntaxError(`${ELEMENT_ORDER}${key} is not a list`);
  if (!Array.isArray(present)) return;
  const mergeKey = schema?.patchMergeKey;
  const id = (item: Json): string => idOf(mergeKey === undefined ? item : own(item, mergeKey));
  const ranks = new Map(wanted.map((item, rank) => [id(item), rank]));
  let last = -1;
  const ranked = present.map((item, at) => {
    const rank = ranks.get(id(item));
    if (rank !== undefined) last = rank;
    return { item, rank: last, at, isNamed: rank !== undefined };
  });
  ranked.sort((a, b) => a.rank - b.rank || Number(b.isNamed) - Number(a.isNamed) || a.at - b.at);
  put(
    target,
    key,
    ranked.map(({ item }) => item),
  );
}
