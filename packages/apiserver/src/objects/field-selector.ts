import { digString, type JsonObject } from "@heddle/apiserver/json/value";
import { badRequest } from "@heddle/apiserver/status-error";

/** How a field that may be selected by is read. Absent reads as the empty string. */
export type FieldReader = (object: JsonObject) => string;
export type FieldReaders = ReadonlyMap<string, FieldReader>;

export interface FieldRequirement {
  readonly field: string;
  readonly value: string;
  readonly isEqual: boolean;
  readonly read: FieldReader;
}

export type FieldSelector = readonly FieldRequirement[];

const METADATA_FIELDS: FieldReaders = new Map<string, FieldReader>([
  ["metadata.name", (object) => digString(object, "metadata", "name") ?? ""],
  ["metadata.namespace", (object) => digString(object, "metadata", "namespace") ?? ""],
]);

/**
 * Parses `metadata.name=a,spec.nodeName!=b`. Only fields of the resource may be named.
 *
 * @throws StatusError 400 on an unknown field or anything that is not of that form.
 */
export function parseFieldSelector(text: string, readers: FieldReaders): FieldSelector {
  const requirements: FieldRequirement[] = [];
  for (const part of split(text)) {
    const found = /^([^=!]+)(==|!=|=)(.*)$/s.exec(part);
    if (found === null) throw badRequest(`invalid selector: '${part}'; can't understand it`);
    const field = found[1]!.trim();
    const read = METADATA_FIELDS.get(field) ?? readers.get(field);
    if (read === undefined) throw badRequest(`field label not supported: ${field}`);
    const value = found[3]!.replaceAll(/\\(.)/g, "$1");
    requirements.push({ field, value, isEqual: found[2] !== "!=", read });
  }
  return requirements;
}

/** At commas that no backslash guards. */
function split(text: string): string[] {
  return (text.match(/(?:[^,\\]|\\.)+/gs) ?? []).filter((part) => part.trim() !== "");
}

export function matchesFields(selector: FieldSelector, object: JsonObject): boolean {
  return selector.every(({ read, value, isEqual }) => (read(object) === value) === isEqual);
}
