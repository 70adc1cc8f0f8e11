import type { CrdVersion, CustomResourceDefinition } from "@heddle/kube/types/core";
import type { Schema } from "./schema.ts";

export interface Column {
  readonly name: string;
  readonly jsonPath: string;
  readonly type?: string;
}

export const AGE: Column = {
  name: "Age",
  jsonPath: ".metadata.creationTimestamp",
  type: "date",
};

export interface VersionOptions {
  readonly schema: Schema;
  readonly isStored?: boolean;
  readonly columns?: readonly Column[];
  readonly hasStatus?: boolean;
  /** The warning that users of this version get. */
  readonly deprecated?: string;
}

export function version(name: string, options: VersionOptions): CrdVersion {
  const { schema, isStored = false, columns = [], hasStatus = false, deprecated } = options;
  return {
    name,
    served: true,
    storage: isStored,
    schema: { openAPIV3Schema: schema },
    ...(deprecated === undefined ? {} : { deprecated: true, deprecationWarning: deprecated }),
    ...(hasStatus ? { subresources: { status: {} } } : {}),
    ...(columns.length === 0
      ? {}
      : {
          additionalPrinterColumns: columns.map(({ name: title, jsonPath, type = "string" }) => ({
            name: title,
            type,
            jsonPath,
          })),
        }),
  };
}

export interface DefinitionOptions {
  readonly kind: string;
  readonly group: string;
  readonly plural: string;
  readonly shortNames?: readonly string[];
  readonly categories?: readonly string[];
  readonly annotations?: Readonly<Record<string, string>>;
  readonly versions: readonly CrdVersion[];
}

/** A definition of a namespaced kind, with the labels that Linkerd's own carry. */
export function definition(options: DefinitionOptions): CustomResourceDefinition {
  const { kind, group, plural, shortNames, categories, annotations, versions } = options;
  return {
    metadata: {
      name: `${plural}.${group}`,
      labels: { "linkerd.io/control-plane-ns": "linkerd" },
      annotations: { "linkerd.io/created-by": "heddle", ...annotations },
    },
    spec: {
      group,
      scope: "Namespaced",
      names: {
        kind,
        plural,
        singular: kind.toLowerCase(),
        listKind: `${kind}List`,
        ...(shortNames === undefined ? {} : { shortNames }),
        ...(categories === undefined ? {} : { categories }),
      },
      versions,
    },
  };
}
