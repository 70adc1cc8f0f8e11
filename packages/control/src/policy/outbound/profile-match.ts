import { compilePattern, type Pattern } from "@heddle/model/pattern";
import type { HttpMatch, PathMatch } from "@heddle/model/route/http-routes";
import type { RequestMatch } from "../../destination/profile-rules.ts";
import type { PatternBudget } from "../pattern-budget.ts";

/** One way for a request to be meant. What is left out holds always. */
export interface Alternative {
  readonly path: PathMatch | undefined;
  readonly method: string | undefined;
}

/** Conditions multiply; nobody writes so many by hand. */
const MAX_ALTERNATIVES = 32;
const EVERY_PATH = new Set([".*", "/.*", "/?.*", ".+", "/.*?"]);
const SPECIAL = "\\^$.|?*+()[]{}";

/**
 * The ways in which a ServiceProfile's condition can hold.
 *
 * @throws SyntaxError if routes cannot say that.
 */
export function alternativesOf(
  condition: RequestMatch,
  patterns: PatternBudget,
): readonly Alternative[] {
  const found = alternatives(condition, patterns);
  if (found.length === 0) throw new SyntaxError("its condition never holds");
  return found;
}

function alternatives(condition: RequestMatch, patterns: PatternBudget): readonly Alternative[] {
  switch (condition.type) {
    case "path":
      patterns.spend(condition.regex);
      return [{ path: pathOf(condition.regex), method: undefined }];
    case "method":
      return [{ path: undefined, method: condition.method }];
    case "not":
      throw new SyntaxError("a route cannot say `not`");
    case "any":
      return bounded(condition.matches.flatMap((one) => alternatives(one, patterns)));
    case "all":
      return condition.matches.reduce<readonly Alternative[]>(
        (before, one) => {
          const more = alternatives(one, patterns);
          return bounded(before.flatMap((a) => more.flatMap((b) => bothOf(a, b))));
        },
        [{ path: undefined, method: undefined }],
      );
  }
}

function bounded(found: readonly Alternative[]): readonly Alternative[] {
  if (found.length <= MAX_ALTERNATIVES) return found;
  throw new SyntaxError(`its condition has more than ${MAX_ALTERNATIVES} alternatives`);
}

function bothOf(a: Alternative, b: Alternative): Alternative[] {
  const both = meet({ ...withoutUnset(a) }, b);
  return both === undefined ? [] : [{ path: both.path, method: both.method }];
}

function withoutUnset({ path, method }: Alternative): HttpMatch {
  return {
    ...(path === undefined ? {} : { path }),
    ...(method === undefined ? {} : { method }),
  };
}

/**
 * What requests have in common that a route's match and a profile's mean; undefined if there are
 * none.
 *
 * @throws SyntaxError if no single match says that.
 */
export function meet(match: HttpMatch, with_: Alternative): HttpMatch | undefined {
  const method = match.method ?? with_.method;
  if (with_.method !== undefined && method !== with_.method) return undefined;
  const path = meetPaths(match.path, with_.path);
  if (path === "none") return undefined;
  return {
    ...match,
    ...(path === undefined ? {} : { path }),
    ...(method === undefined ? {} : { method }),
  };
}

function meetPaths(
  a: PathMatch | undefined,
  b: PathMatch | undefined,
): PathMatch | "none" | undefined {
  if (b === undefined) return a;
  if (a === undefined || (a.kind === "prefix" && stripped(a.prefix) === "")) return b;
  if (a.kind === "exact") return includes(b, a.path) ? a : "none";
  if (b.kind === "exact") return includes(a, b.path) ? b : "none";
  if (a.kind === "regex" && b.kind === "regex" && a.pattern === b.pattern) return a;
  if (a.kind === "prefix" && b.kind === "regex") {
    const prefix = stripped(a.prefix);
    const start = literalStart(b.pattern);
    if (start.startsWith(`${prefix}/`)) return b;
    const isApart = !prefix.startsWith(start) && !start.startsWith(prefix);
    if (isApart || start.length > prefix.length) return "none";
  }
  throw new SyntaxError(`its pattern may mean paths within ${nameOf(a)} and others`);
}

function includes(path: PathMatch, text: string): boolean {
  if (path.kind === "exact") return path.path === text;
  if (path.kind === "regex") return compiled(path).matches(text);
  const prefix = stripped(path.prefix);
  return text === prefix || text.startsWith(`${prefix}/`);
}

/** One pattern meets many paths. */
const patterns = new WeakMap<PathMatch, Pattern>();

function compiled(path: PathMatch & { readonly kind: "regex" }): Pattern {
  const known = patterns.get(path);
  if (known !== undefined) return known;
  const made = compilePattern(path.pattern);
  patterns.set(path, made);
  return made;
}

function nameOf(path: PathMatch): string {
  if (path.kind === "exact") return path.path;
  return path.kind === "prefix" ? path.prefix : path.pattern;
}

function stripped(prefix: string): string {
  return prefix.replace(/\/+$/, "");
}

/** A profile's pattern is for the whole path. Undefined: for every path. */
function pathOf(regex: string): PathMatch | undefined {
  const bare = regex.replace(/^\^/, "").replace(/(?<!\\)\$$/, "");
  if (EVERY_PATH.has(bare)) return undefined;
  const start = literalStart(bare);
  const isLiteral = bare.replaceAll(/\\([^A-Za-z0-9])/g, "$1") === start;
  return isLiteral && start.startsWith("/")
    ? { kind: "exact", path: start }
    : { kind: "regex", pattern: regex };
}

/** The text that every path starts with that a pattern means; as much of it as is plain. */
export function literalStart(regex: string): string {
  // Alternatives need have no start in common.
  if (hasAlternatives(regex)) return "";
  const bare = regex.replace(/^\^/, "");
  let text = "";
  let at = 0;
  while (at < bare.length) {
    const isEscaped = bare[at] === "\\";
    const char = isEscaped ? bare[at + 1] : bare[at];
    if (char === undefined) break;
    if (isEscaped ? /[A-Za-z0-9]/.test(char) : SPECIAL.includes(char)) break;
    at += isEscaped ? 2 : 1;
    // It need not be there, or be there once.
    if ("?*{".includes(bare[at] ?? " ")) break;
    text += char;
  }
  return text;
}

/** Outside of groups and classes. */
function hasAlternatives(regex: string): boolean {
  let depth = 0;
  let isInClass = false;
  for (let at = 0; at < regex.length; at++) {
    const char = regex[at];
    if (char === "\\") at++;
    else if (isInClass) isInClass = char !== "]";
    else if (char === "[") isInClass = true;
    else if (char === "(") depth++;
    else if (char === ")") depth--;
    else if (char === "|" && depth === 0) return true;
  }
  return false;
}
