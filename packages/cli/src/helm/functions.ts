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
  ["replace", (from, to, text) => textOf(text).replaceAll(textOf(from), () => textOf(to))],
  ["join", (separator, items) => listOf(items).map(textOf).join(textOf(separator))],
  ["toString", (value) => textOf(value)],
  ["int", (value) => Math.trunc(Number(textOf(value))) || 0],
  ["hasKey", (map, key) => Object.hasOwn(mapOf(map), textOf(key))],
  ["eq", (first, ...others) => others.some((other) => other === first)],
  ["ne", (one, other) => one !== other],
  ["ge", (one, other) => Number(one) >= Number(other)],
]);

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

function mapOf(value: unknown): object {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value;
  throw new SyntaxError("expected a map");
}
