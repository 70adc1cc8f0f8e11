import { compilePattern, type Pattern } from "@heddle/model/pattern";
import type { HeaderFields } from "@heddle/model/route/request";

/** A header or query parameter that must have a value: this one, or one that a pattern takes. */
export interface FieldMatch {
  readonly name: string;
  readonly exact?: string;
  /** In the syntax of `pattern.ts`; ignored if there is `exact`. */
  readonly regex?: string;
}

/** Compiled; the pattern of an exact match is undefined. */
export interface FieldMatcher {
  readonly name: string;
  readonly exact: string;
  readonly pattern: Pattern | undefined;
}

/** @throws SyntaxError on a bad pattern or an empty name. */
export function compileField(match: FieldMatch): FieldMatcher {
  if (match.name === "") throw new SyntaxError("Cannot compile match: a name is empty");
  if (match.exact !== undefined)
    return { name: match.name, exact: match.exact, pattern: undefined };
  if (match.regex === undefined) {
    throw new SyntaxError(`Cannot compile match of ${match.name}: there is no value to match`);
  }
  return { name: match.name, exact: "", pattern: compilePattern(match.regex) };
}

/** Header names are lower-case on our side of the wire. */
export function compileHeader(match: FieldMatch): FieldMatcher {
  return compileField({ ...match, name: match.name.toLowerCase() });
}

/** Whether any field of that name matches. Hot: allocates nothing. */
export function headerMatches(matcher: FieldMatcher, headers: HeaderFields): boolean {
  const { name, pattern } = matcher;
  for (let i = 0; i < headers.size; i++) {
    if (headers.nameAt(i) !== name) continue;
    const value = headers.valueAt(i);
    if (pattern === undefined) {
      if (value === matcher.exact) return true;
    } else if (isVisibleAscii(value) && pattern.matches(value)) return true;
  }
  return false;
}

/** Patterns are never tried on values that are no text. */
function isVisibleAscii(value: string): boolean {
  for (let i = 0; i < value.length; i++) {
    const code = value.charCodeAt(i);
    if ((code < 0x20 && code !== 0x09) || code > 0x7e) return false;
  }
  return true;
}

/**
 * Whether any parameter of that name matches. Hot: a query that needs no decoding is compared in
 * place, so only patterns and `%` or `+` allocate.
 *
 * @param path - With its query; `start` is where that begins, after the `?`.
 */
export function queryMatches(matcher: FieldMatcher, path: string, start: number): boolean {
  let from = start;
  while (from < path.length) {
    let end = path.indexOf("&", from);
    if (end < 0) end = path.length;
    if (end > from && parameterMatches(matcher, path, from, end)) return true;
    from = end + 1;
  }
  return false;
}

function parameterMatches(matcher: FieldMatcher, path: string, from: number, end: number): boolean {
  let equals = path.indexOf("=", from);
  if (equals < 0 || equals > end) equals = end;
  if (!partEquals(path, from, equals, matcher.name)) return false;
  const valueFrom = Math.min(equals + 1, end);
  if (matcher.pattern === undefined) return partEquals(path, valueFrom, end, matcher.exact);
  return matcher.pattern.matches(decodePart(path.slice(valueFrom, end)));
}

function partEquals(path: string, from: number, end: number, wanted: string): boolean {
  if (end - from === wanted.length && path.startsWith(wanted, from)) {
    // What is compared raw must not mean something else when decoded.
    return !needsDecoding(wanted, 0, wanted.length);
  }
  if (!needsDecoding(path, from, end)) return false;
  return decodePart(path.slice(from, end)) === wanted;
}

function needsDecoding(text: string, from: number, end: number): boolean {
  for (let i = from; i < end; i++) {
    const code = text.charCodeAt(i);
    if (code === 0x25 || code === 0x2b) return true;
  }
  return false;
}

/** As forms are decoded: `+` is a blank, a `%` without two digits stands for itself. */
function decodePart(text: string): string {
  if (!needsDecoding(text, 0, text.length)) return text;
  const bytes = Buffer.alloc(Buffer.byteLength(text));
  let length = 0;
  for (let i = 0; i < text.length; i++) {
    const char = text[i]!;
    const hex = char === "%" ? text.slice(i + 1, i + 3) : "";
    if (/^[0-9A-Fa-f]{2}$/.test(hex)) {
      bytes[length++] = Number.parseInt(hex, 16);
      i += 2;
    } else length += bytes.write(char === "+" ? " " : char, length);
  }
  return bytes.toString("utf8", 0, length);
}
