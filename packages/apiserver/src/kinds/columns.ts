import { dig, digString, type Json, type JsonObject } from "@heddle/apiserver/json/value";
import { humanDuration } from "./duration.ts";
import type { Column } from "./resource-type.ts";

type Read = (object: JsonObject, nowMs: number) => Json | undefined;

export const NAME: Column = {
  name: "Name",
  type: "string",
  format: "name",
  description: "Name must be unique within a namespace.",
  priority: 0,
  value: (object) => digString(object, "metadata", "name"),
};

export const AGE: Column = {
  name: "Age",
  type: "string",
  description: "Time since the object was created.",
  priority: 0,
  value: (object, nowMs) => ageOf(digString(object, "metadata", "creationTimestamp"), nowMs),
};

export function column(name: string, value: Read, priority = 0): Column {
  return { name, type: "string", description: name, priority, value };
}

/** A column that shows one field. */
export function field(name: string, path: string, priority = 0): Column {
  const keys = path.split(".");
  return column(name, (object) => scalar(dig(object, ...keys)), priority);
}

/** A column with the number of items or keys of a field. */
export function countOf(name: string, path: string): Column {
  const keys = path.split(".");
  const value: Read = (object) => {
    const found = dig(object, ...keys);
    return typeof found === "object" && found !== null ? Object.keys(found).length : 0;
  };
  return { ...column(name, value), type: "integer" };
}

export function ageOf(timestamp: string | undefined, nowMs: number): string {
  const at = timestamp === undefined ? Number.NaN : Date.parse(timestamp);
  return Number.isNaN(at) ? "<unknown>" : humanDuration(nowMs - at);
}

function scalar(value: Json | undefined): Json | undefined {
  return typeof value === "object" && value !== null ? JSON.stringify(value) : value;
}

/** `a=1,b=2`, as selectors and labels are shown. */
export function pairs(value: Json | undefined): string {
  const entries = Object.entries(typeof value === "object" && value !== null ? value : {});
  return entries.length === 0 ? "<none>" : entries.map(([k, v]) => `${k}=${String(v)}`).join(",");
}
