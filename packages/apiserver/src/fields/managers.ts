import {
  digString,
  equal,
  isObject,
  type Json,
  type JsonObject,
  own,
} from "@heddle/apiserver/json/value";
import { FieldSet } from "./field-set.ts";

export type Operation = "Apply" | "Update";

/** Who does something to an object, and how. */
export interface FieldManager {
  readonly name: string;
  readonly operation: Operation;
  /** Through which subresource; empty: the object itself. */
  readonly subresource: string;
}

/** What one manager owns. */
export interface Owned {
  readonly manager: FieldManager;
  /** In whose fields the set speaks. */
  readonly apiVersion: string;
  readonly fields: FieldSet;
  readonly time: string | undefined;
}

/** All owners of an object, by `idOf`. */
export type Managers = Map<string, Owned>;

/** Entries of updates beyond this number are merged, the oldest first. */
const MAX_UPDATERS = 10;
const OLD_UPDATES = "ancient-changes";

/** Appliers have one entry whichever version they use, updaters one for each. */
export function idOf({ name, operation, subresource }: FieldManager, apiVersion: string): string {
  return JSON.stringify([name, operation, operation === "Apply" ? "" : apiVersion, subresource]);
}

/**
 * Reads `metadata.managedFields`.
 *
 * @throws SyntaxError on entries that are not of the only form there is.
 */
export function decodeManagers(entries: Json | undefined): Managers {
  const managers: Managers = new Map();
  if (entries === undefined || entries === null) return managers;
  if (!Array.isArray(entries)) throw new SyntaxError("managedFields is a list");
  for (const entry of entries) {
    const operation = digString(entry, "operation");
    if (operation !== "Apply" && operation !== "Update") {
      throw new SyntaxError("operation must be `Apply` or `Update`");
    }
    const apiVersion = digString(entry, "apiVersion") ?? "";
    if (apiVersion === "") throw new SyntaxError("apiVersion must not be empty");
    if (digString(entry, "fieldsType") !== "FieldsV1") {
      throw new SyntaxError("fieldsType must be FieldsV1");
    }
    const manager = {
      name: digString(entry, "manager") ?? "",
      operation,
      subresource: digString(entry, "subresource") ?? "",
    } as const;
    managers.set(idOf(manager, apiVersion), {
      manager,
      apiVersion,
      fields: FieldSet.decode(own(entry, "fieldsV1") ?? {}),
      time: digString(entry, "time"),
    });
  }
  return managers;
}

/** Undefined if nobody owns anything. */
export function encodeManagers(managers: Managers): Json[] | undefined {
  const owned = [...managers.values()].filter(({ fields }) => !fields.isEmpty).sort(byAge);
  if (owned.length === 0) return undefined;
  return owned.map((one) => encodeEntry(one, one.fields.encode()));
}

/** @param fieldsV1 - What is owned. */
export function encodeEntry(
  { manager, apiVersion, time }: Omit<Owned, "fields">,
  fieldsV1: JsonObject,
): JsonObject {
  const { name, operation, subresource } = manager;
  return {
    ...(name === "" ? {} : { manager: name }),
    operation,
    apiVersion,
    ...(time === undefined ? {} : { time }),
    fieldsType: "FieldsV1",
    fieldsV1,
    ...(subresource === "" ? {} : { subresource }),
  };
}

function byAge(a: Owned, b: Owned): number {
  return (
    compareText(a.manager.operation, b.manager.operation) ||
    compareText(a.time ?? "", b.time ?? "") ||
    compareText(a.manager.name, b.manager.name) ||
    compareText(a.apiVersion, b.apiVersion) ||
    compareText(a.manager.subresource, b.manager.subresource)
  );
}

function compareText(a: string, b: string): number {
  return a === b ? 0 : a < b ? -1 : 1;
}

/** Merges the oldest updates of a version into one, so that their number stays bounded. */
export function capUpdaters(managers: Managers): void {
  const updaters = [...managers]
    .filter(([, { manager }]) => manager.operation === "Update")
    .sort(([idA, a], [idB, b]) => compareText(a.time ?? "", b.time ?? "") || compareText(idA, idB));
  let count = updaters.length;
  const firsts = new Map<string, string>();
  for (const [id, { apiVersion }] of updaters) {
    if (count <= MAX_UPDATERS) return;
    const first = firsts.get(apiVersion);
    if (first === undefined) {
      firsts.set(apiVersion, id);
      continue;
    }
    const owned = managers.get(id)!;
    const manager = { name: OLD_UPDATES, operation: "Update", subresource: "" } as const;
    const bucket = idOf(manager, apiVersion);
    const before = managers.get(bucket) ?? managers.get(first)!;
    if (!managers.has(bucket)) managers.delete(first);
    managers.delete(id);
    const fields = before.fields.union(owned.fields);
    // Of the younger one of the two.
    managers.set(bucket, { manager, apiVersion, fields, time: owned.time });
    count--;
  }
}

/** Whether two lists of entries say the same, but for the times. */
export function isSameBesideTimes(a: Json | undefined, b: Json | undefined): boolean {
  return equal(timeless(a), timeless(b));
}

function timeless(entries: Json | undefined): Json {
  if (!Array.isArray(entries)) return [];
  return entries.map((entry) => {
    if (!isObject(entry)) return entry;
    const { time: _, ...rest } = entry as Record<string, Json>;
    return rest;
  });
}
