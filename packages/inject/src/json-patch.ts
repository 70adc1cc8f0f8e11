import { MeshError } from "@heddle/base/errors";

/** Injection only ever adds. */
export interface PatchOperation {
  readonly op: "add";
  /** JSON pointer. */
  readonly path: string;
  readonly value: unknown;
}

export function add(path: string, value: unknown): PatchOperation {
  return { op: "add", path, value };
}

/** A key as it stands in a JSON pointer (RFC 6901). */
export function pointerKey(key: string): string {
  return key.replaceAll("~", "~0").replaceAll("/", "~1");
}

/** The document after the additions; the one given stays as it is. */
export function applyPatch<T>(document: T, operations: readonly PatchOperation[]): T {
  const root = structuredClone(document);
  for (const { path, value } of operations) {
    const keys = path.slice(1).split("/").map(unescapeKey);
    const last = keys.pop()!;
    let target: unknown = root;
    for (const key of keys) target = childOf(target, key, path);
    put(target, last, structuredClone(value), path);
  }
  return root;
}

function unescapeKey(key: string): string {
  return key.replaceAll("~1", "/").replaceAll("~0", "~");
}

function childOf(target: unknown, key: string, path: string): unknown {
  if (typeof target === "object" && target !== null && Object.hasOwn(target, key)) {
    return (target as Readonly<Record<string, unknown>>)[key];
  }
  throw new MeshError("bad_patch", "self", `Cannot add ${path}: there is no "${key}"`);
}

function put(target: unknown, key: string, value: unknown, path: string): void {
  if (Array.isArray(target)) {
    const index = key === "-" ? target.length : Number(key);
    if (Number.isInteger(index) && index >= 0 && index <= target.length) {
      target.splice(index, 0, value);
      return;
    }
  } else if (typeof target === "object" && target !== null) {
    Object.defineProperty(target, key, {
      value,
      enumerable: true,
      writable: true,
      configurable: true,
    });
    return;
  }
  throw new MeshError("bad_patch", "self", `Cannot add ${path}: its parent takes no "${key}"`);
}
