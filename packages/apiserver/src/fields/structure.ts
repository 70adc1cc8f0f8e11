import { isObject, type Json, type JsonObject, own, put } from "@heddle/apiserver/json/value";
import { META } from "@heddle/apiserver/kinds/built-in-types";
import { fieldOf, type Schema } from "@heddle/apiserver/schema/schema";
import type { Step } from "./field-set.ts";

/** How a value is owned: as one, by its keys, or by its items. */
export type Shape = "leaf" | "map" | "list";

/**
 * How a value of a schema is owned. Lists are one unless the schema says otherwise, maps are not.
 * Where the schema says nothing, the value itself does.
 */
export function shapeOf(value: Json | undefined, schema: Schema | undefined): Shape {
  if (Array.isArray(value)) {
    return schema?.listType === "map" || schema?.listType === "set" ? "list" : "leaf";
  }
  if (isObject(value)) return schema?.mapType === "atomic" ? "leaf" : "map";
  return "leaf";
}

/** The shape of two values of one field. Where they are of different ones, they are each one leaf. */
export function sharedShape(
  a: Json | undefined,
  b: Json | undefined,
  schema: Schema | undefined,
): Shape {
  if (isNothing(a)) return shapeOf(b, schema);
  if (isNothing(b)) return shapeOf(a, schema);
  const shape = shapeOf(a, schema);
  return shape === shapeOf(b, schema) ? shape : "leaf";
}

/** Absent or null, which stands for an empty list or map of whichever kind is wanted. */
export function isNothing(value: Json | undefined): value is null | undefined {
  return value === undefined || value === null;
}

export function isEmptyValue(value: Json | undefined): boolean {
  if (isNothing(value)) return true;
  if (Array.isArray(value)) return value.length === 0;
  return isObject(value) && Object.keys(value).length === 0;
}

/**
 * The step to an item of a list that is owned by its items.
 *
 * @throws SyntaxError on an item that has no identity.
 */
export function stepOf(item: Json, list: Schema): Step {
  if (list.listType === "set") {
    if (typeof item !== "object") return `v:${JSON.stringify(item)}`;
    throw new SyntaxError("a set has an element that is no scalar");
  }
  if (!isObject(item)) throw new SyntaxError("associative list has an element that is no map");
  const key: JsonObject = {};
  for (const name of [...(list.listMapKeys ?? [])].sort()) {
    const value = own(item, name) ?? list.items?.properties?.get(name)?.default;
    if (value !== undefined) put(key, name, value);
  }
  if (Object.keys(key).length === 0) {
    const names = JSON.stringify(list.listMapKeys ?? []);
    throw new SyntaxError(
      `associative list with keys has an element that omits all key fields ${names} (and doesn't have default values for any key fields)`,
    );
  }
  return `k:${JSON.stringify(key)}`;
}

/** The schema behind a step; undefined where anything goes. */
export function below(schema: Schema | undefined, step: Step): Schema | undefined {
  return step.startsWith("f:") ? fieldOf(schema, step.slice(2)) : schema?.items;
}

const wholes = new WeakMap<Schema, Schema>();

/** The schema of whole objects, with what all of them have. */
export function wholeSchema(schema: Schema): Schema {
  let whole = wholes.get(schema);
  if (whole === undefined) {
    const properties = new Map(schema.properties);
    properties.set("apiVersion", { type: "string" });
    properties.set("kind", { type: "string" });
    properties.set("metadata", META);
    whole = { ...schema, properties };
    wholes.set(schema, whole);
  }
  return whole;
}
