import type { CelInput } from "@bufbuild/cel";
import { isObject, type Json, type JsonObject } from "@heddle/apiserver/json/value";
import { fieldOf, type Schema } from "@heddle/apiserver/schema/schema";

/** What a property is called in expressions, where its name is no identifier or a word of CEL's. */
export function escapeName(name: string): string | undefined {
  if (RESERVED.has(name)) return `__${name}__`;
  if (!/^[A-Za-z_][\w.\-/]*$/.test(name)) return undefined;
  return name
    .replaceAll("__", "__underscores__")
    .replaceAll(".", "__dot__")
    .replaceAll("-", "__dash__")
    .replaceAll("/", "__slash__");
}

const RESERVED: ReadonlySet<string> = new Set([
  ...["true", "false", "null", "in", "as", "break", "const", "continue", "else", "for", "function"],
  ...["if", "import", "let", "loop", "package", "namespace", "return", "var", "void", "while"],
]);

/** Times and durations are values of their own in CEL; who has the engine knows how to make them. */
export type MakeTime = (kind: "timestamp" | "duration", text: string) => CelInput;

/** A JSON value as expressions see it: by its schema, integers are integers and times are times. */
export function toCel(value: Json, schema: Schema | undefined, makeTime: MakeTime): CelInput {
  if (value === null || typeof value === "boolean") return value;
  if (typeof value === "number") {
    const isInteger = schema?.type === "integer" || schema?.type === undefined;
    return isInteger && Number.isSafeInteger(value) ? BigInt(value) : value;
  }
  if (typeof value === "string") return textValue(value, schema?.format, makeTime);
  if (Array.isArray(value)) return value.map((item) => toCel(item, schema?.items, makeTime));
  return mapValue(value, schema, makeTime);
}

function textValue(text: string, format: string | undefined, makeTime: MakeTime): CelInput {
  if (format === "date-time") return makeTime("timestamp", text);
  if (format === "date") return makeTime("timestamp", `${text}T00:00:00Z`);
  if (format === "duration") return makeTime("duration", text);
  return format === "byte" ? Buffer.from(text, "base64") : text;
}

function mapValue(object: JsonObject, schema: Schema | undefined, makeTime: MakeTime): CelInput {
  const map = new Map<string, CelInput>();
  for (const [key, field] of Object.entries(object)) {
    const known = schema?.properties?.has(key) === true;
    const name = known ? escapeName(key) : key;
    if (name !== undefined) map.set(name, toCel(field, fieldOf(schema, key), makeTime));
  }
  return map;
}

/** The longest list or map in a value: what a loop over something of it may run through. */
export function longest(value: Json): number {
  if (Array.isArray(value))
    return value.reduce<number>((most, item) => Math.max(most, longest(item)), value.length);
  if (!isObject(value)) return 0;
  const fields = Object.values(value);
  return fields.reduce<number>((most, field) => Math.max(most, longest(field)), fields.length);
}
