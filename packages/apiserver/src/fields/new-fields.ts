import { isObject, type Json, type JsonObject, put } from "@heddle/apiserver/json/value";
import { fieldOf, type Schema } from "@heddle/apiserver/schema/schema";
import type { Step } from "./field-set.ts";
import { isEmptyValue, shapeOf, stepOf } from "./structure.ts";

/** Says of a path that has others below it that it is owned itself. */
const SELF = ".";

/** Of a new object, what nobody owns, for the server alone decides it. */
export interface ServersFields {
  /** Of the object itself. */
  readonly root: ReadonlySet<string>;
  readonly metadata: ReadonlySet<string>;
}

/**
 * Fields of a new object, as FieldsV1: all of them are its author's. The same as comparing it with
 * nothing, but written down at once, since this is done for every object that is made.
 */
export function newFields(
  object: JsonObject,
  schema: Schema,
  { root, metadata }: ServersFields,
): JsonObject {
  const fields: JsonObject = {};
  for (const key of Object.keys(object).sort()) {
    if (root.has(key)) continue;
    const value = object[key]!;
    const field = fieldOf(schema, key);
    if (key !== "metadata" || !isObject(value)) {
      add(fields, `f:${key}`, value, field, true);
      continue;
    }
    const below: JsonObject = {};
    for (const name of Object.keys(value).sort()) {
      if (metadata.has(name)) continue;
      add(below, `f:${name}`, value[name]!, fieldOf(field, name), true);
    }
    if (Object.keys(below).length > 0) fields["f:metadata"] = below;
  }
  return fields;
}

/** @param isThere - Whether what is around the value is there in an empty object, too. */
function add(
  fields: JsonObject,
  step: Step,
  value: Json,
  schema: Schema | undefined,
  isThere: boolean,
): void {
  const isNew = !isThere || schema?.isAlways !== true;
  const shape = shapeOf(value, schema);
  if (shape === "leaf" || isEmptyValue(value)) {
    if (isNew || !isEmptyValue(value)) put(fields, step, {});
    return;
  }
  const below: JsonObject = isNew ? { [SELF]: {} } : {};
  if (shape === "list") addItems(below, value as Json[], schema!);
  else {
    for (const key of Object.keys(value as JsonObject).sort()) {
      add(below, `f:${key}`, (value as JsonObject)[key]!, fieldOf(schema, key), !isNew);
    }
  }
  const count = Object.keys(below).length;
  // Alone, to be owned itself is said by an empty object.
  if (isNew && count === 1) put(fields, step, {});
  else if (count > 0) put(fields, step, below);
}

function addItems(fields: JsonObject, list: readonly Json[], schema: Schema): void {
  const items = new Map<Step, Json | undefined>();
  // Several items with one identity are owned together, by that alone.
  for (const item of list) {
    const step = stepOf(item, schema);
    items.set(step, items.has(step) ? undefined : item);
  }
  for (const step of [...items.keys()].sort()) {
    const item = items.get(step);
    if (item === undefined) put(fields, step, {});
    else add(fields, step, item, schema.items, false);
  }
}
