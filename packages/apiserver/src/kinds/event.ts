import { type JsonObject, own, put } from "@heddle/apiserver/json/value";

/** Fields of an event by their names in `events.k8s.io` and in the core group. */
const NAMES: readonly (readonly [newer: string, core: string])[] = [
  ["regarding", "involvedObject"],
  ["note", "message"],
  ["reportingController", "reportingComponent"],
  ["deprecatedSource", "source"],
  ["deprecatedFirstTimestamp", "firstTimestamp"],
  ["deprecatedLastTimestamp", "lastTimestamp"],
  ["deprecatedCount", "count"],
];

export function eventToCore(object: JsonObject): JsonObject {
  for (const [newer, core] of NAMES) rename(object, newer, core);
  object["apiVersion"] = "v1";
  return object;
}

export function eventFromCore(object: JsonObject): JsonObject {
  for (const [newer, core] of NAMES) rename(object, core, newer);
  return object;
}

function rename(object: JsonObject, from: string, to: string): void {
  const value = own(object, from);
  if (value === undefined) return;
  delete object[from];
  put(object, to, value);
}
