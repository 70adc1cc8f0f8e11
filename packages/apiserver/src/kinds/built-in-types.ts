import { parseTypes } from "@heddle/apiserver/schema/notation";
import type { Schema } from "@heddle/apiserver/schema/schema";
import { ACCESS_TYPES } from "./types/access.ts";
import { CORE_TYPES } from "./types/core.ts";
import { EXTENSION_TYPES } from "./types/extension.ts";
import { META_TYPES } from "./types/meta.ts";
import { POD_TYPES } from "./types/pod.ts";
import { WORKLOAD_TYPES } from "./types/workload.ts";

/** Every type of the built-in kinds, by name. */
export const BUILT_IN_TYPES: ReadonlyMap<string, Schema> = parseTypes(
  META_TYPES + CORE_TYPES + POD_TYPES + WORKLOAD_TYPES + ACCESS_TYPES + EXTENSION_TYPES,
);

export function builtInType(name: string): Schema {
  const found = BUILT_IN_TYPES.get(name);
  if (found === undefined) throw new Error(`no built-in type ${name}`);
  return found;
}

/** Of every object's metadata. */
export const META: Schema = builtInType("ObjectMeta");
