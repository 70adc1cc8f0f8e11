import { createHash } from "node:crypto";
import type { Json, JsonObject } from "@heddle/apiserver/json/value";
import { META } from "@heddle/apiserver/kinds/built-in-types";
import type { Registry } from "@heddle/apiserver/kinds/registry";
import type { ResourceType, Verb, VersionView } from "@heddle/apiserver/kinds/resource-type";
import { RAW_JSON, type Schema } from "@heddle/apiserver/schema/schema";
import { KUBERNETES_VERSION, viewsOf } from "./discovery.ts";

/**
 * OpenAPI documents, one for each group and version, made of the same schemas that validate. They
 * say what `kubectl` asks them: fields of kinds, how lists are patched, whether a resource can be
 * patched and takes `fieldValidation`.
 */
export class OpenApi {
  readonly #registry: Registry;
  readonly #documents = new Map<string, Buffer>();
  #generation = -1;

  constructor(registry: Registry) {
    this.#registry = registry;
  }

  /** `/openapi/v3`: where the documents are. */
  index(): JsonObject {
    const paths: JsonObject = {};
    for (const [group, versions] of this.#registry.groups()) {
      for (const version of versions) {
        const path = pathOf(group, version);
        const hash = createHash("sha256").update(this.document(path)!).digest("hex").toUpperCase();
        paths[path] = { serverRelativeURL: `/openapi/v3/${path}?hash=${hash}` };
      }
    }
    return { paths };
  }

  /** The document of `api/v1` or `apis/GROUP/VERSION`; undefined if there is none. */
  document(path: string): Buffer | undefined {
    if (this.#generation !== this.#registry.generation) {
      this.#generation = this.#registry.generation;
      this.#documents.clear();
    }
    const known = this.#documents.get(path);
    if (known !== undefined) return known;
    const [root, ...rest] = path.split("/");
    const group = root === "api" ? "" : (rest.shift() ?? "");
    const [version = ""] = rest;
    const views = [...viewsOf(this.#registry, group, version)];
    if (views.length === 0 || pathOf(group, version) !== path) return undefined;
    const made = Buffer.from(JSON.stringify(describe(views)));
    this.#documents.set(path, made);
    return made;
  }
}

/**
 * The document of OpenAPI 2, which names nothing: kubectl asks for it before it sends a `List`, and
 * leaves to the server what it does not find there.
 */
export const LEGACY: JsonObject = {
  swagger: "2.0",
  info: { title: "Heddle", version: KUBERNETES_VERSION },
  paths: {},
  definitions: {},
};

export const LEGACY_TYPE: string = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";

/** The same in the protobuf of gnostic, the only form that Go clients take it in. */
export function legacyDocument(): Buffer {
  const info = Buffer.concat([textField(1, "Heddle"), textField(2, KUBERNETES_VERSION)]);
  return Buffer.concat([textField(1, "2.0"), textField(2, info)]);
}

/** A field of fewer than 128 bytes. */
function textField(number: number, value: string | Buffer): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([Buffer.from([number * 8 + 2, bytes.length]), bytes]);
}

function pathOf(group: string, version: string): string {
  return group === "" ? `api/${version}` : `apis/${group}/${version}`;
}

type Served = { readonly type: ResourceType; readonly view: VersionView };

function describe(views: readonly Served[]): JsonObject {
  const schemas = new Components();
  const paths: JsonObject = {};
  for (const served of views) {
    schemas.addKind(served);
    Object.assign(paths, pathsOf(served));
  }
  return {
    openapi: "3.0.0",
    info: { title: "Heddle", version: KUBERNETES_VERSION },
    paths,
    components: { schemas: schemas.all },
  };
}

const ACTIONS: Readonly<Record<Verb, string>> = {
  create: "post",
  delete: "delete",
  deletecollection: "deletecollection",
  get: "get",
  list: "list",
  patch: "patch",
  update: "put",
  watch: "watchlist",
};

function pathsOf({ type, view }: Served): JsonObject {
  const root = `/${pathOf(type.group, view.version)}`;
  const many = type.isNamespaced
    ? `${root}/namespaces/{namespace}/${type.plural}`
    : `${root}/${type.plural}`;
  const operation = (verb: Verb): JsonObject => operationOf({ type, view }, verb);
  const has = (verb: Verb): boolean => type.verbs.includes(verb);
  const collection: JsonObject = {};
  if (has("list")) collection["get"] = operation("list");
  if (has("create")) collection["post"] = operation("create");
  if (has("deletecollection")) collection["delete"] = operation("deletecollection");
  const paths: JsonObject = { [many]: collection };
  if (type.isNamespaced && has("list"))
    paths[`${root}/${type.plural}`] = { get: operation("list") };
  const one: JsonObject = {};
  if (has("get")) one["get"] = operation("get");
  if (has("update")) one["put"] = operation("update");
  if (has("patch")) one["patch"] = operation("patch");
  if (has("delete")) one["delete"] = operation("delete");
  if (Object.keys(one).length > 0) paths[`${many}/{name}`] = one;
  if (view.hasStatus) {
    paths[`${many}/{name}/status`] = {
      get: operation("get"),
      put: operation("update"),
      patch: operation("patch"),
    };
  }
  return paths;
}

const PATCH_TYPES = [
  "application/apply-patch+yaml",
  "application/json-patch+json",
  "application/merge-patch+json",
];

function operationOf({ type, view }: Served, verb: Verb): JsonObject {
  const ref: Json = { $ref: `#/components/schemas/${componentOf({ type, view })}` };
  const json: Json = { "application/json": { schema: ref } };
  const kind = { group: type.group, version: view.version, kind: type.kind };
  const operation: JsonObject = {
    operationId: `${verb}${kind.kind}${view.version}`,
    responses: { "200": { description: "OK", content: json } },
    "x-kubernetes-action": ACTIONS[verb],
    "x-kubernetes-group-version-kind": kind,
  };
  if (verb !== "create" && verb !== "update" && verb !== "patch") return operation;
  const parameters = ["dryRun", "fieldManager", "fieldValidation"].map((name) => ({
    name,
    in: "query",
    schema: { type: "string", uniqueItems: true },
  }));
  const force = { name: "force", in: "query", schema: { type: "boolean", uniqueItems: true } };
  operation["parameters"] = verb === "patch" ? [...parameters, force] : parameters;
  const patches = type.isCustom
    ? PATCH_TYPES
    : [...PATCH_TYPES, "application/strategic-merge-patch+json"];
  const content: Json =
    verb === "patch"
      ? Object.fromEntries(patches.map((media) => [media, { schema: { type: "object" } }]))
      : json;
  operation["requestBody"] = { content, required: true };
  return operation;
}

function componentOf({ type, view }: Served): string {
  const group = type.group === "" ? "core" : type.group;
  return `${group.split(".").reverse().join(".")}.${view.version}.${type.kind}`;
}

/** The schemas of a document, by name. */
class Components {
  readonly all: JsonObject = {};

  addKind(served: Served): void {
    const { type, view } = served;
    const schema = this.#object(view.schema);
    const properties = (schema["properties"] ?? {}) as JsonObject;
    schema["properties"] = {
      apiVersion: { type: "string" },
      kind: { type: "string" },
      ...properties,
      metadata: this.#reference(META),
    };
    schema["x-kubernetes-group-version-kind"] = [
      { group: type.group, version: view.version, kind: type.kind },
    ];
    this.all[componentOf(served)] = schema;
    this.all[`${componentOf(served)}List`] = {
      type: "object",
      properties: {
        apiVersion: { type: "string" },
        kind: { type: "string" },
        metadata: { type: "object" },
        items: { type: "array", items: { $ref: `#/components/schemas/${componentOf(served)}` } },
      },
      required: ["items"],
      "x-kubernetes-group-version-kind": [
        { group: type.group, version: view.version, kind: type.listKind },
      ],
    };
  }

  /** A field's schema; named types stand by themselves and are referred to. */
  #schema(schema: Schema): JsonObject {
    return schema.name === undefined ? this.#object(schema) : this.#reference(schema);
  }

  /** What a field adds to its type (a default) stands beside the reference. */
  #reference(schema: Schema): JsonObject {
    const name = `io.k8s.${schema.name!}`;
    if (!Object.hasOwn(this.all, name)) {
      // Set first: types may contain themselves.
      this.all[name] = {};
      const { default: _, ...type } = schema;
      this.all[name] = this.#object({ ...type, ...NO_MARKS });
    }
    const ref: JsonObject = { $ref: `#/components/schemas/${name}` };
    const marks = marksOf(schema);
    return Object.keys(marks).length === 0 ? ref : { allOf: [ref], ...marks };
  }

  #object(schema: Schema): JsonObject {
    const out: JsonObject = { ...valuesOf(schema), ...marksOf(schema) };
    if (schema.properties !== undefined && schema.properties.size > 0) {
      out["properties"] = Object.fromEntries(
        [...schema.properties].map(([key, field]) => [key, this.#schema(field)]),
      );
    }
    if (schema.additionalProperties !== undefined) {
      out["additionalProperties"] = this.#schema(schema.additionalProperties);
    }
    if (schema.items !== undefined) out["items"] = this.#schema(schema.items);
    for (const key of ["allOf", "anyOf", "oneOf"] as const) {
      const parts = schema[key];
      if (parts !== undefined) out[key] = parts.map((part) => this.#schema(part));
    }
    if (schema.not !== undefined) out["not"] = this.#schema(schema.not);
    return out;
  }
}

/** What belongs to the field, not to the type that it has. */
const NO_MARKS: Partial<Schema> = {
  patchMerges: false,
  patchRetainsKeys: false,
};

function marksOf(schema: Schema): JsonObject {
  const out: JsonObject = {};
  const strategies: string[] = [];
  if (schema.patchRetainsKeys === true) strategies.push("retainKeys");
  if (schema.patchMerges === true) strategies.unshift("merge");
  if (strategies.length > 0) out["x-kubernetes-patch-strategy"] = strategies.join(",");
  if (schema.patchMerges === true && schema.patchMergeKey !== undefined) {
    out["x-kubernetes-patch-merge-key"] = schema.patchMergeKey;
  }
  if (schema.name !== undefined && schema.default !== undefined) out["default"] = schema.default;
  return out;
}

const PLAIN_KEYS = [
  "type",
  "description",
  "nullable",
  "minLength",
  "maxLength",
  "minimum",
  "maximum",
  "exclusiveMinimum",
  "exclusiveMaximum",
  "multipleOf",
  "minItems",
  "maxItems",
  "uniqueItems",
  "minProperties",
  "maxProperties",
] as const;

function valuesOf(schema: Schema): JsonObject {
  const out: JsonObject = {};
  for (const key of PLAIN_KEYS) {
    const value = schema[key];
    if (value !== undefined) out[key] = value;
  }
  const { format } = schema;
  if (format === "date-time-micro") out["format"] = "date-time";
  else if (format !== undefined && format !== RAW_JSON) out["format"] = format;
  if (schema.default !== undefined && schema.name === undefined) out["default"] = schema.default;
  if (schema.enum !== undefined) out["enum"] = [...schema.enum];
  if (schema.pattern !== undefined) out["pattern"] = schema.pattern.text;
  if (schema.required !== undefined && schema.required.length > 0) {
    out["required"] = [...schema.required];
  }
  if (schema.isIntOrString === true) {
    if (schema.format === undefined) out["x-kubernetes-int-or-string"] = true;
    else out["oneOf"] = [{ type: "string" }, { type: "number" }];
  }
  if (schema.preservesUnknown === true) out["x-kubernetes-preserve-unknown-fields"] = true;
  if (schema.rules !== undefined) {
    out["x-kubernetes-validations"] = schema.rules.map(({ usesOptionals, ...rule }) => ({
      ...rule,
      ...(usesOptionals ? { optionalOldSelf: true } : {}),
    }));
  }
  if (schema.isEmbedded === true) out["x-kubernetes-embedded-resource"] = true;
  if (schema.listType !== undefined) out["x-kubernetes-list-type"] = schema.listType;
  if (schema.listMapKeys !== undefined) out["x-kubernetes-list-map-keys"] = [...schema.listMapKeys];
  if (schema.mapType !== undefined) out["x-kubernetes-map-type"] = schema.mapType;
  return out;
}
