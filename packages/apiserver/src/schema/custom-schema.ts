import {
  digArray,
  digString,
  isObject,
  type Json,
  type JsonObject,
  own,
} from "@heddle/apiserver/json/value";
import type { Cause } from "@heddle/apiserver/status-error";
import { compilePattern } from "@heddle/model/pattern";
import type { Rule, Schema, SchemaType, TextMatcher } from "./schema.ts";
import { validate } from "./validate.ts";
import { joinPath } from "./walk.ts";

/** Compiled schema, and everything that keeps it from being a structural one. */
export interface CustomSchema {
  readonly schema: Schema;
  readonly causes: readonly Cause[];
}

/** Schemas with more nodes than this are refused. */
const MAX_NODES = 20_000;

/** Where in the document a node stands decides what it may say. */
interface Site {
  readonly path: string;
  /** Inside of allOf, anyOf, oneOf or not: only value validations. */
  readonly isLogical: boolean;
  readonly isRoot: boolean;
}

/** Compiles the `openAPIV3Schema` of a version, at `path` in its CustomResourceDefinition. */
export function compileSchema(source: Json, path: string): CustomSchema {
  const compiler = new Compiler();
  const schema = compiler.compile(source, { path, isLogical: false, isRoot: true });
  return { schema, causes: compiler.causes };
}

const TYPES: readonly string[] = ["object", "array", "string", "integer", "number", "boolean"];

/** Keywords of JSON Schema that structural schemas have not. */
const FORBIDDEN: readonly string[] = [
  "$ref",
  "$schema",
  "id",
  "definitions",
  "dependencies",
  "patternProperties",
  "additionalItems",
];

class Compiler {
  readonly causes: Cause[] = [];
  #nodes = 0;

  compile(source: Json, site: Site): Schema {
    const { path } = site;
    if (!isObject(source)) {
      this.#refuse(path, "must be an object");
      return {};
    }
    if (++this.#nodes > MAX_NODES) {
      if (this.#nodes === MAX_NODES + 1) this.#refuse(path, `more than ${MAX_NODES} nodes`);
      return {};
    }
    for (const key of FORBIDDEN) {
      if (own(source, key) !== undefined) this.#forbid(joinPath(path, key));
    }
    const schema: Mutable<Schema> = {
      ...this.#values(source, path),
      ...this.#combinations(source, site),
    };
    const isIntOrString = own(source, "x-kubernetes-int-or-string") === true;
    const preservesUnknown = own(source, "x-kubernetes-preserve-unknown-fields") === true;
    const type = own(source, "type");
    if (typeof type === "string" && TYPES.includes(type)) schema.type = type as SchemaType;
    else if (type !== undefined && type !== "") this.#refuse(`${path}.type`, "unknown type");
    else if (!site.isLogical && !isIntOrString && !preservesUnknown) {
      const field = `${path}.type`;
      const message = "Required value: must not be empty for specified object fields";
      this.causes.push({ reason: "FieldValueRequired", message, field });
    }
    if (site.isRoot && schema.type !== undefined && schema.type !== "object") {
      this.#refuse(`${path}.type`, "must be object at the root");
    }
    if (isIntOrString) schema.isIntOrString = true;
    if (preservesUnknown) schema.preservesUnknown = true;
    if (own(source, "x-kubernetes-embedded-resource") === true) schema.isEmbedded = true;
    this.#children(source, site, schema);
    this.#lists(source, path, schema);
    this.#default(source, path, schema);
    this.#rules(source, site, schema);
    return schema;
  }

  #children(source: JsonObject, { path, isLogical }: Site, schema: Mutable<Schema>): void {
    const below = (key: string): Site => ({ path: `${path}.${key}`, isLogical, isRoot: false });
    const properties = own(source, "properties");
    if (isObject(properties)) {
      const compiled = new Map<string, Schema>();
      for (const [key, value] of Object.entries(properties)) {
        compiled.set(key, this.compile(value, below(`properties[${key}]`)));
      }
      schema.properties = compiled;
    }
    const additional = own(source, "additionalProperties");
    if (isObject(additional)) {
      schema.additionalProperties = this.compile(additional, below("additionalProperties"));
      if (isObject(properties) && Object.keys(properties).length > 0) {
        this.#forbid(`${path}.additionalProperties`, "together with properties");
      }
    } else if (additional === true) schema.additionalProperties = { preservesUnknown: true };
    const items = own(source, "items");
    if (isObject(items)) schema.items = this.compile(items, below("items"));
    else if (Array.isArray(items)) this.#forbid(`${path}.items`, "a list of schemas");
    else if (schema.type === "array" && !isLogical) {
      const message = "Required value: must be specified";
      this.causes.push({ reason: "FieldValueRequired", message, field: `${path}.items` });
    }
  }

  #lists(source: JsonObject, path: string, schema: Mutable<Schema>): void {
    const listType = own(source, "x-kubernetes-list-type");
    if (listType === "atomic" || listType === "set" || listType === "map") {
      schema.listType = listType;
    } else if (listType !== undefined) {
      this.#refuse(`${path}.x-kubernetes-list-type`, "must be atomic, set or map");
    }
    const keys = digArray(source, "x-kubernetes-list-map-keys");
    if (keys.length > 0) schema.listMapKeys = keys.map(String);
    if (listType === "map" && keys.length === 0) {
      this.#refuse(`${path}.x-kubernetes-list-map-keys`, "must be given when the list type is map");
    }
    const mapType = own(source, "x-kubernetes-map-type");
    if (mapType === "atomic" || mapType === "granular") schema.mapType = mapType;
  }

  #values(source: JsonObject, path: string): Schema {
    const schema: Mutable<Schema> = {};
    for (const key of NUMBERS) {
      const value = own(source, key);
      if (typeof value === "number") schema[key] = value;
    }
    for (const key of FLAGS) if (own(source, key) === true) schema[key] = true;
    for (const key of TEXTS) {
      const value = own(source, key);
      if (typeof value === "string" && value !== "") schema[key] = value;
    }
    const allowed = own(source, "enum");
    if (Array.isArray(allowed)) schema.enum = allowed;
    const required = digArray(source, "required");
    if (required.length > 0) schema.required = required.map(String);
    const pattern = own(source, "pattern");
    if (typeof pattern === "string" && pattern !== "") {
      const matches = this.#pattern(pattern, `${path}.pattern`);
      if (matches !== undefined) schema.pattern = { text: pattern, matches };
    }
    return schema;
  }

  #combinations(source: JsonObject, { path }: Site): Schema {
    const schema: Mutable<Schema> = {};
    for (const key of ["allOf", "anyOf", "oneOf"] as const) {
      const parts = own(source, key);
      if (!Array.isArray(parts)) continue;
      schema[key] = parts.map((part, at) =>
        this.compile(part, { path: `${path}.${key}[${at}]`, isLogical: true, isRoot: false }),
      );
    }
    const not = own(source, "not");
    if (isObject(not)) {
      schema.not = this.compile(not, { path: `${path}.not`, isLogical: true, isRoot: false });
    }
    return schema;
  }

  #default(source: JsonObject, path: string, schema: Mutable<Schema>): void {
    const value = own(source, "default");
    if (value === undefined) return;
    schema.default = value;
    this.causes.push(...validate(value, schema, `${path}.default`));
  }

  #rules(source: JsonObject, { path, isLogical }: Site, schema: Mutable<Schema>): void {
    const field = `${path}.x-kubernetes-validations`;
    const rules: Rule[] = [];
    for (const [at, rule] of digArray(source, "x-kubernetes-validations").entries()) {
      const text = digString(rule, "rule") ?? "";
      if (text.trim() === "") {
        const message = "Required value: rule is not specified";
        this.causes.push({ reason: "FieldValueRequired", message, field: `${field}[${at}].rule` });
      } else rules.push(readRule(rule, text));
    }
    if (isLogical && rules.length > 0) this.#forbid(field, "must be empty to be structural");
    if (rules.length > 0) schema.rules = rules;
    const parts = [
      ...(schema.properties?.values() ?? []),
      schema.additionalProperties,
      schema.items,
    ];
    if (rules.length > 0 || parts.some((part) => part?.hasRules === true)) schema.hasRules = true;
  }

  /** Patterns in schemas match anywhere in the text. */
  #pattern(text: string, path: string): TextMatcher | undefined {
    try {
      const pattern = compilePattern(`(?s:.*)(?:${text})(?s:.*)`);
      return (value) => pattern.matches(value);
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
      this.#refuse(path, error.message);
      return undefined;
    }
  }

  #refuse(field: string, why: string): void {
    this.causes.push({ reason: "FieldValueInvalid", message: `Invalid value: ${why}`, field });
  }

  #forbid(field: string, why = "not in a structural schema"): void {
    this.causes.push({ reason: "FieldValueForbidden", message: `Forbidden: ${why}`, field });
  }
}

const NUMBERS = [
  "minLength",
  "maxLength",
  "minimum",
  "maximum",
  "multipleOf",
  "minItems",
  "maxItems",
  "minProperties",
  "maxProperties",
] as const;
const FLAGS = ["nullable", "exclusiveMinimum", "exclusiveMaximum", "uniqueItems"] as const;
const TEXTS = ["format", "description"] as const;

function readRule(source: Json, rule: string): Rule {
  const text = (key: string): Record<string, string> => {
    const value = digString(source, key) ?? "";
    return value === "" ? {} : { [key]: value };
  };
  return {
    rule,
    ...text("message"),
    ...text("messageExpression"),
    ...text("reason"),
    ...text("fieldPath"),
    usesOptionals: own(source, "optionalOldSelf") === true,
  };
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };
