import { randomUUID } from "node:crypto";
import { isSameBesideTimes } from "@heddle/apiserver/fields/managers";
import {
  digArray,
  digObject,
  digString,
  equal,
  isObject,
  type Json,
  type JsonObject,
  own,
} from "@heddle/apiserver/json/value";
import { META } from "@heddle/apiserver/kinds/built-in-types";
import type { ResourceType } from "@heddle/apiserver/kinds/resource-type";
import { isLabelKey, isLabelValue } from "@heddle/apiserver/objects/label-selector";
import { nameProblem } from "@heddle/apiserver/objects/names";
import { validate } from "@heddle/apiserver/schema/validate";
import { applyDefaults, dropNulls, prune } from "@heddle/apiserver/schema/walk";
import type { Cause } from "@heddle/apiserver/status-error";

/** All annotations of an object together, in characters. */
const MAX_ANNOTATIONS = 256 * 1024;

/** metadata as an object of ours, with unknown fields and nulls gone. */
export function normalizeMetadata(object: JsonObject): {
  readonly causes: Cause[];
  readonly dropped: string[];
} {
  const metadata = own(object, "metadata");
  if (metadata === undefined || metadata === null) {
    object["metadata"] = {};
    return { causes: [], dropped: [] };
  }
  if (!isObject(metadata)) {
    const message = "Invalid value: metadata must be an object";
    return {
      causes: [{ reason: "FieldValueTypeInvalid", message, field: "metadata" }],
      dropped: [],
    };
  }
  dropNulls(metadata, META);
  const dropped = prune(metadata, META).map((path) => `metadata.${path}`);
  applyDefaults(metadata, META);
  delete metadata["selfLink"];
  delete metadata["managedFields"];
  return { causes: validate(metadata, META, "metadata"), dropped };
}

/** What the server decides about a new object. */
export function stampNew(
  object: JsonObject,
  nowIso: string,
  hasGeneration: boolean,
  uid: string = randomUUID(),
): void {
  const metadata = metadataOf(object);
  metadata["uid"] = uid;
  metadata["creationTimestamp"] = nowIso;
  for (const key of ["resourceVersion", "deletionTimestamp", "deletionGracePeriodSeconds"]) {
    delete metadata[key];
  }
  delete metadata["generation"];
  if (hasGeneration) metadata["generation"] = 1;
  dropEmpty(metadata);
}

/** Of the metadata in an update, what clients cannot change stays as it was. */
export function keepMetadata(object: JsonObject, old: JsonObject): void {
  const metadata = metadataOf(object);
  const before = metadataOf(old);
  const kept = [
    "name",
    "namespace",
    "uid",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "generateName",
    "generation",
  ];
  for (const key of kept) {
    const value = own(before, key);
    if (value === undefined) delete metadata[key];
    else metadata[key] = value;
  }
  dropEmpty(metadata);
}

/** @param owners - Entries of `managedFields`; undefined if nobody owns anything. */
export function setOwners(object: JsonObject, owners: Json | undefined): void {
  const metadata = metadataOf(object);
  if (owners === undefined) delete metadata["managedFields"];
  else metadata["managedFields"] = owners;
}

/** Where an object is the same as before but for the times of its owners, those stay as well. */
export function keepOwnersOf(object: JsonObject, old: JsonObject): void {
  const owners = own(metadataOf(object), "managedFields");
  const before = own(metadataOf(old), "managedFields");
  if (equal(owners, before) || !isSameBesideTimes(owners, before)) return;
  setOwners(object, before);
  if (!equal(object, old)) setOwners(object, owners);
}

function dropEmpty(metadata: JsonObject): void {
  for (const key of ["labels", "annotations"]) {
    const value = own(metadata, key);
    if (isObject(value) && Object.keys(value).length === 0) delete metadata[key];
  }
  for (const key of ["finalizers", "ownerReferences"]) {
    if (Array.isArray(metadata[key]) && digArray(metadata, key).length === 0) delete metadata[key];
  }
}

export function metadataOf(object: JsonObject): JsonObject {
  return digObject(object, "metadata") ?? {};
}

/** Everything that is wrong with the metadata of an object that is about to be stored. */
export function validateMetadata(object: JsonObject, type: ResourceType): Cause[] {
  const causes: Cause[] = [];
  const name = digString(object, "metadata", "name") ?? "";
  if (name === "") {
    const message = "Required value: name or generateName is required";
    causes.push({ reason: "FieldValueRequired", message, field: "metadata.name" });
  } else {
    const problem = nameProblem(name, type.strategy.names);
    if (problem !== undefined) causes.push(bad("metadata.name", name, problem));
  }
  validateLabels(digObject(object, "metadata", "labels"), causes);
  validateAnnotations(digObject(object, "metadata", "annotations"), causes);
  for (const [at, finalizer] of digArray(object, "metadata", "finalizers").entries()) {
    if (typeof finalizer === "string" && isLabelKey(finalizer)) continue;
    causes.push(bad(`metadata.finalizers[${at}]`, finalizer, "name part must be a qualified name"));
  }
  validateOwners(digArray(object, "metadata", "ownerReferences"), causes);
  return causes;
}

function validateLabels(labels: JsonObject | undefined, causes: Cause[]): void {
  for (const [key, value] of Object.entries(labels ?? {})) {
    if (!isLabelKey(key)) {
      causes.push(bad("metadata.labels", key, "name part must be a qualified name"));
    } else if (typeof value === "string" && !isLabelValue(value)) {
      const rule =
        "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character, at most 63 in all";
      causes.push(bad("metadata.labels", value, rule));
    }
  }
}

function validateAnnotations(annotations: JsonObject | undefined, causes: Cause[]): void {
  let total = 0;
  for (const [key, value] of Object.entries(annotations ?? {})) {
    if (!isLabelKey(key.toLowerCase())) {
      causes.push(bad("metadata.annotations", key, "name part must be a qualified name"));
    }
    total += key.length + (typeof value === "string" ? value.length : 0);
  }
  if (total <= MAX_ANNOTATIONS) return;
  const message = `Too long: may not be more than ${MAX_ANNOTATIONS} bytes`;
  causes.push({ reason: "FieldValueTooLong", message, field: "metadata.annotations" });
}

function validateOwners(owners: readonly Json[], causes: Cause[]): void {
  let controllers = 0;
  for (const [at, owner] of owners.entries()) {
    for (const key of ["apiVersion", "kind", "name", "uid"]) {
      if (digString(owner, key) !== "") continue;
      const field = `metadata.ownerReferences[${at}].${key}`;
      causes.push({ reason: "FieldValueInvalid", message: "must not be empty", field });
    }
    if (own(owner, "controller") === true) controllers++;
  }
  if (controllers > 1) {
    const message = "Only one reference can have Controller set to true";
    causes.push({ reason: "FieldValueInvalid", message, field: "metadata.ownerReferences" });
  }
}

function bad(field: string, value: Json, rule: string): Cause {
  const message = `Invalid value: ${JSON.stringify(value)}: ${rule}`;
  return { reason: "FieldValueInvalid", message, field };
}
