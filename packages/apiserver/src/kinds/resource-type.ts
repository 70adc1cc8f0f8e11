import type { Json, JsonObject } from "@heddle/apiserver/json/value";
import type { FieldReaders } from "@heddle/apiserver/objects/field-selector";
import type { Schema } from "@heddle/apiserver/schema/schema";
import type { Cause } from "@heddle/apiserver/status-error";
import type { Tx } from "@heddle/apiserver/store/store";
import type { Registry } from "./registry.ts";

/** A column of a table, as `kubectl get` prints it. */
export interface Column {
  readonly name: string;
  readonly type: "string" | "integer" | "number" | "boolean" | "date";
  readonly description: string;
  readonly format?: string;
  /** Columns above 0 are shown with `-o wide` only. */
  readonly priority: number;
  /** Undefined prints as `<none>` or `<unknown>`, as the client likes. */
  readonly value: (object: JsonObject, nowMs: number) => Json | undefined;
}

/** Where a scale subresource finds its numbers; paths of keys. */
export interface ScalePaths {
  readonly specReplicas: readonly string[];
  readonly statusReplicas: readonly string[];
  readonly labelSelector: readonly string[] | undefined;
}

/** One version of a resource: the same objects, seen through its schema. */
export interface VersionView {
  readonly version: string;
  /** Of whole objects, without apiVersion and kind; metadata may be left to `ObjectMeta`. */
  readonly schema: Schema;
  readonly columns: readonly Column[];
  readonly hasStatus: boolean;
  readonly scale: ScalePaths | undefined;
  readonly fields: FieldReaders;
  /** Sent as a warning with every answer. */
  readonly deprecation: string | undefined;
  /** Between this version's fields and the stored version's, where they differ. Own the argument. */
  readonly toStored?: (object: JsonObject) => JsonObject;
  readonly fromStored?: (object: JsonObject) => JsonObject;
}

/** What a strategy may know of the request and of the world. */
export interface ChangeContext {
  readonly tx: Tx;
  readonly nowIso: string;
  readonly settings: ServerSettings;
  readonly registry: Registry;
}

export interface ServerSettings {
  /** From which cluster IPs are taken. */
  readonly serviceCidr: string;
}

/** What one kind does differently. Functions own the object that they change, never `old`. */
export interface Strategy {
  /** What a name must look like. */
  readonly names: "subdomain" | "label" | "service" | "path-segment";
  /** Takes what clients may write in another form; runs first of all. */
  readonly normalize?: (object: JsonObject) => void;
  /** Fills in what the server decides. Runs before validation. */
  readonly prepareCreate?: (object: JsonObject, context: ChangeContext) => void;
  readonly prepareUpdate?: (object: JsonObject, old: JsonObject, context: ChangeContext) => void;
  /** Why an object may not be made here and now, if so. Runs after `prepareCreate`. */
  readonly refuseCreate?: (object: JsonObject, context: ChangeContext) => string | undefined;
  /** Beyond the schema. */
  readonly validate?: (object: JsonObject) => Cause[];
  readonly validateUpdate?: (object: JsonObject, old: JsonObject) => Cause[];
  /** Why an object may not be deleted, if so. */
  readonly refuseDelete?: (object: JsonObject) => string | undefined;
  /** Whether changes count in metadata.generation. */
  readonly hasGeneration: boolean;
  /** A status given on creation is taken. */
  readonly keepsInitialStatus?: boolean;
  /** Updates may leave out the resourceVersion. */
  readonly allowsUnconditionalUpdate: boolean;
}

export type Verb =
  | "create"
  | "delete"
  | "deletecollection"
  | "get"
  | "list"
  | "patch"
  | "update"
  | "watch";

export const ALL_VERBS: readonly Verb[] = [
  "create",
  "delete",
  "deletecollection",
  "get",
  "list",
  "patch",
  "update",
  "watch",
];

/** A resource: built-in or from a CustomResourceDefinition. */
export interface ResourceType {
  readonly group: string;
  readonly plural: string;
  readonly singular: string;
  readonly kind: string;
  readonly listKind: string;
  readonly shortNames: readonly string[];
  readonly categories: readonly string[];
  readonly isNamespaced: boolean;
  readonly isCustom: boolean;
  /** Under which the store keeps its objects: `group/plural`. */
  readonly key: string;
  /** Served versions, the preferred one first. */
  readonly versions: readonly VersionView[];
  readonly storedVersion: string;
  readonly verbs: readonly Verb[];
  readonly strategy: Strategy;
}

export function apiVersionOf(group: string, version: string): string {
  return group === "" ? version : `${group}/${version}`;
}

export function viewOf(type: ResourceType, version: string): VersionView | undefined {
  return type.versions.find((view) => view.version === version);
}
