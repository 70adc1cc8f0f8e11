import { equal, isObject, type Json, type JsonObject, own } from "@heddle/apiserver/json/value";
import type { Cause } from "@heddle/apiserver/status-error";
import { hasFormat } from "./formats.ts";
import type { Schema, SchemaType } from "./schema.ts";
import { joinPath } from "./walk.ts";

/** After so many problems the rest is not looked for. */
const MAX_CAUSES = 64;

/** Everything that is wrong with a value, with the path of each. */
export function validate(value: Json, schema: Schema, path = ""): Cause[] {
  const causes: Cause[] = [];
  check(value, schema, path, causes);
  return causes.slice(0, MAX_CAUSES);
}

function check(value: Json, schema: Schema, path: string, causes: Cause[]): void {
  if (causes.length >= MAX_CAUSES) return;
  if (value === null) {
    if (schema.nullable !== true && hasType(schema)) causes.push(wrongType(path, value, schema));
    return;
  }
  if (!isOfType(value, schema)) {
    causes.push(wrongType(path, value, schema));
    return;
  }
  if (schema.enum !== undefined && !schema.enum.some((allowed) => equal(allowed, value))) {
    causes.push(unsupported(path, value, schema.enum));
  }
  if (typeof value === "string") checkString(value, schema, path, causes);
  else if (typeof value === "number") checkNumber(value, schema, path, causes);
  else if (Array.isArray(value)) checkArray(value, schema, path, causes);
  else if (isObject(value)) checkObject(value, schema, path, causes);
  checkCombinations(value, schema, path, causes);
}

function hasType(schema: Schema): boolean {
  return schema.type !== undefined || schema.isIntOrString === true;
}

function isOfType(value: Json, schema: Schema): boolean {
  if (schema.isIntOrString === true && schema.type === undefined) {
    if (schema.format === "quantity" && typeof value === "number") return true;
    return typeof value === "string" || Number.isInteger(value);
  }
  return schema.type === undefined || isType(value, schema.type);
}

function isType(value: Json, type: SchemaType): boolean {
  if (type === "array") return Array.isArray(value);
  if (type === "object") return isObject(value);
  if (type === "integer") return Number.isSafeInteger(value);
  return typeof value === type;
}

function checkString(value: string, schema: Schema, path: string, causes: Cause[]): void {
  // In characters, as the API counts; the length in UTF-16 units is never less.
  const length = value.length;
  const { maxLength, minLength, pattern, format } = schema;
  if (maxLength !== undefined && length > maxLength && [...value].length > maxLength) {
    const message = `Too long: may not be more than ${maxLength} characters`;
    causes.push({ reason: "FieldValueTooLong", message, field: path });
    // A pattern is not run over what is too long already.
    return;
  }
  if (minLength !== undefined && [...value.slice(0, 2 * minLength)].length < minLength) {
    causes.push(wrong(path, value, `should be at least ${minLength} chars long`));
  }
  if (pattern !== undefined && !pattern.matches(value)) {
    causes.push(wrong(path, value, `should match '${pattern.text}'`));
  }
  if (format !== undefined && !hasFormat(value, format)) {
    causes.push(wrong(path, value, `must be of type ${format}`));
  }
}

function checkNumber(value: number, schema: Schema, path: string, causes: Cause[]): void {
  const { minimum, maximum, multipleOf, format } = schema;
  const say = (what: string): void => {
    causes.push(wrong(path, value, `should be ${what}`));
  };
  if (minimum !== undefined) {
    if (schema.exclusiveMinimum === true && value <= minimum) say(`greater than ${minimum}`);
    else if (value < minimum) say(`greater than or equal to ${minimum}`);
  }
  if (maximum !== undefined) {
    if (schema.exclusiveMaximum === true && value >= maximum) say(`less than ${maximum}`);
    else if (value > maximum) say(`less than or equal to ${maximum}`);
  }
  if (multipleOf !== undefined && !isMultiple(value, multipleOf))
    say(`a multiple of ${multipleOf}`);
  if (format === "int32" && (value > 0x7fffffff || value < -0x80000000)) say("a 32-bit integer");
}

function isMultiple(value: number, of: number): boolean {
  const quotient = value / of;
  return Math.abs(quotient - Math.round(quotient)) < 1e-9;
}

function checkArray(value: readonly Json[], schema: Schema, path: string, causes: Cause[]): void {
  const { minItems, maxItems, items, listType, uniqueItems } = schema;
  if (maxItems !== undefined && value.length > maxItems) {
    const message = `Too many: ${value.length}: must have at most ${maxItems} items`;
    causes.push({ reason: "FieldValueTooMany", message, field: path });
    return;
  }
  if (minItems !== undefined && value.length < minItems) {
    causes.push(wrong(path, value.length, `should have at least ${minItems} items`));
  }
  for (const [at, item] of value.entries()) {
    if (items !== undefined) check(item, items, joinPath(path, at), causes);
  }
  if (listType === "set" || uniqueItems === true) checkUnique(value, path, causes, identity);
  else if (listType === "map") {
    const keys = schema.listMapKeys ?? [];
    checkUnique(value, path, causes, (item) => keys.map((key) => keyPart(item, key, items)));
  }
}

function identity(item: Json): Json {
  return item;
}

/** A key of a list that is absent counts as its default. */
function keyPart(item: Json, key: string, items: Schema | undefined): Json {
  return own(item, key) ?? items?.properties?.get(key)?.default ?? null;
}

function checkUnique(
  value: readonly Json[],
  path: string,
  causes: Cause[],
  keyOf: (item: Json) => Json,
): void {
  const seen = new Set<string>();
  for (const [at, item] of value.entries()) {
    const key = JSON.stringify(keyOf(item));
    if (seen.has(key)) {
      const message = `Duplicate value: ${shown(keyOf(item))}`;
      causes.push({ reason: "FieldValueDuplicate", message, field: joinPath(path, at) });
    }
    seen.add(key);
  }
}

function checkObject(value: JsonObject, schema: Schema, path: string, causes: Cause[]): void {
  const { required, properties, additionalProperties, minProperties, maxProperties } = schema;
  const keys = Object.keys(value);
  if (maxProperties !== undefined && keys.length > maxProperties) {
    const message = `Too many: ${keys.length}: must have at most ${maxProperties} items`;
    causes.push({ reason: "FieldValueTooMany", message, field: path });
    return;
  }
  if (minProperties !== undefined && keys.length < minProperties) {
    causes.push(wrong(path, keys.length, `should have at least ${minProperties} properties`));
  }
  for (const key of required ?? []) {
    if (!Object.hasOwn(value, key)) {
      const field = joinPath(path, key);
      causes.push({ reason: "FieldValueRequired", message: "Required value", field });
    }
  }
  for (const key of keys) {
    const field = properties?.get(key) ?? additionalProperties;
    if (field !== undefined) check(value[key]!, field, joinPath(path, key), causes);
  }
}

function checkCombinations(value: Json, schema: Schema, path: string, causes: Cause[]): void {
  for (const part of schema.allOf ?? []) check(value, part, path, causes);
  const { anyOf, oneOf, not } = schema;
  if (anyOf !== undefined && !anyOf.some((part) => isValid(value, part))) {
    causes.push(mismatch(path, value, "must validate at least one schema (anyOf)"));
  }
  if (oneOf !== undefined && oneOf.filter((part) => isValid(value, part)).length !== 1) {
    causes.push(mismatch(path, value, "must validate one and only one schema (oneOf)"));
  }
  if (not !== undefined && isValid(value, not)) {
    causes.push(mismatch(path, value, "must not validate the schema (not)"));
  }
}

function isValid(value: Json, schema: Schema): boolean {
  const causes: Cause[] = [];
  check(value, schema, "", causes);
  return causes.length === 0;
}

function mismatch(path: string, value: Json, what: string): Cause {
  const message = `Invalid value: ${shown(value)}: ${path === "" ? "<nil>" : path} ${what}`;
  return { reason: "FieldValueInvalid", message, field: path };
}

function wrong(path: string, value: Json, what: string): Cause {
  const message = `Invalid value: ${shown(value)}: ${path} in body ${what}`;
  return { reason: "FieldValueInvalid", message, field: path };
}

function wrongType(path: string, value: Json, schema: Schema): Cause {
  const wanted = schema.type ?? "integer or string";
  const is = value === null ? "null" : Array.isArray(value) ? "array" : typeof value;
  const message = `Invalid value: "${is}": ${path} in body must be of type ${wanted}: "${is}"`;
  return { reason: "FieldValueTypeInvalid", message, field: path };
}

function unsupported(path: string, value: Json, allowed: readonly Json[]): Cause {
  const list = allowed.map((one) => JSON.stringify(one)).join(", ");
  const message = `Unsupported value: ${shown(value)}: supported values: ${list}`;
  return { reason: "FieldValueNotSupported", message, field: path };
}

/** A value as a message shows it: a client's text comes back to it, but never at length. */
function shown(value: Json): string {
  const text = JSON.stringify(value);
  return text.length <= 200 ? text : `${text.slice(0, 200)}…`;
}
