import { parse } from "yaml";

/** A chart's values. Made without a prototype's reach: `__proto__` is refused as a key. */
export type Values = Record<string, unknown>;

const MAX_INDEX = 65_536;
const MAX_DEPTH = 30;

/** Values of `over` on those of `under`: maps merge, null removes, all else replaces. */
export function overlay(under: Readonly<Values>, over: Readonly<Values>): Values {
  const merged: Values = { ...under };
  for (const [key, value] of Object.entries(over)) {
    requireKey(key);
    const old = Object.hasOwn(merged, key) ? merged[key] : undefined;
    if (value === null) delete merged[key];
    else merged[key] = isMap(old) && isMap(value) ? overlay(old, value) : value;
  }
  return merged;
}

/** Reads a values file. @throws SyntaxError if it is no map. */
export function parseValues(text: string): Values {
  const found: unknown = parse(text, { maxAliasCount: 100 }) ?? {};
  if (!isMap(found)) throw new SyntaxError("values are no map");
  return found;
}

/**
 * Sets values as `--set a.b=c,d[0]=e,f={g,h}` says; a backslash takes the next character as it is.
 *
 * @throws SyntaxError that quotes what it cannot read.
 */
export function setValues(values: Readonly<Values>, text: string, isString = false): Values {
  const set = structuredClone(values) as Values;
  for (const pair of cut(text, ",")) {
    const [path = "", ...rest] = cut(pair, "=");
    if (rest.length === 0) throw new SyntaxError(`"${pair}" has no value; write key=value`);
    assign(set, pathOf(path), typed(rest.join("="), isString));
  }
  return set;
}

/** Cuts at a character, but not where it is escaped or within braces. Escapes stay. */
function cut(text: string, at: "," | "=" | "."): string[] {
  const parts = [""];
  let depth = 0;
  for (let index = 0; index < text.length; index++) {
    const one = text[index]!;
    if (one === "\\" && index + 1 < text.length) {
      index += 1;
      parts[parts.length - 1] += one + text[index]!;
      continue;
    }
    if (one === "{") depth += 1;
    if (one === "}") depth -= 1;
    if (one === at && depth <= 0) parts.push("");
    else parts[parts.length - 1] += one;
  }
  return parts;
}

function pathOf(text: string): (string | number)[] {
  const steps = cut(text, ".").flatMap((part) => {
    const match = /^((?:\\.|[^[\\])*)((?:\[\d+\])*)$/.exec(part);
    const name = unescaped(match?.[1] ?? "");
    if (match === null || name === "") throw new SyntaxError(`cannot read the key "${text}"`);
    requireKey(name);
    const indexes = [...match[2]!.matchAll(/\d+/g)].map(([digits]) => Number(digits));
    if (indexes.some((index) => index > MAX_INDEX)) {
      throw new SyntaxError(`an index in "${text}" is above ${MAX_INDEX}`);
    }
    return [name, ...indexes];
  });
  if (steps.length > MAX_DEPTH) throw new SyntaxError(`"${text}" is nested too deeply`);
  return steps;
}

function typed(text: string, isString: boolean): unknown {
  if (text.startsWith("{") && text.endsWith("}")) {
    const inner = text.slice(1, -1);
    return inner === "" ? [] : cut(inner, ",").map((item) => typed(item, isString));
  }
  const plain = unescaped(text);
  if (isString) return plain;
  if (plain === "true" || plain === "false") return plain === "true";
  if (plain === "null") return null;
  // A leading zero makes it text: versions and phone numbers are no numbers.
  return /^(?:0|-?[1-9]\d{0,14})$/.test(plain) ? Number(plain) : plain;
}

function assign(values: Values, path: readonly (string | number)[], value: unknown): void {
  let holder = values as Record<string | number, unknown>;
  path.slice(0, -1).forEach((step, index) => {
    const isListNext = typeof path[index + 1] === "number";
    const old = Object.hasOwn(holder, step) ? holder[step] : undefined;
    const fits = isListNext ? Array.isArray(old) : isMap(old);
    if (!fits) holder[step] = isListNext ? [] : {};
    holder = holder[step] as Record<string | number, unknown>;
  });
  const last = path.at(-1)!;
  if (value === null && !Array.isArray(holder)) delete holder[last];
  else holder[last] = value;
}

function unescaped(text: string): string {
  return text.replaceAll(/\\(.)/gs, "$1");
}

function isMap(value: unknown): value is Values {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function requireKey(key: string): void {
  if (key === "__proto__") throw new SyntaxError(`"${key}" cannot be a key`);
}
