/** Inclusive code points. */
export type CodeRange = readonly [from: number, to: number];

/** One test of a code point: ranges, or a property that the Unicode tables of the runtime know. */
export type ClassItem =
  | { readonly kind: "range"; readonly from: number; readonly to: number }
  | { readonly kind: "property"; readonly test: (text: string) => boolean; readonly not: boolean };

/** A set of code points. With `fold`, letters stand for all their cases, before negation. */
export class CharClass {
  readonly items: readonly ClassItem[];
  readonly negated: boolean;
  readonly fold: boolean;

  constructor(items: readonly ClassItem[], negated = false, fold = false) {
    this.items = items;
    this.negated = negated;
    this.fold = fold;
  }

  contains(code: number): boolean {
    const found = this.#has(code) || (this.fold && variants(code).some((v) => this.#has(v)));
    return found !== this.negated;
  }

  #has(code: number): boolean {
    for (const item of this.items) {
      if (item.kind === "range") {
        if (code >= item.from && code <= item.to) return true;
      } else if (item.test(String.fromCodePoint(code)) !== item.not) return true;
    }
    return false;
  }
}

/** The other cases of a code point; for the Kelvin sign and the long s also their ASCII letters. */
function variants(code: number): number[] {
  const text = String.fromCodePoint(code);
  const lower = text.toLowerCase();
  const upper = text.toUpperCase();
  const found: number[] = [];
  for (const variant of [lower, upper, upper.toLowerCase(), lower.toUpperCase()]) {
    const point = variant.codePointAt(0)!;
    // A case that is several letters, as of the sharp s, is no simple fold.
    if (point !== code && String.fromCodePoint(point) === variant) found.push(point);
  }
  return found;
}

export function range(from: number, to: number = from): ClassItem {
  return { kind: "range", from, to };
}

export const ANY: CharClass = new CharClass([], true);
export const ANY_BUT_NEWLINE: CharClass = new CharClass([range(0x0a)], true);

/** `\d`, `\s` and `\w` as Rust means them: over all of Unicode. */
export const PERL: Readonly<Record<string, (text: string) => boolean>> = {
  d: (text) => /^\p{Nd}$/u.test(text),
  s: (text) => /^\p{White_Space}$/u.test(text),
  w: isWord,
};

/** What `\w` is, and so what `\b` looks at. */
export function isWord(text: string): boolean {
  return /^[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]$/u.test(text);
}

/** `[:alpha:]` and the like: ASCII only, in Rust as everywhere. */
export const POSIX: Readonly<Record<string, readonly CodeRange[]>> = {
  alnum: [
    [0x30, 0x39],
    [0x41, 0x5a],
    [0x61, 0x7a],
  ],
  alpha: [
    [0x41, 0x5a],
    [0x61, 0x7a],
  ],
  ascii: [[0, 0x7f]],
  blank: [
    [0x09, 0x09],
    [0x20, 0x20],
  ],
  cntrl: [
    [0, 0x1f],
    [0x7f, 0x7f],
  ],
  digit: [[0x30, 0x39]],
  graph: [[0x21, 0x7e]],
  lower: [[0x61, 0x7a]],
  print: [[0x20, 0x7e]],
  punct: [
    [0x21, 0x2f],
    [0x3a, 0x40],
    [0x5b, 0x60],
    [0x7b, 0x7e],
  ],
  space: [
    [0x09, 0x0d],
    [0x20, 0x20],
  ],
  upper: [[0x41, 0x5a]],
  word: [
    [0x30, 0x39],
    [0x41, 0x5a],
    [0x5f, 0x5f],
    [0x61, 0x7a],
  ],
  xdigit: [
    [0x30, 0x39],
    [0x41, 0x46],
    [0x61, 0x66],
  ],
};

const CATEGORIES =
  "C Cc Cf Cn Co L Ll Lm Lo Lt Lu M Mc Me Mn N Nd Nl No P Pc Pd Pe Pf Pi Po Ps S Sc Sk Sm So Z Zl Zp Zs " +
  "Letter Mark Number Punctuation Symbol Separator Other Alphabetic Lowercase Uppercase White_Space";
const SCRIPTS =
  "Arabic Armenian Bengali Cyrillic Devanagari Ethiopic Georgian Greek Gujarati Han Hangul Hebrew " +
  "Hiragana Kannada Katakana Khmer Lao Latin Malayalam Mongolian Myanmar Tamil Telugu Thai Tibetan";

/**
 * The test of a `\p{…}` name, or undefined if it is not in our list. Names match loosely, as in
 * Rust: case, blanks, hyphens and underscores do not count.
 */
export function unicodeProperty(name: string): ((text: string) => boolean) | undefined {
  const wanted = loose(name);
  const category = CATEGORIES.split(" ").find((known) => loose(known) === wanted);
  const script = SCRIPTS.split(" ").find((known) => loose(known) === wanted);
  const property = category ?? (script === undefined ? undefined : `Script=${script}`);
  if (property === undefined) return undefined;
  // Built from the two lists above, never from a pattern, and run on one code point at a time.
  const test = new RegExp(`^\\p{${property}}$`, "u");
  return (text) => test.test(text);
}

function loose(name: string): string {
  return name.toLowerCase().replace(/[\s_-]/g, "");
}
