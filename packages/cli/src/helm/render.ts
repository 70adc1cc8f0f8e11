import { messageOf } from "@heddle/base/errors";
import { FUNCTIONS, type HelmFunction, isEmpty, textOf } from "./functions.ts";
import {
  type Branch,
  type Expression,
  type Node,
  parseTemplate,
  type Template,
  templateError,
} from "./syntax.ts";

const MAX_INCLUDES = 50;
const MAX_OUTPUT_CHARS = 16_000_000;

/**
 * Renders the files of a chart, by name; those named `_…` only define. The order is by name.
 *
 * @param own - Functions that know what a template cannot: the time, the cluster, new certificates.
 * @throws SyntaxError that names file and line, for what we do not know and for what `fail` and
 *   `required` refuse.
 */
export function renderChart(
  files: ReadonlyMap<string, string>,
  root: Readonly<Record<string, unknown>>,
  own: ReadonlyMap<string, HelmFunction> = new Map(),
): Map<string, string> {
  const defines = new Map<string, Template>();
  const templates = [...files]
    .sort(([one], [other]) => (one < other ? -1 : 1))
    .map(([file, text]) => parseTemplate(file, text, defines));
  const renderer = new Renderer(defines, own);
  const rendered = new Map<string, string>();
  for (const template of templates) {
    if (template.file.split("/").at(-1)!.startsWith("_")) continue;
    rendered.set(template.file, renderer.render(template, root));
  }
  return rendered;
}

/** Variables, innermost first. */
class Scope {
  readonly #outer: Scope | undefined;
  readonly #values = new Map<string, unknown>();

  constructor(outer: Scope | undefined) {
    this.#outer = outer;
  }

  declare(name: string, value: unknown): void {
    this.#values.set(name, value);
  }

  holder(name: string): Map<string, unknown> | undefined {
    return this.#values.has(name) ? this.#values : this.#outer?.holder(name);
  }
}

interface Place {
  readonly file: string;
  readonly dot: unknown;
  readonly scope: Scope;
}

class Renderer {
  readonly #defines: Map<string, Template>;
  readonly #own: ReadonlyMap<string, HelmFunction>;
  #includes = 0;

  constructor(defines: Map<string, Template>, own: ReadonlyMap<string, HelmFunction>) {
    this.#defines = defines;
    this.#own = own;
  }

  render(template: Template, dot: unknown): string {
    const scope = new Scope(undefined);
    scope.declare("$", dot);
    return this.#nodes(template.body, { file: template.file, dot, scope });
  }

  #nodes(nodes: readonly Node[], place: Place): string {
    let output = "";
    for (const node of nodes) {
      output += node.is === "text" ? node.text : this.#at(node.line, node, place);
      if (output.length > MAX_OUTPUT_CHARS) throw new SyntaxError("the output is too large");
    }
    return output;
  }

  #at(line: number, node: Exclude<Node, { is: "text" }>, place: Place): string {
    try {
      return this.#node(node, place);
    } catch (error) {
      if (error instanceof SyntaxError && !/^\S+:\d+: /.test(error.message)) {
        throw templateError(place.file, line, messageOf(error));
      }
      throw error;
    }
  }

  #node(node: Exclude<Node, { is: "text" }>, place: Place): string {
    if (node.is === "print") return textOf(this.#value(node.value, place));
    if (node.is === "assign") {
      const value = this.#value(node.value, place);
      if (node.isNew) place.scope.declare(node.name, value);
      else this.#holder(node.name, place).set(node.name, value);
      return "";
    }
    if (node.is === "range") return this.#range(node.names, node.branches, place);
    for (const { test, body } of node.branches) {
      const inner = { ...place, scope: new Scope(place.scope) };
      if (test === undefined) return this.#nodes(body, inner);
      const value = this.#value(test, place);
      if (isEmpty(value)) continue;
      return this.#nodes(body, node.is === "with" ? { ...inner, dot: value } : inner);
    }
    return "";
  }

  #range(names: readonly string[], branches: readonly Branch[], place: Place): string {
    const [over, otherwise] = branches;
    const items = entriesOf(this.#value(over!.test!, place));
    if (items.length === 0) {
      const scope = new Scope(place.scope);
      return otherwise === undefined ? "" : this.#nodes(otherwise.body, { ...place, scope });
    }
    let output = "";
    for (const [key, value] of items) {
      const scope = new Scope(place.scope);
      if (names.length === 2) scope.declare(names[0]!, key);
      if (names.length > 0) scope.declare(names.at(-1)!, value);
      output += this.#nodes(over!.body, { ...place, dot: value, scope });
    }
    return output;
  }

  #value(expression: Expression, place: Place): unknown {
    switch (expression.is) {
      case "literal":
        return expression.value;
      case "dot":
        return fieldsOf(place.dot, expression.fields);
      case "variable":
        return fieldsOf(
          this.#holder(expression.name, place).get(expression.name),
          expression.fields,
        );
      case "group":
        return this.#value(expression.inner, place);
      case "call":
        return this.#call(expression.name, expression.args, place);
    }
  }

  #call(name: string, args: readonly Expression[], place: Place): unknown {
    if (name === "and" || name === "or") {
      let value: unknown;
      for (const arg of args) {
        value = this.#value(arg, place);
        if (isEmpty(value) === (name === "and")) return value;
      }
      return value;
    }
    const values = args.map((arg) => this.#value(arg, place));
    if (name === "include") return this.#include(textOf(values[0]), values[1]);
    if (name === "tpl") return this.#within("tpl", this.#inline(textOf(values[0])), values[1]);
    const found = this.#own.get(name) ?? FUNCTIONS.get(name);
    if (found === undefined) throw new SyntaxError(`function "${name}" is not supported`);
    return found(...values);
  }

  #include(name: string, dot: unknown): string {
    const template = this.#defines.get(name);
    if (template === undefined) throw new SyntaxError(`no template is named "${name}"`);
    return this.#within(name, template, dot);
  }

  /** A value that is a template itself. What it defines is its own. */
  #inline(text: string): Template {
    return parseTemplate("tpl", text, new Map(this.#defines));
  }

  #within(name: string, template: Template, dot: unknown): string {
    if (this.#includes >= MAX_INCLUDES) throw new SyntaxError(`"${name}" includes itself`);
    this.#includes += 1;
    try {
      return this.render(template, dot);
    } finally {
      this.#includes -= 1;
    }
  }

  #holder(name: string, place: Place): Map<string, unknown> {
    const holder = place.scope.holder(name);
    if (holder === undefined) throw new SyntaxError(`variable "${name}" is not declared`);
    return holder;
  }
}

/** A missing key of a map is nothing; a field of what is no map is an error, as in Go. */
function fieldsOf(value: unknown, fields: readonly string[]): unknown {
  let found = value;
  for (const field of fields) {
    if (typeof found !== "object" || found === null || Array.isArray(found)) {
      throw new SyntaxError(`cannot read .${field} of what is no map`);
    }
    found = Object.hasOwn(found, field) ? (found as Record<string, unknown>)[field] : undefined;
  }
  return found;
}

function entriesOf(value: unknown): [unknown, unknown][] {
  if (value === undefined || value === null) return [];
  if (Array.isArray(value)) return value.map((item, index) => [index, item]);
  if (typeof value !== "object") throw new SyntaxError("range needs a list or a map");
  return Object.entries(value).sort(([one], [other]) => (one < other ? -1 : 1));
}
