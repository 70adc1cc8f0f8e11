import { isObject, type Json, put } from "./value.ts";

/**
 * Parses a JSON pointer (RFC 6901) into its keys.
 *
 * @throws SyntaxError if it neither is empty nor begins with a slash.
 */
export function parsePointer(text: string): string[] {
  if (text === "") return [];
  if (!text.startsWith("/")) throw new SyntaxError(`pointer "${text}" does not begin with "/"`);
  return text
    .slice(1)
    .split("/")
    .map((key) => key.replaceAll("~1", "/").replaceAll("~0", "~"));
}

/** @throws SyntaxError if nothing stands there. */
export function readAt(root: Json, keys: readonly string[]): Json {
  let current = root;
  for (const key of keys) current = step(current, key);
  return current;
}

/** Adds, as RFC 6902 means it: inserts into a list, sets in an object. Returns the new root. */
export function addAt(root: Json, keys: readonly string[], value: Json): Json {
  if (keys.length === 0) return value;
  const parent = readAt(root, keys.slice(0, -1));
  const key = keys.at(-1)!;
  if (Array.isArray(parent)) {
    parent.splice(key === "-" ? parent.length : indexIn(parent, key, parent.length), 0, value);
  } else if (isObject(parent)) put(parent, key, value);
  else throw new SyntaxError(`"${key}" cannot be added to a scalar`);
  return root;
}

/** @throws SyntaxError if nothing stands there. */
export function removeAt(root: Json, keys: readonly string[]): Json {
  if (keys.length === 0) throw new SyntaxError("the whole document cannot be removed");
  const parent = readAt(root, keys.slice(0, -1));
  const key = keys.at(-1)!;
  step(parent, key);
  if (Array.isArray(parent)) parent.splice(Number(key), 1);
  else if (isObject(parent)) delete parent[key];
  return root;
}

function step(value: Json, key: string): Json {
  if (Array.isArray(value)) return value[indexIn(value, key, value.length - 1)]!;
  if (isObject(value) && Object.hasOwn(value, key)) return value[key]!;
  throw new SyntaxError(`"${key}" does not exist`);
}

function indexIn(list: readonly Json[], key: string, max: number): number {
  const index = /^(?:0|[1-9]\d{0,8})$/.test(key) ? Number(key) : Number.NaN;
  if (!(index <= max)) throw new SyntaxError(`"${key}" is no index of a list of ${list.length}`);
  return index;
}
