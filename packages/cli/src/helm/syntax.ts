/** The part of Helm's template language that our charts use. All else is an error with its place. */
export type Expression =
  | { readonly is: "literal"; readonly value: unknown }
  | { readonly is: "variable"; readonly name: string; readonly fields: readonly string[] }
  | { readonly is: "dot"; readonly fields: readonly string[] }
  | { readonly is: "group"; readonly inner: Expression; readonly fields: readonly string[] }
  | { readonly is: "call"; readonly name: string; readonly args: readonly Expression[] };

export interface Branch {
  readonly line: number;
  /** Without one it is the `else`. */
  readonly test: Expression | undefined;
  readonly body: readonly Node[];
}

export type Node =
  | { readonly is: "text"; readonly text: string }
  | { readonly is: "print"; readonly line: number; readonly value: Expression }
  | {
      readonly is: "assign";
      readonly line: number;
      readonly name: string;
      readonly isNew: boolean;
      readonly value: Expression;
    }
  | { readonly is: "if" | "with"; readonly line: number; readonly branches: readonly Branch[] }
  | {
      readonly is: "range";
      readonly line: number;
      /** None, a value, or a key and a value. */
      readonly names: readonly string[];
      readonly branches: readonly Branch[];
    };

export interface Template {
  readonly file: string;
  readonly body: readonly Node[];
}

interface Action {
  readonly line: number;
  /** Text before it, trimmed as the action asks. */
  readonly before: string;
  readonly code: string;
}

const MAX_TEMPLATE_CHARS = 1_000_000;
const MAX_DEPTH = 100;
const TOKEN =
  /\s*("(?:\\.|[^"\\\n])*"|`[^`]*`|\$?\.?[A-Za-z_][\w]*(?:\.[A-Za-z_]\w*)*|\$(?:\.[A-Za-z_]\w*)*|-?\d+(?:\.\d+)?|:=|\.[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*|[().|,=])/y;

/** An error with the place in a template that caused it. */
export function templateError(file: string, line: number, problem: string): SyntaxError {
  return new SyntaxError(`${file}:${line}: ${problem}`);
}

/**
 * Parses one file of a chart. What it defines goes to `defines`, under its name.
 *
 * @throws SyntaxError that names file and line.
 */
export function parseTemplate(
  file: string,
  text: string,
  defines: Map<string, Template>,
): Template {
  if (text.length > MAX_TEMPLATE_CHARS) throw templateError(file, 1, "the template is too large");
  return { file, body: new Parser(file, text, defines).parse() };
}

class Parser {
  readonly #file: string;
  readonly #actions: readonly Action[];
  readonly #tail: string;
  readonly #defines: Map<string, Template>;
  #next = 0;
  #depth = 0;

  constructor(file: string, text: string, defines: Map<string, Template>) {
    this.#file = file;
    this.#defines = defines;
    [this.#actions, this.#tail] = split(file, text);
  }

  parse(): Node[] {
    const { body, end } = this.#block();
    if (end !== undefined) throw this.#error(end, `{{ ${end.code} }} closes nothing`);
    return body;
  }

  /** Nodes up to the `end` or `else` that belongs to an enclosing block, or to the text's end. */
  #block(): { readonly body: Node[]; readonly end: Action | undefined } {
    const body: Node[] = [];
    const push = (text: string): void => {
      if (text !== "") body.push({ is: "text", text });
    };
    for (;;) {
      const action = this.#actions[this.#next];
      if (action === undefined) {
        push(this.#tail);
        return { body, end: undefined };
      }
      this.#next += 1;
      push(action.before);
      const word = /^\w+/.exec(action.code)?.[0] ?? "";
      if (word === "end" || word === "else") return { body, end: action };
      const node = this.#action(word, action);
      if (node !== undefined) body.push(node);
    }
  }

  #action(word: string, action: Action): Node | undefined {
    const { line, code } = action;
    if (code.startsWith("/*") || code === "") return undefined;
    if (word === "define") {
      this.#define(action);
      return undefined;
    }
    if (word === "if" || word === "with") {
      return { is: word, line, branches: this.#branches(word, action, code.slice(word.length)) };
    }
    if (word === "range") {
      const head = /^range\s+(?:(\$\w+)\s*(?:,\s*(\$\w+)\s*)?:=)?/.exec(code);
      if (head === null) throw this.#error(action, "range has nothing to go over");
      const names = [head[1], head[2]].flatMap((name) => (name === undefined ? [] : [name]));
      const branches = this.#branches(word, action, code.slice(head[0].length));
      return { is: "range", line, names, branches };
    }
    if (["template", "block", "break", "continue"].includes(word)) {
      throw this.#error(action, `"${word}" is not supported; use include`);
    }
    const assigned = /^(\$\w+)\s*(:?=)/.exec(code);
    if (assigned !== null) {
      const value = this.#expression(action, code.slice(assigned[0].length));
      return { is: "assign", line, name: assigned[1]!, isNew: assigned[2] === ":=", value };
    }
    return { is: "print", line, value: this.#expression(action, code) };
  }

  #define(action: Action): void {
    const name = /^define\s+"([^"]+)"\s*$/.exec(action.code)?.[1];
    if (name === undefined) throw this.#error(action, 'expected define "name"');
    if (this.#defines.has(name)) throw this.#error(action, `"${name}" is defined twice`);
    const { body, end } = this.#inner(action);
    if (end.code !== "end") throw this.#error(end, `"${name}" has an else`);
    this.#defines.set(name, { file: this.#file, body });
  }

  #branches(word: string, opening: Action, test: string): Branch[] {
    const branches: Branch[] = [];
    let head: Branch = {
      line: opening.line,
      test: this.#expression(opening, test),
      body: [],
    };
    for (;;) {
      const { body, end } = this.#inner(opening);
      branches.push({ ...head, body });
      if (end.code === "end") return branches;
      if (head.test === undefined) throw this.#error(end, "nothing may follow else");
      const rest = end.code.slice("else".length).trim();
      const again = new RegExp(`^${word}\\b`).exec(rest);
      if (rest !== "" && (again === null || word === "range")) {
        throw this.#error(end, `"${end.code}" does not continue ${word}`);
      }
      const next = again === null ? undefined : this.#expression(end, rest.slice(word.length));
      head = { line: end.line, test: next, body: [] };
    }
  }

  #inner(opening: Action): { readonly body: Node[]; readonly end: Action } {
    this.#depth += 1;
    if (this.#depth > MAX_DEPTH) throw this.#error(opening, "blocks are nested too deeply");
    const { body, end } = this.#block();
    this.#depth -= 1;
    if (end === undefined) throw this.#error(opening, `{{ ${opening.code} }} has no end`);
    return { body, end };
  }

  #expression(action: Action, code: string): Expression {
    return new Expressions(this.#tokens(action, code), (problem) =>
      this.#error(action, problem),
    ).whole();
  }

  #tokens(action: Action, code: string): string[] {
    const tokens: string[] = [];
    const text = code.trimEnd();
    for (let at = 0; at < text.length; ) {
      TOKEN.lastIndex = at;
      const match = TOKEN.exec(text);
      if (match === null) throw this.#error(action, `cannot read "${text.slice(at).trim()}"`);
      tokens.push(match[1]!);
      at = TOKEN.lastIndex;
    }
    return tokens;
  }

  #error(action: Action, problem: string): SyntaxError {
    return templateError(this.#file, action.line, problem);
  }
}

class Expressions {
  readonly #tokens: readonly string[];
  readonly #error: (problem: string) => SyntaxError;
  #next = 0;
  #depth = 0;

  constructor(tokens: readonly string[], error: (problem: string) => SyntaxError) {
    this.#tokens = tokens;
    this.#error = error;
  }

  whole(): Expression {
    const value = this.#pipeline();
    const rest = this.#tokens[this.#next];
    if (rest !== undefined) throw this.#error(`"${rest}" is not expected here`);
    return value;
  }

  #pipeline(): Expression {
    let value = this.#command();
    while (this.#tokens[this.#next] === "|") {
      this.#next += 1;
      const next = this.#command();
      if (next.is !== "call") throw this.#error("only functions take what is piped");
      value = { ...next, args: [...next.args, value] };
    }
    return value;
  }

  #command(): Expression {
    const first = this.#operand();
    const args: Expression[] = [];
    while (this.#next < this.#tokens.length && !["|", ")"].includes(this.#tokens[this.#next]!)) {
      args.push(this.#operand());
    }
    if (args.length === 0) return first;
    if (first.is !== "call") throw this.#error("only functions take arguments");
    return { ...first, args };
  }

  #operand(): Expression {
    const token = this.#tokens[this.#next];
    if (token === undefined) throw this.#error("a value is missing");
    this.#next += 1;
    if (token === "(") {
      this.#depth += 1;
      if (this.#depth > MAX_DEPTH) throw this.#error("parentheses are nested too deeply");
      const inner = this.#pipeline();
      if (this.#tokens[this.#next] !== ")") throw this.#error("a ) is missing");
      this.#next += 1;
      this.#depth -= 1;
      return { is: "group", inner, fields: [] };
    }
    if (token === ".") return { is: "dot", fields: [] };
    if (token.startsWith(".")) return { is: "dot", fields: token.slice(1).split(".") };
    if (token.startsWith("$")) {
      const [name = "$", ...fields] = token.split(".");
      return { is: "variable", name, fields };
    }
    if (token.startsWith('"')) return { is: "literal", value: this.#string(token) };
    if (token.startsWith("`")) return { is: "literal", value: token.slice(1, -1) };
    if (/^-?\d/.test(token)) return { is: "literal", value: Number(token) };
    if (token === "true" || token === "false") return { is: "literal", value: token === "true" };
    if (token === "nil") return { is: "literal", value: undefined };
    if (/^[A-Za-z_]\w*$/.test(token)) return { is: "call", name: token, args: [] };
    throw this.#error(`"${token}" is not expected here`);
  }

  #string(token: string): string {
    try {
      return JSON.parse(token) as string;
    } catch (error) {
      throw this.#error(`cannot read the string ${token}: ${String(error)}`);
    }
  }
}

/** Cuts a text into actions, and the text after the last one. */
function split(file: string, text: string): [Action[], string] {
  const actions: Action[] = [];
  let at = 0;
  let line = 1;
  let isTrimmed = false;
  for (;;) {
    const open = text.indexOf("{{", at);
    const raw = text.slice(at, open === -1 ? undefined : open);
    const before = isTrimmed ? raw.trimStart() : raw;
    if (open === -1) return [actions, before];
    line += lines(raw);
    const match =
      /^\{\{(-\s)?((?:\s*\/\*[\s\S]*?\*\/\s*?)|(?:"(?:\\.|[^"\\])*"|`[^`]*`|[^"`])*?)(\s-)?\}\}/.exec(
        text.slice(open),
      );
    if (match === null) throw templateError(file, line, "{{ has no }}");
    const isTrimming = match[1] !== undefined;
    actions.push({ line, before: isTrimming ? before.trimEnd() : before, code: match[2]!.trim() });
    line += lines(match[0]);
    isTrimmed = match[3] !== undefined;
    at = open + match[0].length;
  }
}

function lines(text: string): number {
  return text.split("\n").length - 1;
}
