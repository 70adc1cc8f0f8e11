import { isObject, type Json, type JsonObject } from "@heddle/apiserver/json/value";
import { fieldOf, type Schema, type SchemaType } from "@heddle/apiserver/schema/schema";
import { type Step, showPath } from "./field-set.ts";
import { shapeOf, stepOf } from "./structure.ts";

/** After so many problems the rest is not looked for. */
const MAX_PROBLEMS = 64;

/**
 * What keeps a configuration from being merged: fields that the schema does not know, values of
 * another type than it says, items of lists that cannot be told apart.
 */
export function configProblems(config: JsonObject, schema: Schema): string[] {
  const problems: string[] = [];
  const path: Step[] = [];
  const say = (what: string): void => {
    const at = showPath(path);
    problems.push(at === "" ? what : `${at}: ${what}`);
  };
  const visit = (value: Json, of: Schema | undefined): void => {
    if (problems.length >= MAX_PROBLEMS || value === null) return;
    const wanted = of?.type;
    if (wanted !== undefined && !isOf(value, wanted)) {
      say(`expected ${EXPECTED[wanted]}, got ${goValue(value, wanted)}`);
      return;
    }
    if (isObject(value)) {
      const isClosed = !isOpen(of);
      for (const [key, field] of Object.entries(value)) {
        const known = fieldOf(of, key);
        const isUnknown = known === undefined && isClosed;
        path.push(`f:${key}`);
        if (isUnknown) say("field not declared in schema");
        else visit(field, known);
        path.pop();
        // One of them is enough.
        if (isUnknown) return;
      }
    } else if (shapeOf(value, of) === "list") items(value as Json[], of!);
    else if (Array.isArray(value)) {
      for (const item of value) {
        path.push("v:0");
        visit(item, of?.items);
        path.pop();
      }
    }
  };
  const items = (list: readonly Json[], of: Schema): void => {
    const seen = new Set<Step>();
    for (const [at, item] of list.entries()) {
      let step: Step;
      try {
        step = stepOf(item, of);
      } catch (error) {
        if (!(error instanceof SyntaxError)) throw error;
        say(`element ${at}: ${error.message}`);
        continue;
      }
      if (seen.has(step)) say(`duplicate entries for key ${showPath([step])}`);
      seen.add(step);
      path.push(step);
      visit(item, of.items);
      path.pop();
    }
  };
  visit(config, schema);
  return problems;
}

const EXPECTED: Readonly<Record<SchemaType, string>> = {
  object: "map",
  array: "list",
  string: "string",
  integer: "numeric (int or float)",
  number: "numeric (int or float)",
  boolean: "boolean",
};

function isOf(value: Json, type: SchemaType): boolean {
  if (type === "array") return Array.isArray(value);
  if (type === "object") return isObject(value);
  if (type === "integer" || type === "number") return typeof value === "number";
  return typeof value === type;
}

/** Whether fields that a schema does not name may be there. */
function isOpen(schema: Schema | undefined): boolean {
  return schema === undefined || schema.preservesUnknown === true || schema.type === undefined;
}

/** A value as Go shows one that is not of the type that was wanted. */
function goValue(value: Json, wanted: SchemaType): string {
  if (wanted === "object" || wanted === "array") return `&{${shown(value)}}`;
  return `&value.valueUnstructured{Value:${shown(value)}}`;
}

function shown(value: Json): string {
  const text = JSON.stringify(value);
  return text.length <= 80 ? text : `${text.slice(0, 80)}…`;
}
