import { compileJsonPath } from "@heddle/apiserver/json/json-path";
import {
  digArray,
  digObject,
  digString,
  ensureObject,
  isObject,
  type Json,
  type JsonObject,
  own,
} from "@heddle/apiserver/json/value";
import { isLabelName, isSubdomain } from "@heddle/apiserver/objects/names";
import { compileSchema } from "@heddle/apiserver/schema/custom-schema";
import { type Cause, invalid } from "@heddle/apiserver/status-error";
import type { Registry } from "./registry.ts";
import type { Strategy } from "./resource-type.ts";
import { GENERATED, immutable, invalidValue, required } from "./strategy.ts";

/** Holds a definition until its objects are gone. */
export const CUSTOM_CLEANUP = "customresourcecleanup.apiextensions.k8s.io";

/** How CustomResourceDefinitions are made and changed. What they define is in `custom.ts`. */
export const CRD: Strategy = {
  ...GENERATED,
  normalize: fillNames,
  // Names are accepted, and the resource is served, as soon as the definition is stored.
  prepareCreate: (object, { nowIso, registry }) => {
    refuseBuiltIn(object, registry);
    const metadata = ensureObject(object, "metadata");
    const finalizers = digArray(metadata, "finalizers");
    if (!finalizers.includes(CUSTOM_CLEANUP))
      metadata["finalizers"] = [...finalizers, CUSTOM_CLEANUP];
    object["status"] = establishedStatus(object, nowIso);
  },
  prepareUpdate: (object, _old, { nowIso }) => {
    object["status"] = establishedStatus(object, nowIso);
  },
  validate: validateDefinition,
  validateUpdate: (object, old) =>
    immutable(object, old, "spec.group", "spec.scope", "spec.names.kind", "spec.names.plural"),
};

/** A definition never takes the place of what the server itself serves. */
function refuseBuiltIn(object: JsonObject, registry: Registry): void {
  const group = digString(object, "spec", "group") ?? "";
  for (const type of registry.all()) {
    if (type.isCustom || type.group !== group) continue;
    const name = digString(object, "metadata", "name") ?? "";
    throw invalid({ group: "apiextensions.k8s.io", kind: "CustomResourceDefinition" }, name, [
      invalidValue("spec.group", group, "is a group of the server's own"),
    ]);
  }
}

function fillNames(object: JsonObject): void {
  const spec = ensureObject(object, "spec");
  const names = ensureObject(spec, "names");
  const kind = digString(names, "kind") ?? "";
  names["singular"] ??= kind.toLowerCase();
  names["listKind"] ??= `${kind}List`;
  spec["conversion"] ??= { strategy: "None" };
}

const GROUP_RULE = "should be a domain with at least one dot";

function validateDefinition(object: JsonObject): Cause[] {
  const causes: Cause[] = [];
  const group = digString(object, "spec", "group") ?? "";
  const plural = digString(object, "spec", "names", "plural") ?? "";
  const name = digString(object, "metadata", "name") ?? "";
  if (name !== `${plural}.${group}`) {
    causes.push(invalidValue("metadata.name", name, 'must be spec.names.plural+"."+spec.group'));
  }
  if (!isSubdomain(group) || !group.includes(".")) {
    causes.push(invalidValue("spec.group", group, GROUP_RULE));
  }
  if (!isLabelName(plural)) {
    causes.push(invalidValue("spec.names.plural", plural, "must be a DNS-1035 label"));
  }
  const kind = digString(object, "spec", "names", "kind") ?? "";
  if (!isLabelName(kind.toLowerCase())) {
    causes.push(invalidValue("spec.names.kind", kind, "must be a DNS-1035 label, mixed case"));
  }
  const strategy = digString(object, "spec", "conversion", "strategy");
  if (strategy !== undefined && strategy !== "None") {
    const message = `Unsupported value: ${JSON.stringify(strategy)}: supported values: "None"`;
    causes.push({ reason: "FieldValueNotSupported", message, field: "spec.conversion.strategy" });
  }
  validateVersions(digArray(object, "spec", "versions"), causes);
  return causes;
}

function validateVersions(versions: readonly Json[], causes: Cause[]): void {
  if (versions.length === 0) causes.push(required("spec.versions"));
  const stored = versions.filter((version) => own(version, "storage") === true).length;
  if (stored !== 1) {
    const why = "must have exactly one version marked as storage version";
    causes.push(
      invalidValue(
        "spec.versions",
        versions.map((v) => own(v, "name")),
        why,
      ),
    );
  }
  const names = new Set<string>();
  for (const [at, version] of versions.entries()) {
    const path = `spec.versions[${at}]`;
    const name = digString(version, "name") ?? "";
    if (!isLabelName(name))
      causes.push(invalidValue(`${path}.name`, name, "must be a DNS-1035 label"));
    if (names.has(name)) {
      causes.push({
        reason: "FieldValueDuplicate",
        message: `Duplicate value: ${JSON.stringify(name)}`,
        field: `${path}.name`,
      });
    }
    names.add(name);
    const schema = digObject(version, "schema", "openAPIV3Schema");
    const schemaPath = `${path}.schema.openAPIV3Schema`;
    if (schema === undefined) causes.push(required(schemaPath, "schemas are required"));
    else causes.push(...compileSchema(schema, schemaPath).causes);
    validatePaths(version, path, causes);
  }
}

function validatePaths(version: Json, path: string, causes: Cause[]): void {
  const paths: [string, Json | undefined][] = [];
  for (const [at, column] of digArray(version, "additionalPrinterColumns").entries()) {
    paths.push([`${path}.additionalPrinterColumns[${at}].jsonPath`, own(column, "jsonPath")]);
  }
  for (const [at, field] of digArray(version, "selectableFields").entries()) {
    paths.push([`${path}.selectableFields[${at}].jsonPath`, own(field, "jsonPath")]);
  }
  const scale = digObject(version, "subresources", "scale");
  for (const key of ["specReplicasPath", "statusReplicasPath", "labelSelectorPath"]) {
    const text = own(scale, key);
    if (text === undefined) continue;
    if (typeof text === "string" && /^(?:\.[\w-]+)+$/.test(text)) continue;
    causes.push(invalidValue(`${path}.subresources.scale.${key}`, text, "must be a simple path"));
  }
  for (const [field, text] of paths) {
    try {
      compileJsonPath(String(text));
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
      causes.push(invalidValue(field, text, error.message));
    }
  }
}

/** Status of a definition whose names are accepted and that is served. */
function establishedStatus(object: JsonObject, nowIso: string): JsonObject {
  const names = own(own(object, "spec"), "names");
  const stored = digArray(object, "spec", "versions")
    .filter((version) => own(version, "storage") === true)
    .map((version) => own(version, "name")!);
  const before = digArray(object, "status", "storedVersions");
  return {
    conditions: [
      condition(object, nowIso, "NamesAccepted", "NoConflicts", "no conflicts found"),
      condition(
        object,
        nowIso,
        "Established",
        "InitialNamesAccepted",
        "the initial names have been accepted",
      ),
    ],
    acceptedNames: isObject(names) ? names : {},
    storedVersions: [...before, ...stored.filter((name) => !before.includes(name))],
  };
}

function condition(
  object: JsonObject,
  nowIso: string,
  type: string,
  reason: string,
  message: string,
): JsonObject {
  const known = digArray(object, "status", "conditions").find((one) => own(one, "type") === type);
  const isSame = own(known, "status") === "True";
  const lastTransitionTime = isSame ? (own(known, "lastTransitionTime") ?? nowIso) : nowIso;
  return { type, status: "True", lastTransitionTime, reason, message };
}
