import assert from "node:assert/strict";
import { test } from "node:test";
import { compilePattern } from "@heddle/model/pattern";
import { RE2JS } from "re2js";

/** Patterns that mean the same in Rust, RE2 and ECMAScript, on ASCII. */
const SHARED = [
  "",
  "abc",
  "a.*",
  ".*",
  "/users/[0-9]+",
  "/users/\\d+/(posts|likes)?",
  "(a|b)*abb",
  "a{2,4}",
  "a{3}",
  "a{2,}b?",
  "(ab|a)(bc|c)?",
  "[^/]+",
  "[a-c-]x",
  "[]a]b".replace("[]", "[\\]"),
  "^abc$",
  "^$",
  "a(^b)?",
  "(?:a|)b",
  "a|b|",
  "(a*)*b",
  "(a+)+b",
  "(a?){4}a{4}",
  "x*y*z*",
  "\\w+\\s\\w+",
  "[\\w.-]+@[\\w.-]+",
  "\\bab\\b.*",
  "a\\Bb",
  "[[:digit:]]+x".replace("[[:digit:]]", "[0-9]"),
  "\\x41\\x42",
  "\\.\\*\\+\\?\\(\\)\\[\\]\\{\\}\\|\\^\\$\\\\\\/",
  "[.*+]",
];

function words(alphabet: string, longest: number): string[] {
  let level = [""];
  const all = [""];
  for (let n = 0; n < longest; n++) {
    level = level.flatMap((word) => [...alphabet].map((char) => word + char));
    all.push(...level);
  }
  return all;
}

test("compilePattern() agrees with RE2 and with RegExp on whole texts", () => {
  const texts = [
    ...words("abc", 5),
    ...words("xyz", 3),
    ..."a/users/12|/users/12|/users/12/posts|/users/12/|/users/|a b|ab cd|foo@b.c|AB|aaaaa|ab-x|-x|]b"
      .split("|")
      .flatMap((text) => [text, `${text}\n`, `${text}/`]),
    ".*+?()[]{}|^$\\/",
    "aab",
    "aaaab",
    "ab ab",
    "ab ",
  ];
  for (const source of SHARED) {
    const ours = compilePattern(source);
    const re2 = RE2JS.compile(source);
    const native = new RegExp(`^(?:${source})$`, "");
    for (const text of texts) {
      assert.equal(ours.matches(text), re2.matches(text), `${source} on ${JSON.stringify(text)}`);
      assert.equal(ours.matches(text), native.test(text), `${source} on ${JSON.stringify(text)}`);
    }
  }
});

test("compilePattern() agrees with RE2 on random patterns", () => {
  let seed = 7;
  const random = (below: number): number => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return Math.floor((seed / 2 ** 32) * below);
  };
  const make = (depth: number): string => {
    const atoms = ["a", "b", ".", "[ab]", "[^a]", "\\d", "^", "$", "\\b", "(?i:A)", "(?s:.)"];
    switch (depth === 0 ? 0 : random(6)) {
      case 1:
        return make(depth - 1) + make(depth - 1);
      case 2:
        return `(?:${make(depth - 1)}|${make(depth - 1)})`;
      case 3:
        return `(?:${make(depth - 1)})${["*", "+", "?", "{2}", "{1,3}", "*?"][random(6)]}`;
      case 4:
        return `(${make(depth - 1)})`;
      case 5:
        return make(depth - 1) + make(depth - 1) + make(depth - 1);
      default:
        return atoms[random(atoms.length)]!;
    }
  };
  const texts = words("ab\n1", 4);
  for (let round = 0; round < 300; round++) {
    const source = make(4);
    const ours = compilePattern(source);
    const re2 = RE2JS.compile(source);
    for (const text of texts) {
      assert.equal(ours.matches(text), re2.matches(text), `${source} on ${JSON.stringify(text)}`);
    }
  }
});

test("classes are Unicode's, as in Rust", () => {
  const cases: [pattern: string, text: string, matches: boolean][] = [
    ["\\d", "٣", true],
    ["[0-9]", "٣", false],
    ["[[:digit:]]", "٣", false],
    ["\\w+", "naïve", true],
    ["\\W", "é", false],
    ["\\s", "\u00a0", true],
    ["\\S", "\u00a0", false],
    ["[^\\s]", "\u00a0", false],
    [".", "💚", true],
    ["[💚-💛]", "💛", true],
    ["\\x{1F49A}", "💚", true],
    ["\\U0001F49A", "💚", true],
    ["\\p{Greek}+", "λόγος", true],
    ["\\pL\\PL", "a1", true],
    ["\\p{lu}", "É", true],
    ["(?i)k", "\u212a", true],
    ["(?i)[^k]", "\u212a", false],
    ["(?i)straSSe", "STRAsse", true],
    ["(?i:a)b", "Ab", true],
    ["(?i:a)b", "AB", false],
    ["a(?i)b", "aB", true],
    ["(?:a(?i)b)c", "aBC", false],
    ["(?m)^a$\\n^b$", "a\nb", true],
    ["(?s).", "\n", true],
    [".", "\n", false],
    ["a$", "a\n", false],
    ["é\\b", "é", true],
    ["(?P<year>\\d{4})-(?<month>\\d\\d)", "2026-01", true],
    ["}", "}", true],
    ["a**", "aaa", true],
    ["[-a]", "-", true],
    ["[a-]", "-", true],
    ["[]a]+", "]a", true],
    ["[^]a]", "]", false],
    ["[a\\-z]", "b", false],
    ["[[:^alpha:]_]", "a", false],
    ["[[:alpha:]_]+", "a_", true],
  ];
  for (const [source, text, expected] of cases) {
    assert.equal(compilePattern(source).matches(text), expected, `${source} on ${text}`);
  }
});

test("what means something else in Rust, or nothing, is refused with its reason and place", () => {
  const cases: [pattern: string, reason: RegExp][] = [
    ["a(?=b)", /look-around.*at character/],
    ["(?<!a)b", /look-around/],
    ["(a)\\1", /back-references/],
    ["[a-z--b]", /set operation --/],
    ["[a&&b]", /set operation &&/],
    ["[a~~b]", /set operation ~~/],
    ["[a[b]]", /\[ inside a class/],
    ["(?x) a b", /flag x/],
    ["(?-u)a", /flag u/],
    ["(?R)a", /flag R/],
    ["a{,3}", /without a number/],
    ["{", /nothing to repeat/],
    ["a{", /without a number/],
    ["a{2", /does not end with/],
    ["a{3,2}", /most is less/],
    ["a{1000}{1000}", /more than 5000 steps/],
    ["((a{100}){100}){100}", /more than 5000 steps/],
    ["*a", /nothing to repeat/],
    ["a|*", /nothing to repeat/],
    ["(?i)*", /nothing to repeat/],
    ["(a", /a \( without its \)/],
    ["a)", /a \) without its \(/],
    ["[a", /a \[ without its \]/],
    ["[[:constructor:]]", /inside a class/],
    ["[z-a]", /ends before it starts/],
    ["[a-\\d]", /ends with a class/],
    ["\\", /backslash at the end/],
    ["\\b{start}", /not supported/],
    ["\\<", /not supported/],
    ["\\Qa\\E", /not supported/],
    ["\\C", /not supported/],
    ["\\Z", /not supported/],
    ["\\p{Klingon}", /not known/],
    ["(?i)é", /beyond ASCII/],
    ["\\x{110000}", /code point/],
    ["\\u{d800}", /code point/],
    ["(?P<a>.)(?P<a>.)", /two groups named/],
    ["(?P<1>.)", /group's name/],
    [`${"(".repeat(200)}${")".repeat(200)}`, /nested more than/],
    [`a${"*".repeat(100)}`, /repetitions of repetitions/],
    ["a".repeat(4097), /longer than 4096/],
  ];
  for (const [source, reason] of cases) {
    assert.throws(
      () => compilePattern(source),
      (error) => error instanceof SyntaxError && reason.test(error.message),
      source.slice(0, 40),
    );
  }
});

test("a pattern that makes backtracking engines explode takes linear time", () => {
  // Exponential for RegExp: it would not end.
  const pattern = compilePattern("(a+)+(b|a*)*c");
  assert.equal(pattern.matches("a".repeat(20_000)), false);
  assert.equal(pattern.matches(`${"a".repeat(20_000)}c`), true);
});

test("a pattern with more states than are kept stays right", () => {
  // The automaton must remember the last twelve characters: 4096 states.
  const pattern = compilePattern("[ab]*a[ab]{11}");
  let seed = 3;
  let text = "";
  for (let i = 0; i < 20_000; i++) {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    text += seed >>> 31 === 0 ? "a" : "b";
  }
  for (let end = 19_900; end < 20_000; end++) {
    assert.equal(pattern.matches(text.slice(0, end)), text[end - 12] === "a");
  }
});
