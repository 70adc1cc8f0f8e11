import type { JsonObject } from "@heddle/apiserver/json/value";
import type { Schema } from "@heddle/apiserver/schema/schema";
import { type Comparison, compare, fieldsOf, isSame } from "./compare.ts";
import { applyConflict, type Conflict } from "./conflict.ts";
import { FieldSet, type Step } from "./field-set.ts";
import { capUpdaters, type FieldManager, idOf, type Managers, type Owned } from "./managers.ts";
import { mergeConfig, removeFields } from "./merge.ts";
import type { ServersFields } from "./new-fields.ts";
import { below } from "./structure.ts";

/** One version in which an object can be seen. */
export interface FieldView {
  readonly apiVersion: string;
  readonly kind: string;
  /** Of the whole object. */
  readonly schema: Schema;
}

/** How a request sees an object, and how it would see it in the versions that others used. */
export interface FieldWorld {
  readonly view: FieldView;
  /** The version as others named it; undefined if it is served no more. */
  viewOf(apiVersion: string): FieldView | undefined;
  /** An object of the request's version in another one. May be the argument itself. */
  convert(object: JsonObject, to: FieldView): JsonObject;
  /** What of a new object counts for nobody. */
  readonly servers: ServersFields;
  /** Whether a field counts for a write through this subresource. */
  filter(fields: FieldSet): FieldSet;
}

export interface FieldChange {
  readonly manager: FieldManager;
  /** Undefined of changes whose time is not kept. */
  readonly time: string | undefined;
}

/** One state of an object in place of another, in the request's version. */
export interface Replacement {
  /** Undefined of a new object. */
  readonly before?: JsonObject;
  readonly after: JsonObject;
  readonly comparison: Comparison;
}

/** Who owns what after a write: the writer owns what it changed, alone. Owns `managers`. */
export function updateOwners(
  world: FieldWorld,
  managers: Managers,
  step: Replacement,
  { manager, time }: FieldChange,
): Managers {
  const { view } = world;
  const { comparison } = step;
  const found = takeAway(world, managers, step, undefined);
  for (const { id, left } of found) managers.set(id, { ...managers.get(id)!, fields: left });
  const mine = stripped(world.filter(comparison.added.union(comparison.modified)));
  if (!mine.isEmpty) {
    const id = idOf(manager, view.apiVersion);
    const fields = managers.get(id)?.fields.union(mine) ?? mine;
    managers.set(id, { manager, apiVersion: view.apiVersion, fields, time });
  }
  dropEmpty(managers);
  capUpdaters(managers);
  return managers;
}

export interface ApplyChange extends FieldChange {
  readonly isForced: boolean;
  /** What may be taken from others all the same. */
  readonly freely?: FieldSet | undefined;
}

/** What comes of applying a configuration. */
export interface Applied {
  /** Undefined if the live object is already as the configuration wants it. */
  readonly object: JsonObject | undefined;
  readonly managers: Managers;
}

/**
 * Merges what a manager wants into the live object: it owns exactly what its configuration names.
 * What it named last time and no more, and nobody else owns, goes. Owns `managers`.
 *
 * @throws StatusError 409 where others own a field and want it otherwise, unless `isForced`.
 */
export function applyConfig(
  world: FieldWorld,
  managers: Managers,
  live: JsonObject,
  config: JsonObject,
  { manager, time, isForced, freely }: ApplyChange,
): Applied {
  const { view } = world;
  const id = idOf(manager, view.apiVersion);
  const last = managers.get(id);
  const fields = world.filter(fieldsOf(config, view.schema));
  const mine: Owned = { manager, apiVersion: view.apiVersion, fields, time: last?.time };
  managers.set(id, mine);
  const merged = mergeConfig(live, config, view.schema);
  const object = last === undefined ? merged : prune(world, managers, merged, last);
  const comparison = compare(live, object, view.schema);
  const found = takeAway(world, managers, { before: live, after: object, comparison }, id);
  if (!isForced) refuseConflicts(managers, found, freely);
  for (const taken of found) {
    managers.set(taken.id, { ...managers.get(taken.id)!, fields: taken.left });
  }
  const isChanged = !isSame(comparison);
  managers.set(id, { ...mine, fields: stripped(fields), time: isChanged ? time : last?.time });
  dropEmpty(managers);
  return { object: isChanged ? object : undefined, managers };
}

interface Taken {
  readonly id: string;
  readonly taken: FieldSet;
  readonly left: FieldSet;
}

/**
 * What owners, but for one, lose of what has changed or gone. Those of versions that are served no
 * more lose all.
 */
function takeAway(
  world: FieldWorld,
  managers: Managers,
  { before, after, comparison }: Replacement,
  except: string | undefined,
): Taken[] {
  const comparisons = new Map([[world.view.apiVersion, filtered(world, comparison)]]);
  const found: Taken[] = [];
  for (const [id, { apiVersion, fields }] of [...managers]) {
    if (id === except) continue;
    let theirs = comparisons.get(apiVersion);
    if (theirs === undefined) {
      const view = world.viewOf(apiVersion);
      if (view === undefined) {
        managers.delete(id);
        continue;
      }
      const old = before === undefined ? undefined : world.convert(before, view);
      theirs = filtered(world, compare(old, world.convert(after, view), view.schema));
      comparisons.set(apiVersion, theirs);
    }
    const taken = fields.intersection(theirs.modified.union(theirs.added));
    found.push({ id, taken, left: fields.difference(taken).difference(theirs.removed) });
  }
  return found;
}

function filtered(world: FieldWorld, { added, modified, removed }: Comparison): Comparison {
  return {
    added: world.filter(added),
    modified: world.filter(modified),
    removed: world.filter(removed),
  };
}

function refuseConflicts(
  managers: Managers,
  found: readonly Taken[],
  freely: FieldSet = new FieldSet(),
): void {
  const conflicts: Conflict[] = [];
  for (const { id, taken } of found) {
    for (const path of taken.difference(freely).paths())
      conflicts.push({ owned: managers.get(id)!, path });
  }
  if (conflicts.length > 0) throw applyConflict(conflicts);
}

/** Removes what a manager named last time, unless it names it again or somebody else owns it. */
function prune(
  { view: { schema } }: FieldWorld,
  managers: Managers,
  merged: JsonObject,
  last: Owned,
): JsonObject {
  if (last.fields.isEmpty) return merged;
  const named = (fields: FieldSet): FieldSet => withNamed(fields, schema);
  const without = (gone: FieldSet): JsonObject => removeFields(merged, gone, schema) as JsonObject;
  const lastFields = named(last.fields);
  const all = named(fieldsOf(merged, schema));
  let owned = new FieldSet();
  for (const { fields } of managers.values()) owned = owned.union(fields);
  // First everything that it had goes, then what is owned comes back.
  const left = named(fieldsOf(without(lastFields), schema));
  const kept = without(all.difference(left.union(named(owned))));
  // What nobody owns went only because something around it did: it comes back, too.
  const gone = all.difference(named(fieldsOf(kept, schema)));
  return without(gone.intersection(lastFields));
}

/** Fields of structs are owned with what is in them; keys of maps and items only by themselves. */
function withNamed(fields: FieldSet, schema: Schema): FieldSet {
  return fields.withNamed<Schema | undefined>(
    schema,
    (at, step) => step.startsWith("f:") && at?.properties?.has(step.slice(2)) === true,
    below,
  );
}

function dropEmpty(managers: Managers): void {
  for (const [id, { fields }] of managers) if (fields.isEmpty) managers.delete(id);
}

/** Fields of metadata that no client owns, for the server alone decides them. */
const OF_METADATA: readonly string[] = [
  "clusterName",
  "creationTimestamp",
  "generation",
  "managedFields",
  "name",
  "namespace",
  "resourceVersion",
  "selfLink",
  "uid",
];

const OF_ROOT: readonly string[] = ["apiVersion", "kind", "metadata"];

const SERVER_FIELDS: FieldSet = fieldSetOf([
  ...OF_ROOT.map((key) => [`f:${key}`]),
  ...OF_METADATA.map((key) => ["f:metadata", `f:${key}`]),
]);

/** The same by name; what is in metadata may be somebody's. */
export const SERVERS_NAMES: ServersFields = {
  root: new Set(["apiVersion", "kind"]),
  metadata: new Set(OF_METADATA),
};

function fieldSetOf(paths: readonly (readonly Step[])[]): FieldSet {
  const set = new FieldSet();
  for (const path of paths) set.insert(path);
  return set;
}

function stripped(fields: FieldSet): FieldSet {
  return fields.difference(SERVER_FIELDS);
}
