import { createHash } from "node:crypto";
import { stringify } from "yaml";

export type HelmFunction = (...args: readonly unknown[]) => unknown;

/** What a template counts as false: nothing, false, 0, and what is empty. */
export function isEmpty(value: unknown): boolean {
  if (value === undefined || value === null || value === false) return true;
  if (value === 0 || value === "") return true;
  if (Array.isArray(value)) return value.length === 0;
  return typeof value === "object" && Object.keys(value).length === 0;
}

/** A value as Go prints it into a template's output. */
export function textOf(value: unknown): string {
  if (value === undefined || value === null) return "";
  if (typeof value === "string") return value;
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  throw new SyntaxError("cannot print a list or map; use toYaml or toJson");
}

/** Named once, without a prototype: a template cannot reach what objects inherit. */
export const FUNCTIONS: ReadonlyMap<string, HelmFunction> = new Map<string, HelmFunction>([
  ["default", (fallback, value) => (isEmpty(value) ? fallback : value)],
  ["empty", isEmpty],
  ["not", isEmpty],
  ["quote", (...values) => values.map((value) => JSON.stringify(textOf(value))).join(" ")],
  ["toYaml", toYaml],
  ["toJson", (value) => JSON.stringify(sorted(value ?? null))],
  ["indent", (count, text) => indent(count, text)],
  ["nindent", (count, text) => `\n${indent(count, text)}`],
  ["ternary", (yes, no, test) => (test === true ? yes : no)],
  ["list", (...items) => items],
  ["dict", dict],
  ["required", required],
  ["fail", fail],
  ["b64enc", (text) => Buffer.from(textOf(text)).toString("base64")],
  ["trim", (text) => textOf(text).trim()],
  ["lower", (text) => textOf(text).toLowerCase()],
  ["contains", (part, text) => textOf(text).includes(textOf(part))],
  ["replace", (from, to, text) => textOf(text).replaceAll(textOf(from), () => textOf(to))],
  ["join", (separator, items) => listOf(items).map(textOf).join(textOf(separator))],
  ["toString", (value) => textOf(value)],
  ["int", wholeOf],
  ["int64", wholeOf],
  ["hasKey", (map, key) => Object.hasOwn(mapOf(map), textOf(key))],
  ["eq", (first, ...others) => others.some((other) => other === first)],
  ["ne", (one, other) => one !== other],
  ["lt", (one, other) => wholeOf(one) < wholeOf(other)],
  ["ge", (one, other) => wholeOf(one) >= wholeOf(other)],
  ["sub", (one, other) => wholeOf(one) - wholeOf(other)],
  ["printf", printf],
  ["upper", (text) => textOf(text).toUpperCase()],
  [
    "snakecase",
    (text) =>
      textOf(text)
        .replace(/([a-z0-9])([A-Z])/g, "$1_$2")
        .toLowerCase(),
  ],
  ["b64dec", (text) => Buffer.from(textOf(text), "base64").toString()],
  ["sha256sum", (text) => createHash("sha256").update(textOf(text)).digest("hex")],
  ["fromJson", (text) => JSON.parse(textOf(text)) as unknown],
  ["deepCopy", (value) => structuredClone(value)],
  ["index", (map, ...keys) => keys.reduce(fieldOf, map)],
  ["dig", dig],
  ["set", set],
  ["unset", unset],
  ["merge", merge],
]);

function wholeOf(value: unknown): number {
  return Math.trunc(Number(textOf(value))) || 0;
}

/** Of Go's verbs those for text and numbers, which print as they are. */
function printf(format: unknown, ...values: readonly unknown[]): string {
  let next = 0;
  const text = textOf(format).replace(/%([a-z%])/g, (whole, verb: string) => {
    if (verb === "%") return "%";
    if (!"sdv".includes(verb) || next >= values.length) {
      throw new SyntaxError(`printf cannot print ${whole} of "${textOf(format)}"`);
    }
    return textOf(values[next++]);
  });
  if (next < values.length) throw new SyntaxError(`printf has too many values for "${text}"`);
  return text;
}

function fieldOf(map: unknown, key: unknown): unknown {
  const found = mapOf(map);
  const name = textOf(key);
  return Object.hasOwn(found, name) ? found[name] : undefined;
}

/** What the keys lead to, or the default before the last argument, which is where they start. */
function dig(...args: readonly unknown[]): unknown {
  const keys = args.slice(0, -2);
  let found: unknown = mapOf(args.at(-1));
  for (const key of keys) {
    found = isMap(found) ? fieldOf(found, key) : undefined;
    if (found === undefined) return args.at(-2);
  }
  return found;
}

/** As in Go, the map itself is changed: templates copy it first. */
function set(map: unknown, key: unknown, value: unknown): unknown {
  const name = textOf(key);
  if (name === "__proto__") throw new SyntaxError(`"${name}" cannot be a key`);
  mapOf(map)[name] = value;
  return map;
}

function unset(map: unknown, key: unknown): unknown {
  delete mapOf(map)[textOf(key)];
  return map;
}

/** Adds to the first map what it has not. */
function merge(into: unknown, ...others: readonly unknown[]): unknown {
  const target = mapOf(into);
  for (const other of others) {
    for (const [key, value] of Object.entries(mapOf(other))) {
      const old = Object.hasOwn(target, key) ? target[key] : undefined;
      if (old === undefined) set(target, key, value);
      else if (isMap(old) && isMap(value)) merge(old, value);
    }
  }
  return target;
}

function toYaml(value: unknown): string {
  const options = { version: "1.1", lineWidth: 0, aliasDuplicateObjects: false } as const;
  return stringify(sorted(value ?? null), options).trimEnd();
}

/** Go's maps are written in the order of their keys. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).sort(([one], [other]) => (one < other ? -1 : 1));
  return Object.fromEntries(entries.map(([key, item]) => [key, sorted(item)]));
}

function indent(count: unknown, text: unknown): string {
  const pad = " ".repeat(Math.min(Math.max(Number(count), 0), 100));
  return pad + textOf(text).replaceAll("\n", `\n${pad}`);
}

function dict(...pairs: readonly unknown[]): Record<string, unknown> {
  if (pairs.length % 2 !== 0) throw new SyntaxError("dict needs a value for every key");
  const entries: [string, unknown][] = [];
  for (let at = 0; at < pairs.length; at += 2) entries.push([textOf(pairs[at]), pairs[at + 1]]);
  return Object.fromEntries(entries);
}

function required(message: unknown, value: unknown): unknown {
  if (value === undefined || value === null || value === "") throw new SyntaxError(textOf(message));
  return value;
}

function fail(message: unknown): never {
  throw new SyntaxError(textOf(message));
}

function listOf(value: unknown): readonly unknown[] {
  if (Array.isArray(value)) return value;
  throw new SyntaxError("expected a list");
}

function mapOf(value: unknown): Record<string, unknown> {
  if (isMap(value)) return value;
  throw new SyntaxError("expected a map");
}

function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
