import { parseJson } from "@heddle/apiserver/json/parse";
import { isObject, type Json, type JsonObject, put } from "@heddle/apiserver/json/value";
import { RAW_JSON, type Schema, type WireField } from "@heddle/apiserver/schema/schema";
import { BYTES, FIXED64, type Reader, VARINT } from "./reader.ts";

/** What the numbers of a message mean: fields, or messages whose fields JSON shows as its own. */
type Plan = ReadonlyMap<number, PlanField | Plan>;

interface PlanField {
  readonly key: string;
  readonly schema: Schema;
  readonly keepsZero: boolean;
}

/** Plans are made once for each type. */
const PLANS = new WeakMap<ReadonlyMap<string, WireField>, Plan>();

/**
 * Reads a message of a built-in type as the JSON that it would have been sent as. Zeros that mean
 * absence are left out.
 *
 * @throws SyntaxError on bytes that are no such message, TypeError on a field that cannot be read.
 */
export function decodeMessage(reader: Reader, schema: Schema): JsonObject {
  const object: JsonObject = {};
  readInto(object, reader, planOf(schema));
  return object;
}

function planOf(schema: Schema): Plan {
  const { wire, properties, name } = schema;
  if (wire === undefined || properties === undefined || (wire.size === 0 && properties.size > 0)) {
    throw new TypeError(`${name ?? "this type"} cannot be sent as protobuf: send JSON`);
  }
  const known = PLANS.get(wire);
  if (known !== undefined) return known;
  const plan = new Map<number, PlanField | Plan>();
  for (const [key, { path, keepsZero }] of wire) {
    let at = plan;
    for (const number of path.slice(0, -1)) {
      const below = (at.get(number) as Map<number, PlanField | Plan> | undefined) ?? new Map();
      at.set(number, below);
      at = below;
    }
    at.set(path.at(-1)!, { key, schema: properties.get(key)!, keepsZero });
  }
  PLANS.set(wire, plan);
  return plan;
}

function readInto(object: JsonObject, reader: Reader, plan: Plan): void {
  while (!reader.isAtEnd) {
    const { number, type } = reader.tag();
    const field = plan.get(number);
    if (field === undefined) reader.skip(type);
    else if (field instanceof Map) {
      expect(type, BYTES);
      readInto(object, reader.message(), field);
    } else readField(object, reader, field as PlanField, type);
  }
}

function readField(object: JsonObject, reader: Reader, field: PlanField, type: number): void {
  const { key, schema, keepsZero } = field;
  if (schema.type === "array") {
    const list = Object.hasOwn(object, key) ? (object[key] as Json[]) : [];
    put(object, key, list);
    readItems(list, reader, schema.items!, type);
    return;
  }
  if (schema.additionalProperties !== undefined) {
    const map = isObject(object[key]) ? object[key] : {};
    put(object, key, map);
    expect(type, BYTES);
    readEntry(map, reader.message(), schema.additionalProperties);
    return;
  }
  const value = readValue(reader, schema, type);
  const isZero = value === "" || value === 0 || value === false;
  if (value !== undefined && (keepsZero || !isZero)) put(object, key, value);
}

function readItems(list: Json[], reader: Reader, schema: Schema, type: number): void {
  if (schema.type === "integer" && type === BYTES) {
    const packed = reader.message();
    while (!packed.isAtEnd) list.push(packed.integer());
    return;
  }
  const value = readValue(reader, schema, type);
  if (value !== undefined) list.push(value);
}

function readEntry(map: JsonObject, reader: Reader, schema: Schema): void {
  let key = "";
  let value: Json | undefined;
  while (!reader.isAtEnd) {
    const { number, type } = reader.tag();
    if (number === 1) {
      expect(type, BYTES);
      key = reader.text();
    } else if (number !== 2) reader.skip(type);
    // A list as a map's value is a message of its own, with its items as field 1.
    else if (schema.type === "array") {
      expect(type, BYTES);
      value = readWrapped(reader.message(), schema.items!);
    } else value = readValue(reader, schema, type);
  }
  put(map, key, value ?? (schema.type === "string" ? "" : {}));
}

function readWrapped(reader: Reader, schema: Schema): Json[] {
  const items: Json[] = [];
  while (!reader.isAtEnd) {
    const { number, type } = reader.tag();
    if (number === 1) readItems(items, reader, schema, type);
    else reader.skip(type);
  }
  return items;
}

/** Undefined for a time that was not set. */
function readValue(reader: Reader, schema: Schema, type: number): Json | undefined {
  switch (schema.type) {
    case "boolean":
      expect(type, VARINT);
      return reader.varint() !== 0n;
    case "integer":
      expect(type, VARINT);
      return reader.integer();
    case "number":
      expect(type, FIXED64);
      return reader.double();
    case "string":
      expect(type, BYTES);
      return readText(reader, schema.format);
    case "object":
      expect(type, BYTES);
      return decodeMessage(reader.message(), schema);
    default:
      expect(type, BYTES);
      if (schema.format === "quantity") return textIn(reader.message());
      if (schema.format === "int-or-string") return intOrString(reader.message());
      if (schema.format === RAW_JSON) return rawJson(reader.message());
      throw new TypeError("free-form fields cannot be sent as protobuf: send JSON");
  }
}

function readText(reader: Reader, format: string | undefined): string | undefined {
  if (format === "byte") return Buffer.from(reader.bytes()).toString("base64");
  if (format === "date-time" || format === "date-time-micro") {
    return timestamp(reader.message(), format === "date-time-micro");
  }
  return reader.text();
}

function timestamp(reader: Reader, hasMicros: boolean): string | undefined {
  if (reader.isAtEnd) return undefined;
  let seconds = 0;
  let nanos = 0;
  while (!reader.isAtEnd) {
    const { number, type } = reader.tag();
    if (number === 1) seconds = reader.integer();
    else if (number === 2) nanos = reader.integer();
    else reader.skip(type);
  }
  const date = new Date(seconds * 1000);
  if (Number.isNaN(date.getTime())) throw new SyntaxError(`${seconds} is no time`);
  const text = date.toISOString().slice(0, 19);
  if (!hasMicros) return `${text}Z`;
  return `${text}.${String(Math.floor(nanos / 1000)).padStart(6, "0")}Z`;
}

function textIn(reader: Reader): string {
  let text = "";
  while (!reader.isAtEnd) {
    const { number, type } = reader.tag();
    if (number === 1 && type === BYTES) text = reader.text();
    else reader.skip(type);
  }
  return text;
}

/** A message whose only field is a JSON text. */
function rawJson(reader: Reader): Json | undefined {
  let value: Json | undefined;
  while (!reader.isAtEnd) {
    const { number, type } = reader.tag();
    if (number === 1 && type === BYTES) value = parseJson(reader.bytes());
    else reader.skip(type);
  }
  return value;
}

/** Field 1 says which of 2 (a number) and 3 (a text) is meant. */
function intOrString(reader: Reader): Json {
  let isText = false;
  let number = 0;
  let text = "";
  while (!reader.isAtEnd) {
    const tag = reader.tag();
    if (tag.number === 1) isText = reader.integer() === 1;
    else if (tag.number === 2) number = reader.integer();
    else if (tag.number === 3) text = reader.text();
    else reader.skip(tag.type);
  }
  return isText ? text : number;
}

function expect(type: number, wanted: number): void {
  if (type !== wanted) throw new SyntaxError(`a field has wire type ${type} in place of ${wanted}`);
}
