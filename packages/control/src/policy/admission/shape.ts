import { quoted } from "./quoted.ts";

/**
 * Reads a value of a review, which anybody may have sent, as what it should be. `path` is the
 * value's field, for the message.
 *
 * @throws SyntaxError with the field and the fix.
 */
export type Read<T> = (value: unknown, path: string) => T;

type OptionalKeys<T> = {
  [K in keyof T]-?: undefined extends T[K] ? K : never;
}[keyof T];
type RequiredKeys<T> = Exclude<keyof T, OptionalKeys<T>>;

/** Fields that must be there, and others. What is not named is passed over. */
export interface Fields<T> {
  readonly required: { readonly [K in RequiredKeys<T>]: Read<T[K]> };
  readonly optional: { readonly [K in OptionalKeys<T>]: Read<Exclude<T[K], undefined>> };
}

/** An object whose fields are others' business. */
export const anyObject: Read<Readonly<Record<string, unknown>>> = (value, path) => {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) {
    return value as Readonly<Record<string, unknown>>;
  }
  throw new SyntaxError(`${path}: is no object: write one`);
};

/** An object. A field that is null counts as absent. */
export function fields<T extends object>({ required, optional }: Fields<T>): Read<T> {
  const known = Object.entries({ ...required, ...optional }) as [string, Read<unknown>][];
  return (value, path) => {
    const object = anyObject(value, path);
    const read: Record<string, unknown> = {};
    for (const [key, readField] of known) {
      const field = Object.hasOwn(object, key) ? object[key] : undefined;
      const at = `${path}.${key}`;
      if (field !== undefined && field !== null) read[key] = readField(field, at);
      else if (Object.hasOwn(required, key)) throw new SyntaxError(`${at}: is missing: add it`);
    }
    return read as T;
  };
}

export function listOf<T>(entry: Read<T>): Read<readonly T[]> {
  return (value, path) => {
    if (!Array.isArray(value)) throw new SyntaxError(`${path}: is no list: write one`);
    return value.map((one, index) => entry(one, `${path}[${index}]`));
  };
}

export const text: Read<string> = (value, path) => {
  if (typeof value === "string") return value;
  throw new SyntaxError(`${path}: is no string: quote it`);
};

/** Texts by keys that anybody chose: labels, annotations. */
export const texts: Read<Readonly<Record<string, string>>> = (value, path) =>
  Object.fromEntries(
    Object.entries(anyObject(value, path)).map(([key, one]) => [key, text(one, `${path}[${key}]`)]),
  );

export const flag: Read<boolean> = (value, path) => {
  if (typeof value === "boolean") return value;
  throw new SyntaxError(`${path}: is neither true nor false: write one`);
};

export function integer(min: number, max: number): Read<number> {
  return (value, path) => {
    if (typeof value === "number" && Number.isInteger(value) && value >= min && value <= max) {
      return value;
    }
    throw new SyntaxError(`${path}: is no whole number from ${min} to ${max}: write one`);
  };
}

export function oneOf<T extends string>(...known: readonly T[]): Read<T> {
  return (value, path) => {
    const found = known.find((one) => one === value);
    if (found !== undefined) return found;
    throw new SyntaxError(`${path}: ${quoted(value)} is unknown: use one of ${known.join(", ")}`);
  };
}
