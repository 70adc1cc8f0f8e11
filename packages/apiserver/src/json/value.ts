/** Anything that JSON can say. */
export type Json = null | boolean | number | string | Json[] | JsonObject;

/**
 * A JSON object as `JSON.parse` makes it. Its keys come from clients, so `__proto__` and
 * `constructor` are data: read with `own`, write with `put`, never by `object[key] = value` with a
 * key that was not written in the source.
 */
export interface JsonObject {
  [key: string]: Json;
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The value of an own key; undefined for one that is only inherited, and for non-objects. */
export function own(value: Json | undefined, key: string): Json | undefined {
  return isObject(value) && Object.hasOwn(value, key) ? value[key] : undefined;
}

/** The value at a path of keys. */
export function dig(value: Json | undefined, ...path: readonly string[]): Json | undefined {
  let current = value;
  for (const key of path) current = own(current, key);
  return current;
}

export function digString(value: Json | undefined, ...path: readonly string[]): string | undefined {
  const found = dig(value, ...path);
  return typeof found === "string" ? found : undefined;
}

export function digObject(
  value: Json | undefined,
  ...path: readonly string[]
): JsonObject | undefined {
  const found = dig(value, ...path);
  return isObject(found) ? found : undefined;
}

export function digArray(value: Json | undefined, ...path: readonly string[]): Json[] {
  const found = dig(value, ...path);
  return Array.isArray(found) ? found : [];
}

/** Sets an own key, whatever its name. Assignment would call the setter of `__proto__`. */
export function put(object: JsonObject, key: string, value: Json): void {
  if (key === "__proto__") {
    Object.defineProperty(object, key, {
      value,
      enumerable: true,
      configurable: true,
      writable: true,
    });
  } else object[key] = value;
}

/** The object at a key, made if there is none. */
export function ensureObject(object: JsonObject, key: string): JsonObject {
  const found = own(object, key);
  if (isObject(found)) return found;
  const made: JsonObject = {};
  put(object, key, made);
  return made;
}

/** A copy that shares nothing. The depth of what came over the network is bounded before. */
export function clone<T extends Json>(value: T): T {
  if (Array.isArray(value)) return value.map(clone) as T;
  if (!isObject(value)) return value;
  const copy: JsonObject = {};
  for (const key of Object.keys(value)) put(copy, key, clone(value[key]!));
  return copy as T;
}

/** Equality of values; the order of keys does not count. */
export function equal(a: Json | undefined, b: Json | undefined): boolean {
  if (a === b) return true;
  if (Array.isArray(a)) {
    return Array.isArray(b) && a.length === b.length && a.every((item, at) => equal(item, b[at]!));
  }
  if (!isObject(a) || !isObject(b)) return false;
  const keys = Object.keys(a);
  if (keys.length !== Object.keys(b).length) return false;
  return keys.every((key) => Object.hasOwn(b, key) && equal(a[key], b[key]));
}
