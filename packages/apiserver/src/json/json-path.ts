import { isObject, type Json, own } from "./value.ts";

type Step =
  | { readonly kind: "key"; readonly key: string }
  | { readonly kind: "index"; readonly index: number }
  | { readonly kind: "all" }
  | { readonly kind: "where"; readonly path: readonly string[]; readonly value: Json };

/** Reads values out of a document; no value, one, or several. */
export type JsonPath = (document: Json) => Json[];

/**
 * Compiles the part of JSONPath that columns and selectable fields use: `.spec.ports[0].name`,
 * `.items[*]`, `['a.key']`, `.conditions[?(@.type=="Ready")].status`.
 *
 * @throws SyntaxError on anything else.
 */
export function compileJsonPath(text: string): JsonPath {
  const steps = parseSteps(text.replace(/^\$/, ""), text);
  return (document) =>
    steps.reduce<Json[]>((found, step) => found.flatMap((v) => take(v, step)), [document]);
}

const STEP =
  /\.((?:[^.[\\]|\\.)+)|\[(\d{1,9})\]|\[(\*)\]|\['((?:[^'\\]|\\.)*)'\]|\["((?:[^"\\]|\\.)*)"\]|\[\?\(@((?:\.[\w-]+)+)\s*==\s*(?:"([^"]*)"|'([^']*)'|(true|false|-?\d+))\)\]/y;

function parseSteps(rest: string, text: string): Step[] {
  const steps: Step[] = [];
  const source = rest.startsWith(".") || rest.startsWith("[") || rest === "" ? rest : `.${rest}`;
  STEP.lastIndex = 0;
  while (STEP.lastIndex < source.length) {
    const at = STEP.lastIndex;
    const found = STEP.exec(source);
    if (found === null) {
      throw new SyntaxError(`cannot read "${source.slice(at)}" in JSONPath "${text}"`);
    }
    steps.push(stepOf(found));
  }
  return steps;
}

function stepOf(found: RegExpExecArray): Step {
  const [, key, index, all, single, double, path, quoted, alsoQuoted, bare] = found;
  if (index !== undefined) return { kind: "index", index: Number(index) };
  if (all !== undefined || key === "*") return { kind: "all" };
  if (path !== undefined) {
    const value = quoted ?? alsoQuoted ?? (JSON.parse(bare!) as Json);
    return { kind: "where", path: path.slice(1).split("."), value };
  }
  return { kind: "key", key: (key ?? single ?? double!).replaceAll(/\\(.)/g, "$1") };
}

function take(value: Json, step: Step): Json[] {
  switch (step.kind) {
    case "key": {
      const found = own(value, step.key);
      return found === undefined ? [] : [found];
    }
    case "index":
      return Array.isArray(value) && step.index < value.length ? [value[step.index]!] : [];
    case "all":
      return Array.isArray(value) ? value : isObject(value) ? Object.values(value) : [];
    case "where":
      return Array.isArray(value) ? value.filter((item) => isWhere(item, step)) : [];
    default:
      return [];
  }
}

function isWhere(item: Json, step: Extract<Step, { kind: "where" }>): boolean {
  let current: Json | undefined = item;
  for (const key of step.path) current = own(current, key);
  return current === step.value;
}
