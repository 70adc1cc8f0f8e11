import { isObject, type Json, type JsonObject, own } from "@heddle/apiserver/json/value";
import {
  apiVersionOf,
  type ResourceType,
  type VersionView,
} from "@heddle/apiserver/kinds/resource-type";
import { normalizeMetadata } from "@heddle/apiserver/objects/metadata";
import { validate } from "@heddle/apiserver/schema/validate";
import { applyDefaults, dropNulls, prune } from "@heddle/apiserver/schema/walk";
import { badRequest, type Cause, invalid } from "@heddle/apiserver/status-error";

export type FieldValidation = "Ignore" | "Warn" | "Strict";

export interface Admitted {
  readonly object: JsonObject;
  /** To be sent as warnings. */
  readonly warnings: readonly string[];
}

/**
 * Takes what a client sent for an object: checks that it is of the kind of its address, removes
 * what the schema does not know, and fills in defaults. The argument is changed.
 *
 * @throws StatusError 400 or 422.
 */
export function admit(
  body: Json,
  type: ResourceType,
  view: VersionView,
  fieldValidation: FieldValidation,
): Admitted {
  if (!isObject(body)) throw badRequest("the body is not a JSON object");
  checkKind(body, type, view);
  const { causes, dropped } = normalizeMetadata(body);
  refuse(causes, body, type);
  if (!type.isCustom) dropNulls(body, view.schema);
  dropped.push(...prune(body, view.schema, true));
  const warnings = dropped.map((path) => `unknown field "${path}"`);
  if (fieldValidation === "Strict" && warnings.length > 0) {
    const what = `${type.kind} in version "${view.version}" cannot be handled as a ${type.kind}`;
    throw badRequest(`${what}: strict decoding error: ${warnings.slice(0, 16).join(", ")}`);
  }
  applyDefaults(body, view.schema);
  type.strategy.normalize?.(body);
  return { object: body, warnings: fieldValidation === "Ignore" ? [] : warnings };
}

/** What the schema has against an object; metadata is left to others. */
export function schemaCauses(object: JsonObject, view: VersionView): Cause[] {
  const { metadata: _, ...rest } = object as Record<string, Json>;
  const { required } = view.schema;
  const schema =
    required?.includes("metadata") === true
      ? { ...view.schema, required: required.filter((key) => key !== "metadata") }
      : view.schema;
  return validate(rest, schema);
}

export function refuse(causes: readonly Cause[], object: JsonObject, type: ResourceType): void {
  if (causes.length === 0) return;
  const metadata = own(object, "metadata");
  const name = own(metadata, "name") ?? own(metadata, "generateName");
  throw invalid(type, typeof name === "string" ? name : "", causes);
}

function checkKind(body: JsonObject, type: ResourceType, view: VersionView): void {
  const wantedVersion = apiVersionOf(type.group, view.version);
  const apiVersion = own(body, "apiVersion") ?? wantedVersion;
  const kind = own(body, "kind") ?? type.kind;
  if (apiVersion !== wantedVersion) {
    throw badRequest(
      `the API version in the data (${String(apiVersion)}) does not match the expected API version (${wantedVersion})`,
    );
  }
  if (kind !== type.kind) {
    throw badRequest(
      `the kind in the data (${String(kind)}) does not match the expected kind (${type.kind})`,
    );
  }
  body["apiVersion"] = wantedVersion;
  body["kind"] = type.kind;
}
