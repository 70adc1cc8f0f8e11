import {
  digObject,
  digString,
  equal,
  isObject,
  type Json,
  type JsonObject,
  own,
} from "@heddle/apiserver/json/value";
import { badRequest, StatusError } from "@heddle/apiserver/status-error";
import { compare, isSame } from "./compare.ts";
import { KUBECTL, takenOver, withLastApplied } from "./last-applied.ts";
import { decodeManagers, encodeEntry, encodeManagers, type Managers } from "./managers.ts";
import { newFields } from "./new-fields.ts";
import { applyConfig, type FieldChange, type FieldWorld, updateOwners } from "./ownership.ts";
import { configProblems } from "./typed.ts";

/** Who owns what of a new object: entries of `metadata.managedFields`. */
export function trackedNew(
  world: FieldWorld,
  sent: Json | undefined,
  object: JsonObject,
  change: FieldChange,
): Json | undefined {
  const managers = readManagers(sent) ?? new Map();
  if (managers.size === 0) return authored(world, object, change);
  const comparison = compare(undefined, object, world.view.schema);
  return encodeManagers(updateOwners(world, managers, { after: object, comparison }, change));
}

/** As of an object that nobody but its author has had a hand in. */
function authored(
  { view, servers }: FieldWorld,
  object: JsonObject,
  { manager, time }: FieldChange,
): Json | undefined {
  const fieldsV1 = newFields(object, view.schema, servers);
  if (Object.keys(fieldsV1).length === 0) return undefined;
  return [encodeEntry({ manager, apiVersion: view.apiVersion, time }, fieldsV1)];
}

/** Entries as they stand in the present object, and as a client sent them. */
export interface SentOwners {
  readonly old: Json | undefined;
  readonly sent: Json | undefined;
}

/** Who owns what after an update. Objects of which nothing is known stay without. */
export function tracked(
  world: FieldWorld,
  { old, sent }: SentOwners,
  before: JsonObject,
  after: JsonObject,
  change: FieldChange,
): Json | undefined {
  if (isReset(sent)) return undefined;
  const isOld = sent === undefined || equal(sent, old);
  const comparison = compare(unowned(before), after, world.view.schema);
  if (isOld && isSame(comparison)) return old;
  const theirs = isOld ? undefined : readManagers(sent);
  const managers = theirs !== undefined && theirs.size > 0 ? theirs : readManagers(old);
  if (managers === undefined || managers.size === 0) return undefined;
  const step = { before: unowned(before), after, comparison };
  return encodeManagers(updateOwners(world, managers, step, change));
}

/** Whose the fields are of an object that an Apply makes. */
export function appliedNew(world: FieldWorld, config: Json, change: FieldChange): Json | undefined {
  const checked = checkConfig(world, config);
  const { managers } = applyConfig(world, new Map(), {}, checked, { ...change, isForced: true });
  return encodeManagers(managers);
}

/** What an Apply makes of a live object. */
export function applied(
  world: FieldWorld,
  live: JsonObject,
  config: Json,
  change: FieldChange & { readonly isForced: boolean },
): { readonly object: JsonObject; readonly entries: Json | undefined } {
  const checked = checkConfig(world, config);
  const before = unowned(live);
  const managers = readManagers(own(digObject(live, "metadata"), "managedFields")) ?? new Map();
  if (managers.size === 0) ownEverything(world, managers, before, change.time);
  const isKubectl = change.manager.name === KUBECTL;
  const freely = isKubectl ? takenOver(before, world.view) : undefined;
  const made = merged(world, managers, before, checked, { ...change, freely });
  const object = made.object ?? before;
  return {
    object: isKubectl ? withLastApplied(object, checked) : object,
    entries: encodeManagers(made.managers),
  };
}

/** @throws StatusError 500, as Kubernetes does, where the live object's own lists make no sense. */
function merged(...args: Parameters<typeof applyConfig>): ReturnType<typeof applyConfig> {
  try {
    return applyConfig(...args);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    const message = `failed to create typed live object: ${error.message}`;
    throw new StatusError(500, "", message, { cause: error });
  }
}

/** What was there before anybody applied, and that nobody kept account of. */
function ownEverything(
  world: FieldWorld,
  managers: Managers,
  after: JsonObject,
  time: string | undefined,
): void {
  const manager = { name: "before-first-apply", operation: "Update", subresource: "" } as const;
  const comparison = compare(undefined, after, world.view.schema);
  updateOwners(world, managers, { after, comparison }, { manager, time });
}

/** @throws StatusError 400 or 500, as Kubernetes does, on what cannot be applied. */
function checkConfig({ view }: FieldWorld, config: Json): JsonObject {
  const apiVersion = digString(config, "apiVersion") ?? "";
  const kind = digString(config, "kind") ?? "";
  const gvk = `${apiVersion.includes("/") ? "" : "/"}${apiVersion}, Kind=${kind}`;
  if (!isObject(config) || apiVersion !== view.apiVersion || kind !== view.kind) {
    throw badRequest(`invalid object type: ${gvk}`);
  }
  if (own(digObject(config, "metadata"), "managedFields") !== undefined) {
    throw badRequest("metadata.managedFields must be nil");
  }
  const problems = configProblems(config, view.schema);
  if (problems.length === 0) return config;
  const namespace = digString(config, "metadata", "namespace") ?? "";
  const name = digString(config, "metadata", "name") ?? "";
  const list = problems.length === 1 ? problems[0] : `errors:\n  ${problems.join("\n  ")}`;
  const message = `failed to create typed patch object (${namespace}/${name}; ${gvk}): ${list}`;
  throw new StatusError(500, "", message);
}

/** An object without the account of its owners, which is nobody's itself. */
function unowned(object: JsonObject): JsonObject {
  const { managedFields: _, ...metadata } = (digObject(object, "metadata") ?? {}) as Record<
    string,
    Json
  >;
  return { ...object, metadata };
}

/** Undefined of entries that cannot be read; they count as none. */
function readManagers(entries: Json | undefined): Managers | undefined {
  try {
    return decodeManagers(entries);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** An empty list, or one with nothing in its only entry, makes the server forget the owners. */
function isReset(sent: Json | undefined): boolean {
  if (!Array.isArray(sent)) return false;
  return sent.length === 0 || (sent.length === 1 && equal(sent[0], {}));
}
