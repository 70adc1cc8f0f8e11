import { MAX_JSON_DEPTH } from "./parse.ts";
import { addAt, parsePointer, readAt, removeAt } from "./pointer.ts";
import { clone, equal, isObject, type Json, type JsonObject, own } from "./value.ts";

/** More operations than this are refused: each may move a list's whole tail. */
const MAX_OPERATIONS = 10_000;
/**
 * What all copies together may come to, in characters of JSON, as in Kubernetes. Forty copies of the
 * root into itself would be more than any memory.
 */
const MAX_COPIED = 3 * 1024 * 1024;

/**
 * Applies a JSON patch (RFC 6902) to a copy.
 *
 * @throws SyntaxError if the patch is malformed or does not apply, with the operation's index.
 */
export function applyJsonPatch(document: Json, patch: Json): Json {
  if (!Array.isArray(patch)) throw new SyntaxError("a JSON patch is a list of operations");
  if (patch.length > MAX_OPERATIONS) {
    throw new SyntaxError(`${patch.length} operations are more than ${MAX_OPERATIONS}`);
  }
  let result = clone(document);
  const copies = { size: 0 };
  for (const [at, operation] of patch.entries()) {
    try {
      result = apply(result, operation, copies);
    } catch (error) {
      // A RangeError is the stack's: moves nest values as deep as there are moves.
      if (!(error instanceof SyntaxError) && !(error instanceof RangeError)) throw error;
      throw new SyntaxError(`operation ${at}: ${error.message}`, { cause: error });
    }
  }
  if (isDeeperThan(result, MAX_JSON_DEPTH)) {
    throw new SyntaxError(`the result is nested deeper than ${MAX_JSON_DEPTH}`);
  }
  return result;
}

/** Looks level by level: it must not run out of stack itself. */
function isDeeperThan(value: Json, most: number): boolean {
  let level: Json[] = [value];
  for (let depth = 0; level.length > 0; depth++) {
    level = level.filter((one) => typeof one === "object" && one !== null);
    if (level.length > 0 && depth >= most) return true;
    level = level.flatMap((one) => Object.values(one as JsonObject));
  }
  return false;
}

function apply(root: Json, operation: Json, copies: { size: number }): Json {
  if (!isObject(operation)) throw new SyntaxError("not an object");
  const path = pointerIn(operation, "path");
  const kind = own(operation, "op");
  switch (kind) {
    case "add":
      return addAt(root, path, valueIn(operation));
    case "remove":
      return removeAt(root, path);
    case "replace":
      return replaceAt(root, path, valueIn(operation));
    case "move": {
      const from = pointerIn(operation, "from");
      const isWithin = from.length < path.length && from.every((key, at) => key === path[at]);
      if (isWithin) throw new SyntaxError("a value cannot be moved into itself");
      const value = readAt(root, from);
      return addAt(removeAt(root, from), path, value);
    }
    case "copy": {
      const value = readAt(root, pointerIn(operation, "from"));
      copies.size += sizeOf(value, MAX_COPIED);
      if (copies.size > MAX_COPIED) {
        throw new SyntaxError(`the copies come to more than ${MAX_COPIED} characters`);
      }
      return addAt(root, path, clone(value));
    }
    case "test":
      if (equal(readAt(root, path), valueIn(operation))) return root;
      throw new SyntaxError(`the test of "${String(operation["path"])}" failed`);
    default:
      throw new SyntaxError(`unknown operation ${JSON.stringify(kind ?? null)}`);
  }
}

/** About the length of a value's JSON; where that is beyond `enough`, anything beyond it. */
function sizeOf(value: Json, enough: number): number {
  if (typeof value === "string") return value.length + 2;
  if (typeof value !== "object" || value === null) return 8;
  let size = 2;
  for (const key of Object.keys(value)) {
    size += key.length + 4 + sizeOf((value as JsonObject)[key]!, enough - size);
    if (size > enough) break;
  }
  return size;
}

function replaceAt(root: Json, path: readonly string[], value: Json): Json {
  if (path.length === 0) return value;
  return addAt(removeAt(root, path), path, value);
}

function pointerIn(operation: Json, key: string): string[] {
  const text = own(operation, key);
  if (typeof text !== "string") throw new SyntaxError(`"${key}" is missing`);
  return parsePointer(text);
}

function valueIn(operation: Json): Json {
  const value = own(operation, "value");
  if (value === undefined) throw new SyntaxError('"value" is missing');
  return clone(value);
}
