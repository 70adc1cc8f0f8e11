import { compileJsonPath } from "@heddle/apiserver/json/json-path";
import {
  digArray,
  digObject,
  digString,
  type Json,
  type JsonObject,
  own,
} from "@heddle/apiserver/json/value";
import type { FieldReader, FieldReaders } from "@heddle/apiserver/objects/field-selector";
import { compileSchema } from "@heddle/apiserver/schema/custom-schema";
import { AGE, ageOf, NAME } from "./columns.ts";
import { byPreference } from "./registry.ts";
import {
  ALL_VERBS,
  type Column,
  type ResourceType,
  type ScalePaths,
  type Strategy,
  type VersionView,
} from "./resource-type.ts";
import { PLAIN } from "./strategy.ts";

const CUSTOM: Strategy = { ...PLAIN, hasGeneration: true, allowsUnconditionalUpdate: false };

/** The resource that a CustomResourceDefinition defines. The definition has been validated. */
export function customType(definition: JsonObject): ResourceType {
  const spec = digObject(definition, "spec")!;
  const names = digObject(spec, "names")!;
  const group = digString(spec, "group")!;
  const plural = digString(names, "plural")!;
  const kind = digString(names, "kind")!;
  const versions = digArray(spec, "versions");
  const stored = versions.find((version) => own(version, "storage") === true);
  return {
    group,
    plural,
    singular: digString(names, "singular") ?? kind.toLowerCase(),
    kind,
    listKind: digString(names, "listKind") ?? `${kind}List`,
    shortNames: digArray(names, "shortNames").map(String),
    categories: digArray(names, "categories").map(String),
    isNamespaced: own(spec, "scope") !== "Cluster",
    isCustom: true,
    key: `${group}/${plural}`,
    versions: versions
      .filter((version) => own(version, "served") === true)
      .map((version) => customView(version, spec))
      .sort((a, b) => byPreference(a.version, b.version)),
    storedVersion: digString(stored, "name")!,
    verbs: ALL_VERBS,
    strategy: CUSTOM,
  };
}

function customView(version: Json, spec: JsonObject): VersionView {
  const source = own(own(version, "schema"), "openAPIV3Schema") ?? { type: "object" };
  const { schema } = compileSchema(source, "");
  const name = digString(version, "name")!;
  const keepsUnknown = own(spec, "preserveUnknownFields") === true;
  return {
    version: name,
    schema: keepsUnknown ? { ...schema, preservesUnknown: true } : schema,
    columns: columnsOf(version),
    hasStatus: digObject(version, "subresources", "status") !== undefined,
    scale: scaleOf(version),
    fields: fieldsOf(version),
    deprecation: deprecationOf(version, spec),
  };
}

function columnsOf(version: Json): Column[] {
  const columns = digArray(version, "additionalPrinterColumns").map(customColumn);
  return columns.length === 0 ? [NAME, AGE] : [NAME, ...columns];
}

function customColumn(source: Json): Column {
  const read = compileJsonPath(digString(source, "jsonPath") ?? "");
  const type = (digString(source, "type") ?? "string") as Column["type"];
  const priority = own(source, "priority");
  const format = digString(source, "format");
  return {
    name: digString(source, "name") ?? "",
    type: type === "date" ? "string" : type,
    description: digString(source, "description") ?? "",
    ...(format === undefined || format === "" ? {} : { format }),
    priority: typeof priority === "number" ? priority : 0,
    value: (object, nowMs) => {
      const found = read(object);
      if (found.length === 0) return undefined;
      if (type === "date") return ageOf(String(found[0]), nowMs);
      if (found.length === 1) return cell(found[0]!, type);
      return JSON.stringify(found);
    },
  };
}

function cell(value: Json, type: Column["type"]): Json {
  if (type === "string") return typeof value === "string" ? value : JSON.stringify(value);
  return value;
}

function scaleOf(version: Json): ScalePaths | undefined {
  const scale = digObject(version, "subresources", "scale");
  if (scale === undefined) return undefined;
  const keys = (path: string | undefined): string[] => (path ?? "").split(".").slice(1);
  const selector = digString(scale, "labelSelectorPath");
  return {
    specReplicas: keys(digString(scale, "specReplicasPath")),
    statusReplicas: keys(digString(scale, "statusReplicasPath")),
    labelSelector: selector === undefined ? undefined : keys(selector),
  };
}

function fieldsOf(version: Json): FieldReaders {
  const readers = new Map<string, FieldReader>();
  for (const field of digArray(version, "selectableFields")) {
    const path = digString(field, "jsonPath") ?? "";
    const read = compileJsonPath(path);
    readers.set(path.replace(/^\./, ""), (object) => {
      const [found] = read(object);
      return found === undefined || found === null ? "" : String(found);
    });
  }
  return readers;
}

function deprecationOf(version: Json, spec: JsonObject): string | undefined {
  if (own(version, "deprecated") !== true) return undefined;
  const { group, names } = spec as { group: string; names: JsonObject };
  const fallback = `${group}/${String(own(version, "name"))} ${String(own(names, "kind"))} is deprecated`;
  return digString(version, "deprecationWarning") ?? fallback;
}
