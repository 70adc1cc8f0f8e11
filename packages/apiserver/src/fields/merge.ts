import { isObject, type Json, type JsonObject, own, put } from "@heddle/apiserver/json/value";
import { fieldOf, type Schema } from "@heddle/apiserver/schema/schema";
import type { FieldSet, Step } from "./field-set.ts";
import { shapeOf, sharedShape, stepOf } from "./structure.ts";

/**
 * The live object with what a configuration says of it. Lists keep the configuration's order; items
 * that it does not name stay behind those that they followed. May share values with both.
 */
export function mergeConfig(live: JsonObject, config: JsonObject, schema: Schema): JsonObject {
  return mergeMaps(live, config, schema);
}

function mergeMaps(live: JsonObject, config: JsonObject, schema: Schema | undefined): JsonObject {
  const merged: JsonObject = {};
  for (const [key, value] of Object.entries(live)) {
    put(merged, key, merge(value, own(config, key), fieldOf(schema, key)));
  }
  for (const [key, value] of Object.entries(config)) {
    if (!Object.hasOwn(live, key)) put(merged, key, value);
  }
  return merged;
}

function merge(live: Json, config: Json | undefined, schema: Schema | undefined): Json {
  if (config === undefined) return live;
  const shape = sharedShape(live, config, schema);
  if (shape === "map") {
    return mergeMaps(isObject(live) ? live : {}, isObject(config) ? config : {}, schema);
  }
  if (shape !== "list") return config;
  return mergeLists((live ?? []) as Json[], (config ?? []) as Json[], schema!);
}

function mergeLists(live: readonly Json[], config: readonly Json[], schema: Schema): Json[] {
  const liveSteps = live.map((item) => stepOf(item, schema));
  const configSteps = config.map((item) => stepOf(item, schema));
  const wanted = new Set(configSteps);
  const present = new Map<Step, Json | undefined>();
  // Of several live items with one identity none is merged with the configuration's.
  for (const [at, step] of liveSteps.entries()) {
    present.set(step, present.has(step) ? undefined : live[at]!);
  }
  const merged: Json[] = [];
  let next = 0;
  const takeConfig = (): void => {
    const known = present.get(configSteps[next]!);
    const item = config[next]!;
    merged.push(known === undefined ? item : merge(known, item, schema.items));
    next++;
  };
  for (const [at, step] of liveSteps.entries()) {
    if (!wanted.has(step)) {
      merged.push(live[at]!);
      continue;
    }
    // All of the configuration up to this item, unless it has come already.
    const position = configSteps.indexOf(step, next);
    if (position < 0) continue;
    const isNext = !configSteps.slice(next, position).some((other) => present.has(other));
    if (isNext) while (next <= position) takeConfig();
  }
  while (next < config.length) takeConfig();
  return merged;
}

/**
 * A value without these fields and items. A map that loses all of its own stays, empty: whoever owns
 * it has not given it up. (Kubernetes leaves a null there, which its schema may then refuse.)
 *
 * @returns undefined for a list of which nothing is left.
 */
export function removeFields(
  value: Json,
  gone: FieldSet,
  schema: Schema | undefined,
): Json | undefined {
  const shape = shapeOf(value, schema);
  if (shape === "map") {
    const kept: JsonObject = {};
    for (const [key, field] of Object.entries(value as JsonObject)) {
      const left = removeAt(field, `f:${key}`, gone, fieldOf(schema, key));
      if (left !== undefined) put(kept, key, left);
    }
    return kept;
  }
  if (shape === "leaf") return value;
  const kept: Json[] = [];
  for (const item of value as Json[]) {
    const left = removeAt(item, stepOf(item, schema!), gone, schema!.items);
    if (left !== undefined) kept.push(left);
  }
  return kept.length === 0 ? undefined : kept;
}

function removeAt(
  value: Json,
  step: Step,
  gone: FieldSet,
  schema: Schema | undefined,
): Json | undefined {
  if (gone.has(step)) return undefined;
  const further = gone.below(step);
  return further === undefined ? value : removeFields(value, further, schema);
}
