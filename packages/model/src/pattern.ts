import { Automaton } from "@heddle/model/pattern/automaton";
import { compileProgram } from "@heddle/model/pattern/program";
import { type Node, parsePattern } from "@heddle/model/pattern/syntax";

/** A pattern that came from the API. It matches whole texts, in time linear in their length. */
export interface Pattern {
  readonly source: string;
  /** Hot. */
  matches(text: string): boolean;
}

const MAX_SOURCE_CHARS = 4096;

/**
 * Compiles a pattern in the syntax of Rust's `regex` (`pattern/syntax.ts` says what of it we take).
 * Never use RegExp for what comes from the API: it backtracks, and one pattern would stall a
 * whole proxy.
 *
 * @throws SyntaxError that says what is wrong and where.
 */
export function compilePattern(source: string): Pattern {
  return parsed(source, (node) => fastPath(source, node) ?? new AutomatonPattern(source, node));
}

/**
 * How large a pattern's automaton is, and with it what the pattern costs: for those that pass
 * patterns on.
 *
 * @throws SyntaxError as `compilePattern` does.
 */
export function patternSteps(source: string): number {
  return parsed(source, (node) => compileProgram(node).steps.length);
}

function parsed<T>(source: string, use: (node: Node) => T): T {
  if (source.length > MAX_SOURCE_CHARS) {
    throw new SyntaxError(
      `Cannot compile pattern: it is longer than ${MAX_SOURCE_CHARS} characters`,
    );
  }
  try {
    return use(parsePattern(source));
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw new SyntaxError(`Cannot compile pattern ${JSON.stringify(source)}: ${error.message}`);
  }
}

class AutomatonPattern implements Pattern {
  readonly source: string;
  readonly #automaton: Automaton;

  constructor(source: string, node: Node) {
    this.source = source;
    this.#automaton = new Automaton(compileProgram(node));
  }

  matches(text: string): boolean {
    return this.#automaton.matches(text);
  }
}

class LiteralPattern implements Pattern {
  readonly source: string;
  readonly #literal: string;

  constructor(source: string, literal: string) {
    this.source = source;
    this.#literal = literal;
  }

  matches(text: string): boolean {
    return text === this.#literal;
  }
}

/** A literal followed by `.*`. */
class PrefixPattern implements Pattern {
  readonly source: string;
  readonly #prefix: string;

  constructor(source: string, prefix: string) {
    this.source = source;
    this.#prefix = prefix;
  }

  matches(text: string): boolean {
    return text.startsWith(this.#prefix) && text.indexOf("\n", this.#prefix.length) < 0;
  }
}

/** Most patterns in the wild are literals, or literals with `.*` behind. */
function fastPath(source: string, node: Node): Pattern | undefined {
  const parts = node.kind === "concat" ? node.parts : [node];
  let literal = "";
  for (const [index, part] of parts.entries()) {
    const char = literalOf(part);
    if (char !== undefined) literal += char;
    else if (index === parts.length - 1 && isDotStar(part)) {
      return new PrefixPattern(source, literal);
    } else return undefined;
  }
  return new LiteralPattern(source, literal);
}

function literalOf(node: Node): string | undefined {
  if (node.kind !== "char" || node.set.negated || node.set.fold) return undefined;
  const [item, more] = node.set.items;
  if (more !== undefined || item?.kind !== "range" || item.from !== item.to) return undefined;
  return String.fromCodePoint(item.from);
}

function isDotStar(node: Node): boolean {
  if (node.kind !== "repeat" || node.min !== 0 || node.max !== Number.POSITIVE_INFINITY) {
    return false;
  }
  const { part } = node;
  if (part.kind !== "char" || !part.set.negated) return false;
  const [item, more] = part.set.items;
  return more === undefined && item?.kind === "range" && item.from === 0x0a && item.to === 0x0a;
}
