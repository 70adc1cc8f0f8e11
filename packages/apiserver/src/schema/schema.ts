import type { Json } from "@heddle/apiserver/json/value";

export type SchemaType = "object" | "array" | "string" | "integer" | "number" | "boolean";

export interface WireField {
  /** The field's number; behind those of the messages that JSON does not show, if there are any. */
  readonly path: readonly number[];
  /** A zero was meant: for other fields, it stands for absence. */
  readonly keepsZero: boolean;
}

/** A condition on values of a schema, in CEL, and what is said where it does not hold. */
export interface Rule {
  readonly rule: string;
  readonly message?: string;
  /** Makes the message out of the value. */
  readonly messageExpression?: string;
  readonly reason?: string;
  /** Of the field that is to blame, below the value. */
  readonly fieldPath?: string;
  /** `oldSelf` is optional in it. */
  readonly usesOptionals: boolean;
}

/** Whether a text matches a pattern somewhere. */
export type TextMatcher = (text: string) => boolean;

/**
 * A structural schema: what a value may look like, compiled. Built-in kinds and custom ones share
 * it, and defaulting, pruning, validation, patching, tables and OpenAPI all read it.
 */
export interface Schema {
  /** Of a built-in type, under which OpenAPI lists it. */
  readonly name?: string;
  /** Undefined: anything. */
  readonly type?: SchemaType;
  /** How a built-in type's fields stand in Kubernetes' protobuf, by their JSON names. */
  readonly wire?: ReadonlyMap<string, WireField>;
  readonly format?: string;
  readonly description?: string;
  readonly nullable?: boolean;
  readonly default?: Json;
  readonly enum?: readonly Json[];
  readonly pattern?: { readonly text: string; readonly matches: TextMatcher };
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly exclusiveMinimum?: boolean;
  readonly exclusiveMaximum?: boolean;
  readonly multipleOf?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly uniqueItems?: boolean;
  readonly minProperties?: number;
  readonly maxProperties?: number;
  readonly properties?: ReadonlyMap<string, Schema>;
  /** Of keys that `properties` does not name. */
  readonly additionalProperties?: Schema;
  readonly required?: readonly string[];
  readonly items?: Schema;
  readonly allOf?: readonly Schema[];
  readonly anyOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
  readonly not?: Schema;
  /** Unknown fields stay. */
  readonly preservesUnknown?: boolean;
  /** An integer or a string, without `type`. */
  readonly isIntOrString?: boolean;
  /** A whole object, with apiVersion, kind and metadata. */
  readonly isEmbedded?: boolean;
  readonly listType?: "atomic" | "set" | "map";
  readonly listMapKeys?: readonly string[];
  readonly mapType?: "atomic" | "granular";
  readonly rules?: readonly Rule[];
  /** Whether it, or anything below it, has rules. */
  readonly hasRules?: boolean;
  /** A built-in type's field that is there, if empty, whenever the object around it is. */
  readonly isAlways?: boolean;
  /** How strategic merge treats a list: merged by a key, or as a set of scalars if there is none. */
  readonly patchMerges?: boolean;
  readonly patchMergeKey?: string;
  /** Strategic merge drops keys of the present object that the patch does not list. */
  readonly patchRetainsKeys?: boolean;
}

/** The schema of an object's field; undefined if the field is unknown to it. */
export function fieldOf(schema: Schema | undefined, key: string): Schema | undefined {
  return schema?.properties?.get(key) ?? schema?.additionalProperties;
}

/** The format of free-form fields whose protobuf is the text of their JSON. */
export const RAW_JSON = "raw-json";

/** Anything at all, nothing of it pruned. */
export const ANYTHING: Schema = { preservesUnknown: true };
