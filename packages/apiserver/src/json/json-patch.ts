import { addAt, parsePointer, readAt, removeAt } from "./pointer.ts";
import { clone, equal, isObject, type Json, own } from "./value.ts";

/** More operations than this are refused: each may move a list's whole tail. */
const MAX_OPERATIONS = 10_000;

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
  for (const [at, operation] of patch.entries()) {
    try {
      result = apply(result, operation);
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
      throw new SyntaxError(`operation ${at}: ${error.message}`, { cause: error });
    }
  }
  return result;
}

function apply(root: Json, operation: Json): Json {
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
    case "copy":
      return addAt(root, path, clone(readAt(root, pointerIn(operation, "from"))));
    case "test":
      if (equal(readAt(root, path), valueIn(operation))) return root;
      throw new SyntaxError(`the test of "${String(operation["path"])}" failed`);
    default:
      throw new SyntaxError(`unknown operation ${JSON.stringify(kind ?? null)}`);
  }
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
