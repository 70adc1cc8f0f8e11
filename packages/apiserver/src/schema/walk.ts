import { clone, isObject, type Json, type JsonObject, put } from "@heddle/apiserver/json/value";
import { fieldOf, type Schema } from "./schema.ts";

/** `spec.ports[0].name`; keys that are not plain words stand in brackets. */
export function joinPath(path: string, key: string | number): string {
  if (typeof key === "number") return `${path}[${key}]`;
  if (!/^[\w$-]+$/.test(key)) return `${path}[${key}]`;
  return path === "" ? key : `${path}.${key}`;
}

/**
 * Removes fields that the schema does not know, in place, and returns their paths. What stands
 * below a field that keeps unknown ones is still pruned where the schema says more.
 */
export function prune(value: Json, schema: Schema, isRoot = false): string[] {
  const dropped: string[] = [];
  pruneInto(value, schema, "", dropped, isRoot);
  return dropped;
}

/** Fields of every whole object, whether its schema names them or not. */
const ROOT_FIELDS = ["apiVersion", "kind", "metadata"];

function pruneInto(
  value: Json,
  schema: Schema,
  path: string,
  dropped: string[],
  isWhole: boolean,
): void {
  if (Array.isArray(value)) {
    const { items } = schema;
    if (items === undefined) return;
    for (const [at, item] of value.entries()) {
      pruneInto(item, items, joinPath(path, at), dropped, items.isEmbedded === true);
    }
    return;
  }
  if (!isObject(value)) return;
  for (const key of Object.keys(value)) {
    // A definition that says `metadata: {type: object}` does not mean that it has no fields.
    const isForeign = path === "" || !schema.properties?.has(key);
    if (isWhole && isForeign && ROOT_FIELDS.includes(key)) continue;
    const field = fieldOf(schema, key);
    if (field !== undefined) {
      pruneInto(value[key]!, field, joinPath(path, key), dropped, field.isEmbedded === true);
    } else if (schema.preservesUnknown !== true) {
      delete value[key];
      dropped.push(joinPath(path, key));
    }
  }
}

/** Fills in defaults, in place: fields that are absent, or null where null is not allowed. */
export function applyDefaults(value: Json, schema: Schema): void {
  if (Array.isArray(value)) {
    if (schema.items !== undefined) for (const item of value) applyDefaults(item, schema.items);
    return;
  }
  if (!isObject(value)) return;
  for (const [key, field] of schema.properties ?? []) {
    const present = Object.hasOwn(value, key) ? value[key] : undefined;
    const isMissing = present === undefined || (present === null && field.nullable !== true);
    if (isMissing && field.default !== undefined) put(value, key, clone(field.default));
    const now = Object.hasOwn(value, key) ? value[key] : undefined;
    if (now !== undefined) applyDefaults(now, field);
  }
  const { additionalProperties } = schema;
  if (additionalProperties === undefined) return;
  for (const key of Object.keys(value)) {
    if (!schema.properties?.has(key)) applyDefaults(value[key]!, additionalProperties);
  }
}

/**
 * Removes nulls in place, as decoding into the structs of a built-in type would: there, null is
 * the same as absence, and so is a map with no keys. Free-form fields keep theirs.
 */
export function dropNulls(value: Json, schema: Schema): void {
  if (schema.preservesUnknown === true) return;
  if (Array.isArray(value)) {
    if (schema.items !== undefined) for (const item of value) dropNulls(item, schema.items);
    return;
  }
  if (!isObject(value)) return;
  for (const key of Object.keys(value)) {
    const field = fieldOf(schema, key);
    if (isAbsent(value[key]!, field)) delete value[key];
    else if (field !== undefined) dropNulls(value[key]!, field);
  }
}

function isAbsent(value: Json, field: Schema | undefined): boolean {
  if (value === null) return field?.preservesUnknown !== true;
  const isOwnedByParts = Array.isArray(value) && field?.listType !== undefined;
  const isMap = isObject(value) && field?.additionalProperties !== undefined;
  return (isMap || isOwnedByParts) && field?.isAlways !== true && Object.keys(value).length === 0;
}

/** A shallow copy with apiVersion, kind and metadata in front, as clients like to read it. */
export function inOrder(object: JsonObject): JsonObject {
  const { apiVersion, kind, metadata, ...rest } = object as Record<string, Json>;
  return {
    ...(apiVersion === undefined ? {} : { apiVersion }),
    ...(kind === undefined ? {} : { kind }),
    ...(metadata === undefined ? {} : { metadata }),
    ...rest,
  };
}
