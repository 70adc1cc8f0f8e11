import { equal, isObject, type Json, type JsonObject, own } from "@heddle/apiserver/json/value";
import { fieldOf, type Schema } from "@heddle/apiserver/schema/schema";
import { FieldSet, type Step } from "./field-set.ts";
import { isEmptyValue, shapeOf, sharedShape, stepOf } from "./structure.ts";

/** What differs between two states of an object. */
export interface Comparison {
  readonly added: FieldSet;
  readonly modified: FieldSet;
  readonly removed: FieldSet;
}

/** @param before - Undefined of an object that was not there. */
export function compare(
  before: JsonObject | undefined,
  after: JsonObject,
  schema: Schema,
): Comparison {
  const walk = new CompareWalk();
  walk.maps(before ?? {}, after, schema);
  return walk;
}

export function isSame({ added, modified, removed }: Comparison): boolean {
  return added.isEmpty && modified.isEmpty && removed.isEmpty;
}

/** The fields that a configuration names: what whoever applies it owns. */
export function fieldsOf(config: JsonObject, schema: Schema): FieldSet {
  const set = new FieldSet();
  const path: Step[] = [];
  const visit = (value: Json, of: Schema | undefined): void => {
    const shape = shapeOf(value, of);
    if (shape === "leaf") {
      // Null in place of a map or list owns nothing but itself, which whoever holds it sees to.
      set.insert(path);
    } else if (shape === "map") maps(value as JsonObject, of);
    else {
      for (const item of value as Json[]) {
        path.push(stepOf(item, of!));
        visit(item, of!.items);
        set.insert(path);
        path.pop();
      }
    }
  };
  const maps = (object: JsonObject, of: Schema | undefined): void => {
    for (const [key, value] of Object.entries(object)) {
      path.push(`f:${key}`);
      visit(value, fieldOf(of, key));
      const isEmptyMap = isObject(value) && Object.keys(value).length === 0;
      if (isEmptyMap || !of?.properties?.has(key)) set.insert(path);
      path.pop();
    }
  };
  maps(config, schema);
  return set;
}

class CompareWalk implements Comparison {
  readonly added = new FieldSet();
  readonly modified = new FieldSet();
  readonly removed = new FieldSet();
  readonly #path: Step[] = [];

  maps(
    before: JsonObject | undefined,
    after: JsonObject | undefined,
    of: Schema | undefined,
  ): void {
    if (before !== undefined) {
      for (const key of Object.keys(before)) {
        this.#field(key, before, after, of);
      }
    }
    if (after === undefined) return;
    for (const key of Object.keys(after)) {
      if (before !== undefined && Object.hasOwn(before, key)) continue;
      this.#field(key, before, after, of);
    }
  }

  #field(
    key: string,
    before: JsonObject | undefined,
    after: JsonObject | undefined,
    of: Schema | undefined,
  ): void {
    const schema = fieldOf(of, key);
    let was = own(before, key);
    let is = own(after, key);
    if (schema?.isAlways === true) {
      // Go's structs have such a field as soon as they are there themselves: it does not come or go.
      if (before !== undefined) was ??= null;
      if (after !== undefined) is ??= null;
      if (was !== undefined && is !== undefined && isEmptyValue(was) && isEmptyValue(is)) return;
    }
    this.#path.push(`f:${key}`);
    this.#value(was, is, schema);
    this.#path.pop();
  }

  #value(was: Json | undefined, is: Json | undefined, schema: Schema | undefined): void {
    const shape = sharedShape(was, is, schema);
    if (shape === "leaf" || (isEmptyValue(was) && isEmptyValue(is))) {
      if (was === undefined) this.added.insert(this.#path);
      else if (is === undefined) this.removed.insert(this.#path);
      else if (!equal(was, is)) this.modified.insert(this.#path);
      return;
    }
    if (shape === "map") this.maps(orNone(was), orNone(is), schema);
    else this.#lists((was ?? []) as Json[], (is ?? []) as Json[], schema!);
    if (was === undefined) this.added.insert(this.#path);
    else if (is === undefined) this.removed.insert(this.#path);
  }

  #lists(before: readonly Json[], after: readonly Json[], schema: Schema): void {
    const was = itemsByStep(before, schema);
    const is = itemsByStep(after, schema);
    for (const [step, items] of was) this.#items(step, items, is.get(step) ?? [], schema);
    for (const [step, items] of is) {
      if (!was.has(step)) this.#items(step, [], items, schema);
    }
  }

  /** Items with one identity. Several are owned together, by that identity alone. */
  #items(step: Step, was: readonly Json[], is: readonly Json[], schema: Schema): void {
    this.#path.push(step);
    if (was.length < 2 && is.length < 2) this.#value(was[0], is[0], schema.items);
    else if (was.length >= 2 && is.length >= 2) {
      if (!equal([...was], [...is])) this.modified.insert(this.#path);
    } else if (was.length >= 2) {
      if (is.length > 0) this.#value(undefined, is[0], schema.items);
      this.removed.insert(this.#path);
    } else {
      if (was.length > 0) this.#value(was[0], undefined, schema.items);
      this.added.insert(this.#path);
    }
    this.#path.pop();
  }
}

function itemsByStep(list: readonly Json[], schema: Schema): Map<Step, Json[]> {
  const items = new Map<Step, Json[]>();
  for (const item of list) {
    const step = stepOf(item, schema);
    const known = items.get(step);
    if (known === undefined) items.set(step, [item]);
    else known.push(item);
  }
  return items;
}

function orNone(value: Json | undefined): JsonObject | undefined {
  if (value === undefined) return undefined;
  return isObject(value) ? value : {};
}
