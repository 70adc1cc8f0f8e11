import {
  clone,
  digArray,
  digString,
  equal,
  type Json,
  type JsonObject,
  own,
  put,
} from "@heddle/apiserver/json/value";
import type { ResourceType, VersionView } from "@heddle/apiserver/kinds/resource-type";
import type { Cause } from "@heddle/apiserver/status-error";
import { metadataOf } from "./metadata.ts";
import type { Part } from "./target.ts";

/** RFC 3339 to the second, as the API writes times. */
export function isoSeconds(wallMs: number): string {
  return `${new Date(wallMs).toISOString().slice(0, 19)}Z`;
}

/** The object with only the part replaced that the request is about. */
export function takePart(
  sent: JsonObject,
  old: JsonObject,
  part: Part,
  view: VersionView,
): JsonObject {
  if (part === "status") return withField(clone(old), "status", own(sent, "status"));
  if (part === "finalize") {
    const copy = clone(old);
    const finalizers = digArray(sent, "spec", "finalizers");
    return withField(copy, "spec", { finalizers });
  }
  return view.hasStatus ? withField(sent, "status", clone(own(old, "status") ?? null)) : sent;
}

function withField(object: JsonObject, key: string, value: Json | undefined): JsonObject {
  if (value === undefined || value === null) delete object[key];
  else put(object, key, value);
  return object;
}

/** Whether anything but metadata and status differs. */
export function isNewGeneration(object: JsonObject, old: JsonObject, view: VersionView): boolean {
  const isCounted = (key: string): boolean =>
    key !== "metadata" && !(key === "status" && view.hasStatus);
  const keys = new Set([...Object.keys(object), ...Object.keys(old)]);
  for (const key of keys) {
    if (isCounted(key) && !equal(own(object, key), own(old, key))) return true;
  }
  return false;
}

/** An object that is ending takes no new finalizers. */
export function newFinalizers(object: JsonObject, old: JsonObject): Cause[] {
  if (digString(old, "metadata", "deletionTimestamp") === undefined) return [];
  const before = digArray(old, "metadata", "finalizers");
  const added = digArray(object, "metadata", "finalizers").filter((f) => !before.includes(f));
  if (added.length === 0) return [];
  const message = `Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers ${JSON.stringify(added)}`;
  return [{ reason: "FieldValueForbidden", message, field: "metadata.finalizers" }];
}

/** Status comes with the status subresource only; some kinds have one from the start. */
export function dropStatus(object: JsonObject, type: ResourceType): void {
  if (type.strategy.keepsInitialStatus !== true) delete object["status"];
}

/** A namespace stays until its spec has no finalizers, whatever its metadata says. */
export function isHeld(object: JsonObject, type: ResourceType): boolean {
  return type.key === "/namespaces" && digArray(object, "spec", "finalizers").length > 0;
}

/** Whether nothing holds an object any more that is being deleted. */
export function isFinished(object: JsonObject, type: ResourceType): boolean {
  return (
    digString(object, "metadata", "deletionTimestamp") !== undefined &&
    digArray(object, "metadata", "finalizers").length === 0 &&
    !isHeld(object, type)
  );
}

/** Begins the end of an object; it is gone when its finalizers are. */
export function markDeleted(object: JsonObject, nowIso: string, finalizers: readonly Json[]): void {
  const metadata = metadataOf(object);
  if (own(metadata, "deletionTimestamp") === undefined) {
    metadata["deletionTimestamp"] = nowIso;
    metadata["deletionGracePeriodSeconds"] = 0;
    const generation = own(metadata, "generation");
    if (typeof generation === "number") metadata["generation"] = generation + 1;
  }
  if (finalizers.length === 0) delete metadata["finalizers"];
  else metadata["finalizers"] = [...finalizers];
  const isNamespace = object["kind"] === "Namespace" && object["apiVersion"] === "v1";
  if (isNamespace)
    object["status"] = { ...(own(object, "status") as JsonObject), phase: "Terminating" };
}
