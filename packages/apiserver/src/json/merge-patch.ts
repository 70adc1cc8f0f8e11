import { clone, isObject, type Json, own, put } from "./value.ts";

/** Applies a JSON merge patch (RFC 7396) to a copy: null removes, objects merge, the rest replaces. */
export function applyMergePatch(document: Json, patch: Json): Json {
  return mergePatch(clone(document), patch);
}

/** As `applyMergePatch`, but changes what it is given. */
export function mergePatch(target: Json | undefined, patch: Json): Json {
  if (!isObject(patch)) return clone(patch);
  const result = isObject(target) ? target : {};
  for (const key of Object.keys(patch)) {
    const value = patch[key]!;
    if (value === null) delete result[key];
    else put(result, key, mergePatch(own(result, key), value));
  }
  return result;
}
