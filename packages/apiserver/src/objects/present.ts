import { clone, equal, type JsonObject } from "@heddle/apiserver/json/value";
import {
  apiVersionOf,
  type ResourceType,
  type VersionView,
} from "@heddle/apiserver/kinds/resource-type";
import { applyDefaults, inOrder, prune } from "@heddle/apiserver/schema/walk";
import type { Entry } from "@heddle/apiserver/store/entry";

export interface Seen {
  readonly type: ResourceType;
  readonly view: VersionView;
}

/**
 * A stored object as a version shows it. May be the argument itself: copy before changing. A custom
 * object that was stored before its schema changed is pruned and defaulted by the present one.
 */
export function toView(stored: JsonObject, { type, view }: Seen): JsonObject {
  if (view.version === type.storedVersion && !type.isCustom) return stored;
  const copy = view.fromStored === undefined ? clone(stored) : view.fromStored(clone(stored));
  copy["apiVersion"] = apiVersionOf(type.group, view.version);
  copy["kind"] = type.kind;
  if (type.isCustom) {
    prune(copy, view.schema, true);
    applyDefaults(copy, view.schema);
    if (equal(copy, stored)) return stored;
  }
  return inOrder(copy);
}

/** An object of a version's form as it is stored. Owns the argument. */
export function toStored(object: JsonObject, { type, view }: Seen): JsonObject {
  if (view.version === type.storedVersion) return object;
  const stored = view.toStored === undefined ? object : view.toStored(object);
  stored["apiVersion"] = apiVersionOf(type.group, type.storedVersion);
  return stored;
}

/** The JSON of a stored object as a version shows it, made once per revision. */
export function viewBytes(entry: Entry, seen: Seen): Buffer {
  const { type, view } = seen;
  if (view.version === type.storedVersion && !type.isCustom) return entry.bytes;
  return entry.derive(`view ${view.version}`, () => {
    const object = toView(entry.object, seen);
    return object === entry.object ? entry.bytes : Buffer.from(JSON.stringify(object));
  });
}
