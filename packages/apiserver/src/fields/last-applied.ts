import { parseJson } from "@heddle/apiserver/json/parse";
import {
  digString,
  isObject,
  type Json,
  type JsonObject,
  own,
  put,
} from "@heddle/apiserver/json/value";
import { compare, fieldsOf } from "./compare.ts";
import { FieldSet } from "./field-set.ts";
import type { FieldView } from "./ownership.ts";

/** Whose client-side apply becomes a server-side one. Others start without that past. */
export const KUBECTL = "kubectl";

const ANNOTATION = "kubectl.kubernetes.io/last-applied-configuration";

/**
 * Fields that client-side apply has set and nobody has changed since: kubectl may take them without
 * a conflict. Empty if the object was never applied so, or if its annotation cannot be read.
 */
export function takenOver(live: JsonObject, { apiVersion, schema }: FieldView): FieldSet {
  const text = digString(live, "metadata", "annotations", ANNOTATION);
  if (text === undefined) return new FieldSet();
  try {
    const config = parseJson(Buffer.from(text));
    if (!isObject(config) || own(config, "apiVersion") !== apiVersion) return new FieldSet();
    const { added, modified, removed } = compare(config, live, schema);
    return fieldsOf(config, schema).difference(modified).difference(added).difference(removed);
  } catch (error) {
    // Anybody may write annotations.
    if (error instanceof SyntaxError) return new FieldSet();
    throw error;
  }
}

/** Keeps the annotation of an object that has one in step, so that client-side apply still works. */
export function withLastApplied(object: JsonObject, config: JsonObject): JsonObject {
  const metadata = own(object, "metadata");
  const annotations = own(metadata, "annotations");
  if (!isObject(metadata) || !isObject(annotations)) return object;
  if ((digString(annotations, ANNOTATION) ?? "") === "") return object;
  const text = `${JSON.stringify(sorted(withoutAnnotation(config)))}\n`;
  const kept = { ...annotations, [ANNOTATION]: escaped(text) };
  return { ...object, metadata: { ...metadata, annotations: kept } };
}

function withoutAnnotation(config: JsonObject): JsonObject {
  const metadata = own(config, "metadata");
  const annotations = own(metadata, "annotations");
  if (!isObject(metadata) || !isObject(annotations)) return config;
  const { [ANNOTATION]: _, ...rest } = annotations as Record<string, Json>;
  const { annotations: __, ...others } = metadata as Record<string, Json>;
  const kept = Object.keys(rest).length === 0 ? others : { ...others, annotations: rest };
  return { ...config, metadata: kept };
}

function sorted(value: Json): Json {
  if (Array.isArray(value)) return value.map(sorted);
  if (!isObject(value)) return value;
  const copy: JsonObject = {};
  for (const key of Object.keys(value).sort()) put(copy, key, sorted(value[key]!));
  return copy;
}

/** As Go writes JSON. */
function escaped(text: string): string {
  return text.replaceAll("<", "\\u003c").replaceAll(">", "\\u003e").replaceAll("&", "\\u0026");
}
