import {
  ANY,
  ANY_BUT_NEWLINE,
  CharClass,
  type ClassItem,
  PERL,
  POSIX,
  range,
  unicodeProperty,
} from "@heddle/model/pattern/char-class";

/** A parsed pattern. Groups are gone: only whether a whole text matches is ever asked. */
export type Node =
  | { readonly kind: "char"; readonly set: CharClass }
  | { readonly kind: "assert"; readonly what: Assertion }
  | { readonly kind: "concat"; readonly parts: readonly Node[] }
  | { readonly kind: "either"; readonly parts: readonly Node[] }
  | {
      readonly kind: "repeat";
      readonly part: Node;
      readonly min: number;
      /** Infinity for no limit. */
      readonly max: number;
    };

export type Assertion = "start" | "end" | "line-start" | "line-end" | "word" | "not-word";

interface Flags {
  readonly fold: boolean;
  readonly multiLine: boolean;
  readonly dotAll: boolean;
}

const MAX_DEPTH = 100;
/** `a**?{2}` is legal; whoever writes more of it wants to exhaust a stack. */
const MAX_STACKED = 8;
const META = "\\.+*?()|[]{}^$";
const CONTROL: Readonly<Record<string, number>> = {
  a: 0x07,
  f: 0x0c,
  t: 0x09,
  n: 0x0a,
  r: 0x0d,
  v: 0x0b,
};
const HEX_DIGITS: Readonly<Record<string, number>> = { x: 2, u: 4, U: 8 };

/**
 * Reads the syntax of Rust's `regex`, in which the proxy API writes its patterns, with Rust's
 * meaning: classes are Unicode's, `$` is the very end, `{` must be escaped.
 *
 * Refused, each with a message: look-around and back-references (which Rust has not either);
 * set operations and nested classes (`[a&&b]`, `[a--b]`, `[a~~b]`, `[a[b]]`); the flags `x`, `u` and
 * `R`; `{,n}`; `\b{start}`, `\<` and their like; octal escapes; `\p{…}` names beyond the general
 * categories and the common scripts; letters beyond ASCII, and `\p`, under `(?i)`.
 *
 * @throws SyntaxError that names the offence and its place.
 */
export function parsePattern(source: string): Node {
  return new Parser(source).parse();
}

class Parser {
  readonly #chars: readonly string[];
  readonly #names = new Set<string>();
  #at = 0;

  constructor(source: string) {
    this.#chars = [...source];
  }

  parse(): Node {
    const node = this.#alternation({ fold: false, multiLine: false, dotAll: false }, 0);
    if (this.#peek() === ")") this.#fail("a ) without its (");
    return node;
  }

  #alternation(outer: Flags, depth: number): Node {
    if (depth > MAX_DEPTH) this.#fail(`groups nested more than ${MAX_DEPTH} deep`);
    let flags = outer;
    const branches: Node[] = [];
    let parts: Node[] = [];
    // What may be repeated: an atom, not a flag group nor the start of a branch.
    let repeatable = false;
    for (;;) {
      const char = this.#peek();
      if (char === undefined || char === ")") break;
      if (char === "|") {
        this.#at++;
        branches.push(concat(parts));
        parts = [];
        repeatable = false;
        continue;
      }
      if (char === "*" || char === "+" || char === "?" || char === "{") {
        if (!repeatable) this.#fail(`${char} has nothing to repeat; write \\${char} for itself`);
        parts.push(this.#repetition(parts.pop()!));
        continue;
      }
      const inline = char === "(" ? this.#inlineFlags(flags) : undefined;
      if (inline !== undefined) {
        flags = inline;
        repeatable = false;
        continue;
      }
      parts.push(char === "(" ? this.#group(flags, depth) : this.#atom(flags));
      repeatable = true;
    }
    branches.push(concat(parts));
    return branches.length === 1 ? branches[0]! : { kind: "either", parts: branches };
  }

  #repetition(part: Node): Node {
    const char = this.#take();
    let min = char === "+" ? 1 : 0;
    let max = char === "?" ? 1 : Number.POSITIVE_INFINITY;
    if (char === "{") {
      min = this.#count();
      max = min;
      if (this.#peek() === ",") {
        this.#at++;
        max = this.#peek() === "}" ? Number.POSITIVE_INFINITY : this.#count();
      }
      if (this.#take() !== "}") this.#fail("a repetition that does not end with }");
      if (max < min) this.#fail("a repetition whose most is less than its least");
    }
    // Lazy or not is all the same when the whole text must match.
    if (this.#peek() === "?") this.#at++;
    let stacked = 0;
    for (let n = part; n.kind === "repeat"; n = n.part) stacked++;
    if (stacked > MAX_STACKED) this.#fail("repetitions of repetitions of repetitions");
    return { kind: "repeat", part, min, max };
  }

  #count(): number {
    let digits = "";
    for (let c = this.#peek(); c !== undefined && c >= "0" && c <= "9"; c = this.#peek()) {
      digits += c;
      this.#at++;
    }
    if (digits === "") this.#fail("a repetition without a number; write \\{ for a brace");
    if (digits.length > 6) this.#fail("a repetition of more than 999999 times");
    return Number(digits);
  }

  /** Takes `(?flags)`, which counts until the end of the group it stands in. */
  #inlineFlags(flags: Flags): Flags | undefined {
    if (this.#chars[this.#at + 1] !== "?") return undefined;
    let end = this.#at + 2;
    while (/^[A-Za-z-]$/.test(this.#chars[end] ?? "")) end++;
    if (this.#chars[end] !== ")") return undefined;
    const letters = this.#chars.slice(this.#at + 2, end).join("");
    if (letters === "") this.#fail("a (?) without flags");
    const changed = this.#changeFlags(flags, letters);
    this.#at = end + 1;
    return changed;
  }

  #changeFlags(flags: Flags, letters: string): Flags {
    let { fold, multiLine, dotAll } = flags;
    let on = true;
    const seen = new Set<string>();
    for (const letter of letters) {
      if (seen.has(letter)) this.#fail(`the flag ${letter} twice`);
      seen.add(letter);
      if (letter === "-") on = false;
      else if (letter === "i") fold = on;
      else if (letter === "m") multiLine = on;
      else if (letter === "s") dotAll = on;
      else if (letter !== "U") this.#fail(`the flag ${letter}, which is not supported`);
    }
    if (letters.endsWith("-")) this.#fail("a - without a flag after it");
    return { fold, multiLine, dotAll };
  }

  #group(outer: Flags, depth: number): Node {
    this.#at++;
    let flags = outer;
    if (this.#peek() === "?") {
      this.#at++;
      const next = this.#peek();
      const after = this.#chars[this.#at + 1];
      if (next === "=" || next === "!" || (next === "<" && (after === "=" || after === "!"))) {
        this.#fail("look-around, which no linear-time engine has");
      }
      if (next === "<" || (next === "P" && after === "<")) this.#groupName();
      else flags = this.#groupFlags(outer);
    }
    const node = this.#alternation(flags, depth + 1);
    if (this.#take() !== ")") this.#fail("a ( without its )");
    return node;
  }

  #groupName(): void {
    if (this.#take() === "P") this.#at++;
    let name = "";
    for (let c = this.#take(); c !== ">"; c = this.#take()) {
      if (c === undefined) this.#fail("a group name that does not end with >");
      name += c;
    }
    if (!/^[A-Za-z_][A-Za-z0-9_.[\]]*$/.test(name)) this.#fail(`"${name}" as a group's name`);
    if (this.#names.has(name)) this.#fail(`two groups named "${name}"`);
    this.#names.add(name);
  }

  #groupFlags(outer: Flags): Flags {
    let letters = "";
    for (let c = this.#take(); c !== ":"; c = this.#take()) {
      if (c === undefined || !/^[A-Za-z-]$/.test(c)) this.#fail(`the group (?${letters}${c ?? ""}`);
      letters += c;
    }
    return letters === "" ? outer : this.#changeFlags(outer, letters);
  }

  #atom(flags: Flags): Node {
    const char = this.#take()!;
    if (char === "[") return { kind: "char", set: this.#class(flags) };
    if (char === ".") return { kind: "char", set: flags.dotAll ? ANY : ANY_BUT_NEWLINE };
    if (char === "^") return assert(flags.multiLine ? "line-start" : "start");
    if (char === "$") return assert(flags.multiLine ? "line-end" : "end");
    if (char === "\\") return this.#escape(flags);
    return this.#literal(char.codePointAt(0)!, flags);
  }

  #literal(code: number, flags: Flags): Node {
    this.#checkFold([range(code)], flags);
    return { kind: "char", set: new CharClass([range(code)], false, flags.fold && isLetter(code)) };
  }

  #escape(flags: Flags): Node {
    const char = this.#peek();
    if (char === "A" || char === "z" || char === "b" || char === "B") {
      this.#at++;
      if (this.#peek() === "{" && (char === "b" || char === "B")) {
        this.#fail(`\\${char}{…}, which is not supported`);
      }
      return assert(({ A: "start", z: "end", b: "word", B: "not-word" } as const)[char]);
    }
    const item = this.#escapedClass(flags);
    if (item !== undefined) {
      return { kind: "char", set: new CharClass([item]) };
    }
    return this.#literal(this.#escapedChar(), flags);
  }

  /** After a backslash: `d D s S w W p P`, or undefined with nothing taken. */
  #escapedClass(flags: Flags): ClassItem | undefined {
    const char = this.#peek();
    if (char === undefined) this.#fail("a backslash at the end");
    const perl = PERL[char.toLowerCase()];
    if (perl !== undefined) {
      this.#at++;
      return { kind: "property", test: perl, not: char !== char.toLowerCase() };
    }
    if (char !== "p" && char !== "P") return undefined;
    if (flags.fold) this.#fail(`\\${char} under (?i), which is not supported`);
    this.#at++;
    let name = this.#take();
    if (name === "{") {
      name = "";
      for (let c = this.#take(); c !== "}"; c = this.#take()) {
        if (c === undefined) this.#fail(`a \\${char}{ without its }`);
        name += c;
      }
    }
    const test = name === undefined ? undefined : unicodeProperty(name);
    if (test === undefined) this.#fail(`the Unicode property "${name ?? ""}", which is not known`);
    return { kind: "property", test, not: char === "P" };
  }

  /** After a backslash: the character that it stands for. */
  #escapedChar(): number {
    const char = this.#take()!;
    const control = CONTROL[char];
    if (control !== undefined) return control;
    const digits = HEX_DIGITS[char];
    if (digits !== undefined) return this.#hex(digits);
    if (/^[0-9]$/.test(char)) this.#fail(`\\${char}: there are no back-references nor octals`);
    if (META.includes(char) || /^[!-/:;=?@[-`{-~ ]$/.test(char)) return char.codePointAt(0)!;
    return this.#fail(`the escape \\${char}, which is not supported`);
  }

  #hex(digits: number): number {
    let text = "";
    if (this.#peek() === "{") {
      this.#at++;
      for (let c = this.#take(); c !== "}"; c = this.#take()) {
        if (c === undefined) this.#fail("a { without its }");
        text += c;
      }
    } else {
      for (let i = 0; i < digits; i++) text += this.#take() ?? "";
      if (text.length !== digits) this.#fail("a hexadecimal escape that is too short");
    }
    const code = /^[0-9A-Fa-f]{1,8}$/.test(text) ? Number.parseInt(text, 16) : -1;
    const surrogate = code >= 0xd800 && code <= 0xdfff;
    if (code < 0 || code > 0x10ffff || surrogate) this.#fail(`"${text}" as a code point`);
    return code;
  }

  #class(flags: Flags): CharClass {
    const items: ClassItem[] = [];
    const negated = this.#peek() === "^";
    if (negated) this.#at++;
    for (let first = true; ; first = false) {
      const char = this.#peek();
      if (char === undefined) this.#fail("a [ without its ]");
      if (char === "]" && !first) break;
      items.push(this.#classItem(flags));
    }
    this.#at++;
    this.#checkFold(items, flags);
    return new CharClass(items, negated, flags.fold);
  }

  #classItem(flags: Flags): ClassItem {
    this.#refuseSetOperation();
    if (this.#peek() === "[") return this.#posix();
    const from = this.#classChar(flags);
    if (typeof from !== "number") return from;
    const after = this.#chars[this.#at + 1];
    if (this.#peek() !== "-" || after === "]") return range(from);
    this.#refuseSetOperation();
    this.#at++;
    if (this.#peek() === "[") this.#fail("a range that ends with a class");
    const to = this.#classChar(flags);
    if (typeof to !== "number") this.#fail("a range that ends with a class");
    if (to < from) this.#fail("a range that ends before it starts");
    return range(from, to);
  }

  #classChar(flags: Flags): number | ClassItem {
    const char = this.#take();
    if (char === undefined) this.#fail("a [ without its ]");
    if (char !== "\\") return char.codePointAt(0)!;
    return this.#escapedClass(flags) ?? this.#escapedChar();
  }

  #refuseSetOperation(): void {
    const two = `${this.#peek() ?? ""}${this.#chars[this.#at + 1] ?? ""}`;
    if (two === "&&" || two === "--" || two === "~~") {
      this.#fail(`the set operation ${two}, which is not supported; escape it to mean itself`);
    }
  }

  #posix(): ClassItem {
    const end = this.#chars.indexOf("]", this.#at);
    const text = end < 0 ? "" : this.#chars.slice(this.#at, end + 1).join("");
    const found = /^\[:(\^?)([a-z]+):\]$/.exec(text);
    const name = found?.[2] ?? "";
    const ranges = Object.hasOwn(POSIX, name) ? POSIX[name] : undefined;
    if (found === null || ranges === undefined) {
      this.#fail("a [ inside a class, which is not supported; write \\[ for itself");
    }
    this.#at = end + 1;
    const inside = (text: string): boolean => {
      const code = text.codePointAt(0)!;
      return ranges.some(([from, to]) => code >= from && code <= to);
    };
    return { kind: "property", test: inside, not: found[1] === "^" };
  }

  /** Folding beyond ASCII would need Rust's own tables to come out the same. */
  #checkFold(items: readonly ClassItem[], flags: Flags): void {
    if (!flags.fold) return;
    for (const item of items) {
      if (item.kind === "range" && item.to > 0x7f && item.to < 0x10ffff) {
        this.#fail("a character beyond ASCII under (?i), which is not supported");
      }
    }
  }

  #peek(): string | undefined {
    return this.#chars[this.#at];
  }

  #take(): string | undefined {
    return this.#chars[this.#at++];
  }

  #fail(what: string): never {
    throw new SyntaxError(`${what} (at character ${Math.min(this.#at, this.#chars.length) + 1})`);
  }
}

function concat(parts: readonly Node[]): Node {
  return parts.length === 1 ? parts[0]! : { kind: "concat", parts };
}

function assert(what: Assertion): Node {
  return { kind: "assert", what };
}

function isLetter(code: number): boolean {
  const lower = code | 0x20;
  return lower >= 0x61 && lower <= 0x7a;
}
